//! The LZ4 frame format with independent blocks, the only ones that Kafka reads. The
//! frame is read here, so that no block reserves more than its bytes can inflate to.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::io::Write as _;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{Codec, initial_capacity, malformed};
use crate::error::KafkaError;
use crate::wire::Reader;

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const FLAG_DICTIONARY: u8 = 0x01;
const FLAG_RESERVED: u8 = 0x02;
const FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_INDEPENDENT: u8 = 0x20;
/// Set in a block's length where the block is stored as it is.
const STORED: u32 = 0x8000_0000;

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB);
    // Writing to memory cannot fail.
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    let _ = encoder.write_all(bytes);
    let _ = encoder.finish();
}

pub(super) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, KafkaError> {
    let mut reader = Reader(bytes);
    let frame = Frame::read(&mut reader).map_err(|reason| malformed(Codec::Lz4, &reason))?;
    let mut out = Vec::with_capacity(initial_capacity(bytes.len(), limit));
    while let Some(block) = frame
        .next_block(&mut reader)
        .map_err(|reason| malformed(Codec::Lz4, &reason))?
    {
        frame.inflate_block(block, limit, &mut out)?;
    }
    if frame.flags & FLAG_CONTENT_CHECKSUM != 0 {
        let checksum = reader.array().map(u32::from_le_bytes);
        if checksum != Some(XxHash32::oneshot(0, &out)) {
            return Err(malformed(Codec::Lz4, &"the content checksum differs"));
        }
    }
    if frame
        .content_size
        .is_some_and(|size| size != out.len() as u64)
    {
        return Err(malformed(Codec::Lz4, &"the content size differs"));
    }
    if !reader.0.is_empty() {
        return Err(malformed(Codec::Lz4, &"bytes after the end of the frame"));
    }
    Ok(out)
}

struct Frame {
    flags: u8,
    max_block_len: usize,
    content_size: Option<u64>,
}

#[derive(Clone, Copy)]
enum Block<'a> {
    Stored(&'a [u8]),
    Compressed(&'a [u8]),
}

impl Frame {
    fn read(reader: &mut Reader<'_>) -> Result<Self, &'static str> {
        const CUT_OFF: &str = "the header is cut off";
        if reader.array::<4>().ok_or(CUT_OFF)? != MAGIC {
            return Err("no frame header");
        }
        let descriptor = reader.0;
        let flags = reader.u8().ok_or(CUT_OFF)?;
        let block_descriptor = reader.u8().ok_or(CUT_OFF)?;
        if flags >> 6 != 1 || flags & (FLAG_RESERVED | FLAG_DICTIONARY) != 0 {
            return Err("unknown frame version or flags");
        }
        if flags & FLAG_INDEPENDENT == 0 {
            return Err("linked blocks are not supported");
        }
        let max_block_len = match block_descriptor {
            0x40 => 64 << 10,
            0x50 => 256 << 10,
            0x60 => 1 << 20,
            0x70 => 4 << 20,
            _ => return Err("unknown block size"),
        };
        let content_size = if flags & FLAG_CONTENT_SIZE == 0 {
            None
        } else {
            Some(u64::from_le_bytes(reader.array().ok_or(CUT_OFF)?))
        };
        let descriptor = descriptor
            .get(..descriptor.len().saturating_sub(reader.0.len()))
            .unwrap_or_default();
        let checksum = reader.u8().ok_or(CUT_OFF)?;
        if checksum != (XxHash32::oneshot(0, descriptor) >> 8) as u8 {
            return Err("the header checksum differs");
        }
        Ok(Self {
            flags,
            max_block_len,
            content_size,
        })
    }

    /// The next block, `None` at the end mark.
    fn next_block<'a>(&self, reader: &mut Reader<'a>) -> Result<Option<Block<'a>>, &'static str> {
        const CUT_OFF: &str = "a block is cut off";
        let head = u32::from_le_bytes(reader.array().ok_or(CUT_OFF)?);
        if head == 0 {
            return Ok(None);
        }
        let len = (head & !STORED) as usize;
        if len > self.max_block_len {
            return Err("a block is larger than the frame's block size");
        }
        let bytes = reader.bytes(len).ok_or(CUT_OFF)?;
        if self.flags & FLAG_BLOCK_CHECKSUM != 0 {
            let checksum = reader.array().map(u32::from_le_bytes);
            if checksum != Some(XxHash32::oneshot(0, bytes)) {
                return Err("a block checksum differs");
            }
        }
        Ok(Some(if head & STORED == 0 {
            Block::Compressed(bytes)
        } else {
            Block::Stored(bytes)
        }))
    }

    /// Appends one inflated block to `out`.
    fn inflate_block(
        &self,
        block: Block<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), KafkaError> {
        let start = out.len();
        let bytes = match block {
            Block::Stored(bytes) => {
                if start.saturating_add(bytes.len()) > limit {
                    return Err(KafkaError::InflatedTooLarge { limit });
                }
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Block::Compressed(bytes) => bytes,
        };
        let most = Codec::Lz4.max_inflated(bytes.len()).min(self.max_block_len);
        let room = most.min(limit.saturating_sub(start));
        out.resize(start.saturating_add(room), 0);
        let target = out.get_mut(start..).unwrap_or_default();
        match lz4_flex::block::decompress_into(bytes, target) {
            Ok(written) => out.truncate(start.saturating_add(written)),
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < most => {
                return Err(KafkaError::InflatedTooLarge { limit });
            }
            Err(e) => return Err(malformed(Codec::Lz4, &e)),
        }
        Ok(())
    }
}
