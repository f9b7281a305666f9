//! The record batch, version 2 (protocol guide, section "Record Batch"; KIP-98).
//!
//! A batch is looked at where it lies: [`Batch`] is a view on its bytes, and the bytes a
//! client sent are the bytes that are stored and fetched, but for what [`stamp`] writes.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::borrow::Cow;

use crate::codec::{self, CODEC_MASK, Codec};
use crate::error::KafkaError;
use crate::offsets::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::record::{Frame, MIN_RECORD_LEN, Records};
use crate::wire::Reader;

/// Bytes of a batch before its records.
pub const HEADER_LEN: usize = 61;
/// The version of the record batch format that is spoken here.
pub const MAGIC: i8 = 2;

/// Base offset and length, which the length does not count.
const LOG_OVERHEAD: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// The checksum covers everything from here.
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const LOG_APPEND_TIME: i16 = 0x08;
pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;

/// What a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest batch in bytes, header included (`max.message.bytes`).
    pub max_message_bytes: usize,
}

/// What an accepted batch says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub record_count: i32,
    /// Always `record_count` - 1.
    pub last_offset_delta: i32,
    /// Epoch milliseconds, -1 where there is none.
    pub base_timestamp: i64,
    /// Epoch milliseconds, -1 where there is none; as the client says, not computed.
    pub max_timestamp: i64,
    /// -1 where there is none.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub codec: Codec,
    /// Bytes of the whole batch.
    pub size: usize,
}

/// A view on exactly one batch: its length and magic are checked, its checksum and fields
/// are not ([`accept`](Self::accept) does that).
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    payload: &'a [u8],
    header: Header,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    base_offset: i64,
    leader_epoch: i32,
    magic: i8,
    crc: u32,
    attributes: i16,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    record_count: i32,
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let base_offset = reader.i64()?;
        let _length = reader.i32()?;
        Some(Self {
            base_offset,
            leader_epoch: reader.i32()?,
            magic: reader.u8()? as i8,
            crc: reader.array().map(u32::from_be_bytes)?,
            attributes: reader.i16()?,
            last_offset_delta: reader.i32()?,
            base_timestamp: reader.i64()?,
            max_timestamp: reader.i64()?,
            producer_id: reader.i64()?,
            producer_epoch: reader.i16()?,
            base_sequence: reader.i32()?,
            record_count: reader.i32()?,
        })
    }
}

impl<'a> Batch<'a> {
    /// The first batch of `bytes` and what follows it.
    ///
    /// # Errors
    /// [`KafkaError::UnsupportedForMessageFormat`] for a message set of version 0 or 1,
    /// [`KafkaError::CorruptMessage`] for any other version and for bytes that end early.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), KafkaError> {
        let &magic = bytes
            .get(MAGIC_AT)
            .ok_or_else(|| KafkaError::corrupt("the header is cut off"))?;
        match magic as i8 {
            MAGIC => {}
            magic @ (0 | 1) => return Err(KafkaError::UnsupportedForMessageFormat { magic }),
            magic => return Err(KafkaError::corrupt(format!("invalid magic {magic}"))),
        }
        let length = bytes.get(8..LOG_OVERHEAD).unwrap_or_default();
        let length = Reader(length).i32().unwrap_or_default();
        let size = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LOG_OVERHEAD))
            .filter(|size| *size >= HEADER_LEN)
            .ok_or_else(|| KafkaError::corrupt(format!("invalid length {length}")))?;
        let Some((batch, rest)) = bytes.split_at_checked(size) else {
            return Err(KafkaError::corrupt(format!(
                "the batch says {size} bytes and {} are there",
                bytes.len()
            )));
        };
        let mut reader = Reader(batch);
        let header = Header::read(&mut reader)
            .ok_or_else(|| KafkaError::corrupt("the header is cut off"))?;
        let batch = Self {
            bytes: batch,
            payload: reader.0,
            header,
        };
        Ok((batch, rest))
    }

    /// The offset of the batch's first record: 0 from a client, the log's once stamped.
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// Bytes of the whole batch.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a batch has at least its header"
    )]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn leader_epoch(&self) -> i32 {
        self.header.leader_epoch
    }

    pub fn magic(&self) -> i8 {
        self.header.magic
    }

    /// The CRC-32C that the batch claims.
    pub fn crc(&self) -> u32 {
        self.header.crc
    }

    pub fn attributes(&self) -> i16 {
        self.header.attributes
    }

    pub fn last_offset_delta(&self) -> i32 {
        self.header.last_offset_delta
    }

    /// Epoch milliseconds, -1 where there is none.
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// Epoch milliseconds, -1 where there is none.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// -1 where there is none.
    pub fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    pub fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// # Errors
    /// [`KafkaError::UnsupportedCompressionType`] for a number that is no codec.
    pub fn codec(&self) -> Result<Codec, KafkaError> {
        Codec::from_attributes(self.header.attributes)
    }

    pub fn is_transactional(&self) -> bool {
        self.header.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds a transaction marker instead of records.
    pub fn is_control(&self) -> bool {
        self.header.attributes & CONTROL != 0
    }

    /// Whether every record has the time of its append, which is the batch's max timestamp.
    pub fn log_append_time(&self) -> bool {
        self.header.attributes & LOG_APPEND_TIME != 0
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The CRC-32C of the batch as it is.
    pub fn computed_crc(&self) -> u32 {
        checksum(self.bytes)
    }

    /// Everything that a broker checks of a client's batch without inflating it or reading
    /// its records. The client's base offset and leader epoch are ignored: [`stamp`]
    /// replaces them.
    ///
    /// Two checks go past Apache Kafka's, whose clients cannot make such batches: a
    /// transactional batch has a producer id, and a producer id has an epoch. And a batch
    /// cannot declare more records than its bytes can hold.
    ///
    /// # Errors
    /// In this order: [`KafkaError::MessageTooLarge`], [`KafkaError::CorruptMessage`] for
    /// the checksum, [`KafkaError::UnsupportedCompressionType`],
    /// [`KafkaError::InvalidRecord`] for counts, control batches and producer fields,
    /// [`KafkaError::InvalidTimestamp`] where the client claims the time of append.
    pub fn accept(&self, limit: Limits) -> Result<Summary, KafkaError> {
        if self.len() > limit.max_message_bytes {
            return Err(KafkaError::MessageTooLarge {
                size: self.len(),
                limit: limit.max_message_bytes,
            });
        }
        let computed = self.computed_crc();
        if computed != self.header.crc {
            return Err(KafkaError::corrupt(format!(
                "the batch says CRC-32C {:08x}, its bytes have {computed:08x}",
                self.header.crc
            )));
        }
        let codec = self.codec()?;
        self.check_counts(codec)?;
        if self.is_control() {
            return Err(KafkaError::invalid_record(
                "clients may not write control batches",
            ));
        }
        self.check_producer()?;
        if self.log_append_time() {
            return Err(KafkaError::InvalidTimestamp {
                reason: "only the server may set the timestamp type LogAppendTime".to_owned(),
            });
        }
        Ok(Summary {
            record_count: self.header.record_count,
            last_offset_delta: self.header.last_offset_delta,
            base_timestamp: self.header.base_timestamp,
            max_timestamp: self.header.max_timestamp,
            producer_id: self.header.producer_id,
            producer_epoch: self.header.producer_epoch,
            base_sequence: self.header.base_sequence,
            transactional: self.is_transactional(),
            codec,
            size: self.len(),
        })
    }

    fn check_counts(&self, codec: Codec) -> Result<(), KafkaError> {
        let count = self.header.record_count;
        if count <= 0 {
            return Err(KafkaError::invalid_record(format!(
                "invalid record count {count}"
            )));
        }
        if self.header.last_offset_delta.checked_add(1) != Some(count) {
            return Err(KafkaError::invalid_record(format!(
                "record count {count} does not match last offset delta {}",
                self.header.last_offset_delta
            )));
        }
        let most = codec.max_inflated(self.payload.len());
        if (count as usize).saturating_mul(MIN_RECORD_LEN) > most {
            return Err(KafkaError::invalid_record(format!(
                "record count {count} does not fit into {} bytes",
                self.payload.len()
            )));
        }
        Ok(())
    }

    fn check_producer(&self) -> Result<(), KafkaError> {
        let Header {
            producer_id,
            producer_epoch,
            base_sequence,
            ..
        } = self.header;
        if producer_id > NO_PRODUCER_ID {
            if base_sequence < 0 {
                return Err(KafkaError::invalid_record(format!(
                    "invalid sequence number {base_sequence} with producer id {producer_id}"
                )));
            }
            if producer_epoch <= NO_PRODUCER_EPOCH {
                return Err(KafkaError::invalid_record(format!(
                    "invalid epoch {producer_epoch} with producer id {producer_id}"
                )));
            }
        } else if self.is_transactional() {
            return Err(KafkaError::invalid_record(
                "a transactional batch without a producer id",
            ));
        }
        Ok(())
    }

    /// The batch's records, inflated to at most `max_inflated` bytes. Control batches are
    /// read like any other.
    ///
    /// # Errors
    /// [`KafkaError::UnsupportedCompressionType`], [`KafkaError::InflatedTooLarge`], and
    /// [`KafkaError::CorruptMessage`] where the batch does not inflate.
    pub fn records(&self, max_inflated: usize) -> Result<Records<'a>, KafkaError> {
        let payload = match self.codec()? {
            Codec::None => Cow::Borrowed(self.payload),
            codec => Cow::Owned(codec::inflate(codec, self.payload, max_inflated)?),
        };
        if self.header.record_count < 0 {
            return Err(KafkaError::corrupt(format!(
                "invalid record count {}",
                self.header.record_count
            )));
        }
        let frame = Frame {
            base_offset: self.header.base_offset,
            base_timestamp: self.header.base_timestamp,
            log_append_time: self.log_append_time().then_some(self.header.max_timestamp),
            last_offset_delta: self.header.last_offset_delta,
            count: self.header.record_count,
        };
        Ok(Records::new(payload, frame))
    }

    /// Reads every record of a client's batch: what a broker checks besides
    /// [`accept`](Self::accept).
    ///
    /// # Errors
    /// [`KafkaError::InvalidRecord`] where the batch does not inflate or a record is
    /// malformed, [`KafkaError::InflatedTooLarge`] past `max_inflated` bytes.
    pub fn verify_records(&self, max_inflated: usize) -> Result<(), KafkaError> {
        self.records(max_inflated)
            .and_then(|records| records.try_for_each(|_| Ok(())))
            .map_err(|error| match error {
                KafkaError::CorruptMessage { reason } => KafkaError::InvalidRecord { reason },
                other => other,
            })
    }
}

/// The batches of `bytes`, one after another. Ends after the first error.
pub fn split_batches(bytes: &[u8]) -> impl Iterator<Item = Result<Batch<'_>, KafkaError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        Some(match Batch::parse(rest) {
            Ok((batch, after)) => {
                rest = after;
                Ok(batch)
            }
            Err(error) => {
                rest = &[];
                Err(error)
            }
        })
    })
}

/// Whether a stored batch has records of a transaction, which may turn out to be aborted.
pub fn is_transactional_data(bytes: &[u8]) -> bool {
    let attributes = bytes.get(ATTRIBUTES_AT..).and_then(<[u8]>::first_chunk);
    let attributes = attributes.map_or(0, |bytes| i16::from_be_bytes(*bytes));
    attributes & (TRANSACTIONAL | CONTROL) == TRANSACTIONAL
}

/// Writes what the log decides into a batch, in place: its base offset, its leader epoch
/// and, with `log_append_time` (epoch milliseconds), that time for all its records. Only
/// the last changes bytes under the checksum, which is then computed again. Bytes shorter
/// than a header are left alone.
pub fn stamp(bytes: &mut [u8], base_offset: i64, leader_epoch: i32, log_append_time: Option<i64>) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    put(bytes, 0, base_offset.to_be_bytes());
    put(bytes, LOG_OVERHEAD, leader_epoch.to_be_bytes());
    if let Some(time) = log_append_time {
        let attributes = bytes.get(ATTRIBUTES_AT..).unwrap_or_default();
        let attributes = Reader(attributes).i16().unwrap_or_default();
        put(
            bytes,
            ATTRIBUTES_AT,
            (attributes | LOG_APPEND_TIME).to_be_bytes(),
        );
        put(bytes, MAX_TIMESTAMP_AT, time.to_be_bytes());
        seal_crc(bytes);
    }
}

/// The batch with its records in another codec; every other field but the length and the
/// checksum stays.
///
/// # Errors
/// Those of [`Batch::records`]; [`KafkaError::MessageTooLarge`] where the result passes
/// 2^31-1 bytes.
pub fn recompress(
    batch: &Batch<'_>,
    to: Codec,
    max_inflated: usize,
) -> Result<Vec<u8>, KafkaError> {
    let from = batch.codec()?;
    if from == to {
        return Ok(batch.bytes.to_vec());
    }
    let plain = match from {
        Codec::None => Cow::Borrowed(batch.payload),
        from => Cow::Owned(codec::inflate(from, batch.payload, max_inflated)?),
    };
    let mut out = Vec::with_capacity(HEADER_LEN.saturating_add(plain.len()));
    out.extend_from_slice(batch.bytes.get(..HEADER_LEN).unwrap_or_default());
    codec::compress_into(to, &plain, &mut out);
    let attributes = batch.attributes() & !CODEC_MASK | to as i16;
    put(&mut out, ATTRIBUTES_AT, attributes.to_be_bytes());
    if i32::try_from(out.len()).is_err() {
        return Err(KafkaError::MessageTooLarge {
            size: out.len(),
            limit: i32::MAX as usize,
        });
    }
    seal(&mut out);
    Ok(out)
}

/// Writes length and checksum of a batch that is complete but for them.
pub(crate) fn seal(batch: &mut [u8]) {
    let length = batch.len().saturating_sub(LOG_OVERHEAD) as i32;
    put(batch, 8, length.to_be_bytes());
    seal_crc(batch);
}

fn seal_crc(batch: &mut [u8]) {
    let crc = checksum(batch);
    put(batch, CRC_AT, crc.to_be_bytes());
}

fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default())
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(target) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *target = value;
    }
}
