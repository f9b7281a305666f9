//! Reserved timestamps and ids of the protocol.

/// Timestamps that stand for a place in the log (`ListOffsets` request).
pub mod timestamps {
    /// The high watermark, or the last stable offset for `read_committed`.
    pub const LATEST: i64 = -1;
    /// The log start offset.
    pub const EARLIEST: i64 = -2;
    /// The record with the greatest timestamp (KIP-734).
    pub const MAX_TIMESTAMP: i64 = -3;
    /// The first offset kept on the server itself (KIP-405).
    pub const EARLIEST_LOCAL: i64 = -4;
    /// The last offset in tiered storage (KIP-1005).
    pub const LATEST_TIERED: i64 = -5;
}

/// A batch or record without a timestamp.
pub const NO_TIMESTAMP: i64 = -1;
/// A batch without a producer id (KIP-98).
pub const NO_PRODUCER_ID: i64 = -1;
/// A batch without a producer epoch (KIP-98).
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// A batch without a sequence number (KIP-98).
pub const NO_SEQUENCE: i32 = -1;
/// A batch that no leader has stamped.
pub const NO_LEADER_EPOCH: i32 = -1;
/// No coordinator has written a transaction marker yet.
pub const NO_COORDINATOR_EPOCH: i32 = -1;
