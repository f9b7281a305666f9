//! A batch as the log has it: one row, or several that each hold a piece of its bytes.
use pgrx::pg_sys;

use super::scan::{Row, Scan};
use super::varlena::Bytea;

/// Where a batch says how many bytes follow this and the offset before it.
const LENGTH: std::ops::Range<usize> = 8..12;

/// A batch that a scan has come to. What its first row tells is kept; the rows behind it are
/// fetched when its bytes are asked for, which can be done once.
pub(crate) struct StoredBatch<'scan> {
    scan: &'scan mut Scan,
    first: Row,
    base_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    running_max_timestamp: i64,
    size_bytes: usize,
    /// There are no further rows.
    whole: bool,
}

impl<'scan> StoredBatch<'scan> {
    pub(super) fn new(scan: &'scan mut Scan, first: Row) -> Self {
        let (size_bytes, whole) = size(&first);
        Self {
            base_offset: first.base_offset(),
            last_offset: first.last_offset(),
            max_timestamp: first.max_timestamp(),
            running_max_timestamp: first.running_max_timestamp(),
            scan,
            first,
            size_bytes,
            whole,
        }
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.last_offset
    }

    pub(crate) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    pub(crate) fn running_max_timestamp(&self) -> i64 {
        self.running_max_timestamp
    }

    /// Bytes of the batch, known without reading it.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Calls `read` with the batch as stored.
    pub(crate) fn with_data<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> T {
        if self.whole {
            return with_bytes(&self.first, read);
        }
        let mut bytes = Bytea::with_capacity(0);
        self.push_to(&mut bytes);
        let result = read(bytes.payload_mut());
        bytes.free();
        result
    }

    /// Adds the bytes of the batch as stored.
    pub(crate) fn push_to(&mut self, bytes: &mut Bytea) {
        let before = bytes.len();
        with_bytes(&self.first, |piece| bytes.push(piece));
        if self.whole {
            return;
        }
        let mut pieces = 1;
        while let Some(row) = self.scan.next_piece(self.last_offset) {
            with_bytes(&row, |piece| bytes.push(piece));
            pieces += 1;
        }
        self.whole = true;
        let found = bytes.len() - before;
        if pieces > 1 && found != self.size_bytes {
            pgrx::error!(
                "the batch that ends with offset {} has {found} bytes in {pieces} rows instead of {}: the log table is damaged",
                self.last_offset,
                self.size_bytes
            );
        }
    }

    /// Passes over the rows that were not read.
    pub(super) fn skip(self) {
        if !self.whole {
            while self.scan.next_piece(self.last_offset).is_some() {}
        }
    }
}

/// Bytes of the batch by its first row, and whether that has all of them. Rows of versions
/// before 0.4.0 have the whole batch, which PostgreSQL may have stored out of line.
fn size(first: &Row) -> (usize, bool) {
    let data = first.data();
    // SAFETY: a non-null bytea of the row that the slot keeps; it is read where it is inline.
    unsafe {
        if pgrx::varatt_is_1b_e(data) || pgrx::varatt_is_4b_c(data) {
            let size = pg_sys::toast_raw_datum_size(pg_sys::Datum::from(data));
            return (size - pg_sys::VARHDRSZ, true);
        }
        let piece = pgrx::varlena_to_byte_slice(data);
        let declared = piece.get(LENGTH).map_or(0, |length| {
            let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            LENGTH.end + length
        });
        (declared.max(piece.len()), declared <= piece.len())
    }
}

fn with_bytes<T>(row: &Row, read: impl FnOnce(&[u8]) -> T) -> T {
    let stored = row.data();
    // SAFETY: the value lives until the scan moves on, a detoasted one until it is freed below;
    // `read` cannot keep it.
    unsafe {
        let data = pg_sys::pg_detoast_datum_packed(stored);
        let result = read(pgrx::varlena_to_byte_slice(data));
        if data != stored {
            pg_sys::pfree(data.cast());
        }
        result
    }
}
