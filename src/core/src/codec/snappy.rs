//! Snappy as Java writes it (xerial's framing): a header of 16 bytes, then blocks, each a
//! big-endian length and a raw Snappy block. Without the header it is one raw block, as
//! some clients write it.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::{Codec, malformed};
use crate::error::KafkaError;
use crate::wire::Reader;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Version and lowest compatible version.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Bytes of input per block, Java's default.
const BLOCK_LEN: usize = 32 * 1024;

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSIONS);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(bytes.len().min(BLOCK_LEN))];
    for chunk in bytes.chunks(BLOCK_LEN) {
        // Fails only for a block of 4 GiB or a short output buffer, neither of which is here.
        let len = encoder.compress(chunk, &mut block).unwrap_or(0);
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(block.get(..len).unwrap_or_default());
    }
}

pub(super) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, KafkaError> {
    let mut out = Vec::new();
    let mut decoder = snap::raw::Decoder::new();
    let Some(framed) = bytes.strip_prefix(&MAGIC) else {
        inflate_block(&mut decoder, bytes, limit, &mut out)?;
        return Ok(out);
    };
    let mut reader = Reader(framed);
    let versions: Option<[u8; 8]> = reader.array();
    if versions.is_none() {
        return Err(malformed(Codec::Snappy, &"the header is cut off"));
    }
    while !reader.0.is_empty() {
        let block = reader
            .i32()
            .and_then(|len| usize::try_from(len).ok())
            .and_then(|len| reader.bytes(len))
            .ok_or_else(|| malformed(Codec::Snappy, &"a block is cut off"))?;
        inflate_block(&mut decoder, block, limit, &mut out)?;
    }
    Ok(out)
}

/// Appends one inflated block to `out`.
fn inflate_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), KafkaError> {
    let declared = snap::raw::decompress_len(block).map_err(|e| malformed(Codec::Snappy, &e))?;
    if declared > Codec::Snappy.max_inflated(block.len()) {
        return Err(malformed(
            Codec::Snappy,
            &"a block declares more than it holds",
        ));
    }
    let start = out.len();
    let end = start.saturating_add(declared);
    if end > limit {
        return Err(KafkaError::InflatedTooLarge { limit });
    }
    out.resize(end, 0);
    let target = out.get_mut(start..).unwrap_or_default();
    let written = decoder
        .decompress(block, target)
        .map_err(|e| malformed(Codec::Snappy, &e))?;
    out.truncate(start.saturating_add(written));
    Ok(())
}
