//! Groups of consumers: who is a member, and who gets what.
//!
//! [`classic`] is the protocol in which a member that leads the group assigns,
//! `consumer` the one in which the server does (KIP-848). Each step takes the group, a
//! request and the time, and leaves the group as it is to be written. A waiting answer is
//! a value: whoever asked asks again when the group has changed, or when the time is up.

pub mod classic;

use crate::error::KafkaError;
use classic::{Config, Join, JoinReply, Sync, SyncReply};

/// A group of either protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    Classic(classic::Group),
}

/// What there is to say of a group as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview<'a> {
    pub state: &'static str,
    pub protocol_type: Option<&'a str>,
    /// The protocol that the members elected, or the assignor.
    pub protocol_name: Option<&'a str>,
    /// The generation, or the group epoch.
    pub generation_id: i32,
    pub assignment_epoch: Option<i32>,
    pub leader: Option<&'a str>,
}

/// What there is to say of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    /// `classic` or `consumer`: the protocol that it speaks.
    pub member_type: &'static str,
    pub member_epoch: Option<i32>,
    pub state: &'static str,
    pub client_id: String,
    pub client_host: String,
    pub rack_id: Option<String>,
    /// None where its metadata is no consumer's.
    pub subscribed_topics: Option<Vec<String>>,
    pub subscribed_topic_regex: Option<String>,
    /// Of the group's protocol.
    pub metadata: Option<Vec<u8>>,
    pub assignment: Option<Vec<u8>>,
    /// Topics and partitions; None where its assignment is no consumer's.
    pub assigned: Option<Vec<(String, i32)>>,
    pub target: Option<Vec<(String, i32)>>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// Epoch milliseconds.
    pub heartbeat_at: i64,
}

impl Group {
    /// Kafka's name of the group's state.
    pub fn state_name(&self) -> &'static str {
        self.overview().state
    }

    pub fn overview(&self) -> Overview<'_> {
        match self {
            Self::Classic(group) => Overview {
                state: group.state.name(),
                protocol_type: group.protocol_type.as_deref(),
                protocol_name: group.protocol_name.as_deref(),
                generation_id: group.generation_id,
                assignment_epoch: None,
                leader: group.leader.as_deref(),
            },
        }
    }

    /// Its members, without those that only hold an id.
    pub fn members(&self) -> Vec<MemberView> {
        match self {
            Self::Classic(group) => group.views(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state == classic::State::Empty,
        }
    }

    /// `classic` or `consumer`, as Kafka's admin client lists them.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
        }
    }

    /// When something is due at the earliest, if nothing else happens (epoch milliseconds).
    pub fn next_deadline(&self) -> Option<i64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
        }
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: i64) {
        match self {
            Self::Classic(group) => group.advance(now),
        }
    }

    /// Whether the two differ at most in when members were last heard of.
    pub fn same_but_for_heartbeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Classic(a), Self::Classic(b)) => {
                let mut b = b.clone();
                for (id, member) in &mut b.members {
                    if let Some(ours) = a.members.get(id) {
                        member.heartbeat_at = ours.heartbeat_at;
                    }
                }
                *a == b
            }
        }
    }

    /// See [`classic::Group::join`].
    pub fn join(&mut self, join: Join, config: &Config, now: i64) -> Result<JoinReply, KafkaError> {
        match self {
            Self::Classic(group) => group.join(join, config, now),
        }
    }

    /// See [`classic::Group::sync`].
    pub fn sync(&mut self, sync: Sync, now: i64) -> Result<SyncReply, KafkaError> {
        match self {
            Self::Classic(group) => group.sync(sync, now),
        }
    }

    /// See [`classic::Group::heartbeat`].
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: i64,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) => {
                group.heartbeat(member_id, group_instance_id, generation_id, now)
            }
        }
    }

    /// See [`classic::Group::leave`].
    pub fn leave(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        reason: Option<&str>,
        now: i64,
    ) -> Result<String, KafkaError> {
        match self {
            Self::Classic(group) => group.leave(member_id, group_instance_id, reason, now),
        }
    }

    /// See [`classic::Group::check_commit`].
    pub fn check_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: i64,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) => {
                group.check_commit(member_id, group_instance_id, generation_id, now)
            }
        }
    }

    /// Whether this member, if it is named, may fetch the group's offsets. Members of a
    /// classic group need not say who they are.
    pub fn check_fetch(
        &self,
        _member_id: Option<&str>,
        _member_epoch: Option<i32>,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(_) => Ok(()),
        }
    }

    /// Whether single offsets may be deleted: of a group with members only where it can be
    /// told what they are subscribed to.
    pub fn check_offsets_can_be_deleted(&self) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) if self.is_empty() || group.has_consumers() => Ok(()),
            Self::Classic(group) => Err(KafkaError::NonEmptyGroup {
                group_id: group.group_id.clone(),
            }),
        }
    }

    /// Whether a member is subscribed to the topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
        }
    }

    /// Whether offsets of this topic are kept whatever their age: those of topics that
    /// members are subscribed to, and all of members whose subscriptions cannot be read.
    pub fn keeps_offsets_of(&self, topic: &str) -> bool {
        !self.is_empty()
            && (self.check_offsets_can_be_deleted().is_err() || self.is_subscribed(topic))
    }
}
