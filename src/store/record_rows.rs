//! Rows of records, put straight into the tuple store that a set-returning function answers
//! with: no row is formed twice, and past `work_mem` they are on disk.
use kafka_core::record::Record;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{IntoDatum, pg_sys};

use super::header::HeaderArrays;
use super::varlena::Bytea;

/// Offset, timestamp, key, value, headers: the last columns of each such function.
const RECORD_COLUMNS: usize = 5;
/// Before them at most: topic, partition.
const COLUMNS: usize = 2 + RECORD_COLUMNS;

/// The result of the function that is being called.
pub(crate) struct RecordRows {
    store: *mut pg_sys::Tuplestorestate,
    desc: pg_sys::TupleDesc,
    headers: HeaderArrays,
    key: Bytea,
    value: Bytea,
}

impl RecordRows {
    /// `fcinfo` is the call as PostgreSQL made it.
    #[allow(clippy::cast_ptr_alignment)]
    pub(crate) fn new(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: PostgreSQL's call of a set-returning function, which has a ReturnSetInfo;
        // raises where the caller does not take a set. Store and descriptor live as long as the caller reads them.
        let (store, desc) = unsafe {
            pg_sys::InitMaterializedSRF(fcinfo, 0);
            let result = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            ((*result).setResult, (*result).setDesc)
        };
        Self {
            store,
            desc,
            headers: HeaderArrays::new(),
            key: Bytea::with_capacity(0),
            value: Bytea::with_capacity(0),
        }
    }

    /// `leading` are the columns that the function has before a record's.
    pub(crate) fn put<const N: usize>(
        &mut self,
        leading: [pg_sys::Datum; N],
        timestamp: Option<TimestampWithTimeZone>,
        record: Record<'_>,
    ) {
        pgrx::check_for_interrupts!();
        let columns: [Option<pg_sys::Datum>; RECORD_COLUMNS] = [
            Some(pg_sys::Datum::from(record.offset)),
            timestamp.and_then(IntoDatum::into_datum),
            record.key.map(|key| self.key.datum_of(key)),
            record.value.map(|value| self.value.datum_of(value)),
            Some(self.headers.datum(record.headers)),
        ];
        let mut values = [pg_sys::Datum::null(); COLUMNS];
        let mut nulls = [false; COLUMNS];
        values[..N].copy_from_slice(&leading);
        for (i, column) in (N..).zip(columns) {
            values[i] = column.unwrap_or(pg_sys::Datum::null());
            nulls[i] = column.is_none();
        }
        // SAFETY: the descriptor is that of the function's declaration, which has these
        // columns; they are copied.
        unsafe {
            assert_eq!((*self.desc).natts as usize, N + RECORD_COLUMNS, "columns");
            pg_sys::tuplestore_putvalues(
                self.store,
                self.desc,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
        self.headers.free();
    }
}
