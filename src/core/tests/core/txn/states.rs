//! What each state answers to each request.

use kafka_core::code;

use super::*;

/// What an end is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ends,
    Repeated,
    InvalidState,
    Fenced,
}

use Answer::{Ends, Fenced, InvalidState, Repeated};

fn answer(result: Result<Option<Ended>, KafkaError>) -> Answer {
    match result {
        Ok(Some(_)) => Ends,
        Ok(None) => Repeated,
        Err(KafkaError::InvalidTxnState { .. }) => InvalidState,
        Err(KafkaError::ProducerFenced { .. }) => Fenced,
        Err(other) => panic!("{other:?}"),
    }
}

/// Of each state: commit and abort by version 1, by version 2, and by version 2 in the name
/// of the epoch before.
const ENDS: [(State, [Answer; 6]); 4] = [
    (
        State::Empty,
        [
            InvalidState,
            InvalidState,
            InvalidState,
            Ends,
            Fenced,
            Fenced,
        ],
    ),
    (State::Ongoing, [Ends, Ends, Ends, Ends, Fenced, Fenced]),
    (
        State::CompleteCommit,
        [
            Repeated,
            InvalidState,
            InvalidState,
            Ends,
            Repeated,
            InvalidState,
        ],
    ),
    (
        State::CompleteAbort,
        [
            InvalidState,
            Repeated,
            InvalidState,
            Ends,
            InvalidState,
            Repeated,
        ],
    ),
];

#[test]
fn ending() {
    for (state, answers) in ENDS {
        let requests = [(Version::V1, 5), (Version::V2, 5), (Version::V2, 4)]
            .into_iter()
            .flat_map(|(version, epoch)| {
                [Outcome::Commit, Outcome::Abort].map(|outcome| (version, epoch, outcome))
            });
        for ((version, epoch, outcome), expected) in requests.zip(answers) {
            let mut transaction = in_state(state);
            let result = end(&mut transaction, producer(ID, epoch), outcome, version);
            assert_eq!(
                answer(result),
                expected,
                "{state:?} {version:?} {epoch} {outcome:?}"
            );
        }
    }
}

#[test]
fn another_epoch_or_id_ends_nothing() {
    for state in State::ALL {
        for version in [Version::V1, Version::V2] {
            for outcome in [Outcome::Commit, Outcome::Abort] {
                for epoch in [i16::MIN, -1, 0, 3, 6, i16::MAX] {
                    let mut transaction = in_state(state);
                    let result = end(&mut transaction, producer(ID, epoch), outcome, version);
                    assert_eq!(answer(result), Fenced, "{state:?} {version:?} {epoch}");
                }
                let mut transaction = in_state(state);
                let error = end(&mut transaction, producer(ID + 1, 5), outcome, version);
                assert_eq!(error.unwrap_err().code(), code::INVALID_PRODUCER_ID_MAPPING);
            }
            // By version 1 the epoch before is as old as any.
            let mut transaction = in_state(state);
            let result = end(
                &mut transaction,
                producer(ID, 4),
                Outcome::Commit,
                Version::V1,
            );
            assert_eq!(answer(result), Fenced);
        }
    }
}

#[test]
fn an_end_names_all_that_was_added_and_takes_it_away() {
    for (version, marker_epoch) in [(Version::V1, 5), (Version::V2, 6)] {
        let mut transaction = ongoing(5);
        let sender = current(&transaction);
        transaction
            .add_partitions(sender, [P1, P0], version, START)
            .unwrap();
        let ended = end(&mut transaction, sender, Outcome::Commit, version).unwrap();
        assert_eq!(
            ended,
            Some(Ended {
                outcome: Outcome::Commit,
                producer: producer(ID, marker_epoch),
                partitions: [P0, P1].into(),
                group_ids: ["g".to_owned()].into(),
            })
        );
        assert_eq!(current(&transaction), producer(ID, marker_epoch));
        assert_eq!(transaction.state, State::CompleteCommit);
        assert!(transaction.partitions.is_empty() && transaction.group_ids.is_empty());
    }
}

/// By version 2 an abort is as good as another epoch.
#[test]
fn an_abort_of_nothing_gives_the_next_epoch() {
    for state in [State::Empty, State::CompleteCommit, State::CompleteAbort] {
        let mut transaction = in_state(state);
        let sender = current(&transaction);
        let ended = end(&mut transaction, sender, Outcome::Abort, Version::V2).unwrap();
        let ended = ended.unwrap();
        assert_eq!(ended.producer, producer(ID, 6), "{state:?}");
        assert!(ended.partitions.is_empty() && ended.group_ids.is_empty());
        assert_eq!(current(&transaction), producer(ID, 6), "{state:?}");
        assert_eq!(transaction.state, State::CompleteAbort, "{state:?}");
    }
}

#[test]
fn partitions_and_groups_begin_a_transaction() {
    for state in State::ALL {
        for version in [Version::V1, Version::V2] {
            let mut by_partition = in_state(state);
            let mut by_group = by_partition.clone();
            let sender = current(&by_partition);
            let now = START + 10;
            by_partition
                .add_partitions(sender, [P1], version, now)
                .unwrap();
            by_group.add_group(sender, "h", version, now).unwrap();
            for transaction in [&by_partition, &by_group] {
                let began = if state == State::Ongoing { START } else { now };
                assert_eq!(transaction.state, State::Ongoing);
                assert_eq!(transaction.started_at, began, "{state:?}");
                assert_eq!(transaction.updated_at, now);
                assert_eq!(transaction.version, version);
            }
            assert!(by_partition.partitions.contains(&P1));
            assert!(by_group.group_ids.contains("h"));
        }
    }
}

#[test]
fn what_is_part_of_the_transaction_already_changes_nothing() {
    let mut transaction = ongoing(5);
    let before = transaction.clone();
    let sender = current(&transaction);
    let now = START + 10;
    transaction
        .add_partitions(sender, [P0], Version::V2, now)
        .unwrap();
    transaction
        .add_group(sender, "g", Version::V2, now)
        .unwrap();
    for version in [Version::V1, Version::V2] {
        transaction.produce(sender, P0, version, now).unwrap();
        transaction
            .commit_offsets(sender, "g", version, now)
            .unwrap();
    }
    transaction.verify_partition(sender, P0).unwrap();
    assert_eq!(transaction, before);
}

/// By version 1 what is written to must have been added, by version 2 it is added then.
#[test]
fn writing() {
    for state in State::ALL {
        let before = in_state(state);
        let sender = current(&before);
        let mut v1 = before.clone();
        for error in [
            v1.verify_partition(sender, P1),
            v1.produce(sender, P1, Version::V1, START),
            v1.commit_offsets(sender, "h", Version::V1, START),
        ] {
            assert_eq!(error.unwrap_err().code(), code::TRANSACTION_ABORTABLE);
        }
        assert_eq!(v1, before, "{state:?}");

        let mut v2 = before;
        v2.produce(sender, P1, Version::V2, START).unwrap();
        v2.commit_offsets(sender, "h", Version::V2, START).unwrap();
        assert_eq!(v2.state, State::Ongoing);
        assert!(v2.partitions.contains(&P1) && v2.group_ids.contains("h"));
        v2.verify_partition(sender, P1).unwrap();
    }
}

/// Writers are told in another way than the rest that they are fenced.
#[test]
fn another_epoch_or_id_writes_nothing() {
    for state in State::ALL {
        let mut transaction = in_state(state);
        let before = transaction.clone();
        let fenced = [code::PRODUCER_FENCED, code::INVALID_PRODUCER_EPOCH];
        let mapping = [code::INVALID_PRODUCER_ID_MAPPING; 2];
        let senders = [
            (producer(ID, 4), fenced),
            (producer(ID, 6), fenced),
            (producer(ID - 1, 5), mapping),
            (producer(-1, -1), mapping),
        ];
        for (sender, [as_other, as_writer]) in senders {
            for version in [Version::V1, Version::V2] {
                let t = &mut transaction;
                let others = [
                    t.add_partitions(sender, [P0], version, START),
                    t.add_group(sender, "g", version, START),
                    t.verify_partition(sender, P0),
                ];
                let writers = [
                    t.produce(sender, P0, version, START),
                    t.commit_offsets(sender, "g", version, START),
                ];
                for error in others {
                    assert_eq!(error.unwrap_err().code(), as_other, "{state:?} {sender:?}");
                }
                for error in writers {
                    assert_eq!(error.unwrap_err().code(), as_writer, "{state:?} {sender:?}");
                }
            }
        }
        assert_eq!(transaction, before);
    }
}

#[test]
fn an_open_transaction_times_out() {
    let deadline = START + i64::from(TIMEOUT);
    for state in State::ALL {
        let mut transaction = in_state(state);
        let before = transaction.clone();
        assert_eq!(transaction.time_out(no_id, deadline), None);
        assert_eq!(transaction, before);
        let is_open = state == State::Ongoing;
        let late = deadline + 1;
        assert_eq!(transaction.timed_out(late), is_open);
        let ended = transaction.time_out(no_id, late);
        assert_eq!(ended.is_some(), is_open, "{state:?}");
        if !is_open {
            assert_eq!(transaction, before);
            continue;
        }
        let ended = ended.unwrap();
        assert_eq!(ended.outcome, Outcome::Abort);
        assert_eq!(ended.producer, producer(ID, 6));
        assert_eq!(ended.partitions, [P0].into());
        assert_eq!(transaction.state, State::CompleteAbort);
        assert_eq!(transaction.updated_at, late);
    }
}

#[test]
fn the_longest_timeout_is_none() {
    let mut transaction = ongoing(5);
    transaction.timeout_ms = i32::MAX;
    assert!(!transaction.timed_out(i64::MAX));
    transaction.timeout_ms -= 1;
    assert!(transaction.timed_out(i64::MAX));
}

#[test]
fn only_what_nobody_uses_expires() {
    for state in State::ALL {
        let transaction = in_state(state);
        assert!(!transaction.is_expired(1000, START + 999), "{state:?}");
        assert_eq!(
            transaction.is_expired(1000, START + 1000),
            state != State::Ongoing
        );
    }
}

#[test]
fn an_initialization_aborts_what_is_open() {
    for state in State::ALL {
        let mut transaction = in_state(state);
        let now = START + 10;
        let (ended, result) = transaction.init(1000, None, no_id, now);
        result.unwrap();
        let mut epoch = 6;
        if state == State::Ongoing {
            let ended = ended.unwrap();
            assert_eq!(ended.outcome, Outcome::Abort);
            assert_eq!(ended.producer, producer(ID, 6));
            assert_eq!(ended.partitions, [P0].into());
            assert_eq!(ended.group_ids, ["g".to_owned()].into());
            epoch = 7;
        } else {
            assert_eq!(ended, None);
        }
        assert_eq!(current(&transaction), producer(ID, epoch));
        assert_eq!(transaction.state, State::Empty);
        assert_eq!(transaction.timeout_ms, 1000);
        assert_eq!((transaction.started_at, transaction.updated_at), (-1, now));
    }
}
