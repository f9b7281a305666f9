//! What this transaction has taken by `kafka.poll`, to be judged when it commits: whoever
//! has lost its membership meanwhile must not commit, for another member may have the same
//! records.
use std::cell::RefCell;
use std::collections::BTreeMap;

use kafka_core::error::KafkaError;
use kafka_core::group::{Context, Group, TopicId};
use pgrx::pg_sys;

use super::group;
use super::server::{LockKind, lock_tag, try_lock};
use super::topic::Topic;

thread_local! {
    /// As whom this transaction polled, by group.
    static POLLED: RefCell<BTreeMap<String, Poll>> = const { RefCell::new(BTreeMap::new()) };
    /// This session's member ids, by group and instance.
    static MEMBERS: RefCell<BTreeMap<(String, Option<String>), String>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Clone)]
struct Poll {
    member_id: String,
    generation_id: i32,
    /// Partitions in which it advanced the group's offsets.
    taken: Vec<(TopicId, i32)>,
}

/// The id under which this session was last a member; it may not be one any more.
pub(crate) fn member_id(group_id: &str, instance: Option<&str>) -> Option<String> {
    let key = (group_id.to_owned(), instance.map(str::to_owned));
    MEMBERS.with_borrow(|members| members.get(&key).cloned())
}

pub(crate) fn remember_member(group_id: &str, instance: Option<&str>, member_id: &str) {
    let key = (group_id.to_owned(), instance.map(str::to_owned));
    MEMBERS.with_borrow_mut(|members| members.insert(key, member_id.to_owned()));
}

/// Notes a poll. If it has `taken` records of partitions the transaction may commit only as
/// this member in this generation; otherwise its commit is just a sign of life.
pub(crate) fn note(
    group_id: &str,
    member_id: &str,
    generation_id: i32,
    taken: Vec<(TopicId, i32)>,
) {
    POLLED.with_borrow_mut(|polled| {
        let before = polled.remove(group_id);
        let mut poll = Poll {
            member_id: member_id.to_owned(),
            generation_id,
            taken,
        };
        poll.taken
            .extend(before.into_iter().flat_map(|poll| poll.taken));
        polled.insert(group_id.to_owned(), poll);
    });
}

/// A partition of a group that this transaction has for itself, up to its end.
pub(crate) struct Claim(pg_sys::LOCKTAG);

impl Claim {
    /// None while another transaction has records of the partition.
    pub(crate) fn try_take(group_id: &str, topic: &Topic, partition: i32) -> Option<Self> {
        let hash = kafka_core::partitioner::murmur2(group_id.as_bytes());
        let place = (topic.number as u32)
            .wrapping_mul(0x9e37_79b1)
            .wrapping_add(partition as u32);
        let tag = lock_tag(hash as i32, place as i32, LockKind::Claim);
        try_lock(&tag).then_some(Self(tag))
    }

    /// Gives it back where nothing was taken.
    pub(crate) fn release(self) {
        // SAFETY: acquired by `try_take`, in the same mode.
        unsafe { pg_sys::LockRelease(&raw const self.0, pg_sys::ExclusiveLock as i32, false) };
    }
}

/// Before commit: raises where a membership was lost; a sign of life where it was not.
pub(super) fn before_commit() {
    for (group_id, poll) in POLLED.with_borrow(Clone::clone) {
        let check = |group: &mut Group, context: &Context<'_>| {
            group.check_commit(&poll.member_id, None, poll.generation_id, context)?;
            for (topic_id, partition) in &poll.taken {
                let (id, generation_id) = (&poll.member_id, poll.generation_id);
                group.check_commit_of(id, generation_id, topic_id, *partition)?;
            }
            group.touch(&poll.member_id, context);
            Ok(())
        };
        let step = || {
            let (checked, _) = group::step(&group_id, |stored, context| match stored {
                Some(group) => check(group, context),
                None => Err(KafkaError::UnknownMemberId {
                    group_id: group_id.clone(),
                    member_id: poll.member_id.clone(),
                }),
            });
            checked
        };
        let checked = group::check_commit(&group_id, &poll.member_id, check).unwrap_or_else(step);
        if !poll.taken.is_empty() {
            crate::raise::ok(checked);
        }
    }
}

/// Before prepare: what is prepared commits when nobody can judge it any more.
pub(super) fn before_prepare() {
    if POLLED.with_borrow(|polled| !polled.is_empty()) {
        pgrx::ereport!(
            ERROR,
            pgrx::PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "cannot prepare a transaction that has called kafka.poll"
        );
    }
}

/// After the end of the transaction.
pub(super) fn forget() {
    POLLED.with_borrow_mut(BTreeMap::clear);
}
