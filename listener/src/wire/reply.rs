//! An encoded response: chunks that go to the socket one after another, so that record
//! bytes are sent from where the database's answer put them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;
use tokio::sync::OwnedSemaphorePermit;

use super::Malformed;

/// Encoded small parts in a chunk of their own before a large one is linked in.
pub(super) const LINK_BYTES: usize = 512;

#[derive(Debug, Default)]
pub struct Reply {
    chunks: VecDeque<Bytes>,
    remaining: usize,
    /// Memory that the chunks take, given back when they are sent.
    held: Vec<OwnedSemaphorePermit>,
}

impl Reply {
    /// Encodes `response` whole. `flexible` is the response header's: version 1, which
    /// ends with (no) tagged fields.
    pub fn encode<R: Encodable>(
        response: &R,
        version: i16,
        correlation_id: i32,
        flexible: bool,
    ) -> Result<Self, Malformed> {
        let mut body = BytesMut::new();
        response
            .encode(&mut body, version)
            .map_err(|error| Malformed::Body {
                reason: format!("cannot encode the response: {error}"),
            })?;
        Ok(Self::from_chunks([body.freeze()], correlation_id, flexible))
    }

    /// Puts length and header before the chunks of a body.
    pub fn from_chunks(
        body: impl IntoIterator<Item = Bytes>,
        correlation_id: i32,
        flexible: bool,
    ) -> Self {
        let mut reply = Self::default();
        reply.push(Bytes::new());
        for chunk in body {
            reply.push(chunk);
        }
        let header_bytes = if flexible { 5 } else { 4 };
        let length = reply.remaining.saturating_add(header_bytes);
        let mut header = BytesMut::with_capacity(header_bytes.saturating_add(4));
        header.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        header.put_i32(correlation_id);
        if flexible {
            header.put_u8(0);
        }
        reply.remaining = reply.remaining.saturating_add(header.len());
        if let Some(first) = reply.chunks.front_mut() {
            *first = header.freeze();
        }
        reply
    }

    fn push(&mut self, chunk: Bytes) {
        self.remaining = self.remaining.saturating_add(chunk.len());
        self.chunks.push_back(chunk);
    }

    pub fn hold(&mut self, reserved: OwnedSemaphorePermit) {
        self.held.push(reserved);
    }

    /// Joins the answers of several requests, so that they share system calls.
    pub fn append(&mut self, mut next: Self) {
        self.remaining = self.remaining.saturating_add(next.remaining);
        self.chunks.append(&mut next.chunks);
        self.held.append(&mut next.held);
    }
}

impl Buf for Reply {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks
            .iter()
            .find(|chunk| !chunk.is_empty())
            .map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| !chunk.is_empty());
        slices
            .iter_mut()
            .zip(chunks)
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count()
    }

    /// Past the end it stays at the end: the only caller is the socket, which never
    /// reports more than it was given.
    fn advance(&mut self, count: usize) {
        let mut left = count;
        while let Some(first) = self.chunks.front_mut() {
            let step = left.min(first.len());
            first.advance(step);
            left = left.saturating_sub(step);
            self.remaining = self.remaining.saturating_sub(step);
            if !first.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_one_frame() {
        let body = [
            Bytes::from_static(b"ab"),
            Bytes::new(),
            Bytes::from_static(b"c"),
        ];
        let mut reply = Reply::from_chunks(body, 7, true);
        let all = reply.copy_to_bytes(reply.remaining());
        assert_eq!(all[..], *b"\0\0\0\x08\0\0\0\x07\0abc");
        assert!(!reply.has_remaining());
    }

    #[test]
    fn partial_writes_resume() {
        let mut reply = Reply::from_chunks([Bytes::from_static(b"abc")], 1, false);
        reply.append(Reply::from_chunks([Bytes::from_static(b"d")], 2, false));
        let mut seen = Vec::new();
        while reply.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 4];
            assert!(reply.chunks_vectored(&mut slices) > 0);
            seen.push(reply.chunk()[0]);
            reply.advance(1);
        }
        assert_eq!(seen, b"\0\0\0\x07\0\0\0\x01abc\0\0\0\x05\0\0\0\x02d");
    }
}
