//! One member's way from what it has to its target.
//!
//! A member first gives up what is not in its target, then moves to the target's epoch,
//! then gets what others have given up. So a partition never has two owners: it is given
//! only when no other member has it assigned or has yet to revoke it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assigned, ConsumerGroup, Member, MemberState};
use crate::group::{Partitions, TopicId};

/// Takes the member one step further, as far as the partitions it reports allow.
///
/// `owned` are the partitions that the client says it has, `None` if it did not say;
/// `subscribed` are the topics that it is subscribed to.
pub(super) fn reconcile(
    group: &mut ConsumerGroup,
    member_id: &str,
    owned: Option<&Partitions>,
    subscribed: &BTreeSet<TopicId>,
    now: i64,
) {
    let Some(member) = group.members.get(member_id) else {
        return;
    };
    let mut next = match member.state {
        MemberState::Stable if member.epoch == group.assignment_epoch => return,
        MemberState::UnrevokedPartitions if owns_any(owned, &member.pending_revocation) => {
            without_unsubscribed(member, subscribed)
        }
        _ => advanced(group, member, owned),
    };
    if next == *member {
        return;
    }
    next.revoke_deadline = (next.state == MemberState::UnrevokedPartitions)
        .then(|| now.saturating_add(i64::from(next.rebalance_timeout_ms.max(0))));
    group.members.insert(next.member_id.clone(), next);
}

/// The member's next state towards its target.
fn advanced(group: &ConsumerGroup, member: &Member, owned: Option<&Partitions>) -> Member {
    let mut assigned = Assigned::new();
    let mut revoked = Assigned::new();
    for (topic, partitions) in &member.assigned {
        let target = member.target.get(topic);
        for (partition, epoch) in partitions {
            let kept = target.is_some_and(|target| target.contains(partition));
            let side = if kept { &mut assigned } else { &mut revoked };
            side.entry(*topic).or_default().insert(*partition, *epoch);
        }
    }
    let mut next = member.clone();
    if owns_any(owned, &revoked) {
        next.previous_epoch = member.epoch;
        next.state = MemberState::UnrevokedPartitions;
        next.assigned = assigned;
        next.pending_revocation = revoked;
        return next;
    }

    let mut unreleased = false;
    for (topic, partitions) in &member.target {
        for partition in partitions {
            if holds(&assigned, topic, *partition) {
                continue;
            }
            if held_by_other(group, member, topic, *partition) {
                unreleased = true;
            } else {
                assigned
                    .entry(*topic)
                    .or_default()
                    .insert(*partition, group.assignment_epoch);
            }
        }
    }
    next.previous_epoch = member.epoch;
    next.epoch = group.assignment_epoch;
    next.state = if unreleased {
        MemberState::UnreleasedPartitions
    } else {
        MemberState::Stable
    };
    next.assigned = assigned;
    next.pending_revocation = Assigned::new();
    next
}

/// A member that has yet to revoke something is not given a new target, but what it is no
/// longer subscribed to it is to revoke too.
fn without_unsubscribed(member: &Member, subscribed: &BTreeSet<TopicId>) -> Member {
    let mut next = member.clone();
    let (kept, dropped): (Assigned, Assigned) = std::mem::take(&mut next.assigned)
        .into_iter()
        .partition(|(topic, _)| subscribed.contains(topic));
    next.assigned = kept;
    if dropped.is_empty() {
        return next;
    }
    for (topic, partitions) in dropped {
        let pending = next.pending_revocation.entry(topic).or_default();
        pending.extend(partitions);
    }
    next.previous_epoch = member.epoch;
    next
}

/// Whether the client may still have some of the partitions. What it does not report at
/// all it may have.
fn owns_any(owned: Option<&Partitions>, partitions: &Assigned) -> bool {
    if partitions.is_empty() {
        return false;
    }
    let Some(owned) = owned else {
        return true;
    };
    owned.iter().any(|(topic, numbers)| {
        partitions
            .get(topic)
            .is_some_and(|epochs| numbers.iter().any(|number| epochs.contains_key(number)))
    })
}

pub(super) fn held_by_other(
    group: &ConsumerGroup,
    member: &Member,
    topic: &TopicId,
    partition: i32,
) -> bool {
    group.members.values().any(|other| {
        other.member_id != member.member_id
            && (holds(&other.assigned, topic, partition)
                || holds(&other.pending_revocation, topic, partition))
    })
}

pub(super) fn holds(
    assigned: &BTreeMap<TopicId, BTreeMap<i32, i32>>,
    topic: &TopicId,
    partition: i32,
) -> bool {
    assigned
        .get(topic)
        .is_some_and(|epochs| epochs.contains_key(&partition))
}
