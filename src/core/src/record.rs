//! Records inside a batch (protocol guide, section "Record"; KIP-98, KIP-82).
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::borrow::Cow;

use crate::error::KafkaError;
use crate::wire::{Reader, nullable_bytes_len};

/// The fewest bytes a record takes: seven fields of one byte each.
pub(crate) const MIN_RECORD_LEN: usize = 7;

/// Length, attributes, timestamp delta and offset delta at their longest.
const MAX_OVERHEAD: usize = 5 + 1 + 10 + 5;

/// One record; its bytes belong to the batch or to the [`Records`] that inflated it.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    pub offset: i64,
    /// Epoch milliseconds; -1 where the producer gave none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A header to be written. Kafka's clients want a UTF-8 key; the format does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// A record's headers in their order, a key given twice twice. Checked when the record
/// was read, so iterating cannot fail.
#[derive(Debug, Clone, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Headers<'a> {
    /// Reads `count` headers off `reader`.
    fn read(reader: &mut Reader<'a>, count: usize) -> Option<Self> {
        let bytes = reader.0;
        for _ in 0..count {
            read_header(reader)?;
        }
        Some(Self { bytes, left: count })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader(self.bytes);
        let header = read_header(&mut reader)?;
        self.bytes = reader.0;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

fn read_header<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key = reader.nullable_bytes()??;
    Some((key, reader.nullable_bytes()?))
}

/// The records of one batch. It may own the inflated bytes, so records are lent one at a
/// time.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    payload: Cow<'a, [u8]>,
    position: usize,
    left: i32,
    previous_delta: i32,
    failed: bool,
    frame: Frame,
}

/// What a batch's header says about each of its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) base_offset: i64,
    pub(crate) base_timestamp: i64,
    /// Set where every record has the batch's max timestamp.
    pub(crate) log_append_time: Option<i64>,
    pub(crate) last_offset_delta: i32,
    pub(crate) count: i32,
}

impl<'a> Records<'a> {
    pub(crate) fn new(payload: Cow<'a, [u8]>, frame: Frame) -> Self {
        Self {
            payload,
            position: 0,
            left: frame.count.max(0),
            previous_delta: -1,
            failed: false,
            frame,
        }
    }

    /// The next record, `None` past the last. After an error there are no more.
    ///
    /// # Errors
    /// [`KafkaError::CorruptMessage`] where the bytes are no record, offsets do not grow
    /// or leave the batch's range, or bytes are left after the last record.
    pub fn next_record(&mut self) -> Option<Result<Record<'_>, KafkaError>> {
        if self.failed {
            return None;
        }
        let rest = self.payload.get(self.position..).unwrap_or_default();
        if self.left == 0 {
            if rest.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(KafkaError::corrupt(format!(
                "{} bytes after the last record",
                rest.len()
            ))));
        }
        let mut reader = Reader(rest);
        match read_record(&mut reader, &self.frame, self.previous_delta) {
            Ok((record, offset_delta)) => {
                self.position = self.payload.len().saturating_sub(reader.0.len());
                self.left = self.left.saturating_sub(1);
                self.previous_delta = offset_delta;
                Some(Ok(record))
            }
            Err(reason) => {
                self.failed = true;
                Some(Err(KafkaError::corrupt(reason)))
            }
        }
    }

    /// Calls `f` for each record in order.
    ///
    /// # Errors
    /// The first of [`next_record`](Self::next_record) or of `f`.
    pub fn try_for_each<E: From<KafkaError>>(
        mut self,
        mut f: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(record) = self.next_record() {
            f(record?)?;
        }
        Ok(())
    }
}

fn read_record<'a>(
    reader: &mut Reader<'a>,
    frame: &Frame,
    previous_delta: i32,
) -> Result<(Record<'a>, i32), &'static str> {
    const TRUNCATED: &str = "a record ends before its last field";
    let len = reader.varint().ok_or(TRUNCATED)?;
    let len = usize::try_from(len).map_err(|_| "a record has a negative length")?;
    let body = reader
        .bytes(len)
        .ok_or("a record is longer than the bytes left, or records are missing")?;
    let mut body = Reader(body);
    let _attributes = body.u8().ok_or(TRUNCATED)?;
    let timestamp_delta = body.varlong().ok_or(TRUNCATED)?;
    let offset_delta = body.varint().ok_or(TRUNCATED)?;
    let key = body.nullable_bytes().ok_or(TRUNCATED)?;
    let value = body.nullable_bytes().ok_or(TRUNCATED)?;
    let headers = body.varint().ok_or(TRUNCATED)?;
    let headers =
        usize::try_from(headers).map_err(|_| "a record has a negative number of headers")?;
    if headers > body.0.len() {
        return Err("a record has more headers than bytes left");
    }
    let headers = Headers::read(&mut body, headers).ok_or("a record has a malformed header")?;
    if !body.0.is_empty() {
        return Err("a record is shorter than its length says");
    }
    if offset_delta <= previous_delta || offset_delta > frame.last_offset_delta {
        return Err("the offsets of the records do not grow within the batch's range");
    }
    let record = Record {
        offset: frame.base_offset.wrapping_add(i64::from(offset_delta)),
        timestamp: frame
            .log_append_time
            .unwrap_or(frame.base_timestamp.wrapping_add(timestamp_delta)),
        key,
        value,
        headers,
    };
    Ok((record, offset_delta))
}

/// Bytes that the record takes in a batch at most, before compression. A record of more
/// than 2^31-1 bytes has no place in the format: ask before appending one.
pub fn record_size_upper_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[HeaderRef<'_>],
) -> usize {
    payload_len(key, value, headers).saturating_add(MAX_OVERHEAD)
}

/// Bytes of key, value and headers with their lengths.
#[inline]
pub(crate) fn payload_len(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[HeaderRef<'_>],
) -> usize {
    let mut len = nullable_bytes_len(key)
        .saturating_add(nullable_bytes_len(value))
        .saturating_add(crate::wire::varlong_len(headers.len() as i64));
    for header in headers {
        len = len
            .saturating_add(nullable_bytes_len(Some(header.key)))
            .saturating_add(nullable_bytes_len(header.value));
    }
    len
}
