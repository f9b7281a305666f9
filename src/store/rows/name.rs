//! The extension's tables and indexes by name, and their OIDs as this session knows them.
use std::cell::Cell;

use pgrx::pg_guard;
use pgrx::pg_sys;

use crate::store::topic;

/// A table or an index of the extension.
#[derive(Clone, Copy)]
pub(in crate::store) enum Name {
    Producers,
    ProducersOpenTransactions,
    Transactions,
    AbortedTransactions,
    ConsumerOffsets,
    TransactionOffsets,
}

/// In the order of `Name`.
const NAMES: [&str; 6] = [
    "producers",
    "producers_open_transactions",
    "transactions",
    "aborted_transactions",
    "consumer_offsets",
    "transaction_offsets",
];

thread_local! {
    /// What this session has looked up: trusted once the table is locked, because locking
    /// processes the messages of whoever has dropped it, or one of its indexes.
    static OIDS: [Cell<pg_sys::Oid>; NAMES.len()] =
        const { [const { Cell::new(pg_sys::InvalidOid) }; NAMES.len()] };
}

impl Name {
    pub(super) fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }

    pub(super) fn known(self) -> pg_sys::Oid {
        OIDS.with(|oids| oids[self as usize].get())
    }

    /// Notes what was found; `InvalidOid` is looked up again.
    pub(super) fn note(self, oid: pg_sys::Oid) {
        OIDS.with(|oids| oids[self as usize].set(oid));
    }

    pub(super) fn oid(self) -> pg_sys::Oid {
        if self.known() == pg_sys::InvalidOid {
            self.note(topic::catalog_relation(self.as_str()));
        }
        self.known()
    }
}

pub(in crate::store) fn init() {
    // SAFETY: registered once, when the library is loaded; the callback only sets cells.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relcache_changed), pg_sys::Datum::null()) };
}

#[pg_guard]
unsafe extern "C-unwind" fn relcache_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let forget = |oids: &[Cell<pg_sys::Oid>; NAMES.len()]| {
        for oid in oids {
            if relation == pg_sys::InvalidOid || relation == oid.get() {
                oid.set(pg_sys::InvalidOid);
            }
        }
    };
    // At the exit of the process there may be nothing left to forget.
    let _ = OIDS.try_with(forget);
}
