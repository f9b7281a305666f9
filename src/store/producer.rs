//! What partitions know of producers: one row per (topic, partition, producer id) with the
//! epoch, the last batches and where an open transaction begins. The row is locked before
//! the partition lock is taken.
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

/// Locks the producer's row to the end of the transaction and reads it; None for a producer
/// that has written nothing here.
pub(crate) fn lock(key: ProducerKey) -> Option<ProducerState> {
    let locked = select_for_update(key).or_else(|| {
        sql::execute(
            "INSERT INTO kafka_log.producers (topic_number, partition, producer_id, producer_epoch, batches)
             VALUES ($1, $2, $3, -1, '{}') ON CONFLICT DO NOTHING",
            &params(key),
        );
        select_for_update(key)
    });
    locked.filter(|state| state.epoch != NO_EPOCH)
}

fn select_for_update(key: ProducerKey) -> Option<ProducerState> {
    sql::modify(
        "SELECT producer_epoch, batches, coordinator_epoch, txn_first_offset FROM kafka_log.producers
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_id OPERATOR(pg_catalog.=) $3 FOR UPDATE",
        &params(key),
        from_row,
    )
    .pop()
}

fn from_row(row: &Row) -> ProducerState {
    ProducerState {
        epoch: row.required(1),
        batches: unpack(&row.required::<Vec<i64>>(2)),
        coordinator_epoch: row.required(3),
        txn_first_offset: row.get(4),
    }
}

/// Writes the state of a locked row.
pub(crate) fn save(key: ProducerKey, state: &ProducerState) {
    let [topic, partition, producer] = params(key);
    sql::execute(
        "UPDATE kafka_log.producers
         SET producer_epoch = $4, batches = $5, coordinator_epoch = $6, txn_first_offset = $7, updated_at = pg_catalog.now()
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_id OPERATOR(pg_catalog.=) $3",
        &[
            topic,
            partition,
            producer,
            param(state.epoch),
            param(pack(&state.batches)),
            param(state.coordinator_epoch),
            param(state.txn_first_offset),
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

fn params(key: ProducerKey) -> [sql::Param; 3] {
    [
        param(key.topic_number),
        param(key.partition),
        param(key.producer_id),
    ]
}

/// Four numbers a batch: base sequence, last sequence, base offset, timestamp.
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
        .chunks_exact(4)
        .map(|b| PastBatch {
            base_sequence: b[0] as i32,
            last_sequence: b[1] as i32,
            base_offset: b[2],
            timestamp: b[3],
        })
        .collect()
}
