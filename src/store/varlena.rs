//! A growing bytea in PostgreSQL's memory, so that a result is written once and returned
//! without another copy.
use std::ptr;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{IntoDatum, pg_sys};

const HEADER: usize = pg_sys::VARHDRSZ;

/// Allocated in the memory context that was current when it was made, which also frees it.
pub(crate) struct Bytea {
    start: *mut u8,
    len: usize,
    capacity: usize,
}

impl Bytea {
    /// `capacity` bytes of payload without growing.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let capacity = HEADER + capacity;
        // SAFETY: palloc returns at least `capacity` bytes or raises.
        let start = unsafe { pg_sys::palloc(capacity).cast::<u8>() };
        Self {
            start,
            len: HEADER,
            capacity,
        }
    }

    /// Adds `bytes` at the end. Past 1 GB PostgreSQL raises "invalid memory alloc request size".
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let needed = self.len + bytes.len();
        if needed > self.capacity {
            self.capacity = needed.max(self.capacity * 2);
            // SAFETY: start came from palloc in the same context.
            self.start = unsafe { pg_sys::repalloc(self.start.cast(), self.capacity).cast() };
        }
        // SAFETY: capacity covers len + bytes.len(), and the regions cannot overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.len), bytes.len()) };
        self.len = needed;
    }

    pub(crate) fn len(&self) -> usize {
        self.len - HEADER
    }

    /// The payload, to be changed in place.
    pub(crate) fn payload_mut(&mut self) -> &mut [u8] {
        // SAFETY: bytes HEADER..len were written by push.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(HEADER), self.len()) }
    }

    /// The finished value. Its memory is freed with the context, or by `free`.
    pub(crate) fn datum(&mut self) -> pg_sys::Datum {
        // SAFETY: the first four bytes were reserved for the length word.
        unsafe { pgrx::set_varsize_4b(self.start.cast(), self.len as i32) };
        pg_sys::Datum::from(self.start)
    }

    /// Gives the memory back before its context ends.
    pub(crate) fn free(self) {
        // SAFETY: start came from palloc and nothing else holds it after this.
        unsafe { pg_sys::pfree(self.start.cast()) };
    }
}

impl IntoDatum for Bytea {
    fn into_datum(mut self) -> Option<pg_sys::Datum> {
        Some(self.datum())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::BYTEAOID
    }
}

// SAFETY: into_datum gives a well-formed varlena in the context of the call.
unsafe impl BoxRet for Bytea {
    unsafe fn box_into<'fcx>(mut self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(self.datum()) }
    }
}

pgrx::impl_sql_translatable!(Bytea, "bytea");
