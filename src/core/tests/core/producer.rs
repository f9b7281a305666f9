//! Sequence numbers and markers, judged as Kafka's `ProducerAppendInfo` and
//! `ProducerStateEntry` do.

use kafka_core::producer::last_sequence;
use kafka_core::{
    KafkaError, PastBatch, ProducerState, SequenceVerdict, check_first_sequence, check_sequence,
};

const ID: i64 = 7;

/// Each line of the table: epoch, base sequence, record count, and Kafka's answer; `new`
/// begins with an empty log.
#[test]
fn verdicts_are_kafkas() {
    let mut state = None;
    let mut lines = 0;
    for line in include_str!("golden/java_sequences.txt").lines() {
        if line == "new" {
            state = None;
            continue;
        }
        lines += 1;
        let tokens: Vec<_> = line.split(' ').collect();
        let epoch = tokens[0].parse().unwrap();
        let base_sequence = tokens[1].parse().unwrap();
        let record_count = tokens[2].parse().unwrap();
        let offset = tokens.get(4).map(|t| t.parse::<i64>().unwrap());
        let verdict = check_sequence(state.as_ref(), ID, epoch, base_sequence, record_count);
        match (tokens[3], verdict) {
            ("append", Ok(SequenceVerdict::Append)) => {
                state
                    .get_or_insert_with(ProducerState::default)
                    .record_append(epoch, base_sequence, record_count, offset.unwrap(), 0);
            }
            ("duplicate", Ok(SequenceVerdict::Duplicate(past))) => {
                assert_eq!(Some(past.base_offset), offset, "{line}");
            }
            ("invalid_epoch", Err(KafkaError::InvalidProducerEpoch { .. }))
            | ("out_of_order", Err(KafkaError::OutOfOrderSequence { .. })) => {}
            (_, verdict) => panic!("{line}: {verdict:?}"),
        }
    }
    assert_eq!(lines, 1000);
}

/// A partition's view of one producer, judged as by `ProducerStateManager`.
#[derive(Default)]
struct Partition {
    state: Option<ProducerState>,
    next_offset: i64,
}

impl Partition {
    /// `transactional`: the version of the batch's transaction, 0 for none.
    fn data(
        &mut self,
        epoch: i16,
        base_sequence: i32,
        record_count: i32,
        transactional: i16,
    ) -> Result<SequenceVerdict, KafkaError> {
        let state = self.state.as_ref();
        let verdict = check_sequence(state, ID, epoch, base_sequence, record_count)?;
        if verdict != SequenceVerdict::Append {
            return Ok(verdict);
        }
        if transactional == 2 {
            check_first_sequence(state, ID, base_sequence)?;
        }
        let state = self.state.get_or_insert_default();
        state.check_transactional(transactional > 0)?;
        state.record_append(epoch, base_sequence, record_count, self.next_offset, 0);
        if transactional > 0 {
            state.record_transactional(self.next_offset);
        }
        self.next_offset += i64::from(record_count);
        Ok(verdict)
    }

    fn marker(&mut self, epoch: i16, coordinator_epoch: i32) -> Result<Option<i64>, KafkaError> {
        let state = self.state.get_or_insert_default();
        state.check_marker(ID, epoch, coordinator_epoch)?;
        self.next_offset += 1;
        Ok(state.record_marker(epoch, coordinator_epoch))
    }

    /// Epoch, coordinator epoch, where the open transaction begins, remembered batches.
    fn summary(&self) -> String {
        let Some(state) = &self.state else {
            return "none".to_owned();
        };
        let first = or_dash(state.txn_first_offset);
        let (epoch, coordinator_epoch) = (state.epoch, state.coordinator_epoch);
        format!(
            "{epoch} {coordinator_epoch} {first} {}",
            state.batches.len()
        )
    }
}

fn or_dash(offset: Option<i64>) -> String {
    offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
}

/// Each line of the table: a batch (epoch, base sequence, record count, version of its
/// transaction) or a marker (epoch, coordinator epoch), Kafka's answer, and what the
/// partition remembers then; `new` begins with an empty log. Markers of version 2 have what
/// the coordinator makes sure of: a newer epoch than that of the transaction they end.
#[test]
fn transactions_in_a_partition_are_kafkas() {
    let mut partition = Partition::default();
    let mut lines = 0;
    for line in include_str!("golden/java_producers.txt").lines() {
        if line == "new" {
            partition = Partition {
                state: None,
                next_offset: 100,
            };
            continue;
        }
        lines += 1;
        let (step, summary) = line.split_once(" | ").unwrap();
        let tokens: Vec<_> = step.split(' ').collect();
        let number = |at: usize| tokens[at].parse::<i32>().unwrap();
        let epoch = number(1) as i16;
        let offset = partition.next_offset;
        let answer = if tokens[0] == "data" {
            let verdict = partition.data(epoch, number(2), number(3), number(4) as i16);
            verdict.map(|verdict| match verdict {
                SequenceVerdict::Append => format!("append {offset}"),
                SequenceVerdict::Duplicate(past) => format!("duplicate {}", past.base_offset),
            })
        } else {
            let first_offset = partition.marker(epoch, number(2));
            first_offset.map(|offset| format!("append {}", or_dash(offset)))
        };
        let answer = answer.unwrap_or_else(|error| {
            match error {
                KafkaError::InvalidProducerEpoch { .. } => "invalid_epoch",
                KafkaError::OutOfOrderSequence { .. } => "out_of_order",
                KafkaError::InvalidTxnState { .. } => "invalid_txn_state",
                KafkaError::TransactionCoordinatorFenced { .. } => "coordinator_fenced",
                other => panic!("{other:?}"),
            }
            .to_owned()
        });
        let expected = tokens[if tokens[0] == "data" { 5 } else { 3 }..].join(" ");
        assert_eq!(answer, expected, "{line}");
        assert_eq!(partition.summary(), summary, "{line}");
    }
    assert_eq!(lines, 2000);
}

#[test]
fn sequence_numbers_wrap() {
    assert_eq!(last_sequence(0, 1), 0);
    assert_eq!(last_sequence(i32::MAX, 1), i32::MAX);
    assert_eq!(last_sequence(i32::MAX, 2), 0);
    assert_eq!(last_sequence(i32::MAX - 1, 5), 2);
    assert_eq!(last_sequence(-1, 5), -1);
}

#[test]
fn a_duplicate_answers_the_old_offset_until_five_batches_later() {
    let mut state = ProducerState::default();
    for batch in 0..5 {
        state.record_append(0, batch * 10, 10, 1000 + i64::from(batch), 5);
    }
    assert_eq!(
        check_sequence(Some(&state), ID, 0, 0, 10).unwrap(),
        SequenceVerdict::Duplicate(PastBatch {
            base_sequence: 0,
            last_sequence: 9,
            base_offset: 1000,
            timestamp: 5
        })
    );
    state.record_append(0, 50, 10, 1005, 5);
    assert_eq!(state.batches.len(), 5);
    assert_eq!(
        check_sequence(Some(&state), ID, 0, 0, 10).unwrap_err(),
        KafkaError::OutOfOrderSequence {
            producer_id: ID,
            expected: 60,
            found: 0
        }
    );
}

#[test]
fn batches_without_a_producer_id_are_appended() {
    let mut state = ProducerState::default();
    state.record_append(3, 0, 10, 0, 0);
    let verdict = check_sequence(Some(&state), -1, -1, -1, 10);
    assert_eq!(verdict.unwrap(), SequenceVerdict::Append);
}
