//! Committed offsets: one row per group, topic and partition. Those of open transactions wait
//! in a table of their own.

use std::collections::BTreeSet;

use pgrx::datum::TimestampWithTimeZone;

use super::sql::{self, Param, param};
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

/// Writes a group's offsets in the order of their keys, so that two commits cannot wait for
/// each other.
pub(crate) fn commit(group_id: &str, offsets: &mut Vec<NewOffset<'_>>) {
    let arrays = arrays(offsets);
    sql::execute(
        "INSERT INTO kafka_log.consumer_offsets AS o
             (group_id, topic_number, partition, committed_offset, leader_epoch, metadata)
         SELECT $1, n.topic_number, n.partition, n.committed_offset, n.leader_epoch, n.metadata
         FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                         pg_catalog.unnest($5), pg_catalog.unnest($6))
              AS n (topic_number, partition, committed_offset, leader_epoch, metadata)
         ON CONFLICT (group_id, topic_number, partition) DO UPDATE
         SET committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch,
             metadata = excluded.metadata, committed_at = pg_catalog.now()",
        &[&[param(group_id)], &arrays[..]].concat(),
    );
}

/// Topic numbers, partitions, offsets, leader epochs and metadata, in the order of the keys.
fn arrays(offsets: &mut Vec<NewOffset<'_>>) -> [Param; 5] {
    offsets.sort_by_key(|new| (new.topic.number, new.partition));
    // The last one of several for one partition holds, as if they had come one by one.
    offsets.reverse();
    offsets.dedup_by_key(|new| (new.topic.number, new.partition));
    offsets.reverse();
    let topics: Vec<i32> = offsets.iter().map(|new| new.topic.number).collect();
    let partitions: Vec<i32> = offsets.iter().map(|new| new.partition).collect();
    let numbers: Vec<i64> = offsets.iter().map(|new| new.offset).collect();
    let epochs: Vec<Option<i32>> = offsets.iter().map(|new| new.leader_epoch).collect();
    let metadata: Vec<&str> = offsets.iter().map(|new| new.metadata).collect();
    [
        param(topics),
        param(partitions),
        param(numbers),
        param(epochs),
        param(metadata),
    ]
}

/// Writes offsets that hold when the producer's transaction commits.
pub(crate) fn commit_in_transaction(
    group_id: &str,
    producer_id: i64,
    offsets: &mut Vec<NewOffset<'_>>,
) {
    let arrays = arrays(offsets);
    sql::execute(
        "INSERT INTO kafka_log.transaction_offsets AS o
             (group_id, producer_id, topic_number, partition, committed_offset, leader_epoch, metadata)
         SELECT $1, $7, n.topic_number, n.partition, n.committed_offset, n.leader_epoch, n.metadata
         FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                         pg_catalog.unnest($5), pg_catalog.unnest($6))
              AS n (topic_number, partition, committed_offset, leader_epoch, metadata)
         ON CONFLICT (group_id, topic_number, partition, producer_id) DO UPDATE
         SET committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch,
             metadata = excluded.metadata",
        &[&[param(group_id)], &arrays[..], &[param(producer_id)]].concat(),
    );
}

/// Lets the offsets of a producer's transaction hold, or forgets them.
pub(super) fn end_transaction(producer_id: i64, group_ids: &[&str], committed: bool) {
    let params = [param(producer_id), param(group_ids.to_vec())];
    let text = if committed {
        "WITH ended AS (
             DELETE FROM kafka_log.transaction_offsets
             WHERE producer_id OPERATOR(pg_catalog.=) $1 AND group_id OPERATOR(pg_catalog.=) ANY ($2)
             RETURNING group_id, topic_number, partition, committed_offset, leader_epoch, metadata)
         INSERT INTO kafka_log.consumer_offsets AS o
             (group_id, topic_number, partition, committed_offset, leader_epoch, metadata)
         SELECT group_id, topic_number, partition, committed_offset, leader_epoch, metadata
         FROM ended ORDER BY group_id, topic_number, partition
         ON CONFLICT (group_id, topic_number, partition) DO UPDATE
         SET committed_offset = excluded.committed_offset, leader_epoch = excluded.leader_epoch,
             metadata = excluded.metadata, committed_at = pg_catalog.now()"
    } else {
        "DELETE FROM kafka_log.transaction_offsets
         WHERE producer_id OPERATOR(pg_catalog.=) $1 AND group_id OPERATOR(pg_catalog.=) ANY ($2)"
    };
    sql::execute(text, &params);
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
