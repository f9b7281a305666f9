//! Groups of consumers: who is a member, and who gets what.
//!
//! [`classic`] is the protocol in which a member that leads the group assigns,
//! [`consumer`] the one in which the server does (KIP-848). A group is plain data: a step
//! takes it, a request and the time, and leaves it as it is to be written, so that any
//! session can take the next one. A waiting answer is a value: whoever asked asks again
//! when the group has changed, or when the time is up.

pub mod classic;
pub mod consumer;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::KafkaError;
use classic::{Join, JoinReply, Sync, SyncReply};
use consumer::{ConsumerGroup, Heartbeat, HeartbeatReply};

pub use view::{MemberView, Overview, TopicKey};

pub type TopicId = [u8; 16];

/// Partitions of topics.
pub type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// The topics that there are, by name.
pub type Topics = BTreeMap<String, Topic>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// What a step may have to know beside the group and the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Epoch milliseconds.
    pub now: i64,
    pub classic: classic::Config,
    pub consumer: consumer::Config,
    /// Asked for only where the server assigns.
    pub topics: &'a dyn Fn() -> Topics,
}

/// A group of either protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    Classic(classic::Group),
    Consumer(ConsumerGroup),
}

impl Group {
    /// When something is due at the earliest, if nothing else happens (epoch milliseconds).
    pub fn next_deadline(&self, context: &Context<'_>) -> Option<i64> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => consumer::next_deadline(group, &context.consumer),
        }
    }

    /// Does what is due.
    pub fn advance(&mut self, context: &Context<'_>) {
        match self {
            Self::Classic(group) => group.advance(context.now),
            Self::Consumer(group) => {
                consumer::tick(group, &(context.topics)(), &context.consumer, context.now);
            }
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
            (Self::Consumer(a), Self::Consumer(b)) => {
                let mut b = b.clone();
                for (id, member) in &mut b.members {
                    if let Some(ours) = a.members.get(id) {
                        member.heartbeat_at = ours.heartbeat_at;
                    }
                }
                *a == b
            }
            _ => false,
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state == classic::State::Empty,
            Self::Consumer(group) => group.members.is_empty(),
        }
    }

    /// See [`classic::Group::join`]. A consumer group without members becomes classic.
    pub fn join(&mut self, join: Join, context: &Context<'_>) -> Result<JoinReply, KafkaError> {
        self.advance(context);
        if let Self::Consumer(group) = self
            && group.members.is_empty()
        {
            *self = Self::Classic(classic::Group::new(&group.group_id));
        }
        match self {
            Self::Classic(group) => group.join(join, &context.classic, context.now),
            Self::Consumer(group) => Err(KafkaError::InconsistentGroupProtocol {
                group_id: group.group_id.clone(),
                reason: "the group's members speak the consumer protocol".to_owned(),
            }),
        }
    }

    /// See [`classic::Group::sync`].
    pub fn sync(&mut self, sync: Sync, context: &Context<'_>) -> Result<SyncReply, KafkaError> {
        match self {
            Self::Classic(group) => group.sync(sync, context.now),
            Self::Consumer(group) => Err(unknown_member(group, &sync.member_id)),
        }
    }

    /// See [`classic::Group::heartbeat`].
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        context: &Context<'_>,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) => {
                group.heartbeat(member_id, group_instance_id, generation_id, context.now)
            }
            Self::Consumer(group) => Err(unknown_member(group, member_id)),
        }
    }

    /// See [`consumer::heartbeat`]. A classic group without members becomes a consumer group.
    pub fn consumer_heartbeat(
        &mut self,
        request: &Heartbeat,
        context: &Context<'_>,
    ) -> Result<HeartbeatReply, KafkaError> {
        self.advance(context);
        if let Self::Classic(group) = self
            && group.state == classic::State::Empty
        {
            *self = Self::Consumer(ConsumerGroup::new(&group.group_id));
        }
        match self {
            Self::Classic(group) => Err(KafkaError::GroupIdNotFound {
                group_id: group.group_id.clone(),
            }),
            Self::Consumer(group) => consumer::heartbeat(
                group,
                request,
                &(context.topics)(),
                &context.consumer,
                context.now,
            ),
        }
    }

    /// A member leaves, named by its id or its instance. Returns its member id.
    pub fn leave(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        reason: Option<&str>,
        context: &Context<'_>,
    ) -> Result<String, KafkaError> {
        match self {
            Self::Classic(group) => group.leave(member_id, group_instance_id, reason, context.now),
            Self::Consumer(group) => {
                let instance_id = group_instance_id.map(str::to_owned);
                let named = group.members.values().find(|member| {
                    member.member_id == member_id
                        || member_id.is_empty() && member.instance_id == instance_id
                });
                let member_id = named
                    .map_or(member_id, |member| &member.member_id)
                    .to_owned();
                let leave = Heartbeat {
                    member_id: member_id.clone(),
                    member_epoch: consumer::LEAVE_EPOCH,
                    instance_id,
                    ..Heartbeat::default()
                };
                let topics = (context.topics)();
                consumer::heartbeat(group, &leave, &topics, &context.consumer, context.now)?;
                Ok(member_id)
            }
        }
    }

    /// See [`classic::Group::check_commit`] and, where the server assigns,
    /// [`consumer::validate_offset_commit`], which judges each partition.
    pub fn check_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        context: &Context<'_>,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) => {
                group.check_commit(member_id, group_instance_id, generation_id, context.now)
            }
            Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether the member may commit an offset of this partition; see
    /// [`check_commit`](Self::check_commit).
    pub fn check_commit_of(
        &self,
        member_id: &str,
        generation_id: i32,
        topic_id: &TopicId,
        partition: i32,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => consumer::validate_offset_commit(
                group,
                member_id,
                generation_id,
                topic_id,
                partition,
            ),
        }
    }

    /// Notes a sign of life of the member, if it is one.
    pub fn touch(&mut self, member_id: &str, context: &Context<'_>) {
        match self {
            Self::Classic(group) => {
                if let Some(member) = group.members.get_mut(member_id) {
                    member.touch(context.now);
                }
            }
            Self::Consumer(group) => {
                let timeout_ms = context.consumer.session_timeout_ms;
                if let Some(member) = group.members.get_mut(member_id)
                    && classic::needs_touch(member.heartbeat_at, timeout_ms, context.now)
                {
                    member.heartbeat_at = context.now;
                }
            }
        }
    }

    /// Whether this member, if it is named, may fetch the group's offsets. Members of a
    /// classic group need not say who they are.
    pub fn check_fetch(
        &self,
        member_id: Option<&str>,
        member_epoch: Option<i32>,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(_) => Ok(()),
            Self::Consumer(group) => {
                consumer::validate_offset_fetch(group, member_id, member_epoch.unwrap_or(-1))
            }
        }
    }

    /// Whether single offsets may be deleted: of a group with members only where it can be
    /// told what they are subscribed to.
    pub fn check_offsets_can_be_deleted(&self) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) if !self.is_empty() && !group.has_consumers() => {
                Err(KafkaError::NonEmptyGroup {
                    group_id: group.group_id.clone(),
                })
            }
            Self::Classic(_) | Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether a member is subscribed to the topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
            Self::Consumer(group) => consumer::is_subscribed(group, topic),
        }
    }

    /// Whether offsets of this topic are kept whatever their age: those of topics that
    /// members are subscribed to, and all of members whose subscriptions cannot be read.
    pub fn keeps_offsets_of(&self, topic: &str) -> bool {
        !self.is_empty()
            && (self.check_offsets_can_be_deleted().is_err() || self.is_subscribed(topic))
    }
}

fn unknown_member(group: &ConsumerGroup, member_id: &str) -> KafkaError {
    KafkaError::UnknownMemberId {
        group_id: group.group_id.clone(),
        member_id: member_id.to_owned(),
    }
}
