//! What partitions know of producers: one row per (topic, partition, producer id) with the
//! epoch, the last batches and where an open transaction begins. The row is locked before
//! the partition lock is taken.
use std::collections::BTreeMap;

use kafka_core::producer::{PastBatch, ProducerState};

use pgrx::datum::TimestampWithTimeZone;

use super::sql::{self, Row, param};
use super::topic::Topic;

/// What names a producer's state in a partition. Locked in this order, so that two calls
/// with several producers cannot wait for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ProducerKey {
    pub(crate) topic_number: i32,
    pub(crate) partition: i32,
    pub(crate) producer_id: i64,
}

/// Epoch of a row that only serves as a lock, until its first batch is accepted.
const NO_EPOCH: i16 = -1;

/// Locks rows of producers to the end of the transaction and reads them, in the order of the
/// keys, which must be ascending; None for a producer that has written nothing there.
pub(crate) fn lock(keys: &[ProducerKey]) -> Vec<Option<ProducerState>> {
    if keys.is_empty() {
        return Vec::new();
    }
    let mut locked = select_for_update(keys);
    let missing: Vec<ProducerKey> = keys
        .iter()
        .filter(|key| !locked.contains_key(key))
        .copied()
        .collect();
    if !missing.is_empty() {
        sql::execute(
            "INSERT INTO kafka_log.producers (topic_number, partition, producer_id, producer_epoch, batches)
             SELECT n.topic_number, n.partition, n.producer_id, -1, '{}'
             FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))
                  AS n (topic_number, partition, producer_id)
             ON CONFLICT DO NOTHING",
            &params(&missing),
        );
        locked.append(&mut select_for_update(&missing));
    }
    keys.iter()
        .map(|key| {
            let state = locked.remove(key);
            state.filter(|state| state.epoch != NO_EPOCH)
        })
        .collect()
}

/// One row after the other, so that they are locked in the order of the keys.
fn select_for_update(keys: &[ProducerKey]) -> BTreeMap<ProducerKey, ProducerState> {
    sql::modify(
        "SELECT p.producer_epoch, p.batches, p.coordinator_epoch, p.txn_first_offset,
             n.topic_number, n.partition, n.producer_id
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))
              AS n (topic_number, partition, producer_id)
         CROSS JOIN LATERAL (
             SELECT * FROM kafka_log.producers AS l
             WHERE l.topic_number OPERATOR(pg_catalog.=) n.topic_number
               AND l.partition OPERATOR(pg_catalog.=) n.partition
               AND l.producer_id OPERATOR(pg_catalog.=) n.producer_id FOR UPDATE) AS p",
        &params(keys),
        |row| {
            let key = ProducerKey {
                topic_number: row.required(5),
                partition: row.required(6),
                producer_id: row.required(7),
            };
            (key, from_row(row))
        },
    )
    .into_iter()
    .collect()
}

fn from_row(row: &Row) -> ProducerState {
    ProducerState {
        epoch: row.required(1),
        batches: unpack(&row.required::<Vec<i64>>(2)),
        coordinator_epoch: row.required(3),
        txn_first_offset: row.get(4),
    }
}

/// Writes the states of locked rows.
pub(crate) fn save(states: &[(ProducerKey, ProducerState)]) {
    if states.is_empty() {
        return;
    }
    let keys: Vec<ProducerKey> = states.iter().map(|(key, _)| *key).collect();
    let [topics, partitions, producers] = params(&keys);
    let states = || states.iter().map(|(_, state)| state);
    // Each row's batches are a part of one array: first and last place, from 1.
    let batches: Vec<i64> = states().flat_map(|state| pack(&state.batches)).collect();
    let mut end = 0;
    let (first, last): (Vec<i32>, Vec<i32>) = states()
        .map(|state| {
            let first = end + 1;
            end += (state.batches.len() * NUMBERS) as i32;
            (first, end)
        })
        .unzip();
    sql::execute(
        "UPDATE kafka_log.producers AS p
         SET producer_epoch = n.producer_epoch, batches = ($8)[n.first:n.last],
             coordinator_epoch = n.coordinator_epoch, txn_first_offset = n.txn_first_offset,
             updated_at = pg_catalog.now()
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                         pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($9))
              AS n (topic_number, partition, producer_id, producer_epoch, coordinator_epoch, txn_first_offset, first, last)
         WHERE p.topic_number OPERATOR(pg_catalog.=) n.topic_number
           AND p.partition OPERATOR(pg_catalog.=) n.partition
           AND p.producer_id OPERATOR(pg_catalog.=) n.producer_id",
        &[
            topics,
            partitions,
            producers,
            param(states().map(|state| state.epoch).collect::<Vec<_>>()),
            param(states().map(|state| state.coordinator_epoch).collect::<Vec<_>>()),
            param(states().map(|state| state.txn_first_offset).collect::<Vec<_>>()),
            param(first),
            param(batches),
            param(last),
        ],
    );
}

/// A new producer id, never given before.
pub(crate) fn next_producer_id() -> i64 {
    sql::modify(
        "SELECT pg_catalog.nextval('kafka_log.producer_id_seq')",
        &[],
        |row| row.required(1),
    )
    .pop()
    .unwrap_or_else(|| pgrx::error!("nextval returned nothing"))
}

/// A producer and what a partition knows of it.
pub(crate) struct Described {
    pub(crate) producer_id: i64,
    pub(crate) state: ProducerState,
    pub(crate) updated_at: TimestampWithTimeZone,
}

/// The producers that the partition remembers.
pub(crate) fn all_of(topic: &Topic, partition: i32) -> Vec<Described> {
    sql::query(
        "SELECT producer_epoch, batches, coordinator_epoch, txn_first_offset, producer_id, updated_at
         FROM kafka_log.producers
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_epoch OPERATOR(pg_catalog.>=) 0
         ORDER BY producer_id",
        &[param(topic.number), param(partition)],
        |row| Described {
            producer_id: row.required(5),
            state: from_row(row),
            updated_at: row.required(6),
        },
    )
}

/// Forgets producers that have written nothing for so many minutes and have no transaction
/// open; how many. Those that are at work are left for the next time.
pub(crate) fn expire(minutes: i32) -> i64 {
    sql::modify(
        "WITH expired AS (
             DELETE FROM kafka_log.producers AS p USING (
                 SELECT topic_number, partition, producer_id FROM kafka_log.producers
                 WHERE txn_first_offset IS NULL AND updated_at OPERATOR(pg_catalog.<)
                       (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => $1))
                 FOR UPDATE SKIP LOCKED) AS old
             WHERE p.topic_number OPERATOR(pg_catalog.=) old.topic_number
               AND p.partition OPERATOR(pg_catalog.=) old.partition
               AND p.producer_id OPERATOR(pg_catalog.=) old.producer_id
             RETURNING 1)
         SELECT pg_catalog.count(*) FROM expired",
        &[param(minutes)],
        |row| row.required(1),
    )
    .pop()
    .unwrap_or(0)
}

/// Topic numbers, partitions and producer ids.
fn params(keys: &[ProducerKey]) -> [sql::Param; 3] {
    [
        param(keys.iter().map(|key| key.topic_number).collect::<Vec<_>>()),
        param(keys.iter().map(|key| key.partition).collect::<Vec<_>>()),
        param(keys.iter().map(|key| key.producer_id).collect::<Vec<_>>()),
    ]
}

/// Numbers that a stored batch is.
const NUMBERS: usize = 4;

/// Of each batch base sequence, last sequence, base offset, timestamp.
fn pack(batches: &[PastBatch]) -> Vec<i64> {
    batches
        .iter()
        .flat_map(|b| {
            [
                i64::from(b.base_sequence),
                i64::from(b.last_sequence),
                b.base_offset,
                b.timestamp,
            ]
        })
        .collect()
}

fn unpack(numbers: &[i64]) -> Vec<PastBatch> {
    numbers
        .chunks_exact(NUMBERS)
        .map(|b| PastBatch {
            base_sequence: b[0] as i32,
            last_sequence: b[1] as i32,
            base_offset: b[2],
            timestamp: b[3],
        })
        .collect()
}
