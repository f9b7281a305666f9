//! A reader over bytes that can only move forward and never past the end.

use uuid::Uuid;

use super::Malformed;

#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, what: &'static str, length: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(Malformed::Short {
                what,
                needed: length,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let left = self.rest.len();
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::Short {
                what,
                needed: N,
                left,
            });
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub fn boolean(&mut self, what: &'static str) -> Result<bool, Malformed> {
        self.array(what).map(|[byte]| byte != 0)
    }

    pub fn uuid(&mut self, what: &'static str) -> Result<Uuid, Malformed> {
        self.array(what).map(Uuid::from_bytes)
    }

    pub fn unsigned_varint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let mut value = 0_u32;
        for shift in [0_u32, 7, 14, 21, 28] {
            let [byte] = self.array::<1>(what)?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::LongVarint { what })
    }

    /// A length that may be -1 for null: `None`.
    pub fn nullable_length(
        &mut self,
        what: &'static str,
        width: LengthWidth,
    ) -> Result<Option<usize>, Malformed> {
        let length = match width {
            LengthWidth::I16 => i32::from(self.i16(what)?),
            LengthWidth::I32 => self.i32(what)?,
            LengthWidth::Compact => {
                let length = self.unsigned_varint(what)?.checked_sub(1);
                return Ok(length.map(|length| length as usize));
            }
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Malformed::NegativeLength { what, length }),
        }
    }
}

/// How a length is written: strings before flexible versions in two bytes, byte strings
/// and arrays in four, all of them as an unsigned varint of length + 1 since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthWidth {
    I16,
    I32,
    Compact,
}
