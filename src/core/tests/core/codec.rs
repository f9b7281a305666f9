//! Compression: what comes back, what is refused, and how much memory that takes.

use kafka_core::KafkaError;
use kafka_core::codec::{Codec, compress, inflate};
use proptest::prelude::*;

use crate::support::{noise, pattern};

const COMPRESSED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

#[test]
fn every_codec_gives_back_what_it_got() {
    let lengths = [
        0,
        1,
        31,
        32 << 10,
        (32 << 10) + 1,
        64 << 10,
        200_000,
        1 << 20,
    ];
    for codec in Codec::ALL {
        for len in lengths {
            for bytes in [pattern(len), noise(len)] {
                let compressed = compress(codec, &bytes);
                assert!(
                    inflate(codec, &compressed, len).unwrap() == bytes,
                    "{codec} {len}"
                );
            }
        }
    }
}

#[test]
fn the_limit_is_exact() {
    for codec in Codec::ALL {
        for bytes in [pattern(100_000), noise(100_000)] {
            let compressed = compress(codec, &bytes);
            inflate(codec, &compressed, 100_000).unwrap();
            for limit in [0, 1, 4096, 65_536, 99_999] {
                assert_eq!(
                    inflate(codec, &compressed, limit),
                    Err(KafkaError::InflatedTooLarge { limit }),
                    "{codec} to {limit} bytes"
                );
            }
        }
    }
}

#[test]
fn a_stream_cut_off_anywhere_is_refused() {
    for codec in COMPRESSED {
        let compressed = compress(codec, &pattern(1000));
        for len in 0..compressed.len() {
            // Snappy's frame has no end: after a whole block it may stop.
            let whole_blocks = codec == Codec::Snappy && len == 16;
            let result = inflate(codec, &compressed[..len], 10_000);
            assert_eq!(result.is_ok(), whole_blocks, "{codec}: {len} bytes");
        }
    }
}

#[test]
fn bytes_after_the_stream_are_refused() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut compressed = compress(codec, b"value");
        compressed.extend_from_slice(b"more");
        assert!(inflate(codec, &compressed, 10_000).is_err(), "{codec}");
    }
}

#[test]
fn snappy_reads_a_raw_block() {
    let bytes = pattern(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert!(inflate(Codec::Snappy, &raw, 100_000).unwrap() == bytes);
    let error = inflate(Codec::Snappy, &raw, 99_999).unwrap_err();
    assert_eq!(error, KafkaError::InflatedTooLarge { limit: 99_999 });
}

#[test]
fn snappy_blocks_that_declare_more_than_they_hold_are_corrupt() {
    // A raw block of a few bytes that declares 2^32-1.
    let raw = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, b'a'];
    let error = inflate(Codec::Snappy, &raw, usize::MAX).unwrap_err();
    assert!(matches!(error, KafkaError::CorruptMessage { .. }));
}

#[test]
fn lz4_frames_of_other_writers_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write as _;
    let bytes = [pattern(300_000), noise(300_000)].concat();
    let sizes = [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ];
    for block_size in sizes {
        for (checksums, size) in [(false, None), (true, Some(bytes.len() as u64))] {
            let info = FrameInfo::new()
                .block_mode(BlockMode::Independent)
                .block_size(block_size)
                .block_checksums(checksums)
                .content_checksum(checksums)
                .content_size(size);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&bytes).unwrap();
            let mut frame = encoder.finish().unwrap();
            assert!(inflate(Codec::Lz4, &frame, bytes.len()).unwrap() == bytes);

            if checksums {
                let at = frame.len() / 2;
                frame[at] ^= 1;
                let error = inflate(Codec::Lz4, &frame, bytes.len()).unwrap_err();
                assert!(matches!(error, KafkaError::CorruptMessage { .. }));
            }
        }
    }
}

#[test]
fn zstd_streams_of_unknown_size_and_several_frames_are_read() {
    use std::io::Write as _;
    let bytes = pattern(3 << 20);
    let mut encoder = zstd::Encoder::new(Vec::new(), 19).unwrap();
    encoder.write_all(&bytes).unwrap();
    let stream = encoder.finish().unwrap();
    assert!(inflate(Codec::Zstd, &stream, bytes.len()).unwrap() == bytes);
    let error = inflate(Codec::Zstd, &stream, bytes.len() - 1).unwrap_err();
    assert_eq!(
        error,
        KafkaError::InflatedTooLarge {
            limit: bytes.len() - 1
        }
    );

    let twice = [stream.as_slice(), &stream].concat();
    let inflated = inflate(Codec::Zstd, &twice, 2 * bytes.len()).unwrap();
    assert!(inflated == [bytes.as_slice(), &bytes].concat());
}

#[test]
fn bombs_are_refused_at_the_limit() {
    let bomb = vec![0; 16 << 20];
    for codec in COMPRESSED {
        let compressed = compress(codec, &bomb);
        let error = inflate(codec, &compressed, 1 << 20).unwrap_err();
        assert_eq!(
            error,
            KafkaError::InflatedTooLarge { limit: 1 << 20 },
            "{codec}"
        );
    }
}

#[test]
fn names_and_numbers_are_kafkas() {
    let names: Vec<_> = Codec::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["none", "gzip", "snappy", "lz4", "zstd"]);
    for (number, codec) in Codec::ALL.into_iter().enumerate() {
        assert_eq!(Codec::from_attributes(number as i16).unwrap(), codec);
        assert_eq!(codec.name().parse::<Codec>().unwrap(), codec);
    }
    assert!("brotli".parse::<Codec>().is_err());
}

proptest! {
    #[test]
    fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..5000), repeat in 1usize..20) {
        let bytes = bytes.repeat(repeat);
        for codec in Codec::ALL {
            let compressed = compress(codec, &bytes);
            prop_assert!(inflate(codec, &compressed, bytes.len()).unwrap() == bytes);
        }
    }

    #[test]
    fn anything_inflates_to_the_limit_at_most(
        codec in proptest::sample::select(&COMPRESSED[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        limit in 0usize..20_000,
    ) {
        let mut compressed = compress(codec, &bytes.repeat(50));
        for (at, value) in damage {
            let at = at.index(compressed.len());
            compressed[at] = value;
        }
        if let Ok(inflated) = inflate(codec, &compressed, limit) {
            prop_assert!(inflated.len() <= limit);
        }
        if let Ok(inflated) = inflate(codec, &bytes, limit) {
            prop_assert!(inflated.len() <= limit);
        }
    }
}
