//! The only place that knows tables, heap and index access, SPI, locks and callbacks.
//! It holds none of Kafka's rules: those are `kafka_core`'s.
pub(crate) mod aborted;
#[cfg(feature = "pg15")]
mod extend;
pub(crate) mod group;
pub(crate) mod header;
pub(crate) mod log;
pub(crate) mod offset;
pub(crate) mod pending;
pub(crate) mod polled;
pub(crate) mod producer;
pub(crate) mod record_rows;
mod rows;
mod scan;
pub(crate) mod server;
mod sql;
pub(crate) mod stable;
pub(crate) mod stored;
pub(crate) mod topic;
pub(crate) mod txn;
pub(crate) mod varlena;
pub(crate) mod wake;
mod writer;

/// Registers the transaction and cache callbacks; called once when the library is loaded.
pub(crate) fn init() {
    topic::init();
    rows::init();
    pending::init();
}

/// Clamps what a user or client asked for as a wait, in milliseconds.
pub(crate) fn wait_duration(max_wait_ms: i32) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0))
}
