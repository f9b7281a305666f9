//! `SyncGroup`: the leader brings the assignment, everybody takes its share.

use super::{Group, Phase, State};
use crate::error::KafkaError;

/// What a member says when it syncs.
#[derive(Debug, Clone)]
pub struct Sync {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub generation_id: i32,
    /// Checked where given (KIP-559).
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    /// The leader's: member id and assignment. Members that it leaves out get nothing.
    pub assignments: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncReply {
    Synced {
        assignment: Vec<u8>,
    },
    /// The leader is awaited: ask again when the group changes, at the latest at this
    /// time (epoch milliseconds).
    Parked {
        until: i64,
    },
}

impl Group {
    /// A member syncs, or asks again about a sync that had to wait.
    pub fn sync(&mut self, sync: Sync, now: i64) -> Result<SyncReply, KafkaError> {
        self.advance(now);
        self.check_member(&sync.member_id, sync.group_instance_id.as_deref())?;
        self.check_generation(sync.generation_id)?;
        self.check_same(
            "type",
            self.protocol_type.as_ref(),
            sync.protocol_type.as_ref(),
        )?;
        self.check_same(
            "name",
            self.protocol_name.as_ref(),
            sync.protocol_name.as_ref(),
        )?;
        if self.state == State::PreparingRebalance {
            return Err(KafkaError::RebalanceInProgress {
                group_id: self.group_id.clone(),
            });
        }
        let assigns = self.state == State::CompletingRebalance && self.is_leader(&sync.member_id);
        if let Some(member) = self.members.get_mut(&sync.member_id) {
            member.phase = Phase::Synced;
            member.touch(now);
        }
        if assigns {
            self.assign(sync.assignments);
        }
        if self.state == State::Stable {
            let mut members = self.members.values();
            if members.all(|member| member.phase != Phase::Waiting) {
                self.deadline = None;
            }
            let member = self.members.get(&sync.member_id);
            let assignment = member.map_or_else(Vec::new, |member| member.assignment.clone());
            return Ok(SyncReply::Synced { assignment });
        }
        Ok(SyncReply::Parked {
            until: self.ask_again_at(&sync.member_id, now),
        })
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn assign(&mut self, assignments: Vec<(String, Vec<u8>)>) {
        for member in self.members.values_mut() {
            member.assignment.clear();
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
    }

    fn check_same(
        &self,
        what: &str,
        ours: Option<&String>,
        theirs: Option<&String>,
    ) -> Result<(), KafkaError> {
        match theirs {
            Some(found) if ours != Some(found) => Err(KafkaError::InconsistentGroupProtocol {
                group_id: self.group_id.clone(),
                reason: format!(
                    "the group's protocol {what} is {:?}, not {found:?}",
                    ours.map_or("", String::as_str)
                ),
            }),
            _ => Ok(()),
        }
    }
}
