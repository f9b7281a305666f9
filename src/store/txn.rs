//! Transactions of producers: rows of `kafka_log.transactions`, and what is written when one
//! ends. Everybody who changes the state of a transactional id, or writes in its name, has
//! its lock to the end of the transaction, so that nothing is appended to what is ended.
//!
//! Locks are taken in this order: of the log tables, of the transactional id, of a group,
//! rows of producers, partitions.
use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_core::ProducerState;
use kafka_core::error::KafkaError;
use kafka_core::marker::{Outcome, marker};
use kafka_core::txn::{Ended, State, Transaction, Version};
use pgrx::{IntoDatum, pg_sys};

use super::aborted::{self, AbortedTransaction};
use super::log::{self, LockMode, LogTable};
use super::offset;
use super::pending;
use super::producer::{self, ProducerKey};
use super::rows::{self, Key, Name, Place, Table, Value};
use super::server::{self, LockKind, lock_tag};
use super::sql::{self, Row, param};
use super::stable;
use super::topic::{self, Topic};

/// Of `kafka_log.transactions`.
const COLUMNS: usize = 13;
type Rows = Table<COLUMNS>;

/// A transactional id that this transaction has to itself.
pub(crate) struct Locked {
    /// None for one that is not known. What is changed here is written by `save`.
    pub(crate) transaction: Option<Transaction>,
    /// Epoch milliseconds.
    pub(crate) now: i64,
    before: Option<(Place, Transaction)>,
}

impl Locked {
    /// Waits for the lock. A transaction that has been open for too long is aborted.
    pub(crate) fn lock(transactional_id: &str) -> Self {
        server::lock(&transaction_lock(transactional_id), pg_sys::ExclusiveLock);
        Self::read(transactional_id)
    }

    /// None where somebody else has the lock.
    pub(crate) fn try_lock(transactional_id: &str) -> Option<Self> {
        server::try_lock(&transaction_lock(transactional_id)).then(|| Self::read(transactional_id))
    }

    fn read(transactional_id: &str) -> Self {
        let before = find(&Rows::write(Name::Transactions), transactional_id);
        let mut locked = Self {
            transaction: before.as_ref().map(|(_, transaction)| transaction.clone()),
            now: server::now_ms(),
            before,
        };
        let timed_out = locked
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.time_out(producer::next_producer_id, locked.now));
        if let Some(ended) = &timed_out {
            end(ended);
        }
        locked
    }

    /// Writes what has changed.
    pub(crate) fn save(self) {
        match (self.before, &self.transaction) {
            (None, Some(transaction)) => {
                Rows::write(Name::Transactions).insert(&values(transaction));
            }
            (Some((place, before)), Some(transaction)) if before != *transaction => {
                Rows::write(Name::Transactions).update(place, &values(transaction));
            }
            (Some((_, before)), None) => delete(&before.transactional_id),
            _ => {}
        }
    }
}

/// Changes a transactional id under its lock, writes it, and writes the end of a transaction
/// where `step` returns one.
pub(crate) fn step<T>(
    transactional_id: &str,
    step: impl FnOnce(&mut Option<Transaction>, i64) -> (Option<Ended>, T),
) -> T {
    let mut locked = Locked::lock(transactional_id);
    let (ended, result) = step(&mut locked.transaction, locked.now);
    locked.save();
    if let Some(ended) = &ended {
        end(ended);
    }
    result
}

fn transaction_lock(transactional_id: &str) -> pg_sys::LOCKTAG {
    let hash = kafka_core::partitioner::murmur2(transactional_id.as_bytes());
    lock_tag(hash as i32, 0, LockKind::Transaction)
}

/// Writes the markers into the partitions, and lets the offsets hold or forgets them.
/// Partitions of topics that were deleted meanwhile are left out.
fn end(ended: &Ended) {
    let mut open: BTreeMap<i32, (Rc<Topic>, LogTable)> = BTreeMap::new();
    for (number, _) in &ended.partitions {
        if !open.contains_key(number)
            && let Some(topic) = topic::numbered(*number)
            && let Ok(found) = topic::open(&topic, LockMode::Write)
        {
            open.insert(*number, found);
        }
    }
    let partitions = ended.partitions.iter();
    let keys: Vec<ProducerKey> = partitions
        .filter(|(number, _)| open.contains_key(number))
        .map(|(topic_number, partition)| ProducerKey {
            topic_number: *topic_number,
            partition: *partition,
            producer_id: ended.producer.id,
        })
        .collect();
    let coordinator_epoch = server::leader_epoch();
    let mut written = Vec::with_capacity(keys.len());
    for (key, mut locked) in keys.iter().zip(producer::lock(&keys)) {
        let state = locked.state.get_or_insert_default();
        // A newer marker was written by hand (`kafka.write_txn_markers`): it has ended this.
        if state.epoch > ended.producer.epoch {
            continue;
        }
        if let Some((topic, log)) = open.get(&key.topic_number) {
            let marker = Marker {
                outcome: ended.outcome,
                epoch: ended.producer.epoch,
                coordinator_epoch,
            };
            marker.append(topic, log, *key, state);
            written.push(locked);
        }
    }
    producer::save(written);
    let groups = ended.group_ids.iter().map(String::as_str);
    offset::end_transaction(ended.producer.id, groups, ended.outcome == Outcome::Commit);
}

/// A transaction marker, to be written into partitions.
#[derive(Clone, Copy)]
pub(crate) struct Marker {
    pub(crate) outcome: Outcome,
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
}

impl Marker {
    /// Writes it into one partition, whatever the producer's transaction is.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerEpoch`], [`KafkaError::TransactionCoordinatorFenced`]
    pub(crate) fn write(
        self,
        topic: &Topic,
        log: &LogTable,
        partition: i32,
        producer_id: i64,
    ) -> Result<(), KafkaError> {
        let key = ProducerKey {
            topic_number: topic.number,
            partition,
            producer_id,
        };
        let mut locked = producer::lock(&[key]);
        for producer in &mut locked {
            let state = producer.state.get_or_insert_default();
            state.check_marker(producer_id, self.epoch, self.coordinator_epoch)?;
            self.append(topic, log, key, state);
        }
        producer::save(locked);
        Ok(())
    }

    fn append(self, topic: &Topic, log: &LogTable, key: ProducerKey, state: &mut ProducerState) {
        let (partition, producer_id) = (key.partition, key.producer_id);
        let aborts = self.outcome == Outcome::Abort && state.txn_first_offset.is_some();
        // Of a transaction that has its own marker behind this one, and so is open when this
        // one is appended, either the high watermark knows, if it is fixed before, or this
        // look at open transactions, if it is taken after that and before the append.
        let last_stable_offset = aborts.then(|| {
            let watermarks = log::watermarks(topic, log, partition);
            stable::without(topic, partition, &watermarks, Some(producer_id))
        });
        let bytes = marker(
            self.outcome,
            producer_id,
            self.epoch,
            self.coordinator_epoch,
            server::now_ms(),
        );
        let offset = pending::append_built(topic, log, partition, &bytes);
        let first_offset = state.record_marker(self.epoch, self.coordinator_epoch);
        if let (Some(first_offset), Some(last_stable_offset)) = (first_offset, last_stable_offset) {
            let aborted = AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: offset,
            };
            aborted::insert(topic, partition, aborted, last_stable_offset);
        }
    }
}

/// Transactions that have been open for too long; never those with the longest timeout.
pub(crate) fn timed_out(now: i64) -> Vec<String> {
    sql::query(
        "SELECT transactional_id FROM kafka_log.transactions
         WHERE state OPERATOR(pg_catalog.=) 'Ongoing'
           AND timeout_ms OPERATOR(pg_catalog.<) 2147483647
           AND (started_at OPERATOR(pg_catalog.+) timeout_ms) OPERATOR(pg_catalog.<) $1",
        &[param(now)],
        |row| row.required(1),
    )
}

/// Transactional ids without an open transaction that nobody has used since.
pub(crate) fn unused_since(time: i64) -> Vec<String> {
    sql::query(
        "SELECT transactional_id FROM kafka_log.transactions
         WHERE state OPERATOR(pg_catalog.<>) 'Ongoing' AND updated_at OPERATOR(pg_catalog.<=) $1",
        &[param(time)],
        |row| row.required(1),
    )
}

/// What is kept of a transactional id, as it is now.
pub(crate) fn read(transactional_id: &str) -> Option<Transaction> {
    find(&Rows::read(Name::Transactions), transactional_id).map(|(_, transaction)| transaction)
}

/// Nobody else writes the row while this transaction has the lock of the transactional id.
fn find(rows: &Rows, transactional_id: &str) -> Option<(Place, Transaction)> {
    rows.find(&[Key::text(transactional_id)], from_row)
}

/// Every transactional id that is known, in order.
pub(crate) fn all() -> Vec<Transaction> {
    sql::query(
        "SELECT transactional_id, producer_id, producer_epoch, previous_producer_id,
             last_producer_epoch, timeout_ms, state, transaction_version, started_at, updated_at,
             topic_numbers, partitions, group_ids
         FROM kafka_log.transactions ORDER BY transactional_id",
        &[],
        from_row,
    )
}

fn from_row(row: &Row) -> Transaction {
    let topic_numbers: Vec<i32> = row.required(11);
    let partitions: Vec<i32> = row.required(12);
    let state: String = row.required(7);
    Transaction {
        transactional_id: row.required(1),
        producer_id: row.required(2),
        producer_epoch: row.required(3),
        previous_producer_id: row.required(4),
        last_producer_epoch: row.required(5),
        timeout_ms: row.required(6),
        state: State::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(State::Empty),
        version: crate::raise::ok(Version::try_from(row.required::<i16>(8))),
        started_at: row.required(9),
        updated_at: row.required(10),
        partitions: topic_numbers.into_iter().zip(partitions).collect(),
        group_ids: row.required::<Vec<String>>(13).into_iter().collect(),
    }
}

fn values(transaction: &Transaction) -> [Value; COLUMNS] {
    let partitions = || transaction.partitions.iter();
    [
        transaction.transactional_id.as_str().into_datum(),
        transaction.producer_id.into_datum(),
        transaction.producer_epoch.into_datum(),
        transaction.previous_producer_id.into_datum(),
        transaction.last_producer_epoch.into_datum(),
        transaction.timeout_ms.into_datum(),
        transaction.state.name().into_datum(),
        transaction.version.number().into_datum(),
        transaction.started_at.into_datum(),
        transaction.updated_at.into_datum(),
        Some(rows::array(
            partitions().map(|(topic_number, _)| *topic_number),
        )),
        Some(rows::array(partitions().map(|(_, partition)| *partition))),
        Some(rows::array(
            transaction.group_ids.iter().map(String::as_str),
        )),
    ]
}

fn delete(transactional_id: &str) {
    sql::execute(
        "DELETE FROM kafka_log.transactions WHERE transactional_id OPERATOR(pg_catalog.=) $1",
        &[param(transactional_id)],
    );
}
