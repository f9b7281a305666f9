//! A growing bytea in PostgreSQL's memory, so that a result is written once and returned
//! without another copy.
use std::ptr;
use std::sync::Once;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{IntoDatum, pg_sys};

const HEADER: usize = pg_sys::VARHDRSZ;
/// The most that palloc gives: PostgreSQL's `MaxAllocSize`.
const MAX_ALLOC: usize = 0x3fff_ffff;

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
        self.make_room(bytes.len());
        // SAFETY: capacity covers len + bytes.len(), and the regions cannot overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.len), bytes.len()) };
        self.len += bytes.len();
    }

    /// Puts `bytes` into the place of `count` bytes of the payload at `at`; what follows moves
    /// where the lengths differ.
    pub(crate) fn replace(&mut self, at: usize, count: usize, bytes: &[u8]) {
        assert!(at + count <= self.len(), "replaces bytes past the end");
        self.make_room(bytes.len());
        let (at, rest) = (HEADER + at, self.len() - at - count);
        // SAFETY: `count` bytes at `at` and the `rest` behind them are within len, and capacity
        // covers len + bytes.len(); `bytes` are not ours, since we are borrowed for writing.
        unsafe {
            let start = self.start.add(at);
            if bytes.len() != count {
                ptr::copy(start.add(count), start.add(bytes.len()), rest);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        self.len = at + bytes.len() + rest;
    }

    /// Makes the capacity cover `additional` bytes more, growing at least twofold.
    fn make_room(&mut self, additional: usize) {
        let needed = self.len + additional;
        if needed <= self.capacity {
            return;
        }
        let doubled = (self.capacity * 2).min(MAX_ALLOC);
        self.capacity = needed.max(doubled);
        // SAFETY: start came from palloc in the same context.
        self.start = unsafe { pg_sys::repalloc(self.start.cast(), self.capacity).cast() };
    }

    /// Forgets the payload and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.len = HEADER;
    }

    pub(crate) fn len(&self) -> usize {
        self.len - HEADER
    }

    /// The payload, to be changed in place.
    pub(crate) fn payload_mut(&mut self) -> &mut [u8] {
        // SAFETY: bytes HEADER..len were written by push.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(HEADER), self.len()) }
    }

    /// The value of `bytes`, valid until this is used for another.
    pub(crate) fn datum_of(&mut self, bytes: &[u8]) -> pg_sys::Datum {
        self.clear();
        self.push(bytes);
        self.datum()
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

/// Lets this session keep what it frees for its next large values. Otherwise glibc gives
/// them back to the kernel each time, and touching fresh pages takes longer than filling
/// them. Up to 64 MB stay with the session; values past 32 MB come and go as ever.
pub(crate) fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        {
            // SAFETY: changes when memory is given back, nothing else; a value that the
            // library does not take is ignored.
            unsafe {
                libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * 1024 * 1024);
                libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024 * 1024);
            }
        }
    });
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
