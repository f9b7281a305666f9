//! Membership in groups: join, sync, heartbeat, leave. These calls answer with Kafka's
//! error code instead of raising it: the codes are part of the conversation, and what the
//! call has changed in the group must not be rolled back with them. None of them waits.
mod consumer;
mod inspect;
mod join;
mod next;
mod sync;

use kafka_core::error::KafkaError;
use kafka_core::group::classic::Group as Classic;
use kafka_core::group::{Context, Group, TopicId};
use pgrx::Array;
use pgrx::prelude::*;

pub(super) use consumer::beat;
pub(super) use inspect::current;
pub(super) use join::{SESSION_TIMEOUT_MS, Said, join, new_join, sql_protocols};
pub(super) use sync::sync;

use super::Fault;
use crate::raise::ok;
use crate::store::group::{self, Heartbeat};
use crate::store::server;

/// Group ids are not empty; NUL cannot come this far.
pub(super) fn check_group_id(group_id: &str) -> Result<(), KafkaError> {
    if group_id.is_empty() {
        return Err(KafkaError::InvalidGroupId {
            reason: "it must not be empty".to_owned(),
        });
    }
    Ok(())
}

/// What a step came to: its answer, and the group as it is now.
pub(super) struct Step<T> {
    pub(super) reply: Result<T, KafkaError>,
    pub(super) group: Option<Group>,
    /// By which a change of the group can be waited for.
    pub(super) version: i64,
}

/// A step of a group. One that does not exist is an empty one, and stays none where the
/// step fails.
pub(super) fn step<T>(
    group_id: &str,
    work: impl FnOnce(&mut Group, &Context<'_>) -> Result<T, KafkaError>,
) -> Step<T> {
    let ((reply, group), version) = group::step(group_id, |stored, context| {
        let is_new = stored.is_none();
        let group = stored.get_or_insert_with(|| Group::Classic(Classic::new(group_id)));
        let reply = work(group, context);
        if is_new && reply.is_err() {
            *stored = None;
        }
        (reply, stored.clone())
    });
    Step {
        reply,
        group,
        version,
    }
}

/// Who commits, as a call says.
pub(super) struct Member {
    member_id: String,
    group_instance_id: Option<String>,
    generation_id: i32,
}

impl Member {
    pub(super) fn new(
        member_id: Option<&str>,
        group_instance_id: Option<&str>,
        generation_id: Option<i32>,
    ) -> Self {
        Self {
            member_id: member_id.unwrap_or_default().to_owned(),
            group_instance_id: given(group_instance_id),
            generation_id: generation_id.unwrap_or(-1),
        }
    }
}

/// How offsets are committed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitKind {
    Plain,
    /// In a producer's transaction.
    Transactional,
}

/// Whether this member may commit offsets, now and to the end of the transaction; and an
/// answer for each of the partitions.
pub(super) fn check_member(
    group_id: &str,
    member: &Member,
    partitions: &[(TopicId, i32)],
    kind: CommitKind,
) -> Result<Vec<Result<(), KafkaError>>, KafkaError> {
    let check = |group: &mut Group, context: &Context<'_>| {
        let instance = member.group_instance_id.as_deref();
        let (id, generation) = (&member.member_id, member.generation_id);
        match kind {
            CommitKind::Plain => group.check_commit(id, instance, generation, context)?,
            CommitKind::Transactional => {
                group.check_txn_commit(id, instance, generation, context)?;
            }
        }
        let of = |(topic, partition): &(TopicId, i32)| match kind {
            CommitKind::Plain => group.check_commit_of(id, generation, topic, *partition),
            CommitKind::Transactional => {
                group.check_txn_commit_of(id, instance, generation, topic, *partition)
            }
        };
        Ok(partitions.iter().map(of).collect())
    };
    if let Some(result) = group::check_commit(group_id, &member.member_id, check) {
        return result;
    }
    // Only who is no member begins a group by committing.
    if member.generation_id >= 0 && group::read(group_id).is_none() {
        return Err(match kind {
            CommitKind::Plain => KafkaError::GroupIdNotFound {
                group_id: group_id.to_owned(),
            },
            CommitKind::Transactional => KafkaError::IllegalGeneration {
                group_id: group_id.to_owned(),
                current: -1,
                found: member.generation_id,
            },
        });
    }
    step(group_id, check).reply
}

/// Text from a client's or user's argument, where null and empty say the same.
fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A `bytea[]` argument that must not be null, nor any of its elements.
fn byteas(name: &str, array: Option<Array<'_, &[u8]>>) -> Result<Vec<Vec<u8>>, KafkaError> {
    let array = super::required(name, array)?;
    let elements = array
        .iter()
        .map(|bytes| bytes.map(<[u8]>::to_vec))
        .collect();
    super::elements(name, Some(elements))
}

/// From now to a time that a reply names, in milliseconds.
fn wait_ms(until: i64) -> i32 {
    let left = until.saturating_sub(server::now_ms());
    left.clamp(0, i64::from(i32::MAX)) as i32
}

#[pg_extern(sql = false)]
fn heartbeat(
    group_id: Option<&str>,
    generation_id: Option<i32>,
    member_id: Option<&str>,
    group_instance_id: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(state, Option<String>),
        name!(next, Option<String>),
    ),
> {
    server::require_writable(c"kafka.heartbeat()");
    let group_id = ok(super::required("group_id", group_id));
    let generation_id = ok(super::required("generation_id", generation_id));
    let member_id = ok(super::required("member_id", member_id));
    let instance = given(group_instance_id);
    let beat = step(group_id, |group, context| {
        group.heartbeat(member_id, instance.as_deref(), generation_id, context)
    });
    let fault = Fault::of(&beat.reply);
    let state = beat.group.map(|group| group.state_name().to_owned());
    let next = next::after_heartbeat(group_id, member_id, generation_id, &beat.reply);
    TableIterator::once((fault.code, fault.message, state, next))
}

#[pg_extern(sql = false)]
fn heartbeats(
    group_ids: Option<Vec<Option<String>>>,
    generation_ids: Option<Vec<Option<i32>>>,
    member_ids: Option<Vec<Option<String>>>,
    group_instance_ids: Option<Vec<Option<String>>>,
) -> TableIterator<'static, (name!(idx, i32), name!(error_code, Option<i16>))> {
    server::require_writable(c"kafka.heartbeats()");
    let groups = ok(super::elements("group_ids", group_ids));
    let generations = ok(super::elements("generation_ids", generation_ids));
    let members = ok(super::elements("member_ids", member_ids));
    let instances = group_instance_ids.unwrap_or_else(|| vec![None; groups.len()]);
    ok(super::check_lengths(&[
        ("group_ids", groups.len()),
        ("generation_ids", generations.len()),
        ("member_ids", members.len()),
        ("group_instance_ids", instances.len()),
    ]));
    let heartbeats: Vec<Heartbeat<'_>> = (0..groups.len())
        .map(|i| Heartbeat {
            group_id: &groups[i],
            member_id: &members[i],
            group_instance_id: instances[i].as_deref(),
            generation_id: generations[i],
        })
        .collect();
    let well = group::note_heartbeats(&heartbeats, server::now_ms());
    let rows: Vec<_> = (1..)
        .zip(well.into_iter().map(|well| well.then_some(0)))
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn leave_group(
    group_id: Option<&str>,
    member_ids: Option<Vec<Option<String>>>,
    group_instance_ids: Option<Vec<Option<String>>>,
    reasons: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(member_id, Option<String>),
    ),
> {
    server::require_writable(c"kafka.leave_group()");
    let group_id = ok(super::required("group_id", group_id));
    let members = ok(super::required("member_ids", member_ids));
    let instances = group_instance_ids.unwrap_or_else(|| vec![None; members.len()]);
    let reasons = reasons.unwrap_or_else(|| vec![None; members.len()]);
    ok(super::check_lengths(&[
        ("member_ids", members.len()),
        ("group_instance_ids", instances.len()),
        ("reasons", reasons.len()),
    ]));
    let rows: Vec<_> = (0..members.len())
        .map(|i| {
            let member = members[i].as_deref().unwrap_or_default();
            let left = leave(
                group_id,
                member,
                given(instances[i].as_deref()),
                reasons[i].as_deref(),
            );
            let fault = Fault::of(&left);
            (i as i32 + 1, fault.code, fault.message, left.ok())
        })
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn leave_group_member(group_id: &str, member_id: &str) {
    server::require_writable(c"kafka.leave_group()");
    ok(leave(group_id, member_id, None, None));
}

fn leave(
    group_id: &str,
    member_id: &str,
    instance: Option<String>,
    reason: Option<&str>,
) -> Result<String, KafkaError> {
    let left = step(group_id, |group, context| {
        group.leave(member_id, instance.as_deref(), reason, context)
    });
    left.reply
}
