//! How much memory the crate asks for. One test, so that nothing else allocates meanwhile.

use std::alloc::System;

use kafka_core::codec::{compress, inflate};
use kafka_core::{Batch, BatchBuilder, Codec, KafkaError, ProduceBuffer, ProducerFields};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn memory_is_bounded() {
    buffering_does_not_allocate_per_record();
    clearing_frees_everything();
    reading_does_not_allocate_per_record();
    declared_lengths_are_not_allocated();
    bombs_take_no_more_than_the_limit();
}

fn fill(buffer: &mut ProduceBuffer<(i32, i32)>, records: usize) {
    for _ in 0..records {
        buffer.append(1, (1, 0), 1 << 20, 0, Some(b"key"), Some(&[0; 90]), &[]);
    }
}

fn buffering_does_not_allocate_per_record() {
    let mut buffer = ProduceBuffer::new();
    let region = Region::new(ALLOCATOR);
    fill(&mut buffer, 100_000);
    let change = region.change();
    let calls = change.allocations + change.reallocations;
    assert!(calls < 1000, "{calls} allocations for 100,000 records");
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    let buffered = buffer.buffered_bytes();
    assert!(bytes < 3 * buffered, "{bytes} bytes for {buffered}");
}

fn clearing_frees_everything() {
    let region = Region::new(ALLOCATOR);
    let mut buffer = ProduceBuffer::new();
    fill(&mut buffer, 10_000);
    buffer.append(2, (2, 0), 1 << 20, 0, None, None, &[]);
    buffer.take(2);
    fill(&mut buffer, 10_000);
    buffer.clear();
    let change = region.change();
    assert_eq!(change.bytes_allocated, change.bytes_deallocated);
}

fn reading_does_not_allocate_per_record() {
    let mut builder = BatchBuilder::new();
    for _ in 0..10_000 {
        builder.append(0, Some(b"key"), Some(&[0; 90]), &[]);
    }
    let bytes = builder.build(Codec::None, ProducerFields::default());
    let region = Region::new(ALLOCATOR);
    let (batch, _) = Batch::parse(&bytes).unwrap();
    batch.verify_records(0).unwrap();
    assert_eq!(region.change().allocations, 0);
}

/// A few bytes that promise gigabytes.
fn declared_lengths_are_not_allocated() {
    let zstd_of_4_gib = [
        0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00,
    ];
    let zstd_window_of_2_gib = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    let snappy_of_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, b'a'];
    let mut lz4_of_2_gib = compress(Codec::Lz4, b"a");
    lz4_of_2_gib[7..11].copy_from_slice(&i32::MAX.to_le_bytes());
    let cases: [(Codec, &[u8]); 4] = [
        (Codec::Zstd, &zstd_of_4_gib),
        (Codec::Zstd, &zstd_window_of_2_gib),
        (Codec::Snappy, &snappy_of_4_gib),
        (Codec::Lz4, &lz4_of_2_gib),
    ];
    for (codec, bytes) in cases {
        let region = Region::new(ALLOCATOR);
        let _ = inflate(codec, bytes, 1 << 30);
        let allocated = region.change().bytes_allocated;
        assert!(allocated < 1 << 20, "{codec}: {allocated} bytes");
    }
}

fn bombs_take_no_more_than_the_limit() {
    const LIMIT: usize = 1 << 20;
    let bomb = vec![0; 16 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let compressed = compress(codec, &bomb);
        let region = Region::new(ALLOCATOR);
        let error = inflate(codec, &compressed, LIMIT).unwrap_err();
        assert_eq!(error, KafkaError::InflatedTooLarge { limit: LIMIT });
        let allocated = region.change().bytes_allocated;
        assert!(allocated < 6 * LIMIT, "{codec}: {allocated} bytes");
    }
}
