//! Epochs: who goes on, who is fenced, and what is told to whom.

use std::time::Duration;

use kafka_core::code;
use kafka_protocol::messages::{AddPartitionsToTxnRequest, EndTxnRequest, ProduceRequest};

use super::offsets::commit;
use super::{NEW, OLD, Producer, init, init_request, transactional_id};
use crate::common::{Env, batch, partition_responses, produce_request};

const FENCED: i16 = code::PRODUCER_FENCED;
const OLD_EPOCH: i16 = code::INVALID_PRODUCER_EPOCH;

#[test]
fn a_producer_is_initialized_in_every_version() {
    let env = Env::shared();
    let mut raw = env.raw();
    let (_, producer_id, first) = init(&mut raw, 0, "init", None);
    assert_eq!(first, 0);
    for version in 0..=5 {
        let told = init(&mut raw, version, "init", None);
        assert_eq!(told, (code::NONE, producer_id, version + 1));
    }
    // One that goes on names what it has.
    let current = Some((producer_id, 6));
    let next = (code::NONE, producer_id, 7);
    assert_eq!(init(&mut raw, 3, "init", current), next);
    // Its answer may have been lost.
    assert_eq!(init(&mut raw, 4, "init", current), next);
    for old in [(producer_id, 2), (producer_id + 1_000_000, 7)] {
        let refused = |error_code| (error_code, -1, -1);
        assert_eq!(init(&mut raw, 3, "init", Some(old)), refused(OLD_EPOCH));
        assert_eq!(init(&mut raw, 4, "init", Some(old)), refused(FENCED));
        assert_eq!(init(&mut raw, 5, "init", Some(old)), refused(FENCED));
    }
    let other = init(&mut raw, 5, "init too", None);
    assert_eq!((other.0, other.2), (code::NONE, 0));
    assert_ne!(other.1, producer_id);
}

#[test]
fn impossible_initializations_are_refused() {
    let env = Env::shared();
    let mut raw = env.raw();
    let refused = |error_code| (error_code, -1, -1);
    let invalid = refused(code::INVALID_REQUEST);
    for id in ["", "a\0b", "\0"] {
        assert_eq!(init(&mut raw, 5, id, None), invalid, "{id:?}");
    }
    for half in [(-1, 3), (7, -1)] {
        assert_eq!(init(&mut raw, 4, "half", Some(half)), invalid);
        let mut request = init_request("half", Some(half));
        request.transactional_id = None;
        assert_eq!(raw.call(4, &request).error_code, code::INVALID_REQUEST);
    }
    for timeout_ms in [0, -1, i32::MIN, i32::MAX] {
        let request = init_request("timeouts", None).with_transaction_timeout_ms(timeout_ms);
        let told = raw.call(2, &request).error_code;
        assert_eq!(told, code::INVALID_TRANSACTION_TIMEOUT, "{timeout_ms}");
        // An idempotent producer has none.
        let request = request.with_transactional_id(None);
        assert_eq!(raw.call(2, &request).error_code, code::NONE);
    }
    // It names an id and epoch that are nobody's, and gets an id all the same.
    let request = init_request("", Some((12_345_678, 3))).with_transactional_id(None);
    let fresh = raw.call(5, &request);
    assert_eq!((fresh.error_code, fresh.producer_epoch), (code::NONE, 0));
    assert_ne!(*fresh.producer_id, 12_345_678);
    for id in ["größe", " ", "a\nb", &"x".repeat(200)] {
        let (error_code, _, epoch) = init(&mut raw, 5, id, None);
        assert_eq!((error_code, epoch), (code::NONE, 0), "{id:?}");
    }
}

#[test]
fn who_has_an_older_epoch_is_told_so_in_its_version() {
    let env = Env::shared();
    env.create_topic("fenced", 1);
    let mut raw = env.raw();
    let old = Producer::new(&mut raw, OLD, "fenced");
    old.send(&mut raw, "fenced", 0, &["a"]);
    // Another takes over; what was open is aborted.
    let mut new = Producer::new(&mut raw, NEW, "fenced");
    assert_eq!(new.producer_id, old.producer_id);
    assert!(new.epoch > old.epoch);
    for version in 0..=3 {
        let told = old.add(&mut raw, version, &[("fenced", 0)]);
        assert_eq!(told, [if version < 2 { OLD_EPOCH } else { FENCED }]);
    }
    for version in 4..=5 {
        let transactions = vec![old.transaction(&[("fenced", 0)], false)];
        let request = AddPartitionsToTxnRequest::default().with_transactions(transactions);
        let told = raw.call(version, &request);
        let told = super::codes(&told.results_by_transaction[0].topic_results);
        assert_eq!(told, [FENCED]);
    }
    for version in 0..=4 {
        let told = old.add_offsets(&mut raw, version, "fenced");
        assert_eq!(told, if version < 2 { OLD_EPOCH } else { FENCED });
    }
    for version in 0..=5 {
        let (told, ..) = old.end_in(&mut raw, version, true);
        assert_eq!(told, if version < 2 { OLD_EPOCH } else { FENCED });
        let told = commit(&old, &mut raw, version, "fenced", &[("fenced", 0, 1)]);
        assert_eq!(told, [OLD_EPOCH], "{version}");
    }
    for version in 3..=12 {
        let batches = [(0, old.batch(1, &["b"]))];
        let produced = old.produce_in(&mut raw, version, "fenced", &batches);
        assert_eq!(produced[0].error_code, OLD_EPOCH, "{version}");
    }
    new.send(&mut raw, "fenced", 0, &["c"]);
    new.end(&mut raw, true);
    let read = env
        .sql()
        .value("SELECT count(*) FROM kafka.fetch('fenced', 0, 0, isolation => 'read_committed')");
    assert_eq!(read, "1");
}

#[test]
fn ends_are_repeated_without_harm() {
    let env = Env::shared();
    env.create_topic("ends", 1);
    let mut raw = env.raw();
    let mut old = Producer::new(&mut raw, OLD, "ends-old");
    for version in 0..=4 {
        old.send(&mut raw, "ends", i32::from(version), &["a"]);
        let nobody = (code::NONE, -1, -1);
        assert_eq!(old.end_in(&mut raw, version, true), nobody);
        assert_eq!(old.end_in(&mut raw, version, true), nobody, "again");
        let (told, ..) = old.end_in(&mut raw, version, false);
        assert_eq!(told, code::INVALID_TXN_STATE, "{version}");
    }
    let mut new = Producer::new(&mut raw, NEW, "ends-new");
    let (told, ..) = new.end_in(&mut raw, 5, true);
    assert_eq!(told, code::INVALID_TXN_STATE, "nothing to commit");
    new.send(&mut raw, "ends", 0, &["b"]);
    let before = new.clone();
    new.end(&mut raw, true);
    let next = (code::NONE, new.producer_id, new.epoch);
    assert_eq!(before.end_in(&mut raw, 5, true), next, "again");
    let (told, ..) = before.end_in(&mut raw, 5, false);
    assert_eq!(told, code::INVALID_TXN_STATE);
    // Nothing is open: to abort that needs no marker, and ends an epoch all the same.
    let (told, _, epoch) = new.end_in(&mut raw, 5, false);
    assert_eq!((told, epoch), (code::NONE, new.epoch + 1));
    // Six records, and one marker each.
    assert_eq!(
        raw.produce("ends", -1, &[(0, batch(&["."]))])[0].base_offset,
        12
    );
    old.end(&mut raw, true);
}

#[test]
fn what_nobody_has_been_given_is_refused() {
    let env = Env::shared();
    env.create_topic("nobody", 1);
    let mut raw = env.raw();
    let somebody = Producer::new(&mut raw, NEW, "somebody");
    let wrong_id = Producer {
        producer_id: somebody.producer_id + 1_000_000,
        ..somebody.clone()
    };
    let unknown = Producer {
        transactional_id: "nobody".into(),
        ..somebody.clone()
    };
    let impossible = Producer {
        transactional_id: "some\0body".into(),
        ..somebody.clone()
    };
    for nobody in [wrong_id, unknown, impossible] {
        let mapping = code::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(nobody.add(&mut raw, 3, &[("nobody", 0)]), [mapping]);
        assert_eq!(nobody.add_offsets(&mut raw, 4, "g"), mapping);
        let commits = [("nobody", 0, 1)];
        for version in [3, 5] {
            let told = commit(&nobody, &mut raw, version, "g", &commits);
            assert_eq!(told, [mapping]);
        }
        for version in [4, 5] {
            let (told, ..) = nobody.end_in(&mut raw, version, true);
            assert_eq!(told, mapping);
        }
        for version in [11, 12] {
            let batches = [(0, nobody.batch(0, &["a"]))];
            let produced = nobody.produce_in(&mut raw, version, "nobody", &batches);
            assert_eq!(produced[0].error_code, mapping, "{nobody:?}");
        }
    }
    let nameless = Producer {
        transactional_id: String::new(),
        ..somebody.clone()
    };
    let invalid = code::INVALID_REQUEST;
    assert_eq!(nameless.add(&mut raw, 3, &[("nobody", 0)]), [invalid]);
    assert_eq!(nameless.add_offsets(&mut raw, 4, "g"), invalid);
    assert_eq!(nameless.end_in(&mut raw, 5, false).0, invalid);
    assert_ne!(
        nameless.produce_in(&mut raw, 12, "nobody", &[(0, nameless.batch(0, &["a"]))])[0]
            .error_code,
        code::NONE
    );
    let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
    let partitions = [
        ("nobody", 0),
        ("no-such-topic", 0),
        ("nobody", 1),
        ("n\0", 0),
    ];
    assert_eq!(
        somebody.add(&mut raw, 3, &partitions),
        [code::OPERATION_NOT_ATTEMPTED, unknown, unknown, unknown]
    );
    assert!(somebody.add(&mut raw, 3, &[]).is_empty());
    for bad in ["", "g\0"] {
        let told = somebody.add_offsets(&mut raw, 4, bad);
        assert_eq!(told, code::INVALID_GROUP_ID);
    }
    assert_eq!(env.stored("nobody"), 0);
}

#[test]
fn several_transactions_are_told_apart() {
    let env = Env::shared();
    env.create_topic("several", 2);
    let mut raw = env.raw();
    let first = Producer::new(&mut raw, NEW, "several-1");
    let second = Producer::new(&mut raw, NEW, "several-2");
    let unknown = Producer {
        transactional_id: "several-0".into(),
        ..first.clone()
    };
    for version in 4..=5 {
        let call = |raw: &mut crate::common::Raw, transactions| {
            let request = AddPartitionsToTxnRequest::default().with_transactions(transactions);
            let answer = raw.call(version, &request);
            assert_eq!(answer.error_code, code::NONE);
            let results = answer.results_by_transaction.into_iter();
            let results = results.map(|r| (r.transactional_id, super::codes(&r.topic_results)));
            results.collect::<Vec<_>>()
        };
        let both = [("several", 0), ("several", 1)];
        let added = call(
            &mut raw,
            vec![
                first.transaction(&both[..1], false),
                unknown.transaction(&both, false),
                second.transaction(&both, false),
            ],
        );
        let mapping = code::INVALID_PRODUCER_ID_MAPPING;
        let expected = [
            ("several-1", vec![0]),
            ("several-0", vec![mapping, mapping]),
            ("several-2", vec![0, 0]),
        ];
        assert_eq!(
            added,
            expected.map(|(id, codes)| (transactional_id(id), codes))
        );
        let verified = call(
            &mut raw,
            vec![
                first.transaction(&both, true),
                second.transaction(&both, true),
            ],
        );
        let missing = code::TRANSACTION_ABORTABLE;
        let expected = [("several-1", vec![0, missing]), ("several-2", vec![0, 0])];
        assert_eq!(
            verified,
            expected.map(|(id, codes)| (transactional_id(id), codes))
        );
    }
}

/// Somebody's open database transaction holds a producer's: that is to be waited for, not
/// an end, and nobody else is held up.
#[test]
fn what_another_session_holds_is_tried_again() {
    let env = Env::own("", &["--append-sessions", "1"]);
    env.create_topic("held", 1);
    let mut raw = env.raw();
    let held = Producer::new(&mut raw, OLD, "held");
    held.send(&mut raw, "held", 0, &["a"]);
    let sql = env.sql();
    sql.run(&format!(
        "BEGIN; SELECT kafka.end_txn('held', {}, {}::int2, true)",
        held.producer_id, held.epoch
    ));
    raw.send(4, &held.end_request(true));
    std::thread::sleep(Duration::from_millis(100));
    let mut others = env.raw();
    let mut free = Producer::new(&mut others, NEW, "free");
    free.send(&mut others, "held", 0, &["b"]);
    free.end(&mut others, true);
    let concurrent = code::CONCURRENT_TRANSACTIONS;
    let (_, ended) = raw.receive_response::<EndTxnRequest>(4);
    assert_eq!(ended.error_code, concurrent);
    assert_eq!(held.add(&mut raw, 3, &[("held", 0)]), [concurrent]);
    let told = commit(&held, &mut raw, 3, "g", &[("held", 0, 1)]);
    assert_eq!(told, [code::COORDINATOR_LOAD_IN_PROGRESS]);
    let told = commit(&held, &mut raw, 1, "g", &[("held", 0, 1)]);
    assert_eq!(told, [code::COORDINATOR_NOT_AVAILABLE]);
    // What goes down together with its batches arrives all the same.
    for _ in 0..3 {
        let batches = [(0, held.batch(1, &["c"]))];
        raw.send(11, &held.produce_request("held", &batches));
        let request = produce_request("held", -1, &[(0, batch(&["d"]))]);
        for _ in 0..3 {
            others.send(9, &request);
        }
        for _ in 0..3 {
            let (_, produced) = others.receive_response::<ProduceRequest>(9);
            let produced = partition_responses(produced);
            assert_eq!(produced[0].error_code, code::NONE);
        }
        let (_, produced) = raw.receive_response::<ProduceRequest>(11);
        let told = partition_responses(produced)[0].error_code;
        assert_eq!(told, code::NOT_LEADER_OR_FOLLOWER);
    }
    sql.run("COMMIT");
    assert_eq!(held.end_in(&mut raw, 4, true).0, code::NONE);
}
