//! Compression of a batch's records, with a limit on what may come out of it.
//!
//! Every `inflate` grows its output only by what the input can prove: no length that the
//! input declares is allocated beyond the limit.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr;

use crate::error::KafkaError;

mod lz4;
mod snappy;
mod zst;

/// A compression type of Kafka, numbered as in a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec in the low three bits of a batch's attributes.
    ///
    /// # Errors
    /// [`KafkaError::UnsupportedCompressionType`] for 5 to 7.
    pub fn from_attributes(attributes: i16) -> Result<Self, KafkaError> {
        match attributes & CODEC_MASK {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(KafkaError::UnsupportedCompressionType { codec: other as u8 }),
        }
    }

    /// The name in Kafka's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The most bytes that `compressed` bytes can inflate to in this format.
    pub(crate) fn max_inflated(self, compressed: usize) -> usize {
        let ratio = match self {
            Self::None => return compressed,
            // 258 bytes in two bits.
            Self::Gzip => 1032,
            // 64 bytes in a copy of three.
            Self::Snappy => 22,
            // 255 bytes for each byte of length.
            Self::Lz4 => 255,
            // A block of 128 KiB in three bytes of header and the one byte it repeats.
            Self::Zstd => 32 * 1024,
        };
        compressed.saturating_mul(ratio).saturating_add(64)
    }
}

pub(crate) const CODEC_MASK: i16 = 0x07;

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = KafkaError;

    fn from_str(name: &str) -> Result<Self, KafkaError> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| KafkaError::InvalidConfig {
                name: "compression.type".to_owned(),
                reason: format!("{name:?} is none of none, gzip, snappy, lz4, zstd"),
            })
    }
}

/// Compresses `bytes` as the Java client of the same codec writes it.
pub fn compress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress_into(codec, bytes, &mut out);
    out
}

/// Appends the compressed form of `bytes` to `out`.
pub(crate) fn compress_into(codec: Codec, bytes: &[u8], out: &mut Vec<u8>) {
    match codec {
        Codec::None => out.extend_from_slice(bytes),
        Codec::Gzip => gzip(bytes, out),
        Codec::Snappy => snappy::compress(bytes, out),
        Codec::Lz4 => lz4::compress(bytes, out),
        Codec::Zstd => zst::compress(bytes, out),
    }
}

/// Inflates `bytes` to at most `limit` bytes.
///
/// # Errors
/// [`KafkaError::InflatedTooLarge`] where more would come out,
/// [`KafkaError::CorruptMessage`] where `bytes` are not of this format.
pub fn inflate(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, KafkaError> {
    match codec {
        Codec::None if bytes.len() > limit => Err(KafkaError::InflatedTooLarge { limit }),
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => gunzip(bytes, limit),
        Codec::Snappy => snappy::inflate(bytes, limit),
        Codec::Lz4 => lz4::inflate(bytes, limit),
        Codec::Zstd => zst::inflate(bytes, limit),
    }
}

/// Writing to memory cannot fail, so the results are of no interest.
fn gzip(bytes: &[u8], out: &mut Vec<u8>) {
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
    let _ = encoder.write_all(bytes);
    let _ = encoder.finish();
}

fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, KafkaError> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut out = Vec::with_capacity(initial_capacity(bytes.len(), limit));
    decoder
        .by_ref()
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|e| malformed(Codec::Gzip, &e))?;
    if out.len() > limit {
        return Err(KafkaError::InflatedTooLarge { limit });
    }
    if decoder.into_inner().is_empty() {
        Ok(out)
    } else {
        Err(malformed(Codec::Gzip, &"bytes after the end of the stream"))
    }
}

/// A first guess at the inflated size: records compress about three times.
fn initial_capacity(compressed: usize, limit: usize) -> usize {
    compressed.saturating_mul(4).min(limit)
}

fn malformed(codec: Codec, reason: &dyn fmt::Display) -> KafkaError {
    KafkaError::corrupt(format!("malformed {codec} data: {reason}"))
}
