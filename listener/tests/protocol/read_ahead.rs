//! What the listener has read for a consumer before it was asked: it is used, and no fetch
//! is answered with what it has not asked for.

use std::time::Duration;

use kafka_core::builder::ProducerFields;
use kafka_core::code;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};

use crate::common::{Env, Raw, batch, idempotent_batch, partition_responses, produce_request};
use crate::fetch::{FetchOne, records};
use crate::groups::words;

const DEBUG: [&str; 2] = ["--log-level", "pg_kafka_listener::read_ahead=debug"];
const BATCHES: i64 = 60;
/// So many bytes that a read ahead is worth it.
const AT_ONCE: i32 = 100_000;
/// Longer than what was read ahead is kept.
const TOO_LATE: Duration = Duration::from_millis(600);

/// Batches of one record of 20 KB each, all different.
fn fill(env: &Env, topic: &str) {
    env.create_topic(topic, 1);
    let mut raw = env.raw();
    for number in 0..BATCHES {
        raw.produce(topic, -1, &[(0, batch(&[&value(number)]))]);
    }
}

fn value(number: i64) -> String {
    format!("{number:05} ").repeat(3400)
}

fn some(topic: &'static str, offset: i64) -> FetchOne {
    FetchOne {
        partition_max_bytes: AT_ONCE,
        ..FetchOne::new(topic, offset)
    }
}

/// The offsets of the batches, whose values are those produced there.
fn offsets(found: &PartitionData) -> Vec<i64> {
    assert_eq!(found.error_code, code::NONE);
    let mut rest = records(found);
    let mut offsets = Vec::new();
    while !rest.is_empty() {
        let offset = i64::from_be_bytes(rest[..8].try_into().unwrap());
        let length = u32::from_be_bytes(rest[8..12].try_into().unwrap());
        let (batch, behind) = rest.split_at(12 + length as usize);
        let value = value(offset);
        let holds = batch
            .windows(value.len())
            .any(|part| part == value.as_bytes());
        assert!(holds, "another value at {offset}");
        offsets.push(offset);
        rest = behind;
    }
    offsets
}

fn hits(env: &Env) -> usize {
    env.listener.log_lines("answered from what was read ahead")
}

#[test]
fn a_consumer_that_catches_up_reads_all_in_order() {
    let env = Env::own("", &DEBUG);
    fill(&env, "behind");
    for isolation in [0, 1] {
        let before = hits(&env);
        let mut raw = env.raw();
        let mut seen = Vec::new();
        while seen.len() < BATCHES as usize {
            let fetch = FetchOne {
                isolation,
                ..some("behind", seen.len() as i64)
            };
            let found = fetch.ask(&mut raw);
            assert_eq!(found.aborted_transactions.is_some(), isolation == 1);
            assert_eq!(found.high_watermark, BATCHES);
            seen.extend(offsets(&found));
        }
        assert_eq!(seen, (0..BATCHES).collect::<Vec<_>>());
        assert!(hits(&env) > before);
    }
}

#[test]
fn who_goes_elsewhere_is_answered_from_there() {
    let env = Env::shared();
    fill(&env, "elsewhere");
    env.create_topic("elsewhere-too", 1);
    let mut raw = env.raw();
    // Each of these leaves something read ahead behind.
    for offset in [0, 40, 4, 44, 8, 7, 11, 12, 59, 13, 17] {
        let found = offsets(&some("elsewhere", offset).ask(&mut raw));
        assert_eq!(found.first(), Some(&offset));
    }
    let small = FetchOne {
        partition_max_bytes: 1,
        ..some("elsewhere", 21)
    };
    assert_eq!(offsets(&small.ask(&mut raw)), [21]);
    assert!(offsets(&some("elsewhere", 0).ask(&mut raw)).len() > 1);
    let found = some("elsewhere-too", 4).ask(&mut raw);
    assert_eq!(found.error_code, code::OFFSET_OUT_OF_RANGE);
    let found = some("elsewhere", BATCHES).ask(&mut raw);
    assert!(offsets(&found).is_empty());
}

/// Appends an open transaction of the same values.
fn open_transaction(raw: &mut Raw, topic: &str, numbers: std::ops::Range<i64>) {
    let id = TransactionalId(words(topic));
    let init = InitProducerIdRequest::default()
        .with_transactional_id(Some(id.clone()))
        .with_transaction_timeout_ms(60_000);
    let producer = raw.call(4, &init);
    assert_eq!(producer.error_code, code::NONE);
    for (sequence, number) in numbers.enumerate() {
        let fields = ProducerFields {
            producer_id: *producer.producer_id,
            epoch: producer.producer_epoch,
            base_sequence: sequence as i32,
            transactional: true,
        };
        let batch = idempotent_batch(&[&value(number)], fields);
        let request =
            produce_request(topic, -1, &[(0, batch)]).with_transactional_id(Some(id.clone()));
        let answers = partition_responses(raw.call(12, &request));
        assert_eq!(answers[0].error_code, code::NONE);
    }
}

#[test]
fn what_is_not_committed_is_not_handed_to_who_reads_what_is() {
    let env = Env::shared();
    fill(&env, "levels");
    open_transaction(&mut env.raw(), "levels", BATCHES..BATCHES + 20);
    let mut raw = env.raw();
    for _ in 0..5 {
        let mut offset = BATCHES - 10;
        // Up to and into what is open.
        while offset < BATCHES + 8 {
            offset += offsets(&some("levels", offset).ask(&mut raw)).len() as i64;
        }
        let committed = FetchOne {
            isolation: 1,
            ..some("levels", offset)
        };
        let found = committed.ask(&mut raw);
        assert!(offsets(&found).is_empty());
        assert_eq!(found.last_stable_offset, BATCHES);
        let committed = FetchOne {
            isolation: 1,
            ..some("levels", BATCHES - 2)
        };
        assert_eq!(
            offsets(&committed.ask(&mut raw)),
            [BATCHES - 2, BATCHES - 1]
        );
    }
}

#[test]
fn what_is_deleted_is_not_kept() {
    let env = Env::shared();
    fill(&env, "shrinking");
    let mut raw = env.raw();
    let next = offsets(&some("shrinking", 0).ask(&mut raw)).len() as i64;
    env.sql()
        .run("SELECT kafka.delete_records('shrinking', 0, 50)");
    std::thread::sleep(TOO_LATE);
    let found = some("shrinking", next).ask(&mut raw);
    assert_eq!(found.error_code, code::OFFSET_OUT_OF_RANGE);
    let found = some("shrinking", 50).ask(&mut raw);
    assert_eq!((offsets(&found)[0], found.log_start_offset), (50, 50));
    env.sql().run("SELECT kafka.delete_topic('shrinking')");
    std::thread::sleep(TOO_LATE);
    let found = some("shrinking", 54).ask(&mut raw);
    assert_eq!(found.error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
}
