//! `ConsumerGroupHeartbeat`: join, stay, change the subscription, report what is revoked,
//! leave. All with one request.

use std::collections::{BTreeMap, BTreeSet};

use super::subscription::Subscriptions;
use super::{
    Assigned, Assignor, Config, ConsumerGroup, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member,
    MemberState, Subscriber, assign, reconcile,
};
use crate::error::KafkaError;
use crate::group::{Partitions, Topics};
use crate::pattern::Pattern;

/// A `ConsumerGroupHeartbeat` request, versions 0 and 1. What is `None` has not changed
/// since the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// Empty in a first request of version 0.
    pub member_id: String,
    /// The id that a new member without one gets; `None` from version 1 on, where the
    /// client has to choose it.
    pub new_member_id: Option<String>,
    pub member_epoch: i32,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// How long the client may take to revoke partitions.
    pub rebalance_timeout_ms: Option<i32>,
    pub subscribed_topics: Option<Vec<String>>,
    /// Empty for none any more.
    pub subscribed_regex: Option<String>,
    pub server_assignor: Option<String>,
    /// The partitions that the client has.
    pub owned: Option<Partitions>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatReply {
    pub member_id: String,
    pub member_epoch: i32,
    /// 0 for a member that left.
    pub heartbeat_interval_ms: i32,
    /// Everything that the member may have from now on, if that changed or if it asked.
    pub assignment: Option<Partitions>,
}

impl Heartbeat {
    /// A request with all that a member can say: sent to join, and after any error.
    fn is_full(&self) -> bool {
        self.member_epoch == JOIN_EPOCH
            || (self.rebalance_timeout_ms.is_some()
                && (self.subscribed_topics.is_some() || self.subscribed_regex.is_some())
                && self.owned.is_some())
    }

    /// Writes what the request names into the member.
    fn update(&self, member: &mut Member, now: i64) {
        let set = |field: &mut Option<String>, value: &Option<String>| {
            if value.is_some() {
                field.clone_from(value);
            }
        };
        set(&mut member.instance_id, &self.instance_id);
        set(&mut member.rack_id, &self.rack_id);
        set(&mut member.server_assignor, &self.server_assignor);
        set(&mut member.subscribed_regex, &self.subscribed_regex);
        if member.subscribed_regex.as_deref() == Some("") {
            member.subscribed_regex = None;
        }
        if let Some(names) = &self.subscribed_topics {
            member.subscribed_topics = names.iter().cloned().collect();
        }
        if let Some(timeout_ms) = self.rebalance_timeout_ms {
            member.rebalance_timeout_ms = timeout_ms;
        }
        member.client_id.clone_from(&self.client_id);
        member.client_host.clone_from(&self.client_host);
        if member.classic.take().is_some() && !member.pending_revocation.is_empty() {
            member.revoke_deadline = Some(member.rebalance_end(now));
        }
        member.heartbeat_at = now;
    }
}

/// Whether this heartbeat changes nothing but the time of its member, so that only that
/// needs writing. The answer then is the member's epoch without an assignment.
///
/// Needs no lock on the group. It does not see that topics have changed or that other
/// members are gone: for that somebody has to call [`tick`](super::tick).
pub fn is_quiet(member: &Member, group_epoch: i32, request: &Heartbeat) -> bool {
    if request.member_id != member.member_id
        || request.member_epoch <= JOIN_EPOCH
        || request.member_epoch != member.epoch
        || member.epoch != group_epoch
        || member.state != MemberState::Stable
        || request.is_full()
    {
        return false;
    }
    let same = |value: &Option<String>, field: &Option<String>| value.is_none() || value == field;
    let names = request.subscribed_topics.as_ref();
    let regex = request.subscribed_regex.as_deref();
    let owned = request.owned.as_ref();
    same(&request.instance_id, &member.instance_id)
        && same(&request.rack_id, &member.rack_id)
        && same(&request.server_assignor, &member.server_assignor)
        && request.client_id == member.client_id
        && request.client_host == member.client_host
        && member.classic.is_none()
        && request
            .rebalance_timeout_ms
            .is_none_or(|timeout_ms| timeout_ms == member.rebalance_timeout_ms)
        && names.is_none_or(|names| {
            let names: BTreeSet<&String> = names.iter().collect();
            names.into_iter().eq(&member.subscribed_topics)
        })
        && regex.is_none_or(|regex| regex == member.subscribed_regex.as_deref().unwrap_or(""))
        && owned.is_none_or(|owned| {
            owned.len() == member.assigned.len() && is_subset(owned, &member.assigned) && {
                let numbers = owned.values().map(BTreeSet::len);
                numbers.eq(member.assigned.values().map(BTreeMap::len))
            }
        })
}

/// Takes one heartbeat at time `now`, epoch milliseconds.
///
/// # Errors
/// The group is then unchanged.
/// - [`KafkaError::InvalidRequest`], [`KafkaError::UnsupportedAssignor`],
///   [`KafkaError::InvalidRegularExpression`]: the request cannot be.
/// - [`KafkaError::GroupIdNotFound`], [`KafkaError::UnknownMemberId`],
///   [`KafkaError::FencedMemberEpoch`]: the member has to join again.
/// - [`KafkaError::GroupMaxSizeReached`]
/// - [`KafkaError::UnreleasedInstanceId`], [`KafkaError::FencedInstanceId`]: another member
///   has the instance id.
pub fn heartbeat(
    group: &mut ConsumerGroup,
    request: &Heartbeat,
    topics: &Topics,
    config: &Config,
    now: i64,
) -> Result<HeartbeatReply, KafkaError> {
    let member_id = check_request(group, request)?;
    if request.member_epoch < JOIN_EPOCH {
        return leave(group, request, member_id, topics);
    }
    check_size(group, member_id, request.instance_id.as_deref(), config)?;
    let (mut member, replaced) = find_or_join(group, request, member_id)?;
    let before = member.clone();
    request.update(&mut member, now);

    if let Some(replaced) = replaced {
        group.members.remove(&replaced);
    }
    lead_on(
        group,
        member,
        &before,
        request.owned.as_ref(),
        topics,
        config,
        now,
    );

    let member = group
        .members
        .get(member_id)
        .ok_or_else(|| group.unknown_member(member_id))?;
    let answer_assignment = request.is_full() || member.assigned != before.assigned;
    Ok(HeartbeatReply {
        member_id: member_id.to_owned(),
        member_epoch: member.epoch,
        heartbeat_interval_ms: config.heartbeat_interval_ms,
        assignment: answer_assignment.then(|| partitions_of(&member.assigned)),
    })
}

/// Writes a member that has said something of itself, raises the group's epoch and computes
/// targets where that calls for it, and takes the member a step towards its own.
pub(super) fn lead_on(
    group: &mut ConsumerGroup,
    member: Member,
    before: &Member,
    owned: Option<&Partitions>,
    topics: &Topics,
    config: &Config,
    now: i64,
) {
    let subscription_changed = member.subscribed_topics != before.subscribed_topics
        || member.subscribed_regex != before.subscribed_regex;
    let member_id = member.member_id.clone();
    group.members.insert(member_id.clone(), member);

    let subscriptions = Subscriptions::resolve(group.members.values(), topics);
    let metadata_hash = subscriptions.metadata_hash(group.members.values());
    if group.epoch == 0 || subscription_changed || metadata_hash != group.metadata_hash {
        group.bump_epoch(metadata_hash);
    }
    if group.epoch > group.assignment_epoch {
        update_targets(group, &subscriptions, topics, config);
    }
    let subscribed = group
        .members
        .get(&member_id)
        .map(|member| subscriptions.topic_ids_of(member))
        .unwrap_or_default();
    reconcile::reconcile(group, &member_id, owned, &subscribed, now);
}

/// What can be said of a request by itself. Returns the member id to use.
fn check_request<'r>(group: &ConsumerGroup, request: &'r Heartbeat) -> Result<&'r str, KafkaError> {
    let invalid = |reason: &str| {
        Err(KafkaError::InvalidRequest {
            reason: reason.to_owned(),
        })
    };
    let blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    let joins = request.member_epoch == JOIN_EPOCH;
    let member_id = match &request.new_member_id {
        Some(new_member_id) if joins && request.member_id.is_empty() => new_member_id,
        _ => &request.member_id,
    };
    if member_id.trim().is_empty() {
        return invalid("the member id is empty");
    }
    if group.group_id.trim().is_empty() {
        return invalid("the group id is empty");
    }
    if blank(&request.instance_id) {
        return invalid("the instance id is empty");
    }
    if blank(&request.rack_id) {
        return invalid("the rack id is empty");
    }
    if request.member_epoch < LEAVE_STATIC_EPOCH {
        return invalid("there is no such member epoch");
    }
    if request.member_epoch == LEAVE_STATIC_EPOCH && request.instance_id.is_none() {
        return invalid("only a member with an instance id leaves for a while");
    }
    if joins {
        if request.rebalance_timeout_ms.is_none() {
            return invalid("a member that joins has to name its rebalance timeout");
        }
        if request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("a member that joins must not own partitions");
        }
        if request.subscribed_topics.is_none() && request.subscribed_regex.is_none() {
            return invalid("a member that joins has to subscribe, by name or by expression");
        }
    }
    if let Some(name) = &request.server_assignor {
        name.parse::<Assignor>()?;
    }
    let in_use = |regex| {
        let mut members = group.members.values();
        members.any(|member| member.subscribed_regex.as_ref() == Some(regex))
    };
    if let Some(regex) = &request.subscribed_regex
        && !in_use(regex)
    {
        Pattern::parse(regex)?;
    }
    Ok(member_id)
}

/// A static member that takes its place again needs no room.
pub(super) fn check_size(
    group: &ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
    config: &Config,
) -> Result<(), KafkaError> {
    let known = group.members.contains_key(member_id)
        || instance_id.is_some_and(|id| group.static_member(id).is_some());
    if !known && group.members.len() as i64 >= i64::from(config.max_size) {
        return Err(KafkaError::GroupMaxSizeReached {
            group_id: group.group_id.clone(),
            limit: config.max_size,
        });
    }
    Ok(())
}

/// The member that sends the heartbeat, and the id of the member that it replaces.
fn find_or_join(
    group: &ConsumerGroup,
    request: &Heartbeat,
    member_id: &str,
) -> Result<(Member, Option<String>), KafkaError> {
    let joins = request.member_epoch == JOIN_EPOCH;
    if group.epoch == 0 && !joins {
        return Err(KafkaError::GroupIdNotFound {
            group_id: group.group_id.clone(),
        });
    }
    let known = group.members.get(member_id);
    let holder = request
        .instance_id
        .as_deref()
        .and_then(|instance_id| group.static_member(instance_id));
    if joins {
        return match holder {
            Some(holder) if holder.member_id != member_id => {
                take_over(group, holder, member_id).map(|m| (m, Some(holder.member_id.clone())))
            }
            _ => Ok((
                known.cloned().unwrap_or_else(|| new_member(member_id)),
                None,
            )),
        };
    }
    let member = existing(group, member_id, request.instance_id.as_deref())?;
    check_epoch(group, member, request)?;
    Ok((member.clone(), None))
}

pub(super) fn new_member(member_id: &str) -> Member {
    Member {
        member_id: member_id.to_owned(),
        ..Member::default()
    }
}

/// A new process takes the place of a static member that has left for a while.
fn take_over(
    group: &ConsumerGroup,
    holder: &Member,
    member_id: &str,
) -> Result<Member, KafkaError> {
    if holder.epoch != LEAVE_STATIC_EPOCH && holder.classic.is_none() {
        return Err(KafkaError::UnreleasedInstanceId {
            group_id: group.group_id.clone(),
            group_instance_id: holder.instance_id.clone().unwrap_or_default(),
            member_id: holder.member_id.clone(),
        });
    }
    if group.members.contains_key(member_id) {
        return Err(KafkaError::InvalidRequest {
            reason: "the member id belongs to another member of the group".to_owned(),
        });
    }
    Ok(successor(holder, member_id))
}

/// A member that takes the place of another has what that had, and begins anew.
pub(super) fn successor(holder: &Member, member_id: &str) -> Member {
    Member {
        member_id: member_id.to_owned(),
        epoch: 0,
        previous_epoch: 0,
        ..holder.clone()
    }
}

/// The member that a request names, by instance id if it has one.
pub(super) fn existing<'g>(
    group: &'g ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<&'g Member, KafkaError> {
    let Some(instance_id) = instance_id else {
        return group
            .members
            .get(member_id)
            .ok_or_else(|| group.unknown_member(member_id));
    };
    let member = group
        .static_member(instance_id)
        .ok_or_else(|| group.unknown_member(member_id))?;
    if member.member_id != member_id {
        return Err(KafkaError::FencedInstanceId {
            group_id: group.group_id.clone(),
            group_instance_id: instance_id.to_owned(),
            member_id: member_id.to_owned(),
        });
    }
    Ok(member)
}

/// The previous epoch is good too, if the answer with the current one may have got lost:
/// the client then has nothing that it was not given.
fn check_epoch(
    group: &ConsumerGroup,
    member: &Member,
    request: &Heartbeat,
) -> Result<(), KafkaError> {
    let found = request.member_epoch;
    let answer_lost = found < member.epoch
        && found == member.previous_epoch
        && request
            .owned
            .as_ref()
            .is_some_and(|owned| is_subset(owned, &member.assigned));
    if found == member.epoch || answer_lost {
        return Ok(());
    }
    Err(KafkaError::FencedMemberEpoch {
        group_id: group.group_id.clone(),
        member_id: member.member_id.clone(),
        current: member.epoch,
        found,
    })
}

fn is_subset(owned: &Partitions, assigned: &Assigned) -> bool {
    owned.iter().all(|(topic, partitions)| {
        partitions
            .iter()
            .all(|partition| reconcile::holds(assigned, topic, *partition))
    })
}

fn leave(
    group: &mut ConsumerGroup,
    request: &Heartbeat,
    member_id: &str,
    topics: &Topics,
) -> Result<HeartbeatReply, KafkaError> {
    if group.epoch == 0 {
        return Err(KafkaError::GroupIdNotFound {
            group_id: group.group_id.clone(),
        });
    }
    existing(group, member_id, request.instance_id.as_deref())?;
    if request.member_epoch == LEAVE_EPOCH {
        group.members.remove(member_id);
        let metadata_hash = group.hash_of(topics);
        group.bump_epoch(metadata_hash);
    } else if let Some(member) = group.members.get_mut(member_id) {
        // The partitions stay with the member, whoever that will be: until its session is
        // over nobody else gets them.
        member.epoch = LEAVE_STATIC_EPOCH;
        member.pending_revocation = Assigned::new();
        member.revoke_deadline = None;
        for epoch in member.assigned.values_mut().flat_map(BTreeMap::values_mut) {
            *epoch = 0;
        }
    }
    Ok(HeartbeatReply {
        member_id: member_id.to_owned(),
        member_epoch: request.member_epoch,
        heartbeat_interval_ms: 0,
        assignment: None,
    })
}

/// Computes every member's target for the group epoch, by the preferred assignor.
fn update_targets(
    group: &mut ConsumerGroup,
    subscriptions: &Subscriptions<'_>,
    topics: &Topics,
    config: &Config,
) {
    let partition_counts = topics
        .values()
        .map(|topic| (topic.id, topic.partitions))
        .collect();
    let subscribers: Vec<Subscriber<'_>> = group
        .members
        .values()
        .zip(subscriptions.topic_ids_of_each(group.members.values()))
        .map(|(member, topics)| Subscriber {
            member_id: &member.member_id,
            instance_id: member.instance_id.as_deref(),
            topics,
            target: &member.target,
        })
        .collect();
    let targets = assign(
        preferred_assignor(group, config),
        &subscribers,
        &partition_counts,
    );
    for (member, target) in group.members.values_mut().zip(targets) {
        member.target = target;
    }
    group.assignment_epoch = group.epoch;
}

/// The assignor that most of the members who name one prefer.
pub fn preferred_assignor(group: &ConsumerGroup, config: &Config) -> Assignor {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    for name in group
        .members
        .values()
        .filter_map(|member| member.server_assignor.as_ref())
    {
        if let Ok(assignor) = name.parse() {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    votes
        .into_iter()
        .max_by_key(|(assignor, count)| (*count, *assignor == config.default_assignor))
        .map_or(config.default_assignor, |(assignor, _)| assignor)
}

fn partitions_of(assigned: &Assigned) -> Partitions {
    assigned
        .iter()
        .map(|(topic, epochs)| (*topic, epochs.keys().copied().collect::<BTreeSet<i32>>()))
        .collect()
}
