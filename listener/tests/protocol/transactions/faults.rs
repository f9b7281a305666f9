//! Producers that try again, while what is behind the listener dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kafka_core::code;

use super::{NEW, OLD, Producer, init};
use crate::common::{Env, Raw, eventually};

/// What all producers try again at, when it is about a transaction, and about a partition.
const AGAIN: [i16; 2] = [
    code::COORDINATOR_NOT_AVAILABLE,
    code::CONCURRENT_TRANSACTIONS,
];
const AGAIN_PRODUCING: [i16; 2] = [code::NOT_LEADER_OR_FOLLOWER, code::REQUEST_TIMED_OUT];

/// Asks again for as long as a producer would.
fn persist(again: &[i16], mut ask: impl FnMut() -> i16) {
    let mut told = code::NONE;
    eventually("an answer that is none to try again at", || {
        told = ask();
        !again.contains(&told)
    });
    assert_eq!(told, code::NONE);
}

/// One transaction of two records.
fn transact(raw: &mut Raw, producer: &mut Producer, first: i32, value: &str, committed: bool) {
    let versions = producer.versions;
    let partitions = [("faults", 0)];
    if !versions.is_new() {
        persist(&AGAIN, || {
            producer.add(raw, versions.add_partitions, &partitions)[0]
        });
    }
    for sequence in [first, first + 1] {
        let batches = [(0, producer.batch(sequence, &[value]))];
        persist(&AGAIN_PRODUCING, || {
            producer.produce_in(raw, versions.produce, "faults", &batches)[0].error_code
        });
    }
    let mut next = producer.epoch;
    persist(&AGAIN, || {
        let (told, _, epoch) = producer.end_in(raw, versions.end, committed);
        next = epoch;
        told
    });
    if versions.is_new() {
        assert_eq!(next, producer.epoch + 1);
        producer.epoch = next;
    }
}

/// What the test and its producers tell each other.
#[derive(Default)]
struct Progress {
    end: AtomicBool,
    committed: AtomicUsize,
}

/// The values that it has committed, until it is told to end.
fn keep_transacting(raw: &mut Raw, mut producer: Producer, progress: &Progress) -> Vec<String> {
    let is_new = producer.versions.is_new();
    let mut committed = Vec::new();
    for number in 0.. {
        if progress.end.load(Ordering::Relaxed) {
            break;
        }
        let value = format!("{} {number}", producer.transactional_id);
        let first = if is_new { 0 } else { 2 * number };
        let commits = number % 4 != 3;
        transact(raw, &mut producer, first, &value, commits);
        if commits {
            committed.push(value);
            progress.committed.fetch_add(1, Ordering::Relaxed);
        }
    }
    committed
}

#[test]
fn each_transaction_is_committed_once_whatever_dies() {
    let env = Env::own("", &[]);
    env.create_topic("faults", 1);
    let progress = Arc::new(Progress::default());
    let producers: Vec<_> = (0..4)
        .map(|number| {
            let mut raw = env.raw();
            let progress = Arc::clone(&progress);
            let versions = if number % 2 == 0 { OLD } else { NEW };
            let producer = Producer::new(&mut raw, versions, &format!("faults-{number}"));
            std::thread::spawn(move || keep_transacting(&mut raw, producer, &progress))
        })
        .collect();
    for round in 0..3 {
        let sql = env.sql();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            sql.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name LIKE 'pg_kafka_listener%'",
            );
        }
        if round < 2 {
            env.cluster.stop("immediate").unwrap();
            env.cluster.start().unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    eventually("enough transactions", || {
        progress.committed.load(Ordering::Relaxed) > 20
    });
    progress.end.store(true, Ordering::Relaxed);
    let committed = producers.into_iter().map(|p| p.join().unwrap());
    let mut expected: Vec<String> = committed.flatten().flat_map(|v| [v.clone(), v]).collect();
    expected.sort();
    let rows = env.sql().rows(
        "SELECT convert_from(value, 'UTF8') \
         FROM kafka.fetch('faults', 0, 0, 1000000, isolation => 'read_committed')",
    );
    let mut read: Vec<String> = rows
        .iter()
        .map(|row| row.get(0).unwrap().to_owned())
        .collect();
    read.sort();
    assert_eq!(read, expected);
}

#[test]
fn without_the_database_producers_are_told_to_try_again() {
    let env = Env::own("", &[]);
    env.create_topic("away", 1);
    let mut raw = env.raw();
    let producer = Producer::new(&mut raw, NEW, "away");
    producer.send(&mut raw, "away", 0, &["a"]);
    env.cluster.stop("fast").unwrap();
    let again = code::COORDINATOR_NOT_AVAILABLE;
    let current = Some((producer.producer_id, producer.epoch));
    assert_eq!(init(&mut raw, 5, "away", current), (again, -1, -1));
    assert_eq!(producer.add(&mut raw, 3, &[("away", 0)]), [again]);
    assert_eq!(producer.add_offsets(&mut raw, 4, "away"), again);
    let commits = [("away", 0, 1)];
    let told = super::offsets::commit(&producer, &mut raw, 5, "away", &commits);
    assert_eq!(told, [again]);
    assert_eq!(producer.end_in(&mut raw, 5, true), (again, -1, -1));
    env.cluster.start().unwrap();
    persist(&AGAIN, || producer.end_in(&mut raw, 5, true).0);
}
