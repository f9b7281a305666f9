//! Transaction markers, byte for byte those of Kafka's `MemoryRecords` and
//! `EndTransactionMarker`.

use kafka_core::KafkaError;
use kafka_core::marker::{Outcome, marker};

use crate::support::{LIMITS, parse, unhex};

/// Each line of the table: the outcome, producer id, its epoch, the coordinator's epoch, the
/// time, and Kafka's batch.
#[test]
fn markers_are_kafkas() {
    let mut lines = 0;
    for line in include_str!("golden/java_markers.txt").lines() {
        let tokens: Vec<_> = line.split(' ').collect();
        let outcome = match tokens[0] {
            "commit" => Outcome::Commit,
            "abort" => Outcome::Abort,
            other => panic!("{other}"),
        };
        let bytes = marker(
            outcome,
            tokens[1].parse().unwrap(),
            tokens[2].parse().unwrap(),
            tokens[3].parse().unwrap(),
            tokens[4].parse().unwrap(),
        );
        assert_eq!(bytes, unhex(tokens[5]).unwrap(), "{line}");
        lines += 1;
    }
    assert_eq!(lines, 14);
}

#[test]
fn a_client_may_not_send_a_marker() {
    let bytes = marker(Outcome::Commit, 7, 3, 0, 1000);
    let batch = parse(&bytes);
    assert!(batch.is_control() && batch.is_transactional());
    assert!(matches!(
        batch.accept(LIMITS),
        Err(KafkaError::InvalidRecord { .. })
    ));
}
