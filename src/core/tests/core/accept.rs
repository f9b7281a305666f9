//! What the door refuses, and with which error.

use kafka_core::{Batch, Codec, KafkaError, Limits, ProducerFields, code, split_batches, stamp};

use crate::support::{INFLATED, LIMITS, build, parse, patch, read, small_batch};

/// Where the fields of a batch lie (protocol guide, section "Record Batch").
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

fn refusal(patches: &[(usize, &[u8])]) -> KafkaError {
    let mut bytes = small_batch();
    for (at, value) in patches {
        patch(&mut bytes, *at, value);
    }
    parse(&bytes).accept(LIMITS).unwrap_err()
}

#[test]
fn a_good_batch_is_summed_up() {
    let bytes = small_batch();
    let summary = parse(&bytes).accept(LIMITS).unwrap();
    assert_eq!(summary.record_count, 3);
    assert_eq!(summary.last_offset_delta, 2);
    assert_eq!(
        (summary.base_timestamp, summary.max_timestamp),
        (1000, 1002)
    );
    assert_eq!(summary.producer_id, -1);
    assert_eq!(summary.codec, Codec::None);
    assert_eq!(summary.size, bytes.len());
    assert!(!summary.transactional);
}

#[test]
fn any_flipped_bit_under_the_checksum_is_corrupt() {
    let good = small_batch();
    for at in 17..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let error = parse(&bytes).accept(LIMITS).unwrap_err();
            assert_eq!(error.code(), code::CORRUPT_MESSAGE, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn base_offset_and_leader_epoch_of_a_client_do_not_matter() {
    let mut bytes = small_batch();
    bytes[..8].copy_from_slice(&77i64.to_be_bytes());
    bytes[12..16].copy_from_slice(&9i32.to_be_bytes());
    parse(&bytes).accept(LIMITS).unwrap();
}

#[test]
fn record_counts_must_fit_the_offsets() {
    let counts = [
        (0, -1),
        (-1, -2),
        (3, 3),
        (3, 1),
        (4, 2),
        (i32::MIN, i32::MAX),
    ];
    for (count, delta) in counts {
        let error = refusal(&[
            (RECORD_COUNT, &i32::to_be_bytes(count)),
            (LAST_OFFSET_DELTA, &i32::to_be_bytes(delta)),
        ]);
        assert_eq!(error.code(), code::INVALID_RECORD, "{count} records");
    }
}

#[test]
fn two_billion_records_in_a_small_packet_are_refused() {
    for codec in Codec::ALL {
        let mut bytes = build(&[], codec, ProducerFields::default());
        patch(&mut bytes, RECORD_COUNT, &i32::MAX.to_be_bytes());
        patch(&mut bytes, LAST_OFFSET_DELTA, &(i32::MAX - 1).to_be_bytes());
        let error = parse(&bytes).accept(LIMITS).unwrap_err();
        assert_eq!(error.code(), code::INVALID_RECORD, "{codec}");
    }
}

#[test]
fn unknown_codecs_are_unsupported() {
    for codec in 5..8u8 {
        let error = refusal(&[(ATTRIBUTES, &[0, codec])]);
        assert_eq!(error, KafkaError::UnsupportedCompressionType { codec });
    }
}

#[test]
fn only_the_server_writes_control_batches_and_append_times() {
    let producer: (usize, &[u8]) = (PRODUCER_ID, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let control = refusal(&[(ATTRIBUTES, &[0, 0x30]), producer]);
    assert_eq!(control.code(), code::INVALID_RECORD);
    let append_time = refusal(&[(ATTRIBUTES, &[0, 0x08])]);
    assert_eq!(append_time.code(), code::INVALID_TIMESTAMP);
}

#[test]
fn attribute_bits_without_a_meaning_do_not_matter() {
    let mut bytes = small_batch();
    patch(&mut bytes, ATTRIBUTES, &[0xff, 0xc0]);
    parse(&bytes).accept(LIMITS).unwrap();
}

#[test]
fn producer_fields_must_fit_together() {
    let id = (PRODUCER_ID, &7i64.to_be_bytes()[..]);
    let epoch = (PRODUCER_EPOCH, &0i16.to_be_bytes()[..]);
    let sequence = (BASE_SEQUENCE, &0i32.to_be_bytes()[..]);
    let transactional: (usize, &[u8]) = (ATTRIBUTES, &[0, 0x10]);
    assert_eq!(refusal(&[id, epoch]).code(), code::INVALID_RECORD);
    assert_eq!(refusal(&[id, sequence]).code(), code::INVALID_RECORD);
    assert_eq!(refusal(&[transactional]).code(), code::INVALID_RECORD);

    let mut bytes = small_batch();
    for (at, value) in [id, epoch, sequence, transactional] {
        patch(&mut bytes, at, value);
    }
    let summary = parse(&bytes).accept(LIMITS).unwrap();
    assert!(summary.transactional);
    assert_eq!((summary.producer_id, summary.producer_epoch), (7, 0));
}

#[test]
fn a_batch_over_the_limit_is_too_large() {
    let bytes = small_batch();
    let at = |max_message_bytes| parse(&bytes).accept(Limits { max_message_bytes });
    at(bytes.len()).unwrap();
    assert_eq!(
        at(bytes.len() - 1).unwrap_err(),
        KafkaError::MessageTooLarge {
            size: bytes.len(),
            limit: bytes.len() - 1
        }
    );
}

#[test]
fn old_message_sets_are_refused_by_their_version() {
    for magic in [0, 1] {
        // A message set of old has 14 bytes at least where a batch has 49.
        let mut bytes = vec![0; 26];
        bytes[LENGTH..LENGTH + 4].copy_from_slice(&14i32.to_be_bytes());
        bytes[MAGIC] = magic;
        let error = Batch::parse(&bytes).unwrap_err();
        let magic = magic as i8;
        assert_eq!(error, KafkaError::UnsupportedForMessageFormat { magic });
    }
    let mut bytes = small_batch();
    bytes[MAGIC] = 3;
    let error = Batch::parse(&bytes).unwrap_err();
    assert_eq!(error.code(), code::CORRUPT_MESSAGE);
}

#[test]
fn a_batch_cut_off_anywhere_is_corrupt() {
    let bytes = small_batch();
    for len in 0..bytes.len() {
        let error = Batch::parse(&bytes[..len]).unwrap_err();
        assert_eq!(error.code(), code::CORRUPT_MESSAGE, "{len} bytes");
    }
}

#[test]
fn impossible_lengths_are_corrupt() {
    for length in [i32::MIN, -1, 0, 48, i32::MAX] {
        let mut bytes = small_batch();
        bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        let error = Batch::parse(&bytes).unwrap_err();
        assert_eq!(error.code(), code::CORRUPT_MESSAGE, "length {length}");
    }
}

#[test]
fn a_payload_is_split_into_its_batches() {
    let one = small_batch();
    let two = [one.as_slice(), &one].concat();
    let batches: Result<Vec<_>, _> = split_batches(&two).collect();
    assert_eq!(batches.unwrap().len(), 2);
    assert_eq!(split_batches(&[]).count(), 0);

    // What follows garbage is not read.
    let broken = [one.as_slice(), &[9; 20], &one].concat();
    let batches: Vec<_> = split_batches(&broken).collect();
    assert_eq!(batches.len(), 2);
    assert!(batches[0].is_ok() && batches[1].is_err());
}

#[test]
fn stamping_an_offset_changes_nothing_else() {
    let before = small_batch();
    let mut bytes = before.clone();
    stamp(&mut bytes, 500, 7, None);
    let batch = parse(&bytes);
    assert_eq!((batch.base_offset(), batch.leader_epoch()), (500, 7));
    assert_eq!(bytes[16..], before[16..]);
    let records = read(&batch, INFLATED).unwrap();
    let offsets: Vec<_> = records.iter().map(|r| r.offset).collect();
    let timestamps: Vec<_> = records.iter().map(|r| r.timestamp).collect();
    assert_eq!(offsets, [500, 501, 502]);
    assert_eq!(timestamps, [1000, 1001, 1002]);
}

#[test]
fn stamping_the_time_of_append_gives_it_to_every_record() {
    let mut bytes = small_batch();
    stamp(&mut bytes, 500, 7, Some(9999));
    let batch = parse(&bytes);
    assert!(batch.log_append_time());
    assert_eq!(batch.max_timestamp(), 9999);
    assert_eq!(batch.computed_crc(), batch.crc());
    let records = read(&batch, INFLATED).unwrap();
    assert!(records.iter().all(|r| r.timestamp == 9999));
}

#[test]
fn stamping_bytes_that_are_no_batch_leaves_them_alone() {
    let mut bytes = small_batch()[..60].to_vec();
    let before = bytes.clone();
    stamp(&mut bytes, 500, 7, Some(9999));
    assert_eq!(bytes, before);
}
