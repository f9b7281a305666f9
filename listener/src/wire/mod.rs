//! Bytes of the Kafka protocol, before and after kafka-protocol's own coders.
//!
//! Everything a stranger can send passes through here first, so this module may not
//! panic, and may not allocate from a declared length that the bytes at hand don't back.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod cursor;
pub mod fetch_response;
mod frame;
mod header;
pub mod marker_requests;
pub mod offset_requests;
mod reader;
mod reply;
pub mod schema;

pub use cursor::Cursor;
pub use frame::{Frame, FrameError, FrameReader};
pub use header::{RequestHeader, peek};
pub use reply::Reply;

/// Why bytes are not a request.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    #[error("{what} needs {needed} bytes, {left} are left")]
    Short {
        what: &'static str,
        needed: usize,
        left: usize,
    },
    #[error("{what} has the negative length {length}")]
    NegativeLength { what: &'static str, length: i32 },
    #[error("{what} is null")]
    Null { what: &'static str },
    #[error("{what} is a varint longer than five bytes")]
    LongVarint { what: &'static str },
    #[error("{what} declares {count} elements, more than the request's {left} remaining bytes")]
    Count {
        what: &'static str,
        count: usize,
        left: usize,
    },
    #[error("more than {limit} array elements and tagged fields")]
    TooManyElements { limit: usize },
    #[error("tagged field {tag} declares {declared} bytes and holds {found}")]
    TagLength {
        tag: u32,
        declared: usize,
        found: usize,
    },
    #[error("{reason}")]
    Body { reason: String },
}
