//! Produce: sequences, refusals, acks, routing.

use kafka_core::builder::ProducerFields;
use kafka_core::code;
use kafka_protocol::messages::InitProducerIdRequest;

use crate::common::{self, Env, batch, idempotent_batch, produce_request};

#[test]
fn a_record_count_of_2_to_the_31_is_refused_and_the_server_stays_up() {
    let env = Env::own("", &[]);
    env.create_topic("counts", 1);
    let started = env.sql().value("SELECT pg_postmaster_start_time()");
    let mut raw = env.raw();
    for offset in [57, 23] {
        let mut bytes = batch(&["one"]);
        bytes[offset..offset + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        let produced = raw.produce("counts", -1, &[(0, bytes.clone())]);
        assert_eq!(produced[0].error_code, code::CORRUPT_MESSAGE, "CRC");
        // With a right CRC too.
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let produced = raw.produce("counts", -1, &[(0, bytes)]);
        assert_ne!(produced[0].error_code, code::NONE);
    }
    assert_eq!(
        started,
        env.sql().value("SELECT pg_postmaster_start_time()")
    );
    assert_eq!(env.stored("counts"), 0);
}

/// Bit by bit: a test needs no speed.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn producer(producer_id: i64, epoch: i16, base_sequence: i32) -> ProducerFields {
    ProducerFields {
        producer_id,
        epoch,
        base_sequence,
        transactional: false,
    }
}

#[test]
fn each_partition_checks_its_own_sequence() {
    let env = Env::shared();
    env.create_topic("sequences", 3);
    let mut raw = env.raw();
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let id = raw.call(4, &request);
    assert_eq!((id.error_code, id.producer_epoch), (0, 0));
    let id = *id.producer_id;
    let of = |values: &[&str], sequence| idempotent_batch(values, producer(id, 0, sequence));

    let first = raw.produce(
        "sequences",
        -1,
        &[(0, of(&["a", "b"], 0)), (1, of(&["c"], 0))],
    );
    assert_eq!(
        first
            .iter()
            .map(|p| (p.error_code, p.base_offset))
            .collect::<Vec<_>>(),
        [(0, 0), (0, 0)]
    );
    // In one request: next, duplicate, out of order.
    let next = raw.produce(
        "sequences",
        -1,
        &[(0, of(&["d"], 2)), (1, of(&["c"], 0)), (2, of(&["e"], 0))],
    );
    let codes: Vec<_> = next.iter().map(|p| (p.error_code, p.base_offset)).collect();
    assert_eq!(codes, [(0, 2), (0, 0), (0, 0)]);
    let gap = raw.produce("sequences", -1, &[(0, of(&["x"], 9)), (1, of(&["y"], 1))]);
    assert_eq!(gap[0].error_code, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!((gap[1].error_code, gap[1].base_offset), (0, 1));
    // A newer epoch takes over, the older one is then stale.
    let fenced = idempotent_batch(&["z"], producer(id, 1, 0));
    assert_eq!(
        raw.produce("sequences", -1, &[(0, fenced)])[0].error_code,
        0
    );
    let stale = raw.produce("sequences", -1, &[(0, of(&["w"], 3))]);
    assert_eq!(stale[0].error_code, code::INVALID_PRODUCER_EPOCH);
    assert_eq!(env.stored("sequences"), 7);
}

#[test]
fn produce_refusals() {
    let env = Env::shared();
    env.create_topic("refusals", 1);
    let mut raw = env.raw();
    let mut refused = |topic: &str, partition, bytes: Vec<u8>| {
        raw.produce(topic, -1, &[(partition, bytes)])[0].error_code
    };
    let mut damaged = batch(&["a"]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(refused("refusals", 0, damaged), code::CORRUPT_MESSAGE);
    assert_eq!(
        refused("refusals", 1, batch(&["a"])),
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        refused("no-such-topic", 0, batch(&["a"])),
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    let unknown = refused("not a topic\0", 0, batch(&["a"]));
    assert!(
        [
            code::INVALID_TOPIC_EXCEPTION,
            code::UNKNOWN_TOPIC_OR_PARTITION
        ]
        .contains(&unknown)
    );
    let huge = "x".repeat(2 << 20);
    assert_eq!(
        refused("refusals", 0, batch(&[&huge])),
        code::MESSAGE_TOO_LARGE
    );
    let twice = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(refused("refusals", 0, twice), code::INVALID_RECORD);
    assert_eq!(refused("refusals", 0, Vec::new()), code::INVALID_RECORD);
    let mut unknown_codec = batch(&["a"]);
    unknown_codec[22] = 5;
    let crc = crc32c(&unknown_codec[21..]);
    unknown_codec[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        refused("refusals", 0, unknown_codec),
        code::UNSUPPORTED_COMPRESSION_TYPE
    );
    let mut legacy = batch(&["a"]);
    legacy[16] = 1;
    assert_eq!(
        refused("refusals", 0, legacy),
        code::UNSUPPORTED_FOR_MESSAGE_FORMAT
    );
    for acks in [7, -2, 2] {
        let produced = raw.produce("refusals", acks, &[(0, batch(&["a"])), (0, batch(&["b"]))]);
        let codes: Vec<_> = produced.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [code::INVALID_REQUIRED_ACKS; 2]);
    }
    // One batch that is part of an unnamed transaction spoils the request.
    let fields = ProducerFields {
        transactional: true,
        ..producer(1, 0, 0)
    };
    let unnamed = raw.produce(
        "refusals",
        -1,
        &[(0, batch(&["a"])), (0, idempotent_batch(&["b"], fields))],
    );
    let codes: Vec<_> = unnamed.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED; 2]);
    let message = unnamed[0].error_message.as_ref().unwrap();
    assert!(message.contains("transactional id"), "{message}");
    // The good one beside the bad one is stored.
    let mixed = raw.produce(
        "refusals",
        1,
        &[(5, batch(&["bad"])), (0, batch(&["good"]))],
    );
    assert_eq!(mixed[0].error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((mixed[1].error_code, mixed[1].base_offset), (0, 0));
    assert_eq!(env.stored("refusals"), 1);
}

#[test]
fn partition_minus_one_routes_by_key() {
    let env = Env::shared();
    env.create_topic("routed", 4);
    let mut builder = kafka_core::builder::BatchBuilder::new();
    for key in 0..40 {
        let key = format!("key {key}");
        builder.append(1_700_000_000_000, Some(key.as_bytes()), Some(b"v"), &[]);
    }
    let bytes = builder.build(kafka_core::Codec::None, ProducerFields::default());
    let produced = env.raw().produce("routed", -1, &[(-1, bytes)]);
    assert_eq!((produced[0].error_code, produced[0].index), (0, -1));
    let rows = env
        .sql()
        .rows("SELECT partition, key FROM kafka.records('routed')");
    assert_eq!(rows.len(), 40);
    for row in rows {
        let key = row.get(1).unwrap().trim_start_matches("\\x");
        let bytes: Vec<u8> = (0..key.len() / 2)
            .map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let expected = kafka_core::murmur2_partition(&bytes, 4);
        assert_eq!(row.get(0).unwrap(), expected.to_string());
    }
}

#[test]
fn acks_0_appends_without_an_answer_and_closes_on_failure() {
    let env = Env::shared();
    env.create_topic("acks0", 1);
    let mut raw = env.raw();
    raw.send(9, &produce_request("acks0", 0, &[(0, batch(&["quiet"]))]));
    // The next answer belongs to the next request.
    let produced = raw.produce("acks0", 1, &[(0, batch(&["loud"]))]);
    assert_eq!((produced[0].error_code, produced[0].base_offset), (0, 1));
    raw.send(9, &produce_request("acks0", 0, &[(9, batch(&["nowhere"]))]));
    assert!(raw.receive().is_none());
    // A producer that closes at once after its last request has still sent it.
    let mut raw = env.raw();
    raw.send(9, &produce_request("acks0", 0, &[(0, batch(&["last"]))]));
    drop(raw);
    common::eventually("the last record is stored", || env.stored("acks0") == 3);
}
