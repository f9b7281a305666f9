//! Which epoch and producer id come next, and who may still go on with which (KIP-360).

use super::*;

const LAST: i16 = i16::MAX - 1;

fn fenced(result: &Result<Producer, KafkaError>) -> bool {
    matches!(result, Err(KafkaError::ProducerFenced { .. }))
}

#[test]
fn a_producer_that_goes_on_gets_the_next_epoch_once() {
    let mut transaction = in_state(State::CompleteAbort);
    let going_on = Some(producer(ID, 5));
    assert_eq!(init(&mut transaction, going_on), Ok(producer(ID, 6)));
    // The answer was lost.
    assert_eq!(init(&mut transaction, going_on), Ok(producer(ID, 6)));
    assert_eq!(init(&mut transaction, going_on), Ok(producer(ID, 6)));
    let older = init(&mut transaction, Some(producer(ID, 4)));
    assert!(fenced(&older));
}

#[test]
fn a_producer_that_goes_on_is_fenced_by_a_new_one() {
    let mut transaction = in_state(State::CompleteAbort);
    assert_eq!(init(&mut transaction, None), Ok(producer(ID, 6)));
    let before = transaction.clone();
    for epoch in [4, 5] {
        let result = init(&mut transaction, Some(producer(ID, epoch)));
        assert!(fenced(&result), "{epoch}");
    }
    assert_eq!(transaction, before);
}

#[test]
fn a_producer_goes_on_after_an_end_whose_answer_was_lost() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let mut transaction = ongoing(4);
        let sender = current(&transaction);
        end(&mut transaction, sender, outcome, Version::V2).unwrap();
        assert_eq!(init(&mut transaction, Some(sender)), Ok(producer(ID, 5)));
    }
}

/// Its transaction is aborted, and it gets the epoch that was given with that.
#[test]
fn a_producer_goes_on_with_its_transaction_open() {
    let mut transaction = ongoing(5);
    let sender = current(&transaction);
    let (ended, result) = transaction.init(TIMEOUT, Some(sender), no_id, START);
    result.unwrap();
    assert_eq!(ended.unwrap().producer, producer(ID, 6));
    assert_eq!(current(&transaction), producer(ID, 6));
    assert_eq!(transaction.state, State::Empty);
}

/// Who names an old epoch aborts what is open, as in Kafka, but gets nothing.
#[test]
fn an_old_epoch_is_refused_after_the_abort() {
    let mut transaction = ongoing(5);
    let old = Some(producer(ID, 4));
    let (ended, result) = transaction.init(TIMEOUT, old, no_id, START);
    assert!(matches!(result, Err(KafkaError::ProducerFenced { .. })));
    assert_eq!(ended.unwrap().producer, producer(ID, 6));
    assert_eq!(transaction.state, State::CompleteAbort);
}

#[test]
fn another_id_aborts_nothing() {
    let mut transaction = ongoing(5);
    let before = transaction.clone();
    for id in [-1, 0, ID - 1, ID + 1] {
        for epoch in [0, 5, LAST] {
            let (ended, result) =
                transaction.init(TIMEOUT, Some(producer(id, epoch)), no_id, START);
            assert!(matches!(result, Err(KafkaError::ProducerFenced { .. })));
            assert_eq!(ended, None);
            assert_eq!(transaction, before);
        }
    }
}

/// The transactional id was forgotten meanwhile.
#[test]
fn a_producer_that_is_not_known_goes_on_anew() {
    let mut transaction = Transaction::new("tx", ID, TIMEOUT, START);
    let unknown = Some(producer(7, 3));
    assert_eq!(init(&mut transaction, unknown), Ok(producer(ID, 0)));
    assert!(fenced(&init(&mut transaction, unknown)));
}

#[test]
fn a_timed_out_producer_is_fenced_from_writing_but_may_go_on() {
    let late = START + i64::from(TIMEOUT) + 1;
    let mut transaction = ongoing(5);
    let sender = current(&transaction);
    transaction.time_out(no_id, late).unwrap();
    let written = transaction.produce(sender, P0, Version::V2, late);
    assert!(matches!(
        written,
        Err(KafkaError::InvalidProducerEpoch {
            current: 6,
            found: 5,
            ..
        })
    ));
    let commit = end(&mut transaction, sender, Outcome::Commit, Version::V2);
    assert!(matches!(commit, Err(KafkaError::InvalidTxnState { .. })));
    // By version 2 its abort is as good as done, and tells it the epoch.
    let abort = end(&mut transaction, sender, Outcome::Abort, Version::V2);
    assert_eq!(abort, Ok(None));
    assert_eq!(init(&mut transaction, Some(sender)), Ok(producer(ID, 6)));
}

#[test]
fn another_id_is_given_at_the_end_where_the_epochs_are_used_up() {
    let mut transaction = ongoing(LAST);
    let sender = current(&transaction);
    let ended = end(&mut transaction, sender, Outcome::Commit, Version::V2).unwrap();
    assert_eq!(ended.unwrap().producer, producer(ID, i16::MAX));
    assert_eq!(current(&transaction), producer(NEXT_ID, 0));
    // The answer was lost.
    let repeated = end(&mut transaction, sender, Outcome::Commit, Version::V2);
    assert_eq!(repeated, Ok(None));
    let other = end(&mut transaction, sender, Outcome::Abort, Version::V2);
    assert!(matches!(other, Err(KafkaError::InvalidTxnState { .. })));
    assert_eq!(
        init(&mut transaction, Some(sender)),
        Ok(producer(NEXT_ID, 0))
    );
}

#[test]
fn by_version_1_the_last_epoch_is_used_on() {
    let mut transaction = ongoing(LAST);
    let sender = current(&transaction);
    let ended = transaction.end(sender, Outcome::Commit, Version::V1, no_id, START);
    assert_eq!(ended.unwrap().unwrap().producer, sender);
    assert_eq!(current(&transaction), sender);
}

#[test]
fn another_id_is_given_at_an_initialization_where_the_epochs_are_used_up() {
    for going_on in [None, Some(producer(ID, LAST))] {
        let mut transaction = initialized(LAST);
        assert_eq!(init(&mut transaction, going_on), Ok(producer(NEXT_ID, 0)));
        let old = init(&mut transaction, Some(producer(ID, LAST)));
        match going_on {
            // The same request once more.
            Some(_) => assert_eq!(old, Ok(producer(NEXT_ID, 0))),
            None => assert!(fenced(&old)),
        }
        let older = init(&mut transaction, Some(producer(ID, LAST - 1)));
        assert!(fenced(&older));
    }
}

/// The abort uses up the last epoch but one, or the last.
#[test]
fn an_abort_by_the_server_never_leaves_an_epoch_that_cannot_be_fenced() {
    let mut fenced_at_last = ongoing(LAST);
    let ended = fenced_at_last.abort(next_id, START).unwrap();
    assert_eq!(ended.producer, producer(ID, i16::MAX));
    assert_eq!(current(&fenced_at_last), producer(NEXT_ID, 0));
    let sender = producer(ID, LAST);
    let abort = end(&mut fenced_at_last, sender, Outcome::Abort, Version::V2);
    assert_eq!(abort, Ok(None));

    for (epoch, answer) in [
        (LAST - 2, producer(ID, LAST)),
        (LAST - 1, producer(NEXT_ID, 0)),
        (LAST, producer(NEXT_ID, 1)),
    ] {
        let mut transaction = ongoing(epoch);
        let (ended, result) = transaction.init(TIMEOUT, None, next_id, START);
        result.unwrap();
        assert_eq!(ended.unwrap().producer, producer(ID, epoch + 1));
        assert_eq!(current(&transaction), answer, "{epoch}");
    }
}

/// Epoch 0 of the old id is not epoch 0 of the new one.
#[test]
fn a_new_id_is_not_given_to_an_old_epoch_of_the_id_before() {
    let mut transaction = ongoing(LAST);
    let oldest = Some(producer(ID, 0));
    let (ended, result) = transaction.init(TIMEOUT, oldest, next_id, START);
    assert!(ended.is_some());
    assert!(matches!(result, Err(KafkaError::ProducerFenced { .. })));
    assert_eq!(current(&transaction), producer(NEXT_ID, 0));
}

#[test]
fn the_id_before_does_not_abort_the_transaction_of_the_new_one() {
    let mut transaction = initialized(LAST);
    init(&mut transaction, None).unwrap();
    let sender = current(&transaction);
    transaction
        .add_partitions(sender, [P0], Version::V2, START)
        .unwrap();
    let before = transaction.clone();
    let old = Some(producer(ID, LAST));
    let (ended, result) = transaction.init(TIMEOUT, old, no_id, START);
    assert!(matches!(result, Err(KafkaError::ProducerFenced { .. })));
    assert_eq!(ended, None);
    assert_eq!(transaction, before);
}
