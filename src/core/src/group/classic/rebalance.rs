//! How a rebalance begins, and how its joining phase ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, Phase, State};

impl Group {
    /// Takes members out; the rest rebalances where one of them had joined.
    pub(super) fn remove(&mut self, leaving: &BTreeSet<String>, reason: &str, now: i64) {
        let mut had_joined = false;
        for id in leaving {
            if let Some(member) = self.members.remove(id) {
                had_joined |= member.phase != Phase::Pending;
            }
        }
        if self.leader.as_ref().is_some_and(|id| leaving.contains(id)) {
            let next = self.joined_members().next().map(|(id, _)| id.clone());
            self.leader = next;
        }
        if had_joined && matches!(self.state, State::Stable | State::CompletingRebalance) {
            self.rebalance(reason, now);
        }
    }

    /// The longest rebalance timeout of the members: how long a phase may last.
    pub(super) fn rebalance_timeout(&self) -> i64 {
        let timeouts = self
            .joined_members()
            .map(|(_, member)| i64::from(member.rebalance_timeout_ms));
        timeouts.max().unwrap_or(0)
    }

    /// Asks all members to join anew.
    pub(in crate::group) fn rebalance(&mut self, reason: &str, now: i64) {
        for member in self.members.values_mut() {
            if self.state == State::CompletingRebalance {
                member.assignment.clear();
            }
            if member.phase != Phase::Pending {
                member.phase = Phase::Waiting;
            }
        }
        self.state = State::PreparingRebalance;
        self.reason = Some(reason.to_owned());
        self.initial_deadline = None;
        self.deadline = Some(now.saturating_add(self.rebalance_timeout()));
    }

    /// Ends the joining phase where everybody is there or the time is up.
    pub(super) fn finish_joining(&mut self, now: i64) {
        if self.state != State::PreparingRebalance {
            return;
        }
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let complete = self
            .members
            .values()
            .all(|member| member.phase == Phase::Joined);
        let nobody = self.joined_members().next().is_none();
        if !late && !nobody && (self.initial_deadline.is_some() || !complete) {
            return;
        }
        // Those that did not come in time; static members have until their session ends.
        let absent = self.members_where(|member| {
            member.phase == Phase::Waiting && member.group_instance_id.is_none()
        });
        self.remove(&absent, "a member did not join in time", now);
        if self.joined_members().next().is_none() {
            self.next_generation(State::Empty, now);
            self.leader = None;
            self.protocol_name = None;
            return;
        }
        let is_there = |id: &String| {
            let member = self.members.get(id);
            member.is_some_and(|member| member.phase == Phase::Joined)
        };
        if !self.leader.as_ref().is_some_and(is_there) {
            let joined = self.members_where(|member| member.phase == Phase::Joined);
            let Some(id) = joined.into_iter().next() else {
                // Only static members are left. The first that comes sets a new deadline;
                // until then there is nothing to end.
                self.deadline = None;
                return;
            };
            self.leader = Some(id);
        }
        self.protocol_name = self.elect_protocol();
        self.next_generation(State::CompletingRebalance, now);
    }

    /// Takes those out that have not synced when the time is up, the leader perhaps among
    /// them.
    pub(super) fn finish_syncing(&mut self, now: i64) {
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        if self.state == State::PreparingRebalance || !late {
            return;
        }
        self.deadline = None;
        let unsynced = self.members_where(|member| member.phase == Phase::Waiting);
        self.remove(&unsynced, "a member did not sync in time", now);
    }

    fn next_generation(&mut self, state: State, now: i64) {
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        self.state = state;
        self.initial_deadline = None;
        self.deadline =
            (state != State::Empty).then(|| now.saturating_add(self.rebalance_timeout()));
        for member in self.members.values_mut() {
            if member.phase == Phase::Joined {
                member.phase = Phase::Waiting;
                member.heartbeat_at = member.heartbeat_at.max(now);
            }
        }
    }

    /// Protocols that all members have.
    pub(super) fn common_protocols(&self) -> BTreeSet<&str> {
        let mut members = self.joined_members().map(|(_, member)| {
            let names = member.protocols.iter().map(|(name, _)| name.as_str());
            names.collect::<BTreeSet<_>>()
        });
        let first = members.next().unwrap_or_default();
        members.fold(first, |common, names| &common & &names)
    }

    /// Each member votes for the one it prefers among those that all have.
    pub(in crate::group) fn elect_protocol(&self) -> Option<String> {
        let common = self.common_protocols();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, member) in self.joined_members() {
            let mut names = member.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(choice) = names.find(|name| common.contains(name)) {
                let count = votes.entry(choice).or_default();
                *count = count.saturating_add(1);
            }
        }
        let most = votes.values().copied().max()?;
        let winner = votes.into_iter().find(|(_, count)| *count == most);
        winner.map(|(name, _)| name.to_owned())
    }
}
