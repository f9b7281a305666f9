//! Transactions of producers (KIP-98): who may write in the name of a transactional id,
//! and which partitions and groups its open transaction has.
//!
//! A step takes the [`Transaction`], a request and the time, and leaves it as it is to be
//! written; where it has ended the open transaction it returns what must be written in the
//! partitions with it ([`Ended`]). State, markers and offsets are written together, so of
//! Kafka's states those on the way to an end (`PrepareCommit`, `PrepareAbort`,
//! `PrepareEpochFence`) do not occur; `Dead` is a transaction that is no longer stored.
//!
//! By transaction version 2 (KIP-890) the producer gets another epoch with each
//! transaction, so that nothing of an older one can slip in, and partitions and groups
//! become part of a transaction when they are first written to. By version 1 the epoch
//! stays and they are added beforehand.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeSet;

use crate::error::KafkaError;
use crate::marker::Outcome;
use crate::offsets::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_TIMESTAMP};

/// The last epoch that a producer gets: the one behind it is kept for fencing it.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// Number of a topic, and of its partition.
pub type TopicPartition = (i32, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No transaction since the producer was initialized. Partitions and groups begin one.
    /// There is nothing to commit. By version 2 an abort leads to `CompleteAbort` and to the
    /// next epoch, as a producer may not know whether it has begun anything; by version 1
    /// there is nothing to abort either.
    Empty,
    /// The transaction is open, and takes in partitions and groups. Ending it leads to one
    /// of the next, its timeout to `CompleteAbort`, and so does a new producer of the same
    /// transactional id, on its way to `Empty`.
    Ongoing,
    /// As `Empty`, but a repeated commit changes nothing. By version 2 the epoch tells a
    /// repeated request from a new one, which is refused.
    CompleteCommit,
    /// As `Empty`, but a repeated abort changes nothing. By version 2 the epoch tells a
    /// repeated request from a new one, which gives the next epoch.
    CompleteAbort,
}

impl State {
    pub const ALL: [Self; 4] = [
        Self::Empty,
        Self::Ongoing,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// Which rules a request follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V1,
    /// KIP-890.
    V2,
}

impl Version {
    pub fn number(self) -> i16 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl TryFrom<i16> for Version {
    type Error = KafkaError;

    /// # Errors
    /// [`KafkaError::InvalidRequest`]
    fn try_from(number: i16) -> Result<Self, KafkaError> {
        match number {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            other => Err(KafkaError::InvalidRequest {
                reason: format!("transaction_version is 1 or 2, not {other}"),
            }),
        }
    }
}

/// A producer id and its epoch, as a request names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

/// What is kept of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub transactional_id: String,
    pub producer_id: i64,
    /// -1 until the producer is initialized for the first time.
    pub producer_epoch: i16,
    /// Producer id before the last change, by which a repeated request is known where the
    /// change was another id; -1 for none.
    pub previous_producer_id: i64,
    /// Epoch before the last one was given, which a producer that goes on may still name
    /// (the answer may have been lost); -1 where nobody may.
    pub last_producer_epoch: i16,
    pub timeout_ms: i32,
    pub state: State,
    /// Of the last request that names one, or [`Version::V2`] where the server has aborted.
    pub version: Version,
    /// When the last transaction began, in epoch milliseconds; -1 for none.
    pub started_at: i64,
    /// When the state last changed, in epoch milliseconds.
    pub updated_at: i64,
    /// Partitions of the open transaction.
    pub partitions: BTreeSet<TopicPartition>,
    /// Groups of which the open transaction may commit offsets.
    pub group_ids: BTreeSet<String>,
}

/// A transaction that has ended: markers of this producer and epoch go into the
/// partitions, and the offsets of the groups hold or are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub outcome: Outcome,
    pub producer: Producer,
    pub partitions: BTreeSet<TopicPartition>,
    pub group_ids: BTreeSet<String>,
}

impl Transaction {
    /// A transactional id that is seen for the first time; to be initialized.
    pub fn new(transactional_id: &str, producer_id: i64, timeout_ms: i32, now: i64) -> Self {
        Self {
            transactional_id: transactional_id.to_owned(),
            producer_id,
            producer_epoch: NO_PRODUCER_EPOCH,
            previous_producer_id: NO_PRODUCER_ID,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: State::Empty,
            version: Version::V1,
            started_at: NO_TIMESTAMP,
            updated_at: now,
            partitions: BTreeSet::new(),
            group_ids: BTreeSet::new(),
        }
    }

    /// Begins a producer: gives it the next epoch, or another id where the epochs are used
    /// up, and aborts what is open. `going_on` is what a producer has that goes on after an
    /// error (KIP-360). An error may follow an abort.
    ///
    /// # Errors
    /// [`KafkaError::ProducerFenced`] where `going_on` is not the newest.
    pub fn init(
        &mut self,
        timeout_ms: i32,
        going_on: Option<Producer>,
        mut new_producer_id: impl FnMut() -> i64,
        now: i64,
    ) -> (Option<Ended>, Result<(), KafkaError>) {
        if let Err(error) = self.check_going_on(going_on) {
            return (None, Err(error));
        }
        let ended = self.abort(&mut new_producer_id, now);
        let next = self.next_epoch(going_on, new_producer_id);
        if next.is_ok() {
            self.timeout_ms = timeout_ms;
            self.state = State::Empty;
            self.started_at = NO_TIMESTAMP;
            self.updated_at = now;
        }
        (ended, next)
    }

    /// The id before may be named where its epochs were used up: the answer that told the
    /// new one may have been lost.
    fn check_going_on(&self, going_on: Option<Producer>) -> Result<(), KafkaError> {
        let Some(producer) = going_on else {
            return Ok(());
        };
        if self.producer_epoch == NO_PRODUCER_EPOCH
            || producer.id == self.producer_id
            || producer.id == self.previous_producer_id && producer.epoch >= LAST_EPOCH
        {
            return Ok(());
        }
        Err(self.fenced(producer))
    }

    fn next_epoch(
        &mut self,
        going_on: Option<Producer>,
        new_producer_id: impl FnOnce() -> i64,
    ) -> Result<(), KafkaError> {
        // Once more, as an abort may just have used up the epochs.
        self.check_going_on(going_on)?;
        let current = self.producer_epoch;
        let id = self.producer_id;
        if current >= LAST_EPOCH && going_on.is_none_or(|producer| producer.epoch == current) {
            self.previous_producer_id = id;
            self.producer_id = new_producer_id();
            self.last_producer_epoch = going_on.map_or(NO_PRODUCER_EPOCH, |_| current);
            self.producer_epoch = 0;
            return Ok(());
        }
        match going_on {
            None => self.last_producer_epoch = NO_PRODUCER_EPOCH,
            Some(producer) if current == NO_PRODUCER_EPOCH || producer.epoch == current => {
                self.last_producer_epoch = current;
            }
            // The same request once more, or the producer has not heard that the server
            // aborted its transaction.
            Some(producer) if producer.epoch == self.last_producer_epoch => {
                self.previous_producer_id = id;
                return Ok(());
            }
            Some(producer) => return Err(self.fenced(producer)),
        }
        self.previous_producer_id = id;
        self.producer_epoch = current.saturating_add(1);
        Ok(())
    }

    /// Makes partitions part of the transaction, which begins with the first.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerIdMapping`], [`KafkaError::ProducerFenced`]
    pub fn add_partitions(
        &mut self,
        producer: Producer,
        partitions: impl IntoIterator<Item = TopicPartition>,
        version: Version,
        now: i64,
    ) -> Result<(), KafkaError> {
        self.check_producer(producer)?;
        let before = self.partitions.len();
        self.partitions.extend(partitions);
        self.begin(before != self.partitions.len(), version, now);
        Ok(())
    }

    /// Lets the transaction commit offsets of a group; it begins with that if need be.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerIdMapping`], [`KafkaError::ProducerFenced`]
    pub fn add_group(
        &mut self,
        producer: Producer,
        group_id: &str,
        version: Version,
        now: i64,
    ) -> Result<(), KafkaError> {
        self.check_producer(producer)?;
        let added = self.group_ids.insert(group_id.to_owned());
        self.begin(added, version, now);
        Ok(())
    }

    fn begin(&mut self, added: bool, version: Version, now: i64) {
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            self.started_at = now;
        } else if !added {
            return;
        }
        self.previous_producer_id = self.producer_id;
        self.version = version;
        self.updated_at = now;
    }

    /// Whether the partition is part of the open transaction.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerIdMapping`], [`KafkaError::ProducerFenced`],
    /// [`KafkaError::TransactionAbortable`]
    pub fn verify_partition(
        &self,
        producer: Producer,
        partition: TopicPartition,
    ) -> Result<(), KafkaError> {
        self.check_producer(producer)?;
        if self.partitions.contains(&partition) {
            return Ok(());
        }
        Err(self.abortable("the partition is not part of the transaction"))
    }

    /// Whether a batch may be written in the transaction; by version 2 the partition
    /// becomes part of it.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerIdMapping`], [`KafkaError::InvalidProducerEpoch`] (what
    /// producers expect here instead of being fenced), [`KafkaError::TransactionAbortable`]
    pub fn produce(
        &mut self,
        producer: Producer,
        partition: TopicPartition,
        version: Version,
        now: i64,
    ) -> Result<(), KafkaError> {
        match version {
            Version::V1 => self.verify_partition(producer, partition),
            Version::V2 => self.add_partitions(producer, [partition], version, now),
        }
        .map_err(|error| as_writer(error, producer))
    }

    /// Whether offsets of a group may be committed in the transaction; by version 2 the
    /// group becomes part of it.
    ///
    /// # Errors
    /// As [`produce`](Self::produce).
    pub fn commit_offsets(
        &mut self,
        producer: Producer,
        group_id: &str,
        version: Version,
        now: i64,
    ) -> Result<(), KafkaError> {
        let result = match version {
            Version::V1 => self.check_producer(producer).and_then(|()| {
                if self.group_ids.contains(group_id) {
                    return Ok(());
                }
                Err(self.abortable("the group is not part of the transaction"))
            }),
            Version::V2 => self.add_group(producer, group_id, version, now),
        };
        result.map_err(|error| as_writer(error, producer))
    }

    /// Ends the transaction. None where that was done already and the request is only
    /// repeated.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerIdMapping`], [`KafkaError::ProducerFenced`],
    /// [`KafkaError::InvalidTxnState`] where there is nothing to end in this way.
    pub fn end(
        &mut self,
        producer: Producer,
        outcome: Outcome,
        version: Version,
        new_producer_id: impl FnOnce() -> i64,
        now: i64,
    ) -> Result<Option<Ended>, KafkaError> {
        let repeated = version == Version::V2 && self.was_before(producer);
        if !repeated {
            self.check_producer(producer)?;
        } else if matches!(self.state, State::Empty | State::Ongoing) {
            return Err(self.fenced(producer));
        }
        // By version 1 a repeated request looks like a new one.
        let as_before = repeated || version == Version::V1;
        let nothing_to_abort = version == Version::V2 && outcome == Outcome::Abort && !repeated;
        match (self.state, outcome) {
            (State::Ongoing, _) => {}
            (State::CompleteCommit, Outcome::Commit) | (State::CompleteAbort, Outcome::Abort)
                if as_before =>
            {
                return Ok(None);
            }
            // Nothing is open: the abort gives the next epoch.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, _)
                if nothing_to_abort =>
            {
                self.started_at = now;
            }
            _ => return Err(self.nothing_to_end(outcome)),
        }
        Ok(Some(self.finish(outcome, version, new_producer_id, now)))
    }

    /// Whether this is the producer as it was before it got its newest epoch, or another id
    /// where the epochs were used up. By version 2 that happens when a transaction ends, so
    /// a request to end it that names them is repeated.
    fn was_before(&self, producer: Producer) -> bool {
        let next_epoch = self.producer_id == producer.id
            && producer.epoch.checked_add(1) == Some(self.producer_epoch);
        let next_id = self.previous_producer_id == producer.id
            && producer.epoch == LAST_EPOCH
            && self.producer_epoch == 0;
        next_epoch || next_id
    }

    /// Aborts the transaction if it has been open for too long, and fences its producer.
    pub fn time_out(&mut self, new_producer_id: impl FnOnce() -> i64, now: i64) -> Option<Ended> {
        if !self.timed_out(now) {
            return None;
        }
        self.abort(new_producer_id, now)
    }

    /// Whether the transaction has been open for too long. The longest timeout is none: it
    /// is that of transactions which others decide about (KIP-939).
    pub fn timed_out(&self, now: i64) -> bool {
        let deadline = self.started_at.saturating_add(i64::from(self.timeout_ms));
        self.state == State::Ongoing && self.timeout_ms != i32::MAX && deadline < now
    }

    /// Aborts the transaction, if one is open, and fences its producer: by the next epoch,
    /// or by another id where the epochs are used up.
    pub fn abort(&mut self, new_producer_id: impl FnOnce() -> i64, now: i64) -> Option<Ended> {
        (self.state == State::Ongoing)
            .then(|| self.finish(Outcome::Abort, Version::V2, new_producer_id, now))
    }

    /// Whether nobody has used the transactional id for so long that it can be forgotten.
    pub fn is_expired(&self, expiration_ms: i64, now: i64) -> bool {
        self.state != State::Ongoing && self.updated_at.saturating_add(expiration_ms) <= now
    }

    fn finish(
        &mut self,
        outcome: Outcome,
        version: Version,
        new_producer_id: impl FnOnce() -> i64,
        now: i64,
    ) -> Ended {
        let mut producer = Producer {
            id: self.producer_id,
            epoch: self.producer_epoch,
        };
        self.previous_producer_id = producer.id;
        if version == Version::V2 {
            // The markers have the next epoch, so that partitions refuse the one before.
            producer.epoch = producer.epoch.saturating_add(1);
            self.last_producer_epoch = self.producer_epoch;
            if self.producer_epoch >= LAST_EPOCH {
                self.producer_id = new_producer_id();
                self.producer_epoch = 0;
            } else {
                self.producer_epoch = producer.epoch;
            }
        }
        self.state = match outcome {
            Outcome::Commit => State::CompleteCommit,
            Outcome::Abort => State::CompleteAbort,
        };
        self.version = version;
        self.updated_at = now;
        Ended {
            outcome,
            producer,
            partitions: std::mem::take(&mut self.partitions),
            group_ids: std::mem::take(&mut self.group_ids),
        }
    }

    fn check_producer(&self, producer: Producer) -> Result<(), KafkaError> {
        if producer.id != self.producer_id {
            return Err(mapping(&self.transactional_id, producer));
        }
        if producer.epoch != self.producer_epoch {
            return Err(self.fenced(producer));
        }
        Ok(())
    }

    fn fenced(&self, producer: Producer) -> KafkaError {
        KafkaError::ProducerFenced {
            transactional_id: self.transactional_id.clone(),
            current: self.producer_epoch,
            found: producer.epoch,
        }
    }

    fn abortable(&self, reason: &str) -> KafkaError {
        KafkaError::TransactionAbortable {
            transactional_id: self.transactional_id.clone(),
            reason: reason.to_owned(),
        }
    }

    fn nothing_to_end(&self, outcome: Outcome) -> KafkaError {
        let what = match outcome {
            Outcome::Commit => "committed",
            Outcome::Abort => "aborted",
        };
        KafkaError::InvalidTxnState {
            reason: format!("in state {} nothing can be {what}", self.state.name()),
        }
    }
}

/// What a call is told that names a transactional id which is not known.
pub fn mapping(transactional_id: &str, producer: Producer) -> KafkaError {
    KafkaError::InvalidProducerIdMapping {
        transactional_id: transactional_id.to_owned(),
        producer_id: producer.id,
    }
}

fn as_writer(error: KafkaError, producer: Producer) -> KafkaError {
    match error {
        KafkaError::ProducerFenced { current, found, .. } => KafkaError::InvalidProducerEpoch {
            producer_id: producer.id,
            current,
            found,
        },
        other => other,
    }
}
