//! What a partition knows of its producers (KIP-98, KIP-360): the epoch and the last five
//! batches decide whether a batch is appended, and an open transaction where readers stop.

use crate::error::KafkaError;
use crate::offsets::{NO_COORDINATOR_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};

/// How many batches are remembered: a client has at most five requests in flight.
pub const MAX_REMEMBERED_BATCHES: usize = 5;

/// What a partition remembers about one producer id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    pub epoch: i16,
    /// At most [`MAX_REMEMBERED_BATCHES`], oldest first.
    pub batches: Vec<PastBatch>,
    /// Of the last transaction marker, -1 before the first.
    pub coordinator_epoch: i32,
    /// Where the open transaction begins in the partition.
    pub txn_first_offset: Option<i64>,
}

/// One batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastBatch {
    pub base_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: i64,
    /// The batch's max timestamp, epoch milliseconds.
    pub timestamp: i64,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceVerdict {
    Append,
    /// The very batch is in the log: answer with its offset, append nothing.
    Duplicate(PastBatch),
}

impl Default for ProducerState {
    fn default() -> Self {
        Self {
            epoch: NO_PRODUCER_EPOCH,
            batches: Vec::new(),
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            txn_first_offset: None,
        }
    }
}

impl ProducerState {
    /// A batch of a producer whose transaction is open must be part of it.
    ///
    /// # Errors
    /// [`KafkaError::InvalidTxnState`]
    pub fn check_transactional(&self, transactional: bool) -> Result<(), KafkaError> {
        if transactional || self.txn_first_offset.is_none() {
            return Ok(());
        }
        Err(KafkaError::InvalidTxnState {
            reason: "the producer's transaction is open and the batch is not part of it".to_owned(),
        })
    }

    /// Notes that a transactional batch was appended.
    pub fn record_transactional(&mut self, base_offset: i64) {
        self.txn_first_offset.get_or_insert(base_offset);
    }

    /// Judges a transaction marker, which has no sequence number.
    ///
    /// # Errors
    /// [`KafkaError::InvalidProducerEpoch`], [`KafkaError::TransactionCoordinatorFenced`]
    pub fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), KafkaError> {
        if epoch < self.epoch {
            return Err(KafkaError::InvalidProducerEpoch {
                producer_id,
                current: self.epoch,
                found: epoch,
            });
        }
        if coordinator_epoch < self.coordinator_epoch {
            return Err(KafkaError::TransactionCoordinatorFenced {
                producer_id,
                current: self.coordinator_epoch,
                found: coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Remembers a transaction marker that was appended, and returns where the transaction
    /// began that it ended, if it had records here.
    pub fn record_marker(&mut self, epoch: i16, coordinator_epoch: i32) -> Option<i64> {
        self.enter_epoch(epoch);
        self.coordinator_epoch = coordinator_epoch;
        self.txn_first_offset.take()
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    /// Remembers a batch that was appended. A new epoch forgets the old one's batches.
    pub fn record_append(
        &mut self,
        epoch: i16,
        base_sequence: i32,
        record_count: i32,
        base_offset: i64,
        timestamp: i64,
    ) {
        self.enter_epoch(epoch);
        while self.batches.len() >= MAX_REMEMBERED_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(PastBatch {
            base_sequence,
            last_sequence: last_sequence(base_sequence, record_count),
            base_offset,
            timestamp,
        });
    }
}

/// The sequence number of a batch's last record; numbers wrap from 2^31-1 to 0.
pub fn last_sequence(base_sequence: i32, record_count: i32) -> i32 {
    if base_sequence < 0 {
        return NO_SEQUENCE;
    }
    let last = i64::from(base_sequence) + i64::from(record_count.max(1)) - 1;
    (last & i64::from(i32::MAX)) as i32
}

/// Judges the first batch in a transaction of version 2 (KIP-890), where the partition has
/// seen none of the producer: the epoch is new, so numbers begin at 0, and any other has
/// overtaken a batch that was lost. [`check_sequence`] would accept it.
///
/// # Errors
/// [`KafkaError::OutOfOrderSequence`]
pub fn check_first_sequence(
    state: Option<&ProducerState>,
    producer_id: i64,
    base_sequence: i32,
) -> Result<(), KafkaError> {
    if base_sequence == 0 || state.is_some_and(|state| !state.batches.is_empty()) {
        return Ok(());
    }
    Err(KafkaError::OutOfOrderSequence {
        producer_id,
        expected: 0,
        found: base_sequence,
    })
}

/// Judges a client's batch by what the partition remembers of its producer.
///
/// `state` is `None` for a producer id the partition has not seen or has forgotten: any
/// sequence number is then accepted (KIP-360), unless [`check_first_sequence`] applies. A
/// batch without a producer id is appended.
///
/// # Errors
/// [`KafkaError::InvalidProducerEpoch`] for an older epoch,
/// [`KafkaError::OutOfOrderSequence`] for a gap, an old batch no longer remembered, or a
/// new epoch that does not begin at 0.
pub fn check_sequence(
    state: Option<&ProducerState>,
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    record_count: i32,
) -> Result<SequenceVerdict, KafkaError> {
    let Some(state) = state else {
        return Ok(SequenceVerdict::Append);
    };
    if producer_id <= NO_PRODUCER_ID {
        return Ok(SequenceVerdict::Append);
    }
    let last = last_sequence(base_sequence, record_count);
    if state.epoch == epoch
        && let Some(past) = state
            .batches
            .iter()
            .find(|b| b.base_sequence == base_sequence && b.last_sequence == last)
    {
        return Ok(SequenceVerdict::Duplicate(*past));
    }
    if epoch < state.epoch {
        return Err(KafkaError::InvalidProducerEpoch {
            producer_id,
            current: state.epoch,
            found: epoch,
        });
    }
    let expected = if epoch == state.epoch {
        let newest = state
            .batches
            .last()
            .map_or(NO_SEQUENCE, |b| b.last_sequence);
        // From 2^31-1 the next number is 0, as it is from "none".
        newest.checked_add(1).unwrap_or(0)
    } else {
        0
    };
    if base_sequence == expected || state.epoch == NO_PRODUCER_EPOCH {
        Ok(SequenceVerdict::Append)
    } else {
        Err(KafkaError::OutOfOrderSequence {
            producer_id,
            expected,
            found: base_sequence,
        })
    }
}
