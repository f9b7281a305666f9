//! Transactions of producers, judged as Kafka's `TransactionCoordinator` and
//! `TransactionMetadata` do.

mod epochs;
mod golden;
mod hostile;
mod simulation;
mod states;

use kafka_core::KafkaError;
use kafka_core::marker::Outcome;
use kafka_core::txn::{Ended, Producer, State, Transaction, Version};

/// When the tests' producers begin, in epoch milliseconds.
const START: i64 = 1_000_000;
const TIMEOUT: i32 = 60_000;
const ID: i64 = 100;
/// The producer id that is given out next.
const NEXT_ID: i64 = 200;
const P0: (i32, i32) = (1, 0);
const P1: (i32, i32) = (1, 1);

fn producer(id: i64, epoch: i16) -> Producer {
    Producer { id, epoch }
}

fn current(transaction: &Transaction) -> Producer {
    producer(transaction.producer_id, transaction.producer_epoch)
}

fn next_id() -> i64 {
    NEXT_ID
}

/// Where no producer id must be used.
fn no_id() -> i64 {
    panic!("a producer id was taken")
}

/// A producer that was initialized, and then given `epoch`.
fn initialized(epoch: i16) -> Transaction {
    let mut transaction = Transaction::new("tx", ID, TIMEOUT, START);
    assert_eq!(init(&mut transaction, None), Ok(producer(ID, 0)));
    transaction.producer_epoch = epoch;
    transaction
}

/// The same with a transaction of `P0` and group `g`.
fn ongoing(epoch: i16) -> Transaction {
    let mut transaction = initialized(epoch);
    let sender = current(&transaction);
    transaction
        .add_partitions(sender, [P0], Version::V1, START)
        .unwrap();
    transaction
        .add_group(sender, "g", Version::V1, START)
        .unwrap();
    transaction
}

/// In each state with epoch 5, which is the next after 4 for all but the open one.
fn in_state(state: State) -> Transaction {
    let outcome = match state {
        State::Empty => return initialized(5),
        State::Ongoing => return ongoing(5),
        State::CompleteCommit => Outcome::Commit,
        State::CompleteAbort => Outcome::Abort,
    };
    let mut transaction = ongoing(4);
    end(&mut transaction, producer(ID, 4), outcome, Version::V2).unwrap();
    assert_eq!(transaction.state, state);
    assert_eq!(current(&transaction), producer(ID, 5));
    transaction
}

/// An initialization that aborts nothing.
fn init(transaction: &mut Transaction, going_on: Option<Producer>) -> Result<Producer, KafkaError> {
    let (ended, result) = transaction.init(TIMEOUT, going_on, next_id, START);
    assert_eq!(ended, None);
    result.map(|()| current(transaction))
}

/// Ends the transaction; a refused request and a repeated one change nothing.
fn end(
    transaction: &mut Transaction,
    sender: Producer,
    outcome: Outcome,
    version: Version,
) -> Result<Option<Ended>, KafkaError> {
    let before = transaction.clone();
    let answer = transaction.end(sender, outcome, version, next_id, START);
    if !matches!(answer, Ok(Some(_))) {
        assert_eq!(*transaction, before);
    }
    answer
}
