//! `cargo bench -p kafka_core`: seconds and bytes per second of what a produce or fetch
//! spends its time on.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kafka_core::codec::{compress, inflate};
use kafka_core::{
    Batch, BatchBuilder, Codec, HeaderRef, Limits, ProduceBuffer, ProducerFields,
    murmur2_partition, recompress,
};

fn main() {
    buffer_one_partition();
    buffer_savepoint_per_record();
    batches();
    codecs();
    partitioner();
}

fn buffer_one_partition() {
    const RECORDS: usize = 1_000_000;
    let value = [b'v'; 100];
    let mut buffer = ProduceBuffer::new();
    let start = Instant::now();
    for i in 0..RECORDS {
        buffer.append(1, (1, 0), 1_048_588, i as i64, None, Some(&value), &[]);
    }
    let appended = start.elapsed();
    let taken = buffer.take(1);
    println!(
        "buffer: {RECORDS} records of 100 bytes, one partition: {appended:.2?}, {} batches",
        taken[0].1.len()
    );
}

fn buffer_savepoint_per_record() {
    const RECORDS: u32 = 1_000_000;
    let mut buffer = ProduceBuffer::new();
    let start = Instant::now();
    for subxact in 2..RECORDS + 2 {
        let partition = (1, subxact % 16);
        buffer.append(subxact, partition, 1_048_588, 0, None, Some(b"value"), &[]);
        buffer.commit_subxact(subxact, 1);
    }
    let elapsed = start.elapsed();
    black_box(buffer.take(1));
    println!("buffer: {RECORDS} records, a released savepoint each, 16 partitions: {elapsed:.2?}");
}

/// About 1 MB of records of 100 bytes that look like JSON.
fn sample() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    let mut state = 1u64;
    while builder.encoded_len() < 1_000_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let value = format!(
            r#"{{"order":{},"customer":{},"amount":"{}.{:02}","currency":"EUR","status":"paid"}}"#,
            state >> 40,
            state >> 52,
            state % 1000,
            state % 100
        );
        let headers = [HeaderRef {
            key: b"source",
            value: Some(b"shop"),
        }];
        let timestamp = i64::from(builder.count());
        builder.append(
            timestamp,
            Some(&state.to_be_bytes()),
            Some(value.as_bytes()),
            &headers,
        );
    }
    builder
}

fn batches() {
    let builder = sample();
    let bytes = builder.build(Codec::None, ProducerFields::default());
    let limits = Limits {
        max_message_bytes: 2 << 20,
    };
    let (batch, _) = Batch::parse(&bytes).unwrap();
    println!(
        "batch of {} records, {} bytes:",
        batch.record_count(),
        bytes.len()
    );
    rate("accept", bytes.len(), || {
        let (batch, _) = Batch::parse(black_box(&bytes)).unwrap();
        black_box(batch.accept(limits).unwrap());
    });
    rate("read every record", bytes.len(), || {
        black_box(&batch).verify_records(2 << 20).unwrap();
    });
    rate("build", bytes.len(), || {
        black_box(builder.build(Codec::None, ProducerFields::default()));
    });
    rate("recompress to zstd", bytes.len(), || {
        black_box(recompress(&batch, Codec::Zstd, 2 << 20).unwrap());
    });
}

fn codecs() {
    let plain = sample().build(Codec::None, ProducerFields::default());
    let plain = &plain[61..];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let compressed = compress(codec, plain);
        let percent = 100 * compressed.len() / plain.len();
        rate(
            &format!("{codec} compress to {percent} %"),
            plain.len(),
            || {
                black_box(compress(codec, black_box(plain)));
            },
        );
        rate(&format!("{codec} inflate"), plain.len(), || {
            black_box(inflate(codec, black_box(&compressed), 2 << 20).unwrap());
        });
    }
}

fn partitioner() {
    let key = [7u8; 16];
    rate("murmur2 partition, 16 byte keys", 16 * 1000, || {
        for _ in 0..1000 {
            black_box(murmur2_partition(black_box(&key), 12));
        }
    });
}

/// Runs `f` for half a second and prints the rate of `bytes` each time.
fn rate(what: &str, bytes: usize, mut f: impl FnMut()) {
    f();
    let start = Instant::now();
    let mut runs = 0u32;
    while start.elapsed() < Duration::from_millis(500) {
        f();
        runs += 1;
    }
    let each = start.elapsed() / runs;
    let rate = (bytes as u128 * 1_000_000_000 / each.as_nanos().max(1)) >> 20;
    println!("  {what}: {each:.2?}, {rate} MiB/s");
}
