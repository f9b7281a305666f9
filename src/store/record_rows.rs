//! Rows of records, put straight into the tuple store that a set-returning function answers
//! with: no row is formed twice, and past `work_mem` they are on disk.
use kafka_core::record::Record;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{IntoDatum, pg_sys};

use super::header::HeaderArrays;
use super::varlena::Bytea;

/// Partition (where the function tells it), offset, timestamp, key, value, headers.
const COLUMNS: usize = 6;

/// The result of the function that is being called.
pub(crate) struct RecordRows {
    store: *mut pg_sys::Tuplestorestate,
    desc: pg_sys::TupleDesc,
    headers: HeaderArrays,
    key: Bytea,
    value: Bytea,
}

impl RecordRows {
    /// The function must be declared with these columns; its call is `fcinfo`, as PostgreSQL
    /// made it.
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

    pub(crate) fn put(
        &mut self,
        partition: Option<i32>,
        timestamp: Option<TimestampWithTimeZone>,
        record: Record<'_>,
    ) {
        pgrx::check_for_interrupts!();
        let columns: [Option<pg_sys::Datum>; COLUMNS] = [
            partition.map(pg_sys::Datum::from),
            Some(pg_sys::Datum::from(record.offset)),
            timestamp.and_then(IntoDatum::into_datum),
            record.key.map(|key| self.key.datum_of(key)),
            record.value.map(|value| self.value.datum_of(value)),
            Some(self.headers.datum(record.headers)),
        ];
        let first = usize::from(partition.is_none());
        let mut nulls = columns.map(|column| column.is_none());
        let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
        // SAFETY: as many values as the descriptor has columns, of their types; they are copied.
        unsafe {
            pg_sys::tuplestore_putvalues(
                self.store,
                self.desc,
                values[first..].as_mut_ptr(),
                nulls[first..].as_mut_ptr(),
            );
        }
        self.headers.free();
    }
}
