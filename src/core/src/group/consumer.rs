//! The group protocol in which the server assigns (KIP-848).
//!
//! Members send heartbeats. Whenever subscriptions or topics change, the group epoch grows,
//! the next heartbeat computes a target for every member, and each member is led to its own
//! by its own heartbeats, without a moment in which all stop. A member at the group epoch
//! in state `Stable` has its target; the group is stable when all members are.
//!
//! The caller keeps the clock: [`tick`] does what is due, [`next_deadline`] says when that
//! is. A step that ends in an error leaves the group as it was.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod assignor;
pub(super) mod classic_member;
mod heartbeat;
mod reconcile;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};

pub use assignor::{Assignor, Subscriber, assign};
pub use heartbeat::{Heartbeat, HeartbeatReply, heartbeat, is_quiet, preferred_assignor};

use super::{Partitions, TopicId, Topics};
use crate::error::KafkaError;
use subscription::Subscriptions;

/// The member epoch that joins, or joins again.
pub const JOIN_EPOCH: i32 = 0;
/// The member epoch that leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// The member epoch of a static member that leaves and will be back (KIP-345).
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// Partitions, and the member epoch at which each was assigned (KIP-1251).
pub type Assigned = BTreeMap<TopicId, BTreeMap<i32, i32>>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerGroup {
    pub group_id: String,
    /// 0 for a group that nobody has joined yet.
    pub epoch: i32,
    /// The group epoch that the members' targets were computed for.
    pub assignment_epoch: i32,
    /// Stands for the topics and partitions that `epoch` has seen.
    pub metadata_hash: i64,
    pub members: BTreeMap<String, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// [`LEAVE_STATIC_EPOCH`] while a static member is away.
    pub epoch: i32,
    /// A heartbeat may still carry this one: the answer with the newer may be lost.
    pub previous_epoch: i32,
    pub state: MemberState,
    pub rebalance_timeout_ms: i32,
    pub subscribed_topics: BTreeSet<String>,
    pub subscribed_regex: Option<String>,
    pub server_assignor: Option<String>,
    pub assigned: Assigned,
    /// What the client has to give up before it gets anything else.
    pub pending_revocation: Assigned,
    /// What it is to have at the assignment epoch.
    pub target: Partitions,
    /// Last heartbeat, epoch milliseconds.
    pub heartbeat_at: i64,
    /// Until when `pending_revocation` has to be given up, epoch milliseconds. Members that
    /// speak the classic protocol have a deadline of their own.
    pub revoke_deadline: Option<i64>,
    /// Set for a member that speaks the classic protocol.
    pub classic: Option<ClassicFields>,
}

/// What the classic protocol knows of a member beyond the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassicFields {
    pub session_timeout_ms: i32,
    /// Name and metadata of each protocol, the preferred one first.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// Until when it has to join again, or to sync, epoch milliseconds.
    pub rejoin_deadline: Option<i64>,
}

/// Where a member stands on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberState {
    /// It has what its epoch gives it.
    #[default]
    Stable,
    /// It stays at its epoch until it has given up `pending_revocation`.
    UnrevokedPartitions,
    /// It is at the target's epoch, but other members have yet to give up some of it.
    UnreleasedPartitions,
}

impl MemberState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "Stable",
            Self::UnrevokedPartitions => "UnrevokedPartitions",
            Self::UnreleasedPartitions => "UnreleasedPartitions",
        }
    }

    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Stable,
            Self::UnrevokedPartitions,
            Self::UnreleasedPartitions,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }
}

/// A group's state, as Kafka's admin client spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    /// The targets are older than the group epoch.
    Assigning,
    /// Some members are not yet at their target.
    Reconciling,
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// The settings of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// A member without a heartbeat for so long is fenced.
    pub session_timeout_ms: i32,
    /// How often members are told to send one.
    pub heartbeat_interval_ms: i32,
    /// How many members the group takes.
    pub max_size: i32,
    /// Used where no member names an assignor.
    pub default_assignor: Assignor,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            max_size: i32::MAX,
            default_assignor: Assignor::default(),
        }
    }
}

impl ConsumerGroup {
    pub fn new(group_id: impl Into<String>) -> Self {
        Self {
            group_id: group_id.into(),
            ..Self::default()
        }
    }

    fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.instance_id.as_deref() == Some(instance_id))
    }

    /// Makes the next heartbeat compute new targets.
    fn bump_epoch(&mut self, metadata_hash: i64) {
        self.epoch = self.epoch.saturating_add(1);
        self.metadata_hash = metadata_hash;
    }

    fn hash_of(&self, topics: &Topics) -> i64 {
        Subscriptions::resolve(self.members.values(), topics).metadata_hash(self.members.values())
    }

    fn unknown_member(&self, member_id: &str) -> KafkaError {
        KafkaError::UnknownMemberId {
            group_id: self.group_id.clone(),
            member_id: member_id.to_owned(),
        }
    }

    fn stale_epoch(&self, member: &Member, found: i32) -> KafkaError {
        let (group_id, current) = (self.group_id.clone(), member.epoch);
        if member.classic.is_some() {
            KafkaError::IllegalGeneration {
                group_id,
                current,
                found,
            }
        } else {
            KafkaError::StaleMemberEpoch {
                group_id,
                member_id: member.member_id.clone(),
                current,
                found,
            }
        }
    }
}

impl Member {
    /// Gives a member that was last heard of before `started` its full time from then on:
    /// while the server was down nobody could send a heartbeat.
    pub fn outlive_restart(&mut self, started: i64) {
        if self.heartbeat_at >= started {
            return;
        }
        self.heartbeat_at = started;
        let due = self.rebalance_end(started);
        self.revoke_deadline = self.revoke_deadline.map(|deadline| deadline.max(due));
        if let Some(classic) = &mut self.classic {
            classic.rejoin_deadline = classic.rejoin_deadline.map(|deadline| deadline.max(due));
        }
    }

    /// When the member is fenced without another heartbeat.
    fn session_end(&self, config: &Config) -> i64 {
        let timeout_ms = self.session_timeout_ms(config);
        self.heartbeat_at.saturating_add(i64::from(timeout_ms))
    }

    /// How long it may be silent: a member that speaks the classic protocol has said so.
    pub fn session_timeout_ms(&self, config: &Config) -> i32 {
        match &self.classic {
            Some(classic) => classic.session_timeout_ms,
            None => config.session_timeout_ms,
        }
    }

    fn deadline(&self, config: &Config) -> i64 {
        let rejoin = self.classic.as_ref().and_then(|c| c.rejoin_deadline);
        let deadlines = self.revoke_deadline.into_iter().chain(rejoin);
        deadlines.fold(self.session_end(config), i64::min)
    }

    /// A time from now within which it has to have answered a rebalance.
    fn rebalance_end(&self, now: i64) -> i64 {
        now.saturating_add(i64::from(self.rebalance_timeout_ms.max(0)))
    }
}

/// Does what is due: members whose session is over, or that have not revoked in time, are
/// fenced, and changed topics raise the group epoch. Says whether anything changed.
///
/// To be called when [`next_deadline`] has come and when topics have changed; the other
/// members learn of it with their next heartbeats.
pub fn tick(group: &mut ConsumerGroup, topics: &Topics, config: &Config, now: i64) -> bool {
    let before = group.members.len();
    group
        .members
        .retain(|_, member| member.deadline(config) > now);
    let fenced = group.members.len() < before;
    if !fenced && group.members.is_empty() {
        return false;
    }
    let metadata_hash = group.hash_of(topics);
    let changed = fenced || metadata_hash != group.metadata_hash;
    if changed {
        group.bump_epoch(metadata_hash);
    }
    changed
}

/// When [`tick`] has something to do if nothing else happens, epoch milliseconds.
pub fn next_deadline(group: &ConsumerGroup, config: &Config) -> Option<i64> {
    group
        .members
        .values()
        .map(|member| member.deadline(config))
        .min()
}

pub fn state(group: &ConsumerGroup) -> GroupState {
    let reconciled = |member: &Member| {
        member.state == MemberState::Stable && member.epoch == group.assignment_epoch
    };
    if group.members.is_empty() {
        GroupState::Empty
    } else if group.epoch > group.assignment_epoch {
        GroupState::Assigning
    } else if group.members.values().all(reconciled) {
        GroupState::Stable
    } else {
        GroupState::Reconciling
    }
}

/// Whether the member may fetch offsets. Without a member id and epoch anybody may.
///
/// # Errors
/// [`KafkaError::UnknownMemberId`], [`KafkaError::StaleMemberEpoch`], and for a member of
/// the classic protocol [`KafkaError::IllegalGeneration`]
pub fn validate_offset_fetch(
    group: &ConsumerGroup,
    member_id: Option<&str>,
    member_epoch: i32,
) -> Result<(), KafkaError> {
    if member_id.is_none() && member_epoch < 0 {
        return Ok(());
    }
    let member_id = member_id.unwrap_or_default();
    let member = group
        .members
        .get(member_id)
        .ok_or_else(|| group.unknown_member(member_id))?;
    if member.epoch == member_epoch {
        Ok(())
    } else {
        Err(group.stale_epoch(member, member_epoch))
    }
}

/// Whether the member may commit an offset of this partition.
///
/// Without an epoch (-1) anybody may while the group is empty. A member may commit with an
/// older epoch than its current one what it has held ever since that epoch (KIP-1251). A
/// `TxnOffsetCommit` that names no member at all is not to be checked.
///
/// # Errors
/// As for [`validate_offset_fetch`].
pub fn validate_offset_commit(
    group: &ConsumerGroup,
    member_id: &str,
    member_epoch: i32,
    topic_id: &TopicId,
    partition: i32,
) -> Result<(), KafkaError> {
    if member_epoch < 0 && group.members.is_empty() {
        return Ok(());
    }
    let member = group
        .members
        .get(member_id)
        .ok_or_else(|| group.unknown_member(member_id))?;
    let assigned_at = [&member.assigned, &member.pending_revocation]
        .into_iter()
        .find_map(|partitions| partitions.get(topic_id)?.get(&partition));
    let held_since =
        member_epoch < member.epoch && assigned_at.is_some_and(|epoch| *epoch <= member_epoch);
    if member_epoch == member.epoch || held_since {
        Ok(())
    } else {
        Err(group.stale_epoch(member, member_epoch))
    }
}

/// Whether any member is subscribed to the topic.
pub fn is_subscribed(group: &ConsumerGroup, topic: &str) -> bool {
    group
        .members
        .values()
        .any(|member| subscription::covers(member, topic))
}
