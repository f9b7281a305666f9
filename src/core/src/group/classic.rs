//! The classic group protocol: members join, the leader assigns, everybody syncs.
//!
//! A rebalance has two phases. While the group is [`State::PreparingRebalance`] members
//! join until all are there or the time is up; then the generation is raised and the
//! group is [`State::CompletingRebalance`] until the leader's assignment arrives, which
//! makes it [`State::Stable`]. Members without a sign of life for their session timeout
//! leave; so do those that do not rejoin, or do not sync, in time.
//!
//! A join or sync that has to wait is answered `Parked`: ask again, at the latest at the
//! time it names. Asking again is a sign of life.
//!
//! A step that ends in an error may have changed the group too: time has passed, and a
//! heartbeat that is answered `REBALANCE_IN_PROGRESS` is a sign of life. So it is written
//! after each step.

mod join;
mod rebalance;
mod sync;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use join::{Join, JoinReply, Joined, JoinedMember};
pub use sync::{Sync, SyncReply};
pub use view::assigned;

use crate::error::KafkaError;

/// Where a group stands. `Dead`, which Kafka has too, is a group without a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No members, perhaps offsets. Joins begin a rebalance; everything else is refused
    /// with `UNKNOWN_MEMBER_ID`; offsets may be committed without a member id.
    #[default]
    Empty,
    /// Joins are gathered. Heartbeats and syncs are answered `REBALANCE_IN_PROGRESS`,
    /// which tells members to join; they may still commit for the generation that ends.
    PreparingRebalance,
    /// The generation has begun, its assignment is awaited. Syncs wait, commits are
    /// answered `REBALANCE_IN_PROGRESS`.
    CompletingRebalance,
    /// The assignment is there: syncs are answered with it. Members that do not sync in
    /// time leave here too.
    Stable,
}

impl State {
    /// As Kafka's admin client spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }

    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Empty,
            Self::PreparingRebalance,
            Self::CompletingRebalance,
            Self::Stable,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }
}

/// What a member has done in the group's present phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An id was handed out (KIP-394); its owner has yet to join with it.
    Pending,
    /// Nothing yet: it has to join, or to sync.
    Waiting,
    /// It has joined the rebalance that is being prepared.
    Joined,
    /// It has synced in this generation.
    Synced,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Waiting => "Waiting",
            Self::Joined => "Joined",
            Self::Synced => "Synced",
        }
    }

    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Waiting, Self::Joined, Self::Synced]
            .into_iter()
            .find(|phase| phase.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// Name and metadata of each protocol, the preferred one first.
    pub protocols: Vec<(String, Vec<u8>)>,
    /// What the leader gave it, in the last generation that was synced.
    pub assignment: Vec<u8>,
    pub phase: Phase,
    /// Last sign of life that was noted, epoch milliseconds.
    pub heartbeat_at: i64,
}

impl Member {
    /// When the member is given up without another sign of life.
    pub fn session_end(&self) -> i64 {
        self.heartbeat_at
            .saturating_add(i64::from(self.session_timeout_ms))
    }

    /// Gives a member that was last heard of before `started` its full session from then on:
    /// while the server was down nobody could send a heartbeat.
    pub fn outlive_restart(&mut self, started: i64) {
        self.heartbeat_at = self.heartbeat_at.max(started);
    }

    /// Notes a sign of life. One that follows the last noted one closely is not worth a
    /// write: a session may so end an eighth of its timeout early.
    pub fn touch(&mut self, now: i64) {
        if needs_touch(self.heartbeat_at, self.session_timeout_ms, now) {
            self.heartbeat_at = now;
        }
    }

    pub(super) fn metadata(&self, protocol: &str) -> &[u8] {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map_or(&[], |(_, metadata)| metadata)
    }
}

/// Whether a sign of life is to be noted, given the last one that was.
pub fn needs_touch(heartbeat_at: i64, session_timeout_ms: i32, now: i64) -> bool {
    now.saturating_sub(heartbeat_at) >= i64::from(session_timeout_ms / 8)
}

/// Limits and delays, in milliseconds, as Kafka's `group.*` configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    /// How long a group's first rebalance waits for more members after each that joins.
    pub initial_rebalance_delay_ms: i32,
    /// How many members a group may have; ids that are only handed out do not count.
    pub max_size: i32,
}

impl Config {
    /// # Errors
    /// [`KafkaError::InvalidSessionTimeout`]
    pub(super) fn check_session_timeout(&self, session_timeout_ms: i32) -> Result<(), KafkaError> {
        let (min, max) = (self.min_session_timeout_ms, self.max_session_timeout_ms);
        if (min..=max).contains(&session_timeout_ms) {
            return Ok(());
        }
        Err(KafkaError::InvalidSessionTimeout {
            session_timeout_ms,
            min,
            max,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub group_id: String,
    pub state: State,
    pub generation_id: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub leader: Option<String>,
    pub members: BTreeMap<String, Member>,
    /// When the phase of a rebalance ends at the latest; a group that is stable keeps it
    /// until all have synced. None while a rebalance waits for static members only, until
    /// the first of them comes.
    pub deadline: Option<i64>,
    /// Set during a group's first rebalance: it goes on when the delay is over, which
    /// members that join prolong up to this time.
    pub initial_deadline: Option<i64>,
    /// Why the last rebalance began (KIP-800).
    pub reason: Option<String>,
}

impl Group {
    pub fn new(group_id: &str) -> Self {
        Self {
            group_id: group_id.to_owned(),
            state: State::Empty,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            deadline: None,
            initial_deadline: None,
            reason: None,
        }
    }

    /// Does what is due: members whose time is over leave, phases that are late end. Each
    /// thing is done as of the time it was due, so it does not matter when somebody asks.
    pub fn advance(&mut self, now: i64) {
        // Nobody joins or syncs in between: each turn takes members out or ends a phase.
        while let Some(due) = self.next_deadline().filter(|due| *due <= now) {
            let expired = self.members_where(|member| member.session_end() <= due);
            self.remove(&expired, "a member's session timed out", due);
            self.finish_syncing(due);
            self.finish_joining(due);
        }
    }

    /// When [`advance`](Self::advance) has something to do at the earliest, if nothing
    /// else happens.
    pub fn next_deadline(&self) -> Option<i64> {
        let sessions = self.members.values().map(Member::session_end);
        sessions.chain(self.deadline).min()
    }

    /// A heartbeat (KIP-62). In `CompletingRebalance` it is no sync.
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: i64,
    ) -> Result<(), KafkaError> {
        self.advance(now);
        self.check_member(member_id, group_instance_id)?;
        self.check_generation(generation_id)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.touch(now);
        }
        if self.state == State::PreparingRebalance {
            return Err(KafkaError::RebalanceInProgress {
                group_id: self.group_id.clone(),
            });
        }
        Ok(())
    }

    /// A member leaves (KIP-345 for those named by instance). Returns its member id.
    pub fn leave(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        reason: Option<&str>,
        now: i64,
    ) -> Result<String, KafkaError> {
        self.advance(now);
        let member = self.members.get(member_id);
        let is_pending = member.is_some_and(|member| member.phase == Phase::Pending);
        let id = match group_instance_id {
            Some(instance) if member_id.is_empty() => {
                let current = self.static_member(instance).map(str::to_owned);
                current.ok_or_else(|| self.unknown(member_id))?
            }
            _ => {
                if !is_pending {
                    self.check_member(member_id, group_instance_id)?;
                }
                member_id.to_owned()
            }
        };
        let leaving = BTreeSet::from([id.clone()]);
        self.remove(&leaving, reason.unwrap_or("a member left"), now);
        self.finish_joining(now);
        Ok(id)
    }

    /// Whether this member may commit offsets; doing so is a sign of life. Without member
    /// id and generation only where the group is empty.
    pub fn check_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: i64,
    ) -> Result<(), KafkaError> {
        self.advance(now);
        if generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && group_instance_id.is_none() {
            return Err(self.unknown(member_id));
        }
        self.check_member(member_id, group_instance_id)?;
        self.check_generation(generation_id)?;
        if self.state == State::CompletingRebalance {
            return Err(KafkaError::RebalanceInProgress {
                group_id: self.group_id.clone(),
            });
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.touch(now);
        }
        Ok(())
    }

    /// Whether this member may commit offsets in a transaction (KIP-447): it is fenced if it
    /// says who it is, and nobody has to. The state of the group does not matter.
    pub fn check_txn_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: i64,
    ) -> Result<(), KafkaError> {
        self.advance(now);
        let named = generation_id >= 0 || !member_id.is_empty() || group_instance_id.is_some();
        if !named || generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check_member(member_id, group_instance_id)?;
        self.check_generation(generation_id)
    }

    /// Members that have joined at least once; the others only hold an id.
    pub fn joined_members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members
            .iter()
            .filter(|(_, member)| member.phase != Phase::Pending)
    }

    /// The metadata that a member has for the group's protocol.
    pub fn member_metadata<'a>(&'a self, member: &'a Member) -> &'a [u8] {
        let protocol = self.protocol_name.as_deref();
        protocol.map_or(&[], |protocol| member.metadata(protocol))
    }

    fn members_where(&self, is_so: impl Fn(&Member) -> bool) -> BTreeSet<String> {
        let found = self.members.iter().filter(|(_, member)| is_so(member));
        found.map(|(id, _)| id.clone()).collect()
    }

    fn static_member(&self, group_instance_id: &str) -> Option<&str> {
        let found = self
            .members
            .iter()
            .find(|(_, member)| member.group_instance_id.as_deref() == Some(group_instance_id));
        found.map(|(id, _)| id.as_str())
    }

    /// Refuses those who are no member, or whose instance id is another member's by now.
    fn check_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), KafkaError> {
        if let Some(instance) = group_instance_id {
            match self.static_member(instance) {
                None => return Err(self.unknown(member_id)),
                Some(current) if current != member_id => {
                    return Err(KafkaError::FencedInstanceId {
                        group_id: self.group_id.clone(),
                        group_instance_id: instance.to_owned(),
                        member_id: member_id.to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
        match self.members.get(member_id) {
            Some(member) if member.phase != Phase::Pending => Ok(()),
            _ => Err(self.unknown(member_id)),
        }
    }

    fn check_generation(&self, generation_id: i32) -> Result<(), KafkaError> {
        if generation_id == self.generation_id {
            return Ok(());
        }
        Err(KafkaError::IllegalGeneration {
            group_id: self.group_id.clone(),
            current: self.generation_id,
            found: generation_id,
        })
    }

    fn unknown(&self, member_id: &str) -> KafkaError {
        KafkaError::UnknownMemberId {
            group_id: self.group_id.clone(),
            member_id: member_id.to_owned(),
        }
    }
}

/// What a heartbeat's sender and its group look like, read without a lock.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    pub state: State,
    pub generation_id: i32,
    pub next_deadline: Option<i64>,
    pub heartbeat_at: i64,
    pub session_timeout_ms: i32,
}

/// Whether a heartbeat of a member, with its right instance id, is answered "all is well"
/// with nothing to be written but its time.
pub fn is_quiet(glance: &Glance, generation_id: i32, now: i64) -> bool {
    matches!(glance.state, State::Stable | State::CompletingRebalance)
        && glance.generation_id == generation_id
        && glance.next_deadline.is_none_or(|deadline| now < deadline)
}
