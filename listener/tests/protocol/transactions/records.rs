//! Records of transactions, and who sees them when.

use std::time::Duration;

use kafka_core::batch::split_batches;
use kafka_core::code;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, BrokerId, EndTxnRequest, FetchRequest, InitProducerIdRequest,
    ListOffsetsRequest, ProduceRequest,
};

use super::{NEW, OLD, OLDEST, Producer, Versions, compressed};
use crate::common::{Env, Raw, batch, name, produce_request};
use crate::fetch::{FetchOne, records};

/// High watermark, last stable offset, and for each batch its base offset and whether it
/// is a marker.
type Seen = (i64, i64, Vec<(i64, bool)>);

fn seen(found: &PartitionData) -> Seen {
    let batches = split_batches(records(found)).map(|batch| {
        let batch = batch.unwrap();
        (batch.base_offset(), batch.is_control())
    });
    (
        found.high_watermark,
        found.last_stable_offset,
        batches.collect(),
    )
}

/// Producer id and first offset.
fn aborted(found: &PartitionData) -> Option<Vec<(i64, i64)>> {
    let aborted = found.aborted_transactions.as_ref()?.iter();
    Some(aborted.map(|a| (*a.producer_id, a.first_offset)).collect())
}

fn fetch(raw: &mut Raw, topic: &'static str, offset: i64, isolation: i8) -> PartitionData {
    let found = FetchOne {
        isolation,
        ..FetchOne::new(topic, offset)
    }
    .ask(raw);
    assert_eq!(found.error_code, code::NONE);
    found
}

/// A committed transaction and an aborted one.
fn commit_and_abort(env: &Env, topic: &'static str, versions: Versions) {
    env.create_topic(topic, 1);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, versions, topic);
    assert_eq!(producer.send(&mut raw, topic, 0, &["a", "b"]), 0);
    // Open: there for those who read all, as it will be again.
    let open = fetch(&mut raw, topic, 0, 0);
    assert_eq!(seen(&open), (2, 0, vec![(0, false)]));
    assert_eq!(aborted(&open), None);
    let open = fetch(&mut raw, topic, 0, 1);
    assert_eq!(seen(&open), (2, 0, vec![]));
    assert_eq!(aborted(&open), Some(vec![]));
    producer.end(&mut raw, true);
    let committed = vec![(0, false), (2, true)];
    for isolation in [0, 1] {
        let found = fetch(&mut raw, topic, 0, isolation);
        assert_eq!(seen(&found), (3, 3, committed.clone()), "{versions:?}");
        assert_eq!(aborted(&found), (isolation == 1).then(Vec::new));
    }
    // Sequences go on, or begin again with the epoch.
    let sequence = if versions.is_new() { 0 } else { 2 };
    assert_eq!(producer.send(&mut raw, topic, sequence, &["c"]), 3);
    assert_eq!(producer.send(&mut raw, topic, sequence + 1, &["d"]), 4);
    producer.end(&mut raw, false);
    let all = vec![(0, false), (2, true), (3, false), (4, false), (5, true)];
    let found = fetch(&mut raw, topic, 0, 0);
    assert_eq!(
        (seen(&found), aborted(&found)),
        ((6, 6, all.clone()), None),
        "{versions:?}"
    );
    // The records are there, and so is the word to skip them.
    let found = fetch(&mut raw, topic, 0, 1);
    assert_eq!(seen(&found), (6, 6, all));
    assert_eq!(aborted(&found), Some(vec![(producer.producer_id, 3)]));
    let behind = fetch(&mut raw, topic, 6, 1);
    assert_eq!(aborted(&behind), Some(vec![]));
}

#[test]
fn transactions_are_committed_and_aborted_in_every_version() {
    let env = Env::shared();
    commit_and_abort(&env, "txn-oldest", OLDEST);
    commit_and_abort(&env, "txn-old", OLD);
    commit_and_abort(&env, "txn-new", NEW);
    let topics = ["txn-1", "txn-2", "txn-3", "txn-4"];
    for (version, topic) in (1..=4).zip(topics) {
        let versions = Versions {
            init: version,
            add_partitions: version.min(3),
            produce: 2 * version + 2,
            end: version,
            ..OLDEST
        };
        commit_and_abort(&env, topic, versions);
    }
}

#[test]
fn versions_differ_only_in_who_adds_the_partition() {
    let env = Env::shared();
    env.create_topic("txn-adding", 2);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, OLD, "txn-adding");
    let first = [(0, producer.batch(0, &["a"]))];
    for (version, told) in [
        (3, code::INVALID_TXN_STATE),
        (10, code::INVALID_TXN_STATE),
        (11, code::TRANSACTION_ABORTABLE),
    ] {
        let refused = producer.produce_in(&mut raw, version, "txn-adding", &first);
        assert_eq!((refused[0].error_code, refused[0].base_offset), (told, -1));
    }
    // What is refused beside it spoils nothing.
    assert_eq!(
        producer.add(&mut raw, 3, &[("txn-adding", 1)]),
        [code::NONE]
    );
    let both = [
        (0, producer.batch(0, &["a"])),
        (1, compressed(producer.fields(0))),
    ];
    let told = producer.produce_in(&mut raw, 11, "txn-adding", &both);
    assert_eq!(told[0].error_code, code::TRANSACTION_ABORTABLE);
    assert_eq!((told[1].error_code, told[1].base_offset), (0, 0));
    producer.end(&mut raw, true);
    assert_eq!(env.stored("txn-adding"), 100);
    let told = producer.produce_in(&mut raw, 12, "txn-adding", &first);
    assert_eq!(told[0].error_code, code::NONE);
    producer.versions = NEW;
    producer.end(&mut raw, true);
}

#[test]
fn a_batch_outside_of_its_producers_transaction_is_refused() {
    let env = Env::shared();
    env.create_topic("txn-outside", 1);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, NEW, "txn-outside");
    producer.send(&mut raw, "txn-outside", 0, &["a"]);
    let outside = kafka_core::builder::ProducerFields {
        transactional: false,
        ..producer.fields(1)
    };
    let outside = crate::common::idempotent_batch(&["b"], outside);
    let refused = producer.produce_in(&mut raw, 12, "txn-outside", &[(0, outside)]);
    assert_eq!(refused[0].error_code, code::INVALID_TXN_STATE);
    producer.end(&mut raw, true);
    // Without a producer's fields a request may name a transactional id for nothing.
    let plain = producer.produce_in(&mut raw, 12, "txn-outside", &[(0, batch(&["c"]))]);
    assert_eq!((plain[0].error_code, plain[0].base_offset), (0, 2));
}

#[test]
fn requests_of_one_connection_are_handled_in_their_order() {
    let env = Env::shared();
    env.create_topic("txn-order", 1);
    let mut raw = env.raw();
    let old = Producer::new(&mut raw, OLD, "txn-order-old");
    let new = Producer::new(&mut raw, NEW, "txn-order-new");
    // All are sent before the first is answered.
    raw.send(3, &old.add_request(&[("txn-order", 0)]));
    for sequence in 0..3 {
        let first = [(0, old.batch(sequence, &["old"]))];
        raw.send(11, &old.produce_request("txn-order", &first));
        let second = [(0, new.batch(sequence, &["new"]))];
        raw.send(12, &new.produce_request("txn-order", &second));
        raw.send(9, &produce_request("txn-order", -1, &[(0, batch(&["."]))]));
    }
    raw.send(4, &old.end_request(true));
    raw.send(5, &new.end_request(false));
    raw.send(5, &super::init_request("txn-order-new", None));

    let (_, added) = raw.receive_response::<AddPartitionsToTxnRequest>(3);
    assert_eq!(super::codes(&added.results_by_topic_v3_and_below), [0]);
    for offset in 0..9 {
        let version = [11, 12, 9][offset as usize % 3];
        let (_, produced) = raw.receive_response::<ProduceRequest>(version);
        let produced = &produced.responses[0].partition_responses[0];
        assert_eq!((produced.error_code, produced.base_offset), (0, offset));
    }
    let (_, ended) = raw.receive_response::<EndTxnRequest>(4);
    assert_eq!(ended.error_code, code::NONE);
    let (_, ended) = raw.receive_response::<EndTxnRequest>(5);
    assert_eq!((ended.error_code, ended.producer_epoch), (0, 1));
    let (_, again) = raw.receive_response::<InitProducerIdRequest>(5);
    assert_eq!((again.error_code, again.producer_epoch), (0, 2));
    let found = fetch(&mut raw, "txn-order", 0, 1);
    assert_eq!((found.high_watermark, found.last_stable_offset), (11, 11));
    assert_eq!(aborted(&found), Some(vec![(new.producer_id, 1)]));
}

#[test]
fn producers_share_the_way_down() {
    const ROUNDS: i32 = 30;
    let env = Env::shared();
    env.create_topic("txn-shared", 1);
    let producers: Vec<_> = (0..4)
        .map(|number| {
            let mut raw = env.raw();
            std::thread::spawn(move || {
                let versions = if number % 2 == 0 { NEW } else { OLD };
                let id = format!("txn-shared-{number}");
                let mut producer = Producer::new(&mut raw, versions, &id);
                for round in 0..ROUNDS {
                    let sequence = if versions.is_new() { 0 } else { 2 * round };
                    producer.send(&mut raw, "txn-shared", sequence, &["a"]);
                    // Between two of a transaction, one of none.
                    let plain = raw.produce("txn-shared", -1, &[(0, batch(&["."]))]);
                    assert_eq!(plain[0].error_code, code::NONE);
                    producer.send(&mut raw, "txn-shared", sequence + 1, &["b"]);
                    producer.end(&mut raw, round % 3 != 0);
                }
            })
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    let mut raw = env.raw();
    let end = fetch(&mut raw, "txn-shared", 0, 1);
    // Three records and a marker each.
    let all = i64::from(4 * ROUNDS * 4);
    assert_eq!((end.high_watermark, end.last_stable_offset), (all, all));
    let found = aborted(&end).unwrap();
    assert_eq!(found.len(), 4 * usize::try_from(ROUNDS / 3).unwrap());
    let read = env.sql().value(
        "SELECT count(*) FROM kafka.fetch('txn-shared', 0, 0, 10000, isolation => 'read_committed')",
    );
    assert_eq!(
        read,
        (4 * ROUNDS + 4 * 2 * (ROUNDS - ROUNDS / 3)).to_string()
    );
}

#[test]
fn list_offsets_ends_where_the_isolation_level_does() {
    let env = Env::shared();
    env.create_topic("txn-listed", 1);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, NEW, "txn-listed");
    raw.produce("txn-listed", -1, &[(0, batch(&["a"]))]);
    producer.send(&mut raw, "txn-listed", 0, &["b", "c"]);
    let latest = |raw: &mut Raw, isolation| {
        let partition = ListOffsetsPartition::default().with_timestamp(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(name("txn-listed"))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation)
            .with_topics(vec![topic]);
        raw.call(2, &request).topics[0].partitions[0].offset
    };
    assert_eq!((latest(&mut raw, 0), latest(&mut raw, 1)), (3, 1));
    producer.end(&mut raw, false);
    assert_eq!((latest(&mut raw, 0), latest(&mut raw, 1)), (4, 4));
}

#[test]
fn a_reader_of_what_is_committed_is_parked_until_the_marker_comes() {
    let env = Env::own("", &[]);
    let topic = "txn-parked";
    env.create_topic(topic, 1);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, NEW, topic);
    producer.send(&mut raw, topic, 0, &["a"]);
    let committed = |offset, max_wait_ms| {
        let parked = FetchOne {
            isolation: 1,
            max_wait_ms,
            ..FetchOne::new(topic, offset)
        };
        parked.request()
    };
    let mut reader = env.raw();
    reader.send(12, &committed(0, 20_000));
    std::thread::sleep(Duration::from_millis(500));
    let sql = env.sql();
    let transactions = || -> i64 {
        let count = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'";
        sql.value(count).parse().unwrap()
    };
    // More of the transaction is nothing to be told, and nothing to be busy with.
    let before = transactions();
    for sequence in 1..=5 {
        producer.send(&mut raw, topic, sequence, &["more"]);
        std::thread::sleep(Duration::from_millis(300));
    }
    let busy = transactions() - before;
    assert!(busy < 60, "{busy} database transactions");
    let read = fetch(&mut env.raw(), topic, 0, 0);
    assert_eq!((read.high_watermark, read.last_stable_offset), (6, 0));
    producer.end(&mut raw, true);
    let (_, found) = reader.receive_response::<FetchRequest>(12);
    let found = &found.responses[0].partitions[0];
    assert_eq!((found.high_watermark, found.last_stable_offset), (7, 7));
    assert_eq!(seen(found).2.len(), 7);
    // One that comes again and again while it is known that there is nothing.
    producer.send(&mut raw, topic, 0, &["b"]);
    reader.call(12, &committed(7, 1));
    let before = transactions();
    for _ in 0..200 {
        let nothing = reader.call(12, &committed(7, 5));
        let nothing = &nothing.responses[0].partitions[0];
        assert_eq!((nothing.high_watermark, nothing.last_stable_offset), (8, 7));
    }
    let busy = transactions() - before;
    assert!(busy < 60, "{busy} database transactions");
    // Ended by a session that is not the listener's: abort is an end as well.
    reader.send(12, &committed(7, 20_000));
    std::thread::sleep(Duration::from_millis(200));
    sql.run("SELECT kafka.abort_transaction('txn-parked')");
    let (_, found) = reader.receive_response::<FetchRequest>(12);
    let found = &found.responses[0].partitions[0];
    assert_eq!((found.high_watermark, found.last_stable_offset), (9, 9));
    assert_eq!(aborted(found), Some(vec![(producer.producer_id, 7)]));
}
