//! Committed offsets: one row per group, topic and partition. Those of open transactions wait
//! in a table of their own.
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use pgrx::IntoDatum;
use pgrx::datum::TimestampWithTimeZone;

use super::rows::{Index, Key, Name, Table};
use super::server;
use super::sql::{self, Row, param};
use super::topic::Topic;

/// An offset on its way into the table.
pub(crate) struct NewOffset<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) metadata: &'a str,
}

/// An offset as it is stored.
#[derive(Clone)]
pub(crate) struct Committed {
    pub(crate) topic: String,
    pub(crate) topic_id: pgrx::Uuid,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) metadata: String,
    pub(crate) committed_at: TimestampWithTimeZone,
}

/// What is stored of an offset besides whose it is.
struct Entry {
    topic_number: i32,
    partition: i32,
    offset: i64,
    leader_epoch: Option<i32>,
    metadata: String,
}

/// Of `kafka_log.consumer_offsets` and of `kafka_log.transaction_offsets`.
const COLUMNS: usize = 7;
type Rows = Table<COLUMNS>;

/// Writes a group's offsets in the order of their keys, so that two commits cannot wait for
/// each other.
pub(crate) fn commit(group_id: &str, offsets: &mut Vec<NewOffset<'_>>) {
    write(group_id, &entries(offsets));
}

/// In the order of the keys.
fn entries(offsets: &mut Vec<NewOffset<'_>>) -> Vec<Entry> {
    offsets.sort_by_key(|new| (new.topic.number, new.partition));
    // The last one of several for one partition holds, as if they had come one by one.
    offsets.reverse();
    offsets.dedup_by_key(|new| (new.topic.number, new.partition));
    offsets.reverse();
    let entry = |new: &NewOffset<'_>| Entry {
        topic_number: new.topic.number,
        partition: new.partition,
        offset: new.offset,
        leader_epoch: new.leader_epoch,
        metadata: new.metadata.to_owned(),
    };
    offsets.iter().map(entry).collect()
}

fn write(group_id: &str, entries: &[Entry]) {
    let mut rows = Rows::write(Name::ConsumerOffsets);
    let now = server::transaction_timestamp();
    for entry in entries {
        let key = [
            Key::text(group_id),
            Key::int4(entry.topic_number),
            Key::int4(entry.partition),
        ];
        let Some((place, ())) = rows.lock(&key, |_| ()) else {
            write_first(group_id, entry);
            continue;
        };
        rows.update(
            place,
            &[
                group_id.into_datum(),
                entry.topic_number.into_datum(),
                entry.partition.into_datum(),
                entry.offset.into_datum(),
                entry.leader_epoch.into_datum(),
                entry.metadata.as_str().into_datum(),
                now.into_datum(),
            ],
        );
    }
}

/// The group's first offset of a partition. Somebody else may be about to commit one, too.
fn write_first(group_id: &str, entry: &Entry) {
    sql::execute(
        "INSERT INTO kafka_log.consumer_offsets AS o
             (group_id, topic_number, partition, committed_offset, leader_epoch, metadata)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (group_id, topic_number, partition) DO UPDATE
         SET committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch,
             metadata = excluded.metadata, committed_at = pg_catalog.now()",
        &[
            param(group_id),
            param(entry.topic_number),
            param(entry.partition),
            param(entry.offset),
            param(entry.leader_epoch),
            param(entry.metadata.as_str()),
        ],
    );
}

/// Writes offsets that hold when the producer's transaction commits. Nobody else makes such
/// rows while this transaction has the lock of the transactional id.
pub(crate) fn commit_in_transaction(
    group_id: &str,
    producer_id: i64,
    offsets: &mut Vec<NewOffset<'_>>,
) {
    let mut rows = Rows::write(Name::TransactionOffsets);
    for entry in entries(offsets) {
        let values = [
            group_id.into_datum(),
            entry.topic_number.into_datum(),
            entry.partition.into_datum(),
            producer_id.into_datum(),
            entry.offset.into_datum(),
            entry.leader_epoch.into_datum(),
            entry.metadata.as_str().into_datum(),
        ];
        let key = waiting_key(group_id, entry.topic_number, entry.partition, producer_id);
        match rows.lock(&key, |_| ()) {
            Some((place, ())) => rows.update(place, &values),
            None => rows.insert(&values),
        }
    }
}

fn waiting_key(group_id: &str, topic_number: i32, partition: i32, producer_id: i64) -> [Key; 4] {
    [
        Key::text(group_id),
        Key::int4(topic_number),
        Key::int4(partition),
        Key::int8(producer_id),
    ]
}

/// Lets the offsets of a producer's transaction hold, or forgets them. The groups are in
/// their order.
pub(super) fn end_transaction<'a>(
    producer_id: i64,
    group_ids: impl Iterator<Item = &'a str>,
    committed: bool,
) {
    let ended: Vec<(&str, Vec<Entry>)> = group_ids
        .map(|group_id| (group_id, take_waiting(group_id, producer_id)))
        .collect();
    if committed {
        for (group_id, entries) in ended {
            write(group_id, &entries);
        }
    }
}

/// Deletes what waits for the end of the producer's transaction and returns it, in the
/// order of the keys.
fn take_waiting(group_id: &str, producer_id: i64) -> Vec<Entry> {
    let mut rows = Rows::write(Name::TransactionOffsets);
    let mut keys = Vec::new();
    rows.scan(Index::PrimaryKey, &[Key::text(group_id)], |row| {
        if row.required::<i64>(4) == producer_id {
            keys.push((row.required(2), row.required(3)));
        }
        ControlFlow::Continue(())
    });
    let mut taken = Vec::with_capacity(keys.len());
    for (topic_number, partition) in keys {
        let key = waiting_key(group_id, topic_number, partition, producer_id);
        // None where the topic or the group was just deleted.
        if let Some((place, entry)) = rows.lock(&key, from_waiting) {
            rows.delete(place);
            taken.push(entry);
        }
    }
    taken
}

fn from_waiting(row: &Row) -> Entry {
    Entry {
        topic_number: row.required(2),
        partition: row.required(3),
        offset: row.required(5),
        leader_epoch: row.get(6),
        metadata: row.required(7),
    }
}

/// Topic and partition of the offsets that open transactions are about to commit.
pub(crate) fn unstable(group_id: &str) -> BTreeSet<(String, i32)> {
    sql::query(
        "SELECT t.topic, o.partition FROM kafka_log.transaction_offsets AS o
         JOIN kafka_log.topics AS t ON t.topic_number OPERATOR(pg_catalog.=) o.topic_number
         WHERE o.group_id OPERATOR(pg_catalog.=) $1",
        &[param(group_id)],
        |row| (row.required(1), row.required(2)),
    )
    .into_iter()
    .collect()
}

/// Everything that the group has committed, by topic and partition.
pub(crate) fn all(group_id: &str) -> Vec<Committed> {
    sql::query(
        "SELECT t.topic, t.topic_id, o.partition, o.committed_offset, o.leader_epoch, o.metadata, o.committed_at
         FROM kafka_log.consumer_offsets AS o
         JOIN kafka_log.topics AS t ON t.topic_number OPERATOR(pg_catalog.=) o.topic_number
         WHERE o.group_id OPERATOR(pg_catalog.=) $1 ORDER BY t.topic, o.partition",
        &[param(group_id)],
        |row| Committed {
            topic: row.required(1),
            topic_id: row.required(2),
            partition: row.required(3),
            offset: row.required(4),
            leader_epoch: row.get(5),
            metadata: row.required(6),
            committed_at: row.required(7),
        },
    )
}

/// The group's offset in a partition.
pub(crate) fn one(group_id: &str, topic: &Topic, partition: i32) -> Option<i64> {
    sql::query(
        "SELECT committed_offset FROM kafka_log.consumer_offsets
         WHERE group_id OPERATOR(pg_catalog.=) $1 AND topic_number OPERATOR(pg_catalog.=) $2
           AND partition OPERATOR(pg_catalog.=) $3",
        &[param(group_id), param(topic.number), param(partition)],
        |row| row.required(1),
    )
    .pop()
}

/// Forgets the group's offset in a partition.
pub(crate) fn delete(group_id: &str, topic: &Topic, partition: i32) {
    sql::execute(
        "DELETE FROM kafka_log.consumer_offsets
         WHERE group_id OPERATOR(pg_catalog.=) $1 AND topic_number OPERATOR(pg_catalog.=) $2
           AND partition OPERATOR(pg_catalog.=) $3",
        &[param(group_id), param(topic.number), param(partition)],
    );
}

/// Forgets offsets of groups that have had no members, and committed nothing, for so many
/// minutes; how many.
pub(crate) fn expire_of_empty_groups(retention_minutes: i32) -> i64 {
    sql::modify(
        "WITH expired AS (
             DELETE FROM kafka_log.consumer_offsets AS o USING kafka_log.groups AS g
             WHERE g.group_id OPERATOR(pg_catalog.=) o.group_id AND g.state OPERATOR(pg_catalog.=) 'Empty'
               AND NOT EXISTS (SELECT FROM kafka_log.transaction_offsets AS x WHERE x.group_id OPERATOR(pg_catalog.=) o.group_id)
               AND greatest(o.committed_at, g.changed_at) OPERATOR(pg_catalog.<)
                   (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $1))
             RETURNING 1)
         SELECT pg_catalog.count(*) FROM expired",
        &[param(retention_minutes)],
        |row| row.required(1),
    )
    .pop()
    .unwrap_or(0)
}

/// Groups with members, and topics of which they have offsets as old as that.
pub(crate) fn old_of_other_groups(retention_minutes: i32) -> Vec<(String, String)> {
    sql::query(
        "SELECT DISTINCT o.group_id, t.topic FROM kafka_log.consumer_offsets AS o
         JOIN kafka_log.topics AS t ON t.topic_number OPERATOR(pg_catalog.=) o.topic_number
         JOIN kafka_log.groups AS g ON g.group_id OPERATOR(pg_catalog.=) o.group_id
         WHERE g.state OPERATOR(pg_catalog.<>) 'Empty' AND o.committed_at OPERATOR(pg_catalog.<)
               (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $1))",
        &[param(retention_minutes)],
        |row| (row.required(1), row.required(2)),
    )
}

/// Forgets a group's offsets of a topic that are as old as that; how many.
pub(crate) fn expire_topic(group_id: &str, topic: &str, retention_minutes: i32) -> i64 {
    sql::modify(
        "WITH expired AS (
             DELETE FROM kafka_log.consumer_offsets AS o USING kafka_log.topics AS t
             WHERE t.topic_number OPERATOR(pg_catalog.=) o.topic_number
               AND o.group_id OPERATOR(pg_catalog.=) $1 AND t.topic OPERATOR(pg_catalog.=) $2
               AND o.committed_at OPERATOR(pg_catalog.<)
                   (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $3))
             RETURNING 1)
         SELECT pg_catalog.count(*) FROM expired",
        &[param(group_id), param(topic), param(retention_minutes)],
        |row| row.required(1),
    )
    .pop()
    .unwrap_or(0)
}
