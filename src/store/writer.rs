//! Writes batches as rows of a log table: whole where they fit into the page, otherwise cut
//! into pieces that fill pages. PostgreSQL's own way for large values (TOAST) would cut them
//! into pieces of 2 KB in a second table with a second index, each with a WAL record for
//! itself; pages written as a whole take half the processor time and a tenth of the WAL's
//! overhead.
use std::ptr;

use pgrx::pg_sys;

use super::log::LogTable;
use super::scan::COLUMNS;

/// Bytes of a row before and behind the batch's: header, the columns of fixed width and the
/// length word before `data`, `piece` behind it.
const ROW_OVERHEAD: usize = 24 + 48 + pg_sys::VARHDRSZ + 4;
/// The largest row that stays in one page of 8 KB, and is `toast_tuple_target`.
pub(super) const MAX_ROW: usize = 8160;
const MAX_PIECE: usize = MAX_ROW - ROW_OVERHEAD;
/// What is left of a page is used from so many bytes on.
const MIN_PIECE: usize = 1024;
/// Rows that are written together.
const MAX_ROWS: usize = 64;

/// The columns of a batch's rows but for `data` and `piece`.
pub(super) struct RowValues {
    pub(super) partition: i32,
    pub(super) last_offset: i64,
    pub(super) base_offset: i64,
    pub(super) stable_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) running_max_timestamp: i64,
}

struct NewRow {
    tuple: pg_sys::HeapTuple,
    /// The index's columns.
    key: [pg_sys::Datum; 3],
}

pub(super) struct RowWriter<'log> {
    log: &'log LogTable,
    rows: Vec<NewRow>,
    /// A bytea in which a piece is put together.
    piece: *mut u8,
    /// Bytes left in the page that the next row goes to, as far as that can be foreseen: a
    /// wrong guess costs room, no more.
    free: usize,
}

impl<'log> RowWriter<'log> {
    pub(super) fn new(log: &'log LogTable) -> Self {
        Self {
            log,
            rows: Vec::with_capacity(1),
            // SAFETY: palloc returns that many bytes or raises.
            piece: unsafe { pg_sys::palloc(pg_sys::VARHDRSZ + MAX_PIECE).cast() },
            free: free_in_target(log),
        }
    }

    /// Adds a batch; `stamp` may change its header.
    pub(super) fn write(&mut self, values: &RowValues, data: &[u8], stamp: impl FnOnce(&mut [u8])) {
        let mut stamp = Some(stamp);
        let mut rest = data;
        let mut number = 0;
        loop {
            let (piece, behind) = rest.split_at(self.piece_size(rest.len()));
            rest = behind;
            let piece = self.fill(piece);
            if let Some(stamp) = stamp.take() {
                stamp(piece);
            }
            self.add(values, number);
            if rest.is_empty() {
                return;
            }
            number += 1;
        }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) {
        self.flush();
        // SAFETY: allocated by `new`.
        unsafe { pg_sys::pfree(self.piece.cast()) };
    }

    /// How many of the next `len` bytes go into one row. A header is never cut.
    fn piece_size(&self, len: usize) -> usize {
        let fits = (self.free & !(ALIGN - 1)).saturating_sub(ROW_OVERHEAD) & !3;
        if len <= fits || (fits >= MIN_PIECE && len > 2 * MIN_PIECE) {
            len.min(fits)
        } else {
            len.min(MAX_PIECE)
        }
    }

    fn fill(&mut self, bytes: &[u8]) -> &mut [u8] {
        debug_assert!(bytes.len() <= MAX_PIECE);
        // SAFETY: the buffer has room for the length word and MAX_PIECE bytes, the most that
        // `piece_size` returns.
        unsafe {
            let payload = self.piece.add(pg_sys::VARHDRSZ);
            ptr::copy_nonoverlapping(bytes.as_ptr(), payload, bytes.len());
            let len = pg_sys::VARHDRSZ + bytes.len();
            pgrx::set_varsize_4b(self.piece.cast(), len as i32);
            std::slice::from_raw_parts_mut(payload, bytes.len())
        }
    }

    /// A row with the piece that was put together.
    fn add(&mut self, row: &RowValues, number: i32) {
        let (partition, last_offset) = (row.partition.into(), row.last_offset.into());
        let number = pg_sys::Datum::from(number);
        let mut values: [pg_sys::Datum; COLUMNS] = [
            partition,
            last_offset,
            row.base_offset.into(),
            row.stable_offset.into(),
            row.max_timestamp.into(),
            row.running_max_timestamp.into(),
            pg_sys::Datum::from(self.piece),
            number,
        ];
        let mut nulls = [false; COLUMNS];
        // SAFETY: the values are in the order and types of the log table.
        let tuple = unsafe {
            pg_sys::heap_form_tuple(
                (*self.log.relation).rd_att,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            )
        };
        // SAFETY: a tuple that was just made.
        let len = unsafe { (*tuple).t_len as usize }.next_multiple_of(ALIGN);
        self.free = if len <= self.free {
            self.free
        } else {
            FREE_IN_EMPTY_PAGE
        }
        .saturating_sub(len + LINE_POINTER);
        self.rows.push(NewRow {
            tuple,
            key: [partition, last_offset, number],
        });
        if self.rows.len() == MAX_ROWS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        // SAFETY: the tuples are of the log table and owned by `rows`; inserting sets their
        // positions, which the index entries then name.
        unsafe {
            let command = pg_sys::GetCurrentCommandId(true);
            if let [row] = &rows[..] {
                pg_sys::heap_insert(self.log.relation, row.tuple, command, 0, ptr::null_mut());
                self.index(row, &raw mut (*row.tuple).t_self);
                pg_sys::heap_freetuple(row.tuple);
                return;
            }
            let mut slots: Vec<*mut pg_sys::TupleTableSlot> =
                rows.iter().map(|row| self.slot(row)).collect();
            let count = slots.len() as i32;
            let slots_start = slots.as_mut_ptr();
            if count > 0 {
                let relation = self.log.relation;
                #[cfg(feature = "pg15")]
                {
                    let bytes = rows.iter().map(|row| (*row.tuple).t_len as usize).sum();
                    super::extend::make_room(relation, bytes);
                }
                pg_sys::heap_multi_insert(
                    relation,
                    slots_start,
                    count,
                    command,
                    0,
                    ptr::null_mut(),
                );
            }
            for (row, slot) in rows.iter().zip(slots) {
                self.index(row, &raw mut (*slot).tts_tid);
                pg_sys::ExecDropSingleTupleTableSlot(slot);
            }
        }
    }

    /// A slot that owns the row's tuple.
    ///
    /// # Safety
    /// The tuple must not be used but through the slot.
    unsafe fn slot(&self, row: &NewRow) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: a heap tuple of the relation's shape.
        unsafe {
            let desc = (*self.log.relation).rd_att;
            let slot = pg_sys::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsHeapTuple);
            pg_sys::ExecStoreHeapTuple(row.tuple, slot, true)
        }
    }

    /// # Safety
    /// `position` must be where the row was inserted.
    unsafe fn index(&self, row: &NewRow, position: pg_sys::ItemPointer) {
        let (mut key, mut nulls) = (row.key, [false; 3]);
        // SAFETY: the index is the log table's, on these three columns.
        unsafe {
            pg_sys::index_insert(
                self.log.index,
                key.as_mut_ptr(),
                nulls.as_mut_ptr(),
                position,
                self.log.relation,
                pg_sys::IndexUniqueCheck::UNIQUE_CHECK_YES,
                false,
                ptr::null_mut(),
            );
        }
    }
}

/// Alignment of rows in a page.
const ALIGN: usize = 8;
const LINE_POINTER: usize = 4;
const FREE_IN_EMPTY_PAGE: usize = MAX_ROW + LINE_POINTER;

/// Bytes left in the page where this session has inserted last; 0 where that is unknown.
fn free_in_target(log: &LogTable) -> usize {
    // SAFETY: the relation is open and locked against truncation, so the block that the
    // session remembers exists.
    unsafe {
        let storage = (*log.relation).rd_smgr;
        if storage.is_null() || (*storage).smgr_targblock == pg_sys::InvalidBlockNumber {
            return 0;
        }
        free_in_page(log.relation, (*storage).smgr_targblock)
    }
}

/// Bytes that a row can have in a page.
///
/// # Safety
/// The relation must be open, and locked against truncation since the block was known.
pub(super) unsafe fn free_in_page(relation: pg_sys::Relation, block: u32) -> usize {
    // SAFETY: see above; the buffer is pinned and locked while it is looked at.
    unsafe {
        let buffer = pg_sys::ReadBuffer(relation, block);
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32);
        let page = pg_sys::BufferGetPage(buffer);
        let free = if pg_sys::PageIsNew(page) {
            MAX_ROW
        } else {
            pg_sys::PageGetHeapFreeSpace(page)
        };
        pg_sys::UnlockReleaseBuffer(buffer);
        free
    }
}
