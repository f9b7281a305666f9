//! From one protocol to the other while the group is in use (KIP-848).
//!
//! A classic group of consumers becomes a consumer group when the first member comes that
//! speaks the consumer protocol; its members stay, and go on by the classic protocol. When
//! the last member that speaks the consumer protocol is gone, the group is theirs again.
//! The classic group's generation and the consumer group's epoch are one number.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::{BTreeMap, BTreeSet};

use super::classic::{self, Join, Phase, State};
use super::consumer::{
    Assigned, ClassicFields, ConsumerGroup, Member, MemberState, classic_member,
};
use super::translate::{by_id, by_name, version_of};
use super::{Context, Partitions, TopicId};
use crate::consumer_protocol::{
    ConsumerAssignment, ConsumerSubscription, PROTOCOL_TYPE, TopicPartitions,
};
use crate::error::KafkaError;

/// The consumer group that a classic group becomes. Its members have what they were last
/// assigned.
///
/// # Errors
/// [`KafkaError::CannotUpgradeGroup`] where the members are no consumers, where what they
/// have said or been assigned cannot be read, where an assignor's own data would be lost,
/// and where they are too many.
pub(super) fn upgraded(
    group: &classic::Group,
    context: &Context<'_>,
) -> Result<ConsumerGroup, KafkaError> {
    if !group.has_consumers() {
        let found = group.protocol_type.as_deref().unwrap_or_default();
        let reason = format!("its protocol type is {found:?}, not {PROTOCOL_TYPE:?}");
        return Err(refused(group, reason));
    }
    let limit = usize::try_from(context.consumer.max_size).unwrap_or(0);
    if group.joined_members().count() > limit {
        let reason = format!("it has more than {limit} members");
        return Err(refused(group, reason));
    }
    let topics = (context.topics)();
    let epoch = group.generation_id;
    let mut next = ConsumerGroup {
        epoch,
        assignment_epoch: epoch,
        ..ConsumerGroup::new(&group.group_id)
    };
    let mut taken = BTreeSet::new();
    let mut claims = Vec::new();
    for (id, member) in group.joined_members() {
        let subscription = group.subscription(member).ok_or_else(|| {
            let reason = format!("the subscription of member {id:?} is unreadable");
            refused(group, reason)
        })?;
        claims.push((id, by_id(&subscription.owned_partitions, &topics)));
        let assigned = by_id(&assigned(group, id, member)?, &topics);
        let assigned = take(assigned, &mut taken, epoch);
        let member = Member {
            target: partitions_of(&assigned),
            assigned,
            ..taken_over(id, member, subscription, epoch)
        };
        next.members.insert(id.clone(), member);
    }
    // What a member has not got again it may not have given up yet (KIP-429).
    for (id, owned) in claims {
        let pending = take(owned, &mut taken, epoch);
        if let Some(member) = next.members.get_mut(id)
            && !pending.is_empty()
        {
            member.state = MemberState::UnrevokedPartitions;
            member.pending_revocation = pending;
        }
    }
    Ok(next)
}

fn refused(group: &classic::Group, reason: String) -> KafkaError {
    KafkaError::CannotUpgradeGroup {
        group_id: group.group_id.clone(),
        reason,
    }
}

/// What the leader last gave a member: nothing where it has never synced.
fn assigned(
    group: &classic::Group,
    member_id: &str,
    member: &classic::Member,
) -> Result<TopicPartitions, KafkaError> {
    if member.assignment.is_empty() {
        return Ok(TopicPartitions::new());
    }
    let assignment = ConsumerAssignment::decode(&member.assignment).map_err(|_| {
        let reason = format!("the assignment of member {member_id:?} is unreadable");
        refused(group, reason)
    })?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        let reason = "its assignor gives members data of its own";
        return Err(refused(group, reason.to_owned()));
    }
    Ok(assignment.assigned_partitions)
}

fn taken_over(
    member_id: &str,
    member: &classic::Member,
    subscription: ConsumerSubscription<'_>,
    epoch: i32,
) -> Member {
    Member {
        member_id: member_id.to_owned(),
        instance_id: member.group_instance_id.clone(),
        rack_id: subscription.rack_id,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        epoch,
        previous_epoch: epoch,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        subscribed_topics: subscription.topics.into_iter().collect(),
        heartbeat_at: member.heartbeat_at,
        classic: Some(ClassicFields {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
            rejoin_deadline: None,
        }),
        ..Member::default()
    }
}

/// The partitions that nobody has taken, which are taken now: a leader may have given one
/// to several.
fn take(partitions: Partitions, taken: &mut BTreeSet<(TopicId, i32)>, epoch: i32) -> Assigned {
    let mut free = Assigned::new();
    for (topic, numbers) in partitions {
        for number in numbers {
            if taken.insert((topic, number)) {
                free.entry(topic).or_default().insert(number, epoch);
            }
        }
    }
    free
}

fn partitions_of(assigned: &Assigned) -> Partitions {
    let topics = assigned.iter();
    topics
        .map(|(topic, epochs)| (*topic, epochs.keys().copied().collect()))
        .collect()
}

/// The classic group that a consumer group becomes where only members are left that speak
/// the classic protocol: they are to join anew.
///
/// `generation_id` is the epoch that the group had while it had others: who has come that
/// far learns of the rebalance by its heartbeat, and keeps its partitions until then.
pub(super) fn downgraded(
    group: &ConsumerGroup,
    generation_id: i32,
    context: &Context<'_>,
) -> Option<classic::Group> {
    let limit = usize::try_from(context.classic.max_size).unwrap_or(0);
    if group.members.is_empty() || group.members.len() > limit {
        return None;
    }
    let mut next = classic_group(group.members.values(), group, generation_id, context)?;
    let reason = "the last member that spoke the consumer protocol left";
    next.rebalance(reason, context.now);
    Some(next)
}

/// The classic group that a consumer group becomes when a static member comes back that
/// was the last to speak the consumer protocol, and now speaks the classic one. It is
/// stable where nothing is under way: the member is then to have what its former self had,
/// and to lead, as the only one that its answer can tell so: a leader watches the topics.
pub(super) fn downgraded_by(
    join: &Join,
    group: &ConsumerGroup,
    context: &Context<'_>,
) -> Option<classic::Group> {
    let instance_id = join.group_instance_id.as_ref();
    let instance_id = instance_id.filter(|_| join.member_id.is_empty())?;
    let subscription = classic_member::subscription(join)?;
    let is_holder = |member: &Member| member.instance_id.as_ref() == Some(instance_id);
    let holder = group.members.values().find(|member| is_holder(member))?;
    let limit = usize::try_from(context.classic.max_size).unwrap_or(0);
    if holder.classic.is_some() || group.members.len() > limit {
        return None;
    }
    let topics: BTreeSet<String> = subscription.topics.into_iter().collect();
    let stays = topics == holder.subscribed_topics
        && holder.subscribed_regex.is_none()
        && group.epoch == group.assignment_epoch
        && group.members.values().all(|member| {
            (is_holder(member) || member.epoch == group.epoch)
                && member.state == MemberState::Stable
                && partitions_of(&member.assigned) == member.target
        });
    let returned = Member {
        rebalance_timeout_ms: join.rebalance_timeout_ms,
        classic: Some(ClassicFields {
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
            rejoin_deadline: None,
        }),
        ..holder.clone()
    };
    let members = group
        .members
        .values()
        .map(|member| if is_holder(member) { &returned } else { member });
    let mut next = classic_group(members, group, group.epoch, context)?;
    next.leader = Some(holder.member_id.clone());
    if !stays {
        let reason = "the last member that spoke the consumer protocol came back without it";
        next.rebalance(reason, context.now);
    }
    Some(next)
}

/// The members as a stable classic group, which has assigned what they hold; none where
/// one of them does not speak its protocol.
fn classic_group<'m>(
    members: impl Iterator<Item = &'m Member>,
    group: &ConsumerGroup,
    generation_id: i32,
    context: &Context<'_>,
) -> Option<classic::Group> {
    let mut next = classic::Group {
        state: State::Stable,
        generation_id,
        protocol_type: Some(PROTOCOL_TYPE.to_owned()),
        ..classic::Group::new(&group.group_id)
    };
    let mut held = BTreeMap::new();
    for member in members {
        let id = &member.member_id;
        next.members.insert(id.clone(), given_back(member)?);
        held.insert(id.clone(), [&member.assigned, &member.pending_revocation]);
    }
    next.protocol_name = next.elect_protocol();
    next.leader = next.members.keys().next().cloned();
    let topics = (context.topics)();
    let protocol = next.protocol_name.as_deref().unwrap_or_default();
    for (id, member) in &mut next.members {
        let metadata = member.metadata(protocol);
        let held = held.get(id).into_iter().flatten();
        let pairs = held
            .flat_map(|assigned| assigned.iter())
            .flat_map(|(topic, epochs)| epochs.keys().map(move |number| (*topic, *number)));
        let assignment = ConsumerAssignment {
            version: version_of(metadata),
            assigned_partitions: by_name(pairs, &topics),
            user_data: None,
        };
        member.assignment = assignment.encode();
    }
    Some(next)
}

fn given_back(member: &Member) -> Option<classic::Member> {
    let classic = member.classic.as_ref()?;
    Some(classic::Member {
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        session_timeout_ms: classic.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        protocols: classic.protocols.clone(),
        assignment: Vec::new(),
        phase: Phase::Synced,
        heartbeat_at: member.heartbeat_at,
    })
}
