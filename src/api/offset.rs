//! Committed offsets of groups.

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_core::error::KafkaError;
use pgrx::Uuid;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::Fault;
use super::group::{CommitKind, Member, check_member};
use crate::raise::ok;
use crate::store::offset::{self, Committed, NewOffset};
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::{group, server};

/// An offset as a call gives it.
pub(super) struct Wanted {
    topic: TopicRef,
    partition: i32,
    offset: i64,
    leader_epoch: Option<i32>,
    metadata: String,
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn commit_offset(
    group_id: Option<&str>,
    topic: Option<&str>,
    partition: Option<i32>,
    offset: Option<i64>,
    metadata: Option<&str>,
    leader_epoch: Option<i32>,
    member_id: Option<&str>,
    generation_id: Option<i32>,
) {
    server::require_writable(c"kafka.commit_offset()");
    let group_id = ok(super::required("group_id", group_id));
    let wanted = Wanted {
        topic: TopicRef::Name(ok(super::required("topic", topic)).to_owned()),
        partition: ok(super::required("partition", partition)),
        offset: ok(super::required("offset", offset)),
        leader_epoch,
        metadata: metadata.unwrap_or_default().to_owned(),
    };
    let member = Member::new(member_id, None, generation_id);
    for result in commit(group_id, &member, &[wanted], None) {
        ok(result);
    }
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn commit_offsets(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    offsets: Option<Vec<Option<i64>>>,
    leader_epochs: Option<Vec<Option<i32>>>,
    metadata: Option<Vec<Option<String>>>,
    member_id: Option<&str>,
    generation_id: Option<i32>,
    group_instance_id: Option<&str>,
    topic_ids: Option<Vec<Option<Uuid>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.commit_offsets()");
    let group_id = ok(super::required("group_id", group_id));
    let wanted = wanted(
        topics,
        topic_ids,
        partitions,
        offsets,
        leader_epochs,
        metadata,
    );
    let member = Member::new(member_id, group_instance_id, generation_id);
    TableIterator::new(super::verdicts(commit(group_id, &member, &wanted, None)))
}

/// The offsets that an array call gives.
pub(super) fn wanted(
    topics: Option<Vec<Option<String>>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    partitions: Option<Vec<Option<i32>>>,
    offsets: Option<Vec<Option<i64>>>,
    leader_epochs: Option<Vec<Option<i32>>>,
    metadata: Option<Vec<Option<String>>>,
) -> Vec<Wanted> {
    let partitions = ok(super::elements("partitions", partitions));
    let offsets = ok(super::elements("offsets", offsets));
    let count = partitions.len();
    let leader_epochs = leader_epochs.unwrap_or_else(|| vec![None; count]);
    let metadata = metadata.unwrap_or_else(|| vec![None; count]);
    ok(super::check_lengths(&[
        ("partitions", count),
        ("topics", topics.as_ref().map_or(count, Vec::len)),
        ("topic_ids", topic_ids.as_ref().map_or(count, Vec::len)),
        ("offsets", offsets.len()),
        ("leader_epochs", leader_epochs.len()),
        ("metadata", metadata.len()),
    ]));
    (0..count)
        .map(|i| Wanted {
            topic: ok(super::topic_ref(topics.as_deref(), topic_ids.as_deref(), i)),
            partition: partitions[i],
            offset: offsets[i],
            leader_epoch: leader_epochs[i].filter(|epoch| *epoch >= 0),
            metadata: metadata[i].clone().unwrap_or_default(),
        })
        .collect()
}

/// Commits what can be committed; a result for each. `producer_id`: of the transaction in
/// which that is done.
pub(super) fn commit(
    group_id: &str,
    member: &Member,
    wanted: &[Wanted],
    producer_id: Option<i64>,
) -> Vec<Result<(), KafkaError>> {
    let topics: Vec<Result<Rc<Topic>, KafkaError>> = wanted.iter().map(check).collect();
    let known = |(wanted, topic): (&Wanted, &Result<Rc<Topic>, KafkaError>)| {
        let topic = topic.as_ref().ok()?;
        Some((*topic.id.as_bytes(), wanted.partition))
    };
    let partitions: Vec<_> = wanted.iter().zip(&topics).filter_map(known).collect();
    // The empty group id is as good as any here, as in Kafka.
    let kind = match producer_id {
        None => CommitKind::Plain,
        Some(_) => CommitKind::Transactional,
    };
    let mut allowed = match check_member(group_id, member, &partitions, kind) {
        Ok(allowed) => allowed.into_iter(),
        Err(error) => return vec![Err(error); wanted.len()],
    };
    let checked: Vec<Result<Rc<Topic>, KafkaError>> = topics
        .into_iter()
        .map(|topic| {
            let topic = topic?;
            allowed.next().unwrap_or(Ok(()))?;
            Ok(topic)
        })
        .collect();
    let mut new: Vec<NewOffset<'_>> = wanted
        .iter()
        .zip(&checked)
        .filter_map(|(wanted, topic)| {
            Some(NewOffset {
                topic: topic.as_ref().ok()?,
                partition: wanted.partition,
                offset: wanted.offset,
                leader_epoch: wanted.leader_epoch,
                metadata: &wanted.metadata,
            })
        })
        .collect();
    match producer_id {
        _ if new.is_empty() => {}
        None => offset::commit(group_id, &mut new),
        Some(id) => offset::commit_in_transaction(group_id, id, &mut new),
    }
    checked.into_iter().map(|topic| topic.map(drop)).collect()
}

fn check(wanted: &Wanted) -> Result<Rc<Topic>, KafkaError> {
    let (size, limit) = (
        wanted.metadata.len(),
        crate::guc::offset_metadata_max_bytes(),
    );
    if size > limit {
        return Err(KafkaError::OffsetMetadataTooLarge { size, limit });
    }
    let topic = topic::find(&wanted.topic)?;
    topic.check_partition(wanted.partition)?;
    Ok(topic)
}

#[pg_extern(sql = false)]
fn committed_offset(group_id: &str, topic: &str, partition: i32) -> Option<i64> {
    let topic = ok(topic::find(&TopicRef::Name(topic.to_owned())));
    ok(topic.check_partition(partition));
    offset::one(group_id, &topic, partition)
}

type CommittedRow = (
    i32,
    i16,
    Option<String>,
    Option<String>,
    Option<Uuid>,
    i32,
    Option<i64>,
    Option<i32>,
    Option<String>,
    Option<TimestampWithTimeZone>,
);

#[pg_extern(sql = false)]
fn committed_offsets(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    member_id: Option<&str>,
    member_epoch: Option<i32>,
    require_stable: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(topic, Option<String>),
        name!(topic_id, Option<Uuid>),
        name!(partition, i32),
        name!(offset, Option<i64>),
        name!(leader_epoch, Option<i32>),
        name!(metadata, Option<String>),
        name!(committed_at, Option<TimestampWithTimeZone>),
    ),
> {
    let group_id = ok(super::required("group_id", group_id));
    // Whoever names no member may fetch, whatever the group is.
    if (member_id.is_some() || member_epoch.is_some())
        && let Some(group) = group::read(group_id)
    {
        ok(group.check_fetch(member_id, member_epoch));
    }
    // First what is about to change: whatever commits in between is then called unstable.
    let unstable = if require_stable.unwrap_or(false) {
        offset::unstable(group_id)
    } else {
        BTreeSet::new()
    };
    let found = offset::all(group_id);
    if topics.is_none() && topic_ids.is_none() {
        let rows: Vec<_> = (1..)
            .zip(found)
            .map(|(idx, c)| committed_row(idx, c))
            .map(|row| stable_row(group_id, &unstable, row))
            .collect();
        return TableIterator::new(rows);
    }
    let partitions = ok(super::elements("partitions", partitions));
    let count = partitions.len();
    ok(super::check_lengths(&[
        ("partitions", count),
        ("topics", topics.as_ref().map_or(count, Vec::len)),
        ("topic_ids", topic_ids.as_ref().map_or(count, Vec::len)),
    ]));
    let rows: Vec<CommittedRow> = (0..count)
        .map(|i| {
            let wanted = ok(super::topic_ref(topics.as_deref(), topic_ids.as_deref(), i));
            let is_it = |c: &Committed| {
                c.partition == partitions[i]
                    && match &wanted {
                        TopicRef::Name(name) => c.topic == *name,
                        TopicRef::Id(id) => c.topic_id.as_bytes() == id,
                    }
            };
            let row = match found.iter().find(|committed| is_it(committed)) {
                Some(committed) => committed_row(i as i32 + 1, committed.clone()),
                None => nothing_committed(i as i32 + 1, &wanted, partitions[i]),
            };
            stable_row(group_id, &unstable, row)
        })
        .collect();
    TableIterator::new(rows)
}

fn committed_row(idx: i32, committed: Committed) -> CommittedRow {
    (
        idx,
        0,
        None,
        Some(committed.topic),
        Some(committed.topic_id),
        committed.partition,
        Some(committed.offset),
        committed.leader_epoch,
        Some(committed.metadata),
        Some(committed.committed_at),
    )
}

/// The row, or that an open transaction is about to make it out of date.
fn stable_row(
    group_id: &str,
    unstable: &BTreeSet<(String, i32)>,
    row: CommittedRow,
) -> CommittedRow {
    let key = (row.3.clone().unwrap_or_default(), row.5);
    if !unstable.contains(&key) {
        return row;
    }
    let (idx, _, _, name, id, partition, ..) = row;
    let fault = Fault::from(&KafkaError::UnstableOffsetCommit {
        group_id: group_id.to_owned(),
        topic: key.0,
        partition,
    });
    (
        idx,
        fault.code,
        fault.message,
        name,
        id,
        partition,
        None,
        None,
        None,
        None,
    )
}

/// A topic asked for by name need not exist; an id that no topic has is a fault (KIP-516).
fn nothing_committed(idx: i32, wanted: &TopicRef, partition: i32) -> CommittedRow {
    let found = topic::find(wanted);
    let (fault, name, id) = match (wanted, &found) {
        (_, Ok(topic)) => (Fault::default(), Some(topic.name.clone()), Some(topic.id)),
        (TopicRef::Name(name), Err(_)) => (Fault::default(), Some(name.clone()), None),
        (TopicRef::Id(id), Err(error)) => (Fault::from(error), None, Some(Uuid::from_bytes(*id))),
    };
    (
        idx,
        fault.code,
        fault.message,
        name,
        id,
        partition,
        None,
        None,
        None,
        None,
    )
}

#[pg_extern(sql = false)]
fn delete_offsets(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.delete_offsets()");
    let group_id = ok(super::required("group_id", group_id));
    let topics = ok(super::elements("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    ok(super::check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
    ]));
    // Nobody may subscribe meanwhile.
    group::lock(group_id, group::GroupLock::Step);
    let group = ok(super::group::current(group_id));
    ok(group.check_offsets_can_be_deleted());
    let deleted = topics
        .into_iter()
        .zip(partitions)
        .map(|(name, partition)| delete(group_id, &group, &name, partition));
    TableIterator::new(super::verdicts(deleted))
}

fn delete(
    group_id: &str,
    group: &kafka_core::group::Group,
    name: &str,
    partition: i32,
) -> Result<(), KafkaError> {
    if group.is_subscribed(name) {
        return Err(KafkaError::GroupSubscribedToTopic {
            group_id: group_id.to_owned(),
            topic: name.to_owned(),
        });
    }
    let topic = topic::find(&TopicRef::Name(name.to_owned()))?;
    topic.check_partition(partition)?;
    offset::delete(group_id, &topic, partition);
    Ok(())
}
