//! Batches that Apache Kafka's Java client made (kafka-clients 4.3.1).

use std::collections::HashMap;

use kafka_core::{Codec, KafkaError, recompress};

use crate::support::{INFLATED, LIMITS, Owned, parse, pattern, read, unhex};

struct Golden {
    name: String,
    fields: HashMap<String, String>,
    bytes: Vec<u8>,
    records: Vec<Owned>,
}

impl Golden {
    fn number(&self, field: &str) -> i64 {
        self.fields[field].parse().unwrap()
    }

    fn flag(&self, field: &str) -> bool {
        self.fields[field].parse().unwrap()
    }
}

fn golden() -> Vec<Golden> {
    let mut all: Vec<Golden> = Vec::new();
    for line in include_str!("golden/java_batches.txt").lines() {
        let tokens: Vec<_> = line.split(' ').collect();
        if tokens[0] == "batch" {
            let (bytes, fields) = tokens[2..].split_last().unwrap();
            all.push(Golden {
                name: tokens[1].to_owned(),
                fields: fields
                    .iter()
                    .map(|field| field.split_once('=').unwrap())
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                bytes: unhex(bytes).unwrap(),
                records: Vec::new(),
            });
        } else {
            all.last_mut().unwrap().records.push(golden_record(&tokens));
        }
    }
    assert_eq!(all.len(), 13);
    all
}

fn golden_record(tokens: &[&str]) -> Owned {
    let value = match tokens[4].strip_prefix("pattern") {
        Some(len) => Some(pattern(len.parse().unwrap())),
        None => unhex(tokens[4]),
    };
    Owned {
        offset: tokens[1].parse().unwrap(),
        timestamp: tokens[2].parse().unwrap(),
        key: unhex(tokens[3]),
        value,
        headers: tokens[5..]
            .iter()
            .map(|header| header.split_once('=').unwrap())
            .map(|(key, value)| (unhex(key).unwrap(), unhex(value)))
            .collect(),
    }
}

#[test]
fn java_batches_read_field_by_field() {
    for golden in golden() {
        let batch = parse(&golden.bytes);
        let name = &golden.name;
        assert_eq!(batch.computed_crc(), batch.crc(), "{name}");
        assert_eq!(batch.base_offset(), golden.number("base_offset"), "{name}");
        assert_eq!(
            batch.base_offset() + i64::from(batch.last_offset_delta()),
            golden.number("last_offset"),
            "{name}"
        );
        assert_eq!(
            i64::from(batch.leader_epoch()),
            golden.number("leader_epoch"),
            "{name}"
        );
        assert_eq!(
            batch.max_timestamp(),
            golden.number("max_timestamp"),
            "{name}"
        );
        assert_eq!(batch.producer_id(), golden.number("producer_id"), "{name}");
        assert_eq!(
            i64::from(batch.producer_epoch()),
            golden.number("producer_epoch"),
            "{name}"
        );
        assert_eq!(
            i64::from(batch.base_sequence()),
            golden.number("base_sequence"),
            "{name}"
        );
        assert_eq!(
            i64::from(batch.record_count()),
            golden.number("record_count"),
            "{name}"
        );
        assert_eq!(
            batch.codec().unwrap().to_string(),
            golden.fields["codec"],
            "{name}"
        );
        assert_eq!(
            batch.is_transactional(),
            golden.flag("transactional"),
            "{name}"
        );
        assert_eq!(batch.is_control(), golden.flag("control"), "{name}");
        assert_eq!(
            batch.log_append_time(),
            golden.flag("log_append_time"),
            "{name}"
        );
    }
}

#[test]
fn java_records_read_with_every_codec() {
    for golden in golden() {
        let records = read(&parse(&golden.bytes), INFLATED).unwrap();
        assert_eq!(records, golden.records, "{}", golden.name);
    }
}

#[test]
fn java_batches_pass_the_door_except_those_only_a_broker_writes() {
    for golden in golden() {
        let batch = parse(&golden.bytes);
        let answer = batch.accept(LIMITS);
        match golden.name.as_str() {
            "abort_marker" => assert!(matches!(answer, Err(KafkaError::InvalidRecord { .. }))),
            "log_append_time" => {
                assert!(matches!(answer, Err(KafkaError::InvalidTimestamp { .. })));
            }
            name => {
                let summary = answer.unwrap();
                assert_eq!(
                    summary.record_count as usize,
                    golden.records.len(),
                    "{name}"
                );
                assert_eq!(summary.size, golden.bytes.len(), "{name}");
                assert_eq!(summary.max_timestamp, golden.number("max_timestamp"));
                assert_eq!(summary.transactional, golden.flag("transactional"));
                batch.verify_records(INFLATED).unwrap();
            }
        }
    }
}

#[test]
fn java_batches_keep_their_records_and_fields_through_recompression() {
    for golden in golden() {
        let batch = parse(&golden.bytes);
        for codec in Codec::ALL {
            let bytes = recompress(&batch, codec, INFLATED).unwrap();
            let again = parse(&bytes);
            assert_eq!(again.codec().unwrap(), codec);
            assert_eq!(again.computed_crc(), again.crc());
            assert_eq!(read(&again, INFLATED).unwrap(), golden.records);
            let back = recompress(&again, Codec::None, INFLATED).unwrap();
            let plain = recompress(&batch, Codec::None, INFLATED).unwrap();
            assert_eq!(back, plain, "{} through {codec}", golden.name);
        }
    }
}

#[test]
fn uncompressed_batches_are_byte_for_byte_javas() {
    use crate::support::build;
    use kafka_core::ProducerFields;
    let all = golden();
    let by_name = |name: &str| all.iter().find(|g| g.name == name).unwrap();

    let plain = by_name("none");
    let ours = build(&plain.records, Codec::None, ProducerFields::default());
    assert_eq!(ours, plain.bytes);

    let idempotent = by_name("idempotent");
    let producer = ProducerFields {
        producer_id: 4711,
        epoch: 3,
        base_sequence: i32::MAX - 2,
        transactional: false,
    };
    assert_eq!(
        build(&idempotent.records, Codec::None, producer),
        idempotent.bytes
    );
}
