//! What goes in comes out, through every codec and every way a batch is changed.

use kafka_core::{BatchBuilder, HeaderRef};
use kafka_core::{Codec, ProducerFields, recompress, record_size_upper_bound, stamp};
use proptest::prelude::*;

use crate::support::{INFLATED, LIMITS, Owned, append, build, parse, read};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max)
}

fn record() -> impl Strategy<Value = Owned> {
    (
        prop_oneof![Just(-1), 0..4_000_000_000_000i64, any::<i64>()],
        proptest::option::of(bytes(30)),
        proptest::option::of(bytes(300)),
        proptest::collection::vec((bytes(10), proptest::option::of(bytes(20))), 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| Owned {
            offset: 0,
            timestamp,
            key,
            value,
            headers,
        })
}

fn records(min: usize) -> impl Strategy<Value = Vec<Owned>> {
    proptest::collection::vec(record(), min..40).prop_map(|mut records| {
        for (offset, record) in (0..).zip(&mut records) {
            record.offset = offset;
        }
        records
    })
}

fn append_all(builder: &mut BatchBuilder, records: &[Owned]) {
    for record in records {
        append(builder, record);
    }
}

fn codec() -> impl Strategy<Value = Codec> {
    proptest::sample::select(&Codec::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn records_survive_building_and_reading(records in records(1), codec in codec()) {
        let bytes = build(&records, codec, ProducerFields::default());
        let batch = parse(&bytes);
        let summary = batch.accept(LIMITS).unwrap();
        batch.verify_records(INFLATED).unwrap();
        prop_assert_eq!(summary.record_count as usize, records.len());
        prop_assert_eq!(summary.base_timestamp, records[0].timestamp);
        let newest = records.iter().map(|r| r.timestamp).max().unwrap();
        prop_assert_eq!(summary.max_timestamp, newest);
        prop_assert_eq!(read(&batch, INFLATED).unwrap(), records);
    }

    #[test]
    fn accepted_bytes_read_the_same_after_stamping(
        records in records(1),
        codec in codec(),
        base_offset in 0..i64::MAX / 2,
        leader_epoch in any::<i32>(),
        append_time in proptest::option::of(any::<i64>()),
    ) {
        let mut bytes = build(&records, codec, ProducerFields::default());
        let before = parse(&bytes).accept(LIMITS).unwrap();
        stamp(&mut bytes, base_offset, leader_epoch, append_time);

        let batch = parse(&bytes);
        prop_assert_eq!(batch.computed_crc(), batch.crc());
        prop_assert_eq!(batch.base_offset(), base_offset);
        prop_assert_eq!(batch.leader_epoch(), leader_epoch);
        prop_assert_eq!(batch.len(), before.size);
        prop_assert_eq!(batch.record_count(), before.record_count);
        prop_assert_eq!(batch.codec().unwrap(), before.codec);
        prop_assert_eq!(batch.max_timestamp(), append_time.unwrap_or(before.max_timestamp));
        let expected: Vec<_> = records
            .into_iter()
            .map(|record| Owned {
                offset: base_offset + record.offset,
                timestamp: append_time.unwrap_or(record.timestamp),
                ..record
            })
            .collect();
        prop_assert_eq!(read(&batch, INFLATED).unwrap(), expected);
    }

    #[test]
    fn recompression_changes_nothing_but_the_codec(
        records in records(1),
        from in codec(),
        to in codec(),
        producer_id in 0..i64::MAX,
        epoch in 0..i16::MAX,
        base_sequence in 0..i32::MAX,
        transactional in any::<bool>(),
    ) {
        let producer = ProducerFields { producer_id, epoch, base_sequence, transactional };
        let bytes = build(&records, from, producer);
        let before = parse(&bytes).accept(LIMITS).unwrap();
        let bytes = recompress(&parse(&bytes), to, INFLATED).unwrap();
        let batch = parse(&bytes);
        let after = batch.accept(LIMITS).unwrap();
        prop_assert_eq!(after.codec, to);
        let expected = kafka_core::Summary { codec: to, size: bytes.len(), ..before };
        prop_assert_eq!(after, expected);
        prop_assert_eq!(read(&batch, INFLATED).unwrap(), records);
    }

    #[test]
    fn truncating_to_a_mark_forgets_what_came_after(
        kept in records(0),
        dropped in records(0),
        later in records(0),
    ) {
        let mut builder = BatchBuilder::new();
        append_all(&mut builder, &kept);
        let mark = builder.mark();
        append_all(&mut builder, &dropped);
        builder.truncate(mark);
        append_all(&mut builder, &later);

        let mut expected = BatchBuilder::new();
        append_all(&mut expected, &kept);
        append_all(&mut expected, &later);
        let producer = ProducerFields::default();
        prop_assert_eq!(builder.count(), expected.count());
        prop_assert_eq!(
            builder.build(Codec::None, producer),
            expected.build(Codec::None, producer)
        );
    }

    #[test]
    fn the_length_is_known_before_the_batch_is_built(records in records(0)) {
        let mut builder = BatchBuilder::new();
        for record in &records {
            let before = builder.encoded_len();
            append(&mut builder, record);
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(key, value)| HeaderRef { key, value: value.as_deref() })
                .collect();
            let most = record_size_upper_bound(
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            );
            prop_assert!(builder.encoded_len() - before <= most);
        }
        let built = builder.build(Codec::None, ProducerFields::default());
        prop_assert_eq!(built.len(), builder.encoded_len());
    }
}
