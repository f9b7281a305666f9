//! Sequence numbers, judged as Kafka's `ProducerAppendInfo` and `ProducerStateEntry` do.

use kafka_core::producer::last_sequence;
use kafka_core::{KafkaError, PastBatch, ProducerState, SequenceVerdict, check_sequence};

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
