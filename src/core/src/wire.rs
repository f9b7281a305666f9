//! Reading and writing the primitive types of the protocol: big-endian integers, and
//! zigzag varints as in protocol buffers. Readers answer `None` when the bytes run out.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

/// A cursor over bytes; what it hands out borrows from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (&head, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A 32-bit varint of at most five bytes; bits past the 32nd are dropped, as the Java
    /// client does.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let raw = self.unsigned(5)? as u32;
        Some((raw >> 1) as i32 ^ ((raw & 1) as i32).wrapping_neg())
    }

    /// A 64-bit varint of at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let raw = self.unsigned(10)?;
        Some((raw >> 1) as i64 ^ ((raw & 1) as i64).wrapping_neg())
    }

    #[inline]
    fn unsigned(&mut self, max_len: u32) -> Option<u64> {
        let mut value = 0u64;
        for i in 0..max_len {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).wrapping_shl(i.wrapping_mul(7));
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A length-prefixed byte string, `None` inside where the length is negative (null).
    #[inline]
    #[expect(clippy::option_option, reason = "outer: bytes ran out; inner: null")]
    pub(crate) fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(len) => self.bytes(len).map(Some),
            Err(_) => Some(None),
        }
    }
}

/// Bytes that [`put_varint`] or [`put_varlong`] write for `value`.
#[inline]
pub(crate) fn varlong_len(value: i64) -> usize {
    // One byte for every seven bits; the division by seven as in 64 - leading_zeros.
    let bits = 64u32.saturating_sub((zigzag(value) | 1).leading_zeros());
    bits.div_ceil(7) as usize
}

#[inline]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw > 0x7f {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

#[inline]
fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

/// A byte string with its length; null is length -1.
#[inline]
pub(crate) fn put_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varlong(out, -1),
    }
}

/// Bytes that [`put_nullable_bytes`] writes.
#[inline]
pub(crate) fn nullable_bytes_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varlong_len(bytes.len() as i64).saturating_add(bytes.len()),
        None => 1,
    }
}
