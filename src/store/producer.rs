//! Idempotent producers: one row per (topic, partition, producer id) with its epoch and
//! its last batches. The row is locked before the partition lock is taken.
use kafka_core::producer::{PastBatch, ProducerState};

use super::sql::{self, param};

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
        "SELECT producer_epoch, batches FROM kafka_log.producers
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_id OPERATOR(pg_catalog.=) $3 FOR UPDATE",
        &params(key),
        |row| ProducerState {
            epoch: row.required(1),
            batches: unpack(&row.required::<Vec<i64>>(2)),
            ..ProducerState::default()
        },
    )
    .pop()
}

/// Writes the state of a locked row.
pub(crate) fn save(key: ProducerKey, state: &ProducerState) {
    let [topic, partition, producer] = params(key);
    sql::execute(
        "UPDATE kafka_log.producers SET producer_epoch = $4, batches = $5, updated_at = pg_catalog.now()
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_id OPERATOR(pg_catalog.=) $3",
        &[
            topic,
            partition,
            producer,
            param(state.epoch),
            param(pack(&state.batches)),
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
