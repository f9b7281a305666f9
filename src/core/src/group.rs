//! Groups of consumers: who is a member, and who gets what.
//!
//! [`classic`] is the protocol in which a member that leads the group assigns,
//! [`consumer`] the one in which the server does (KIP-848). A group is plain data: a step
//! takes it, a request and the time, and leaves it as it is to be written, so that any
//! session can take the next one. Members of both protocols can be in one group, which
//! changes its own as they come and go (`migrate`). A waiting answer is a value: whoever
//! asked asks again when the group has changed, or when the time is up.

pub mod classic;
pub mod consumer;
mod migrate;
mod translate;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::KafkaError;
use classic::{Join, JoinReply, Sync, SyncReply};
use consumer::{ConsumerGroup, Heartbeat, HeartbeatReply, classic_member};

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
                let epoch = group.epoch;
                consumer::tick(group, &(context.topics)(), &context.consumer, context.now);
                self.leave_to_classic_members(epoch, context);
            }
        }
    }

    /// Makes a consumer group classic where all members that are left speak that protocol.
    /// `epoch` is the one it had before somebody left.
    fn leave_to_classic_members(&mut self, epoch: i32, context: &Context<'_>) {
        if let Self::Consumer(group) = self
            && let Some(classic) = migrate::downgraded(group, epoch, context)
        {
            *self = Self::Classic(classic);
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

    /// See [`classic::Group::join`]. A consumer group without members becomes classic, and
    /// so does one whose last member that spoke the consumer protocol no longer does. In
    /// others the join is answered at once, and the server assigns.
    pub fn join(&mut self, join: Join, context: &Context<'_>) -> Result<JoinReply, KafkaError> {
        self.advance(context);
        if let Self::Consumer(group) = self
            && group.members.is_empty()
        {
            *self = Self::Classic(classic::Group::new(&group.group_id));
        }
        match self {
            Self::Classic(group) => group.join(join, &context.classic, context.now),
            Self::Consumer(group) => match migrate::downgraded_by(&join, group, context) {
                Some(mut group) => {
                    let reply = group.join(join, &context.classic, context.now)?;
                    *self = Self::Classic(group);
                    Ok(reply)
                }
                None => classic_member::join(group, &join, context),
            },
        }
    }

    /// See [`classic::Group::sync`]. Where the server assigns nobody waits.
    pub fn sync(&mut self, sync: Sync, context: &Context<'_>) -> Result<SyncReply, KafkaError> {
        self.advance(context);
        match self {
            Self::Classic(group) => group.sync(sync, context.now),
            Self::Consumer(group) => classic_member::sync(group, &sync, context),
        }
    }

    /// See [`classic::Group::heartbeat`]. Where the server assigns, a member that has to
    /// join again is told so.
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        context: &Context<'_>,
    ) -> Result<(), KafkaError> {
        self.advance(context);
        match self {
            Self::Classic(group) => {
                group.heartbeat(member_id, group_instance_id, generation_id, context.now)
            }
            Self::Consumer(group) => classic_member::heartbeat(
                group,
                member_id,
                group_instance_id,
                generation_id,
                context,
            ),
        }
    }

    /// See [`consumer::heartbeat`]. By a member that joins a classic group becomes a
    /// consumer group, in which its members stay.
    ///
    /// # Errors
    /// [`KafkaError::CannotUpgradeGroup`] too.
    pub fn consumer_heartbeat(
        &mut self,
        request: &Heartbeat,
        context: &Context<'_>,
    ) -> Result<HeartbeatReply, KafkaError> {
        self.advance(context);
        let (topics, config) = ((context.topics)(), &context.consumer);
        match self {
            Self::Classic(group) if request.member_epoch != consumer::JOIN_EPOCH => {
                Err(KafkaError::GroupIdNotFound {
                    group_id: group.group_id.clone(),
                })
            }
            Self::Classic(group) => {
                let mut group = match group.state {
                    classic::State::Empty => ConsumerGroup::new(&group.group_id),
                    _ => migrate::upgraded(group, context)?,
                };
                let reply = consumer::heartbeat(&mut group, request, &topics, config, context.now)?;
                *self = Self::Consumer(group);
                Ok(reply)
            }
            Self::Consumer(group) => {
                let epoch = group.epoch;
                let reply = consumer::heartbeat(group, request, &topics, config, context.now)?;
                self.leave_to_classic_members(epoch, context);
                Ok(reply)
            }
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
        self.advance(context);
        match self {
            Self::Classic(group) => group.leave(member_id, group_instance_id, reason, context.now),
            Self::Consumer(group) => {
                let instance_id = group_instance_id.map(str::to_owned);
                let named = group.members.values().find(|member| {
                    member.member_id == member_id
                        || member_id.is_empty()
                            && instance_id.is_some()
                            && member.instance_id == instance_id
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
                if member_id.is_empty() {
                    return Err(unknown_member(group, &member_id));
                }
                self.consumer_heartbeat(&leave, context)?;
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

    /// See [`classic::Group::check_txn_commit`]; where the server assigns each partition is
    /// judged.
    pub fn check_txn_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        context: &Context<'_>,
    ) -> Result<(), KafkaError> {
        match self {
            Self::Classic(group) => {
                group.check_txn_commit(member_id, group_instance_id, generation_id, context.now)
            }
            Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether the member may commit an offset of this partition in a transaction; see
    /// [`check_txn_commit`](Self::check_txn_commit). What is too old for a member has, as
    /// Kafka answers it here, another generation.
    pub fn check_txn_commit_of(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        topic_id: &TopicId,
        partition: i32,
    ) -> Result<(), KafkaError> {
        let named = generation_id >= 0 || !member_id.is_empty() || group_instance_id.is_some();
        if !named {
            return Ok(());
        }
        self.check_commit_of(member_id, generation_id, topic_id, partition)
            .map_err(|error| match error {
                KafkaError::StaleMemberEpoch {
                    group_id,
                    current,
                    found,
                    ..
                } => KafkaError::IllegalGeneration {
                    group_id,
                    current,
                    found,
                },
                other => other,
            })
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
                if let Some(member) = group.members.get_mut(member_id) {
                    classic_member::touch(member, context);
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
