//! What rows are looked for by.
use pgrx::{IntoDatum, pg_sys};

/// A value that a column of an index is compared with.
pub(in crate::store) struct Key {
    strategy: u32,
    function: u32,
    value: pg_sys::Datum,
}

impl Key {
    pub(in crate::store) fn int4(value: i32) -> Self {
        Self::equal(pg_sys::F_INT4EQ, pg_sys::Datum::from(value))
    }

    pub(in crate::store) fn int8(value: i64) -> Self {
        Self::equal(pg_sys::F_INT8EQ, pg_sys::Datum::from(value))
    }

    pub(in crate::store) fn int8_at_least(value: i64) -> Self {
        Self {
            strategy: pg_sys::BTGreaterEqualStrategyNumber,
            function: pg_sys::F_INT8GE,
            value: pg_sys::Datum::from(value),
        }
    }

    /// Of a column with the collation "C".
    pub(in crate::store) fn text(value: &str) -> Self {
        Self::equal(
            pg_sys::F_TEXTEQ,
            value.into_datum().unwrap_or(pg_sys::Datum::null()),
        )
    }

    fn equal(function: u32, value: pg_sys::Datum) -> Self {
        Self {
            strategy: pg_sys::BTEqualStrategyNumber,
            function,
            value,
        }
    }
}

/// Of an index whose first columns are compared with the keys.
pub(super) fn scan_keys(keys: &[Key]) -> Vec<pg_sys::ScanKeyData> {
    let scan_key = |(i, key): (usize, &Key)| {
        let mut scan_key = pg_sys::ScanKeyData::default();
        // SAFETY: a comparison function of the column's type.
        unsafe {
            pg_sys::ScanKeyInit(
                &raw mut scan_key,
                i as i16 + 1,
                key.strategy as u16,
                pg_sys::Oid::from(key.function),
                key.value,
            );
        }
        scan_key
    };
    keys.iter().enumerate().map(scan_key).collect()
}
