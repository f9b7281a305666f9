//! Zstandard frames (KIP-110).
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use zstd::zstd_safe;

use super::{Codec, malformed};
use crate::error::KafkaError;

/// Kafka's default level.
const LEVEL: i32 = 3;
/// The most a block holds (RFC 8878, section 3.1.1.2.4).
const MAX_BLOCK_LEN: usize = 128 * 1024;

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    match zstd::bulk::compress(bytes, LEVEL) {
        Ok(compressed) => out.extend_from_slice(&compressed),
        // The library found no memory for its tables; stored blocks need none.
        Err(_) => store(bytes, out),
    }
}

/// Writes a frame of stored blocks (RFC 8878, section 3.1.1).
fn store(bytes: &[u8], out: &mut Vec<u8>) {
    /// A single segment whose content size takes eight bytes.
    const FRAME_DESCRIPTOR: u8 = 0xe0;
    const LAST_BLOCK: usize = 1;
    out.extend_from_slice(&0xFD2F_B528u32.to_le_bytes());
    out.push(FRAME_DESCRIPTOR);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    let mut blocks = bytes.chunks(MAX_BLOCK_LEN).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[LAST_BLOCK as u8, 0, 0]);
    }
    while let Some(block) = blocks.next() {
        let last = if blocks.peek().is_none() {
            LAST_BLOCK
        } else {
            0
        };
        let [a, b, c, ..] = (block.len().wrapping_shl(3) | last).to_le_bytes();
        out.extend_from_slice(&[a, b, c]);
        out.extend_from_slice(block);
    }
}

/// Inflates in one pass into a buffer that grows where it was too small: so no window is
/// allocated, whatever size a frame declares.
pub(super) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, KafkaError> {
    if bytes.is_empty() {
        return Err(malformed(Codec::Zstd, &"no frame"));
    }
    let most = Codec::Zstd.max_inflated(bytes.len());
    let declared = zstd_safe::get_frame_content_size(bytes)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok());
    let mut capacity = declared
        .unwrap_or_else(|| bytes.len().saturating_mul(4).max(4096))
        .min(most)
        .min(limit);
    loop {
        let mut out = Vec::with_capacity(capacity);
        match zstd_safe::decompress(&mut out, bytes) {
            Ok(_) => return Ok(out),
            Err(code) if !is_too_small(code) => {
                return Err(malformed(Codec::Zstd, &zstd_safe::get_error_name(code)));
            }
            Err(_) if capacity >= limit => return Err(KafkaError::InflatedTooLarge { limit }),
            Err(code) if capacity >= most => {
                return Err(malformed(Codec::Zstd, &zstd_safe::get_error_name(code)));
            }
            Err(_) => capacity = capacity.saturating_mul(4).max(4096).min(most).min(limit),
        }
    }
}

/// Whether the error is "destination buffer is too small" (zstd's error number 70).
fn is_too_small(code: zstd_safe::ErrorCode) -> bool {
    const DST_SIZE_TOO_SMALL: usize = 70;
    code.wrapping_neg() == DST_SIZE_TOO_SMALL
}
