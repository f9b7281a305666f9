//! The shape of each request, as far as its declared lengths go.
//!
//! kafka-protocol's decoders reserve memory from the counts a request declares before
//! they look whether the bytes are there: a count of 2^31-1 in a frame of 30 bytes ends
//! the process. So each request is walked first, by a schema that says nothing about
//! meaning, and is decoded only when every declared count and length is backed by bytes.

use super::Malformed;
use super::cursor::{Cursor, LengthWidth};

/// Array elements and tagged fields in one request. Each becomes a struct of up to about
/// 150 bytes, whatever little it takes on the wire.
pub const MAX_ELEMENTS: usize = 100_000;

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Numbers, booleans, UUIDs: this many bytes.
    Fixed(usize),
    /// Nullable or not: the decoder knows which.
    String,
    Bytes,
    Array(&'static Kind),
    Struct(&'static [Field]),
}

pub const BOOLEAN: Kind = Kind::Fixed(1);
pub const INT8: Kind = Kind::Fixed(1);
pub const INT16: Kind = Kind::Fixed(2);
pub const INT32: Kind = Kind::Fixed(4);
pub const INT64: Kind = Kind::Fixed(8);
pub const UUID: Kind = Kind::Fixed(16);

/// One field and the versions that carry it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    since: i16,
    until: i16,
    /// A tagged field stands at its struct's end, where its sender chose to send it.
    tag: Option<u32>,
}

pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: 0,
        until: i16::MAX,
        tag: None,
    }
}

impl Field {
    #[must_use]
    pub const fn since(self, version: i16) -> Self {
        Self {
            since: version,
            ..self
        }
    }

    #[must_use]
    pub const fn until(self, version: i16) -> Self {
        Self {
            until: version,
            ..self
        }
    }

    #[must_use]
    pub const fn tagged(self, tag: u32) -> Self {
        Self {
            tag: Some(tag),
            ..self
        }
    }

    const fn in_version(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }
}

/// Walks one request body and returns the bytes left behind it.
pub fn check(
    body: &[u8],
    fields: &'static [Field],
    version: i16,
    flexible: bool,
) -> Result<usize, Malformed> {
    let mut walk = Walk {
        cursor: Cursor::new(body),
        version,
        flexible,
        elements_left: MAX_ELEMENTS,
    };
    walk.fields(fields)?;
    Ok(walk.cursor.left())
}

/// The tagged fields of a struct that knows none.
pub(super) fn skip_tagged_fields(cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    let mut walk = Walk {
        cursor: *cursor,
        version: 0,
        flexible: true,
        elements_left: MAX_ELEMENTS,
    };
    walk.fields(&[])?;
    *cursor = walk.cursor;
    Ok(())
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        for field in fields {
            if field.tag.is_none() && field.in_version(self.version) {
                self.value(field.name, &field.kind)?;
            }
        }
        if self.flexible {
            self.tagged_fields(fields)?;
        }
        Ok(())
    }

    fn value(&mut self, name: &'static str, kind: &'static Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(length) => self.cursor.take(name, *length).map(drop),
            Kind::String => self.length_prefixed(name, LengthWidth::I16),
            Kind::Bytes => self.length_prefixed(name, LengthWidth::I32),
            Kind::Array(element) => self.array(name, element),
            Kind::Struct(fields) => self.fields(fields),
        }
    }

    fn width(&self, inflexible: LengthWidth) -> LengthWidth {
        if self.flexible {
            LengthWidth::Compact
        } else {
            inflexible
        }
    }

    fn length_prefixed(&mut self, name: &'static str, width: LengthWidth) -> Result<(), Malformed> {
        let width = self.width(width);
        match self.cursor.nullable_length(name, width)? {
            None => Ok(()),
            Some(length) => self.cursor.take(name, length).map(drop),
        }
    }

    fn array(&mut self, name: &'static str, element: &'static Kind) -> Result<(), Malformed> {
        let width = self.width(LengthWidth::I32);
        let Some(count) = self.cursor.nullable_length(name, width)? else {
            return Ok(());
        };
        // No element takes less than one byte.
        if count > self.cursor.left() {
            return Err(Malformed::Count {
                what: name,
                count,
                left: self.cursor.left(),
            });
        }
        self.spend(count)?;
        for _ in 0..count {
            self.value(name, element)?;
        }
        Ok(())
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        let count = self.cursor.unsigned_varint("tagged fields")? as usize;
        self.spend(count)?;
        for _ in 0..count {
            let tag = self.cursor.unsigned_varint("tag")?;
            let declared = self.cursor.unsigned_varint("tagged field length")? as usize;
            let known = fields
                .iter()
                .find(|field| field.tag == Some(tag) && field.in_version(self.version));
            let before = self.cursor.left();
            match known {
                None => drop(self.cursor.take("tagged field", declared)?),
                // The decoder reads a known field by its type and ignores its declared
                // length, so the two have to agree.
                Some(field) => self.value(field.name, &field.kind)?,
            }
            let found = before.saturating_sub(self.cursor.left());
            if found != declared {
                return Err(Malformed::TagLength {
                    tag,
                    declared,
                    found,
                });
            }
        }
        Ok(())
    }

    fn spend(&mut self, elements: usize) -> Result<(), Malformed> {
        self.elements_left =
            self.elements_left
                .checked_sub(elements)
                .ok_or(Malformed::TooManyElements {
                    limit: MAX_ELEMENTS,
                })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPICS: &[Field] = &[
        field(
            "topics",
            Kind::Array(&Kind::Struct(&[field("name", Kind::String)])),
        ),
        field("flag", BOOLEAN).since(4),
        field("state", INT32).since(9).tagged(1),
    ];

    #[test]
    fn counts_are_checked_against_the_bytes_left() {
        let body = [0x7f, 0xff, 0xff, 0xff, 0, 1, b'a'];
        assert_eq!(
            check(&body, TOPICS, 1, false),
            Err(Malformed::Count {
                what: "topics",
                count: 0x7fff_ffff,
                left: 3
            })
        );
        let compact = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(
            check(&compact, TOPICS, 9, true),
            Err(Malformed::Count { .. })
        ));
    }

    #[test]
    fn elements_are_capped() {
        let mut body = 100_001_i32.to_be_bytes().to_vec();
        body.extend(std::iter::repeat_n(0, 300_000));
        assert!(matches!(
            check(&body, TOPICS, 1, false),
            Err(Malformed::TooManyElements { .. })
        ));
    }

    #[test]
    fn versions_choose_fields() {
        assert_eq!(check(&[0, 0, 0, 0], TOPICS, 1, false), Ok(0));
        assert!(check(&[0, 0, 0, 0], TOPICS, 4, false).is_err());
        assert_eq!(check(&[0, 0, 0, 0, 1, 9], TOPICS, 4, false), Ok(1));
        assert_eq!(check(&[0xff, 0xff, 0xff, 0xff], TOPICS, 1, false), Ok(0));
    }

    #[test]
    fn a_known_tagged_field_has_its_own_length() {
        let right = [0, 1, 1, 1, 4, 0, 0, 0, 0];
        assert_eq!(check(&right, TOPICS, 9, true), Ok(0));
        let wrong = [0, 1, 1, 1, 5, 0, 0, 0, 0, 0];
        assert_eq!(
            check(&wrong, TOPICS, 9, true),
            Err(Malformed::TagLength {
                tag: 1,
                declared: 5,
                found: 4
            })
        );
        let unknown = [0, 1, 1, 7, 2, 0, 0];
        assert_eq!(check(&unknown, TOPICS, 9, true), Ok(0));
    }
}
