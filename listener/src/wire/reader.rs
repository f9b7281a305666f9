//! Reads requests of flexible versions that kafka-protocol does not decode, into its own
//! structs.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::Malformed;
use super::cursor::{Cursor, LengthWidth};
use super::schema::skip_tagged_fields;

pub(super) struct Reader<'a> {
    body: &'a Bytes,
    pub(super) cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a Bytes) -> Self {
        Self {
            body,
            cursor: Cursor::new(body),
        }
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<StrBytes, Malformed> {
        self.nullable_string(what)?.ok_or(Malformed::Null { what })
    }

    pub(super) fn nullable_string(
        &mut self,
        what: &'static str,
    ) -> Result<Option<StrBytes>, Malformed> {
        let length = self.cursor.nullable_length(what, LengthWidth::Compact)?;
        let Some(length) = length else {
            return Ok(None);
        };
        let text = self.body.slice_ref(self.cursor.take(what, length)?);
        match StrBytes::from_utf8(text) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(Malformed::Body {
                reason: format!("{what}: {error}"),
            }),
        }
    }

    pub(super) fn array<T>(
        &mut self,
        what: &'static str,
        element: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.nullable_array(what, element)?
            .ok_or(Malformed::Null { what })
    }

    /// Grows with what is there, whatever the count says.
    pub(super) fn nullable_array<T>(
        &mut self,
        what: &'static str,
        element: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let count = self.cursor.nullable_length(what, LengthWidth::Compact)?;
        let Some(count) = count else {
            return Ok(None);
        };
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    pub(super) fn int32s(&mut self, what: &'static str) -> Result<Vec<i32>, Malformed> {
        self.array(what, |reader| reader.cursor.i32(what))
    }

    /// No tagged field is known in these versions.
    pub(super) fn end_struct(&mut self) -> Result<(), Malformed> {
        skip_tagged_fields(&mut self.cursor)
    }
}
