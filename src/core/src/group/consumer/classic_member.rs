//! Members that speak the classic protocol in a group that the server assigns (KIP-848).
//!
//! To such a member the group looks like one whose leader is somebody else: its join is
//! answered at once, with its epoch as the generation; its sync brings what it has been
//! assigned; and its heartbeats tell it to join again whenever its next step has to be
//! taken. What it owns it says in the metadata of each join.

use std::collections::BTreeSet;

use super::heartbeat::{check_size, existing, lead_on, new_member, successor};
use super::{ClassicFields, ConsumerGroup, Member, MemberState, reconcile};
use crate::consumer_protocol::{ConsumerAssignment, ConsumerSubscription, PROTOCOL_TYPE};
use crate::error::KafkaError;
use crate::group::classic::{Join, JoinReply, Joined, Sync, SyncReply, needs_touch};
use crate::group::{Context, translate};

/// A member joins, or joins again to take its next step. It is always answered at once.
pub(in crate::group) fn join(
    group: &mut ConsumerGroup,
    join: &Join,
    context: &Context<'_>,
) -> Result<JoinReply, KafkaError> {
    let (config, now) = (&context.consumer, context.now);
    context
        .classic
        .check_session_timeout(join.session_timeout_ms)?;
    let is_unnamed = join.member_id.is_empty();
    let member_id = if is_unnamed {
        &join.new_member_id
    } else {
        &join.member_id
    };
    let instance_id = join.group_instance_id.as_deref();
    check_size(group, member_id, instance_id, config)?;
    let protocol_name = check_protocols(group, join)?;
    let subscription = subscription(join).ok_or_else(|| {
        let reason = "the metadata is no consumer's subscription";
        inconsistent(group, reason.to_owned())
    })?;
    if is_unnamed && instance_id.is_none() && join.require_member_id {
        // Nothing is kept: the member can come with any id.
        let member_id = member_id.clone();
        return Ok(JoinReply::MemberIdRequired { member_id });
    }
    let (before, replaced) = find_or_join(group, join, member_id)?;
    let topics = (context.topics)();
    let owned = translate::by_id(&subscription.owned_partitions, &topics);
    let member = updated(&before, join, subscription, now);
    if let Some(replaced) = replaced {
        group.members.remove(&replaced);
    }
    lead_on(group, member, &before, Some(&owned), &topics, config, now);

    let unknown = group.unknown_member(member_id);
    let member = group.members.get_mut(member_id).ok_or(unknown)?;
    member.revoke_deadline = None;
    set_rejoin_deadline(member, Some(member.rebalance_end(now)));
    Ok(JoinReply::Joined(Joined {
        member_id: member_id.clone(),
        generation_id: member.epoch,
        protocol_type: PROTOCOL_TYPE.to_owned(),
        protocol_name,
        leader: String::new(),
        members: Vec::new(),
        skip_assignment: false,
    }))
}

/// The member with what it says of itself when it joins.
fn updated(
    before: &Member,
    join: &Join,
    subscription: ConsumerSubscription<'_>,
    now: i64,
) -> Member {
    let instance_id = join.group_instance_id.clone();
    Member {
        instance_id: instance_id.or_else(|| before.instance_id.clone()),
        rack_id: subscription.rack_id.or_else(|| before.rack_id.clone()),
        client_id: join.client_id.clone(),
        client_host: join.client_host.clone(),
        rebalance_timeout_ms: join.rebalance_timeout_ms.max(0),
        subscribed_topics: subscription.topics.into_iter().collect(),
        subscribed_regex: None,
        heartbeat_at: now,
        classic: Some(ClassicFields {
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
            rejoin_deadline: None,
        }),
        ..before.clone()
    }
}

/// What a member that joins is subscribed to: the same in all its protocols.
pub(in crate::group) fn subscription(join: &Join) -> Option<ConsumerSubscription<'_>> {
    let (_, metadata) = join.protocols.first()?;
    ConsumerSubscription::decode(metadata).ok()
}

/// The member must speak one protocol that all other classic members do: the group may
/// become theirs alone. Returns the protocol that it is told was chosen.
fn check_protocols(group: &ConsumerGroup, join: &Join) -> Result<String, KafkaError> {
    let Some((preferred, _)) = join.protocols.first() else {
        return Err(inconsistent(group, "a member needs a protocol".to_owned()));
    };
    if join.protocol_type != PROTOCOL_TYPE {
        let reason = format!("the group's protocol type is {PROTOCOL_TYPE:?}");
        return Err(inconsistent(group, reason));
    }
    let mut names: BTreeSet<&str> = join.protocols.iter().map(|(n, _)| n.as_str()).collect();
    for classic in group.members.values().filter_map(|m| m.classic.as_ref()) {
        names.retain(|name| classic.protocols.iter().any(|(has, _)| has == name));
    }
    if names.is_empty() {
        let reason = "no protocol of the member is one that all others have";
        return Err(inconsistent(group, reason.to_owned()));
    }
    Ok(preferred.clone())
}

/// The member that joins as it has been so far, and the id of the member that it replaces.
fn find_or_join(
    group: &ConsumerGroup,
    join: &Join,
    member_id: &str,
) -> Result<(Member, Option<String>), KafkaError> {
    let instance_id = join.group_instance_id.as_deref();
    if instance_id.is_some() && !join.member_id.is_empty() {
        let member = existing(group, member_id, instance_id)?;
        return Ok((member.clone(), None));
    }
    if let Some(holder) = instance_id.and_then(|id| group.static_member(id)) {
        let replaced = holder.member_id.clone();
        return Ok((successor(holder, member_id), Some(replaced)));
    }
    let known = group.members.get(member_id).cloned();
    Ok((known.unwrap_or_else(|| new_member(member_id)), None))
}

/// The member is told what it may have from now on.
pub(in crate::group) fn sync(
    group: &mut ConsumerGroup,
    sync: &Sync,
    context: &Context<'_>,
) -> Result<SyncReply, KafkaError> {
    let instance_id = sync.group_instance_id.as_deref();
    let (member, classic) = find(group, &sync.member_id, instance_id, sync.generation_id)?;
    let preferred = classic.protocols.first();
    check_told(group, "type", PROTOCOL_TYPE, sync.protocol_type.as_deref())?;
    let told = preferred.map_or("", |(name, _)| name.as_str());
    check_told(group, "name", told, sync.protocol_name.as_deref())?;
    if member.epoch < group.epoch && member.state != MemberState::UnrevokedPartitions {
        return Err(ask_to_rejoin(group, &sync.member_id, context.now));
    }
    let held = member.assigned.iter();
    let held = held.flat_map(|(id, epochs)| epochs.keys().map(move |number| (*id, *number)));
    let metadata = preferred.map_or(&[][..], |(_, metadata)| metadata);
    let assignment = ConsumerAssignment {
        version: translate::version_of(metadata),
        assigned_partitions: translate::by_name(held, &(context.topics)()),
        user_data: None,
    };
    let assignment = assignment.encode();
    if let Some(member) = group.members.get_mut(&sync.member_id) {
        touch(member, context);
        set_rejoin_deadline(member, None);
    }
    Ok(SyncReply::Synced { assignment })
}

/// A heartbeat, by whose answer the member learns that it has to join again.
pub(in crate::group) fn heartbeat(
    group: &mut ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
    generation_id: i32,
    context: &Context<'_>,
) -> Result<(), KafkaError> {
    let (member, _) = find(group, member_id, instance_id, generation_id)?;
    let has_to_rejoin = has_to_rejoin(group, member);
    if let Some(member) = group.members.get_mut(member_id) {
        touch(member, context);
    }
    if has_to_rejoin {
        return Err(ask_to_rejoin(group, member_id, context.now));
    }
    Ok(())
}

/// Whether a join would take the member further: the group has moved on, it has to say
/// that it has given partitions up, or all that it waits for have become free.
fn has_to_rejoin(group: &ConsumerGroup, member: &Member) -> bool {
    let waits = || {
        member.target.iter().any(|(topic, partitions)| {
            partitions.iter().any(|partition| {
                !reconcile::holds(&member.assigned, topic, *partition)
                    && reconcile::held_by_other(group, member, topic, *partition)
            })
        })
    };
    member.epoch < group.epoch
        || match member.state {
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !waits(),
        }
}

/// The member of the classic protocol that a request names.
fn find<'g>(
    group: &'g ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
    generation_id: i32,
) -> Result<(&'g Member, &'g ClassicFields), KafkaError> {
    let member = existing(group, member_id, instance_id)?;
    let Some(classic) = &member.classic else {
        return Err(group.unknown_member(member_id));
    };
    if member.epoch != generation_id {
        return Err(group.stale_epoch(member, generation_id));
    }
    Ok((member, classic))
}

/// From when it is first told so, the member has its rebalance timeout to join again.
fn ask_to_rejoin(group: &mut ConsumerGroup, member_id: &str, now: i64) -> KafkaError {
    if let Some(member) = group.members.get_mut(member_id) {
        let told = member.classic.as_ref().and_then(|c| c.rejoin_deadline);
        set_rejoin_deadline(member, told.or(Some(member.rebalance_end(now))));
    }
    KafkaError::RebalanceInProgress {
        group_id: group.group_id.clone(),
    }
}

fn set_rejoin_deadline(member: &mut Member, deadline: Option<i64>) {
    if let Some(classic) = &mut member.classic {
        classic.rejoin_deadline = deadline;
    }
}

/// Notes a sign of life, where that is worth a write.
pub(in crate::group) fn touch(member: &mut Member, context: &Context<'_>) {
    let timeout_ms = member.session_timeout_ms(&context.consumer);
    if needs_touch(member.heartbeat_at, timeout_ms, context.now) {
        member.heartbeat_at = context.now;
    }
}

fn check_told(
    group: &ConsumerGroup,
    what: &str,
    told: &str,
    found: Option<&str>,
) -> Result<(), KafkaError> {
    match found {
        Some(found) if found != told => {
            let reason = format!("the group's protocol {what} is {told:?}, not {found:?}");
            Err(inconsistent(group, reason))
        }
        _ => Ok(()),
    }
}

fn inconsistent(group: &ConsumerGroup, reason: String) -> KafkaError {
    KafkaError::InconsistentGroupProtocol {
        group_id: group.group_id.clone(),
        reason,
    }
}
