//! Batches made here, from the records of SQL sessions.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use crate::batch::{CONTROL, HEADER_LEN, MAGIC, TRANSACTIONAL, seal};
use crate::codec::{self, Codec};
use crate::offsets::{
    NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
};
use crate::record::{HeaderRef, payload_len};
use crate::wire::{put_nullable_bytes, put_varlong, varlong_len};

/// Who produces a batch (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerFields {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
}

impl Default for ProducerFields {
    /// No producer id.
    fn default() -> Self {
        Self {
            producer_id: NO_PRODUCER_ID,
            epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
        }
    }
}

/// The encoded records of one batch to come. Records are only appended, and taken back
/// from the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchBuilder {
    encoded: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// A place in a [`BatchBuilder`] to come back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    len: usize,
    count: i32,
    max_timestamp: i64,
}

impl BatchBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// With room for records of `bytes` bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            encoded: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// Appends a record; `timestamp` is in epoch milliseconds. The caller keeps a batch
    /// below 2^31 bytes ([`record_size_upper_bound`](crate::record_size_upper_bound)).
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        let body_len = self.body_len(timestamp, key, value, headers);
        self.append_body(body_len, timestamp, key, value, headers);
    }

    /// Appends the record unless the batch would pass `max_bytes`; says whether it did.
    pub(crate) fn try_append(
        &mut self,
        max_bytes: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> bool {
        let body_len = self.body_len(timestamp, key, value, headers);
        let grown = self
            .encoded_len()
            .saturating_add(varlong_len(body_len as i64))
            .saturating_add(body_len);
        if grown > max_bytes || self.count == i32::MAX {
            return false;
        }
        self.append_body(body_len, timestamp, key, value, headers);
        true
    }

    /// Bytes of the next record after its length.
    fn body_len(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> usize {
        payload_len(key, value, headers)
            .saturating_add(varlong_len(self.timestamp_delta(timestamp)))
            .saturating_add(varlong_len(i64::from(self.count)))
            .saturating_add(1)
    }

    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.count == 0 {
            0
        } else {
            // Wraps like the reader's addition, so that any two timestamps round-trip.
            timestamp.wrapping_sub(self.base_timestamp)
        }
    }

    fn append_body(
        &mut self,
        body_len: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        let timestamp_delta = self.timestamp_delta(timestamp);
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let out = &mut self.encoded;
        put_varlong(out, body_len as i64);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varlong(out, i64::from(self.count));
        put_nullable_bytes(out, key);
        put_nullable_bytes(out, value);
        put_varlong(out, headers.len() as i64);
        for header in headers {
            put_nullable_bytes(out, Some(header.key));
            put_nullable_bytes(out, header.value);
        }
        self.count = self.count.saturating_add(1);
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The greatest timestamp so far in epoch milliseconds, -1 where there is no record.
    pub fn max_timestamp(&self) -> i64 {
        if self.count == 0 {
            NO_TIMESTAMP
        } else {
            self.max_timestamp
        }
    }

    /// Bytes of the batch if it is not compressed, header included.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN.saturating_add(self.encoded.len())
    }

    /// The place after the newest record.
    pub fn mark(&self) -> Mark {
        Mark {
            len: self.encoded.len(),
            count: self.count,
            max_timestamp: self.max_timestamp,
        }
    }

    /// Takes back every record after `mark`, which was made by this builder and lies at
    /// or before its end; any other changes nothing.
    pub fn truncate(&mut self, mark: Mark) {
        if mark.count <= self.count && mark.len <= self.encoded.len() {
            self.encoded.truncate(mark.len);
            self.count = mark.count;
            self.max_timestamp = mark.max_timestamp;
        }
    }

    /// A copy of the records before `mark`.
    pub(crate) fn clone_to(&self, mark: Mark) -> Self {
        Self {
            encoded: self.encoded.get(..mark.len).unwrap_or_default().to_vec(),
            count: mark.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: mark.max_timestamp,
        }
    }

    /// The finished batch: base offset 0 and leader epoch -1 until it is stamped.
    pub fn build(&self, codec: Codec, producer: ProducerFields) -> Vec<u8> {
        self.build_with(codec, producer, 0)
    }

    /// The same for records that clients do not see as such.
    pub(crate) fn build_control(&self, producer: ProducerFields) -> Vec<u8> {
        self.build_with(Codec::None, producer, CONTROL)
    }

    fn build_with(&self, codec: Codec, producer: ProducerFields, control: i16) -> Vec<u8> {
        let transactional = if producer.transactional {
            TRANSACTIONAL
        } else {
            0
        };
        let (base_timestamp, max_timestamp) = if self.count == 0 {
            (NO_TIMESTAMP, NO_TIMESTAMP)
        } else {
            (self.base_timestamp, self.max_timestamp)
        };
        let capacity = match codec {
            Codec::None => self.encoded_len(),
            _ => self.encoded_len().div_ceil(2),
        };
        let mut out = Vec::with_capacity(capacity.max(HEADER_LEN));
        out.extend_from_slice(&0i64.to_be_bytes());
        out.extend_from_slice(&0i32.to_be_bytes());
        out.extend_from_slice(&NO_LEADER_EPOCH.to_be_bytes());
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&0u32.to_be_bytes());
        out.extend_from_slice(&(codec as i16 | transactional | control).to_be_bytes());
        out.extend_from_slice(&self.count.saturating_sub(1).to_be_bytes());
        out.extend_from_slice(&base_timestamp.to_be_bytes());
        out.extend_from_slice(&max_timestamp.to_be_bytes());
        out.extend_from_slice(&producer.producer_id.to_be_bytes());
        out.extend_from_slice(&producer.epoch.to_be_bytes());
        out.extend_from_slice(&producer.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        codec::compress_into(codec, &self.encoded, &mut out);
        seal(&mut out);
        out
    }
}
