//! What partitions know of producers: one row per (topic, partition, producer id) with the
//! epoch, the last batches and where an open transaction begins. The row is locked before
//! the partition lock is taken.
use std::ops::ControlFlow;

use kafka_core::producer::{PastBatch, ProducerState};
use pgrx::IntoDatum;
use pgrx::datum::TimestampWithTimeZone;

use super::rows::{self, Index, Key, Name, Place, Table};
use super::server;
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

impl ProducerKey {
    fn columns(self) -> [Key; 3] {
        [
            Key::int4(self.topic_number),
            Key::int4(self.partition),
            Key::int8(self.producer_id),
        ]
    }
}

/// A producer's row, locked to the end of the transaction.
pub(crate) struct Locked {
    /// None for a producer that has written nothing there. What is changed here is written
    /// by `save`.
    pub(crate) state: Option<ProducerState>,
    key: ProducerKey,
    place: Place,
}

/// `kafka_log.producers`
type Rows = Table<8>;

/// Epoch of a row that only serves as a lock, until its first batch is accepted.
const NO_EPOCH: i16 = -1;

/// Locks rows of producers and reads them, in the order of the keys, which must be ascending.
pub(crate) fn lock(keys: &[ProducerKey]) -> Vec<Locked> {
    if keys.is_empty() {
        return Vec::new();
    }
    let rows = Rows::write(Name::Producers);
    keys.iter().map(|key| lock_one(&rows, *key)).collect()
}

fn lock_one(rows: &Rows, key: ProducerKey) -> Locked {
    loop {
        if let Some((place, state)) = rows.lock(&key.columns(), from_row) {
            return Locked {
                state: Some(state).filter(|state| state.epoch != NO_EPOCH),
                key,
                place,
            };
        }
        // Nobody has made it, or somebody is about to, whom the statement waits for. What is
        // there then is locked next, or is gone again.
        sql::execute(
            "INSERT INTO kafka_log.producers (topic_number, partition, producer_id, producer_epoch, batches)
             VALUES ($1, $2, $3, -1, '{}') ON CONFLICT DO NOTHING",
            &[
                param(key.topic_number),
                param(key.partition),
                param(key.producer_id),
            ],
        );
    }
}

fn from_row(row: &Row) -> ProducerState {
    ProducerState {
        epoch: row.required(4),
        batches: unpack(&row.required::<Vec<i64>>(5)),
        coordinator_epoch: row.required(7),
        txn_first_offset: row.get(8),
    }
}

/// Writes the states of locked rows.
pub(crate) fn save(locked: impl IntoIterator<Item = Locked>) {
    let mut locked = locked.into_iter().peekable();
    if locked.peek().is_none() {
        return;
    }
    let mut rows = Rows::write(Name::Producers);
    let now = server::transaction_timestamp();
    for Locked { state, key, place } in locked {
        let state = state.unwrap_or_default();
        rows.update(
            place,
            &[
                key.topic_number.into_datum(),
                key.partition.into_datum(),
                key.producer_id.into_datum(),
                state.epoch.into_datum(),
                Some(rows::array(pack(&state.batches))),
                now.into_datum(),
                state.coordinator_epoch.into_datum(),
                state.txn_first_offset.into_datum(),
            ],
        );
    }
}

/// Where the first open transaction of the partition begins, by the index that has only
/// those; one producer's may be left out.
pub(super) fn first_open_offset(
    topic_number: i32,
    partition: i32,
    without: Option<i64>,
) -> Option<i64> {
    let mut found = None;
    Rows::read(Name::Producers).scan(
        Index::Named(Name::ProducersOpenTransactions),
        &[Key::int4(topic_number), Key::int4(partition)],
        |row| {
            if without == Some(row.required(3)) {
                return ControlFlow::Continue(());
            }
            found = row.get(8);
            ControlFlow::Break(())
        },
    );
    found
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
        "SELECT topic_number, partition, producer_id, producer_epoch, batches, updated_at,
             coordinator_epoch, txn_first_offset
         FROM kafka_log.producers
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND producer_epoch OPERATOR(pg_catalog.>=) 0
         ORDER BY producer_id",
        &[param(topic.number), param(partition)],
        |row| Described {
            producer_id: row.required(3),
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

/// Numbers that a stored batch is.
const NUMBERS: usize = 4;

/// Of each batch base sequence, last sequence, base offset, timestamp.
fn pack(batches: &[PastBatch]) -> impl Iterator<Item = i64> {
    batches.iter().flat_map(|b| {
        [
            i64::from(b.base_sequence),
            i64::from(b.last_sequence),
            b.base_offset,
            b.timestamp,
        ]
    })
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
