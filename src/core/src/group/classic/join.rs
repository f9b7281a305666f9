//! `JoinGroup`: a member comes, or comes back.

use std::collections::BTreeSet;

use super::{Config, Group, Member, Phase, State};
use crate::error::KafkaError;

/// What a member says when it joins.
#[derive(Debug, Clone)]
pub struct Join {
    /// Empty for a member that has none yet.
    pub member_id: String,
    /// The id that a new member gets.
    pub new_member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// Name and metadata, the preferred one first.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// A new member is only told its id, and joins again with it (KIP-394).
    pub require_member_id: bool,
    /// It knows that a leader may be told to keep the assignment (KIP-814).
    pub supports_skipping_assignment: bool,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinReply {
    Joined(Joined),
    /// Join again with this id, which is now known.
    MemberIdRequired {
        member_id: String,
    },
    /// Others are awaited: ask again with this id when the group changes, at the latest
    /// at this time (epoch milliseconds).
    Parked {
        member_id: String,
        until: i64,
    },
}

/// A generation as its member is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub member_id: String,
    pub generation_id: i32,
    pub protocol_type: String,
    pub protocol_name: String,
    pub leader: String,
    /// Only for the leader, which assigns.
    pub members: Vec<JoinedMember>,
    /// The assignment of the generation holds: the leader need not compute it.
    pub skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub metadata: Vec<u8>,
}

impl Group {
    /// A member joins, or asks again about a join that had to wait.
    pub fn join(&mut self, join: Join, config: &Config, now: i64) -> Result<JoinReply, KafkaError> {
        config.check_session_timeout(join.session_timeout_ms)?;
        self.advance(now);
        self.check_room(&join, config, now)?;
        self.check_protocols(&join)?;
        if !join.member_id.is_empty() {
            return self.join_known(join, config, now);
        }
        let replaced = join
            .group_instance_id
            .as_deref()
            .and_then(|instance| self.static_member(instance))
            .map(str::to_owned);
        if let Some(old) = replaced {
            return Ok(self.replace_static(&old, join, config, now));
        }
        if join.require_member_id && join.group_instance_id.is_none() {
            let member_id = join.new_member_id.clone();
            self.put(&member_id, join, Phase::Pending, now);
            return Ok(JoinReply::MemberIdRequired { member_id });
        }
        let member_id = join.new_member_id.clone();
        Ok(self.enter(&member_id, join, "a member joined", config, now))
    }

    /// Members have their place; a static one that was restarted takes its former self's.
    /// During a rebalance only those that have joined do: where the limit was lowered,
    /// whoever comes last is put out.
    fn check_room(&mut self, join: &Join, config: &Config, now: i64) -> Result<(), KafkaError> {
        let has_place: fn(&Member) -> bool = match self.state {
            State::Empty => return Ok(()),
            State::PreparingRebalance => |member| member.phase == Phase::Joined,
            State::CompletingRebalance | State::Stable => |member| member.phase != Phase::Pending,
        };
        let instance = join.group_instance_id.as_deref();
        let id = match instance {
            Some(instance) if join.member_id.is_empty() => self.static_member(instance),
            _ => Some(join.member_id.as_str()),
        };
        let member = id.and_then(|id| self.members.get(id));
        let taken = self.members.values().filter(|member| has_place(member));
        let limit = usize::try_from(config.max_size).unwrap_or(0);
        if member.is_some_and(has_place) || taken.count() < limit {
            return Ok(());
        }
        let refused = BTreeSet::from([join.member_id.clone()]);
        self.remove(&refused, "the group is full", now);
        self.finish_joining(now);
        Err(KafkaError::GroupMaxSizeReached {
            group_id: self.group_id.clone(),
            limit: config.max_size,
        })
    }

    /// The member must speak the group's protocol type and one protocol that all others do.
    fn check_protocols(&self, join: &Join) -> Result<(), KafkaError> {
        let inconsistent = |reason: String| KafkaError::InconsistentGroupProtocol {
            group_id: self.group_id.clone(),
            reason,
        };
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            let reason = "a member needs a protocol type and a protocol";
            return Err(inconsistent(reason.to_owned()));
        }
        if self.joined_members().next().is_none() {
            return Ok(());
        }
        let current = self.protocol_type.as_deref().unwrap_or_default();
        if current != join.protocol_type {
            let reason = format!("the group's protocol type is {current:?}");
            return Err(inconsistent(reason));
        }
        let common = self.common_protocols();
        let mut names = join.protocols.iter().map(|(name, _)| name.as_str());
        if names.any(|name| common.contains(name)) {
            return Ok(());
        }
        let common: Vec<_> = common.into_iter().collect();
        let reason = format!("the members have in common only {}", common.join(", "));
        Err(inconsistent(reason))
    }

    fn join_known(
        &mut self,
        join: Join,
        config: &Config,
        now: i64,
    ) -> Result<JoinReply, KafkaError> {
        let id = join.member_id.clone();
        let is_pending = self
            .members
            .get(&id)
            .is_some_and(|member| member.phase == Phase::Pending);
        if is_pending && join.group_instance_id.is_none() {
            return Ok(self.enter(&id, join, "a member joined", config, now));
        }
        self.check_member(&id, join.group_instance_id.as_deref())?;
        let unchanged = self
            .members
            .get(&id)
            .is_some_and(|member| member.protocols == join.protocols);
        let is_leader = self.leader.as_ref() == Some(&id);
        let answer_again = match self.state {
            // The first answer may have been lost, or had to wait.
            State::CompletingRebalance => unchanged,
            // A leader that joins wants a new assignment.
            State::Stable => unchanged && !is_leader,
            State::PreparingRebalance | State::Empty => false,
        };
        if !answer_again {
            let reason = if is_leader && unchanged {
                "the leader joined again"
            } else {
                "a member joined again"
            };
            return Ok(self.enter(&id, join, reason, config, now));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.touch(now);
        }
        Ok(JoinReply::Joined(self.joined(&id)))
    }

    /// Enters the member into the rebalance that is being prepared, beginning one where
    /// there is none.
    fn enter(
        &mut self,
        member_id: &str,
        join: Join,
        reason: &str,
        config: &Config,
        now: i64,
    ) -> JoinReply {
        let is_new = self
            .members
            .get(member_id)
            .is_none_or(|member| member.phase == Phase::Pending);
        let is_first = self.state == State::Empty;
        let begins = self.state != State::PreparingRebalance;
        if begins {
            let given = join.reason.clone();
            self.rebalance(given.as_deref().unwrap_or(reason), now);
        }
        self.protocol_type = Some(join.protocol_type.clone());
        self.put(member_id, join, Phase::Joined, now);
        if self.leader.is_none() {
            self.leader = Some(member_id.to_owned());
        }
        if begins || self.deadline.is_none() {
            // Its own rebalance timeout counts.
            self.deadline = Some(now.saturating_add(self.rebalance_timeout()));
        }
        let delay = i64::from(config.initial_rebalance_delay_ms);
        if is_first {
            let longest = self.rebalance_timeout().max(delay);
            self.initial_deadline = Some(now.saturating_add(longest));
        }
        if let Some(last) = self.initial_deadline
            && is_new
        {
            self.deadline = Some(now.saturating_add(delay).min(last));
        }
        self.finish_joining(now);
        self.join_answer(member_id, now)
    }

    /// The answer, or when to ask again.
    fn join_answer(&self, member_id: &str, now: i64) -> JoinReply {
        if self.state != State::PreparingRebalance {
            return JoinReply::Joined(self.joined(member_id));
        }
        JoinReply::Parked {
            member_id: member_id.to_owned(),
            until: self.ask_again_at(member_id, now),
        }
    }

    /// Often enough to count as alive, and when something is due: the phase's end, or that of
    /// the session of a member that is waited for.
    pub(super) fn ask_again_at(&self, member_id: &str, now: i64) -> i64 {
        let member = self.members.get(member_id);
        let alive = member.map_or(0, |member| i64::from(member.session_timeout_ms / 3));
        let due = self.next_deadline().unwrap_or(now);
        now.saturating_add(alive).min(due).max(now)
    }

    /// Writes what the member said, keeping what it was assigned.
    fn put(&mut self, member_id: &str, join: Join, phase: Phase, now: i64) {
        let old = self.members.remove(member_id);
        let mut member = Member {
            group_instance_id: join.group_instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms.max(0),
            protocols: join.protocols,
            assignment: Vec::new(),
            phase,
            heartbeat_at: now,
        };
        if let Some(old) = old {
            member.assignment = old.assignment;
            member.heartbeat_at = old.heartbeat_at;
            member.touch(now);
        }
        self.members.insert(member_id.to_owned(), member);
    }

    /// A static member that was restarted takes the place of its former self, which is
    /// fenced from here on. Where the group is stable and its protocol stays, nobody else
    /// notices.
    fn replace_static(&mut self, old: &str, join: Join, config: &Config, now: i64) -> JoinReply {
        let new = join.new_member_id.clone();
        let skipping = join.supports_skipping_assignment;
        let former_leader = self.leader.clone();
        let phase = self.members.get(old).map_or(Phase::Waiting, |m| m.phase);
        if let Some(member) = self.members.remove(old) {
            self.members.insert(new.clone(), member);
        }
        if self.leader.as_deref() == Some(old) {
            self.leader = Some(new.clone());
        }
        if self.state == State::Stable {
            let entered = join.clone();
            self.put(&new, join, phase, now);
            if self.elect_protocol() != self.protocol_name {
                let reason = "a static member came back with other protocols";
                return self.enter(&new, entered, reason, config, now);
            }
            let mut joined = self.joined(&new);
            joined.skip_assignment = skipping && self.leader.as_ref() == Some(&new);
            if !skipping {
                // An older client would assign if it were told that it leads.
                joined.members.clear();
                joined.leader = former_leader.unwrap_or_default();
            }
            return JoinReply::Joined(joined);
        }
        self.enter(&new, join, "a static member came back", config, now)
    }

    fn joined(&self, member_id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let members = if leader == member_id {
            let members = self.joined_members().map(|(id, member)| JoinedMember {
                member_id: id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: self.member_metadata(member).to_vec(),
            });
            members.collect()
        } else {
            Vec::new()
        };
        Joined {
            member_id: member_id.to_owned(),
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: self.protocol_name.clone().unwrap_or_default(),
            leader,
            members,
            skip_assignment: false,
        }
    }
}
