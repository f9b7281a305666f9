//! Bytes that nobody's client would send.

use kafka_core::{
    Batch, Codec, KafkaError, ProducerFields, code, recompress, split_batches, stamp,
};
use proptest::prelude::*;

use crate::support::{INFLATED, LIMITS, build, noise, parse, patch, read, small_batch};

const PAYLOAD: usize = 61;
/// The inflated bytes that these tests allow.
const LIMIT: usize = 50_000;

/// A batch of one record whose body is `body`, behind the length `declared`.
fn batch_of(declared: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = build(&[], Codec::None, ProducerFields::default());
    bytes.extend_from_slice(declared);
    bytes.extend_from_slice(body);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    patch(&mut bytes, 23, &0i32.to_be_bytes());
    patch(&mut bytes, 57, &1i32.to_be_bytes());
    bytes
}

fn corruption(bytes: &[u8]) -> String {
    match read(&parse(bytes), INFLATED).unwrap_err() {
        KafkaError::CorruptMessage { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// -1 as a varint.
const NULL: u8 = 1;
/// 2^31-1 as a varint.
const HUGE: [u8; 5] = [0xfe, 0xff, 0xff, 0xff, 0x0f];

#[test]
fn a_hand_made_record_reads() {
    let bytes = batch_of(&[12], &[0, 0, 0, NULL, NULL, 0]);
    let records = read(&parse(&bytes), INFLATED).unwrap();
    assert_eq!((records.len(), records[0].value.as_ref()), (1, None));
}

#[test]
fn records_that_lie_about_their_lengths_are_corrupt() {
    let huge_key = [&[0, 0, 0][..], &HUGE, &[NULL, 0]].concat();
    let huge_value = [&[0, 0, 0, NULL][..], &HUGE, &[0]].concat();
    let many_headers = [&[0, 0, 0, NULL, NULL][..], &HUGE].concat();
    let varint = |n: usize| vec![(n * 2) as u8];
    let cases: [(&str, Vec<u8>, &[u8]); 11] = [
        ("negative length", vec![NULL], &[]),
        (
            "longer than the batch",
            HUGE.to_vec(),
            &[0, 0, 0, NULL, NULL, 0],
        ),
        ("endless varint", vec![0xff; 6], &[]),
        ("empty body", vec![0], &[]),
        ("no headers field", vec![10], &[0, 0, 0, NULL, NULL]),
        (
            "bytes after the headers",
            vec![14],
            &[0, 0, 0, NULL, NULL, 0, 0],
        ),
        ("huge key", varint(huge_key.len()), &huge_key),
        ("huge value", varint(huge_value.len()), &huge_value),
        ("many headers", varint(many_headers.len()), &many_headers),
        (
            "null header key",
            vec![16],
            &[0, 0, 0, NULL, NULL, 2, NULL, NULL],
        ),
        ("negative headers", vec![12], &[0, 0, 0, NULL, NULL, NULL]),
    ];
    for (what, declared, body) in cases {
        let bytes = batch_of(&declared, body);
        let reason = corruption(&bytes);
        assert!(!reason.is_empty(), "{what}");
        let error = parse(&bytes).verify_records(INFLATED).unwrap_err();
        assert_eq!(error.code(), code::INVALID_RECORD, "{what}");
    }
}

#[test]
fn offsets_outside_the_batch_are_corrupt() {
    for delta in [1u8 /* -1 */, 2 /* 1 */] {
        corruption(&batch_of(&[12], &[0, 0, delta, NULL, NULL, 0]));
    }
    // Three records; the second repeats the first one's offset.
    let mut bytes = small_batch();
    let second = PAYLOAD + (bytes.len() - PAYLOAD) / 3;
    assert_eq!(bytes[second + 3], 2);
    patch(&mut bytes, second + 3, &[0]);
    corruption(&bytes);
}

#[test]
fn a_count_that_is_not_the_number_of_records_is_corrupt() {
    for count in [-1, 0, 1, 2, 4, i32::MAX] {
        let mut bytes = small_batch();
        patch(&mut bytes, 57, &i32::to_be_bytes(count));
        corruption(&bytes);
    }
}

#[test]
fn a_batch_without_records_has_none() {
    let bytes = build(&[], Codec::None, ProducerFields::default());
    assert!(read(&parse(&bytes), INFLATED).unwrap().is_empty());
}

#[test]
fn nothing_follows_an_error() {
    let bytes = batch_of(&[NULL], &[0; 50]);
    let mut records = parse(&bytes).records(INFLATED).unwrap();
    assert!(records.next_record().unwrap().is_err());
    assert!(records.next_record().is_none());
}

#[test]
fn a_compressed_batch_past_the_limit_is_too_large() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = kafka_core::BatchBuilder::new();
        builder.append(0, None, Some(&vec![0; 1 << 20]), &[]);
        let bytes = builder.build(codec, ProducerFields::default());
        let batch = parse(&bytes);
        let expected = KafkaError::InflatedTooLarge { limit: LIMIT };
        assert_eq!(batch.records(LIMIT).unwrap_err(), expected);
        assert_eq!(batch.verify_records(LIMIT).unwrap_err(), expected);
        assert_eq!(
            recompress(&batch, Codec::None, LIMIT).unwrap_err(),
            expected
        );
        batch.verify_records(2 << 20).unwrap();
    }
}

#[test]
fn a_payload_that_is_no_compressed_data_is_corrupt() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bytes = batch_of(&[], &noise(500));
        patch(&mut bytes, 21, &[0, codec as u8]);
        let batch = parse(&bytes);
        batch.accept(LIMITS).unwrap();
        assert_eq!(
            batch.records(LIMIT).unwrap_err().code(),
            code::CORRUPT_MESSAGE
        );
        let error = batch.verify_records(LIMIT).unwrap_err();
        assert_eq!(error.code(), code::INVALID_RECORD, "{codec}");
    }
}

/// Everything that reads foreign bytes, on `bytes`.
fn read_everything(bytes: &[u8]) {
    for batch in split_batches(bytes).flatten() {
        let _ = batch.accept(LIMITS);
        let _ = batch.verify_records(LIMIT);
        if let Ok(records) = read(&batch, LIMIT) {
            let content: usize = records
                .iter()
                .map(|r| r.value.as_ref().map_or(0, Vec::len))
                .sum();
            assert!(content <= LIMIT.max(batch.len()));
            assert_eq!(records.len(), batch.record_count() as usize);
            let growing = records.windows(2).all(|w| w[0].offset < w[1].offset);
            assert!(growing);
        }
        if let Ok(plain) = recompress(&batch, Codec::None, LIMIT) {
            assert!(plain.len() <= batch.len().max(LIMIT + PAYLOAD));
        }
    }
    let mut bytes = bytes.to_vec();
    stamp(&mut bytes, i64::MAX, i32::MIN, Some(i64::MIN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn any_damage_under_a_right_checksum_is_read_or_refused(
        codec in proptest::sample::select(&Codec::ALL[..]),
        count in 1..20i64,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut builder = kafka_core::BatchBuilder::new();
        for i in 0..count {
            builder.append(i * 1000, Some(b"key"), Some(&[7; 90]), &[]);
        }
        let mut bytes = builder.build(codec, ProducerFields::default());
        if let Some(cut) = cut {
            bytes.truncate(PAYLOAD + cut.index(bytes.len() - PAYLOAD));
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
        }
        for (at, value) in damage {
            let at = 17 + at.index(bytes.len() - 17);
            patch(&mut bytes, at, &[value]);
        }
        let (batch, _) = Batch::parse(&bytes).unwrap();
        prop_assert_eq!(batch.computed_crc(), batch.crc());
        read_everything(&bytes);
    }
}
