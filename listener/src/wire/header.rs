//! Request headers, versions 1 and 2 (0 belongs to an API that is not served).

use super::cursor::{Cursor, LengthWidth};
use super::{Malformed, schema};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<String>,
    /// Bytes before the body.
    pub length: usize,
}

/// The part of the header that stands at the same place in every version of every API:
/// key, version, correlation id.
pub fn peek(frame: &[u8]) -> Result<(i16, i16, i32), Malformed> {
    let mut cursor = Cursor::new(frame);
    Ok((
        cursor.i16("api key")?,
        cursor.i16("api version")?,
        cursor.i32("correlation id")?,
    ))
}

impl RequestHeader {
    /// `flexible`: header version 2, which ends with tagged fields. The client id keeps
    /// its two length bytes in either version.
    pub fn parse(frame: &[u8], flexible: bool) -> Result<Self, Malformed> {
        let (api_key, api_version, correlation_id) = peek(frame)?;
        let mut cursor = Cursor::new(frame);
        cursor.take("request header", 8)?;
        let client_id = match cursor.nullable_length("client id", LengthWidth::I16)? {
            None => None,
            Some(length) => {
                let bytes = cursor.take("client id", length)?;
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
        };
        if flexible {
            schema::skip_tagged_fields(&mut cursor)?;
        }
        Ok(Self {
            api_key,
            api_version,
            correlation_id,
            client_id,
            length: frame.len().saturating_sub(cursor.left()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_null_and_present() {
        let null = [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0, 1];
        let header = RequestHeader::parse(&null, true).unwrap();
        assert_eq!((header.client_id, header.length), (None, 11));
        let named = [0, 3, 0, 1, 0, 0, 0, 7, 0, 2, b'm', b'e'];
        let header = RequestHeader::parse(&named, false).unwrap();
        assert_eq!(header.client_id.as_deref(), Some("me"));
        assert_eq!((header.correlation_id, header.length), (7, 12));
    }

    #[test]
    fn truncated_headers_are_refused() {
        let whole = [0, 3, 0, 9, 0, 0, 0, 7, 0, 2, b'm', b'e', 0];
        for length in 0..whole.len() {
            assert!(RequestHeader::parse(&whole[..length], true).is_err());
        }
    }
}
