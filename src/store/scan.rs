//! Index scans over one partition of a log table, and the rows they find.
use std::ops::RangeInclusive;
use std::ptr;

use pgrx::pg_sys;

use super::log::LogTable;

/// Columns of a log table, by attribute number.
#[derive(Clone, Copy)]
enum Column {
    Partition = 1,
    LastOffset = 2,
    BaseOffset = 3,
    /// A lower bound of the high watermark when the row was written: where the next walk starts.
    StableOffset = 4,
    MaxTimestamp = 5,
    /// Largest timestamp of this and all earlier rows, for binary search.
    RunningMaxTimestamp = 6,
    Data = 7,
    /// From 0: which part of the batch's bytes this row has. All else is the same in its rows.
    Piece = 8,
}
pub(super) const COLUMNS: usize = 8;

/// A row of the log, valid until the scan moves on.
pub(super) struct Row {
    slot: *mut pg_sys::TupleTableSlot,
}

impl Row {
    pub(super) fn base_offset(&self) -> i64 {
        self.int8(Column::BaseOffset)
    }

    pub(super) fn last_offset(&self) -> i64 {
        self.int8(Column::LastOffset)
    }

    pub(super) fn stable_offset(&self) -> i64 {
        self.int8(Column::StableOffset)
    }

    pub(super) fn max_timestamp(&self) -> i64 {
        self.int8(Column::MaxTimestamp)
    }

    pub(super) fn running_max_timestamp(&self) -> i64 {
        self.int8(Column::RunningMaxTimestamp)
    }

    fn partition(&self) -> i32 {
        self.datum(Column::Partition).value() as i32
    }

    pub(super) fn is_first_piece(&self) -> bool {
        self.datum(Column::Piece).value() as i32 == 0
    }

    /// The piece's bytes as they are stored.
    pub(super) fn data(&self) -> *mut pg_sys::varlena {
        self.datum(Column::Data).cast_mut_ptr()
    }

    /// Whether somebody has deleted the row, or has tried to.
    pub(super) fn may_be_deleted(&self) -> bool {
        // SAFETY: the header of a row that the slot keeps.
        unsafe { (*self.header()).t_infomask & pg_sys::HEAP_XMAX_INVALID as u16 == 0 }
    }

    fn header(&self) -> pg_sys::HeapTupleHeader {
        let slot = self.slot.cast::<pg_sys::BufferHeapTupleTableSlot>();
        // SAFETY: log tables are heap tables, so the slot is a buffer heap slot with a tuple.
        unsafe { (*(*slot).base.tuple).t_data }
    }

    fn int8(&self, column: Column) -> i64 {
        self.datum(column).value() as i64
    }

    fn datum(&self, column: Column) -> pg_sys::Datum {
        let mut null = false;
        // SAFETY: the slot holds a row of a log table, whose columns are not null.
        unsafe { pg_sys::slot_getattr(self.slot, column as i32, &raw mut null) }
    }
}

pub(super) struct OffsetKey {
    strategy: u32,
    function: u32,
    offset: i64,
}

impl OffsetKey {
    pub(super) fn at_least(offset: i64) -> Self {
        Self {
            strategy: pg_sys::BTGreaterEqualStrategyNumber,
            function: pg_sys::F_INT8GE,
            offset,
        }
    }

    pub(super) fn at_most(offset: i64) -> Self {
        Self {
            strategy: pg_sys::BTLessEqualStrategyNumber,
            function: pg_sys::F_INT8LE,
            offset,
        }
    }
}

/// The offsets within all of `keys`.
fn bounds(keys: &[OffsetKey]) -> RangeInclusive<i64> {
    let bound = |strategy: u32| {
        let of_strategy = keys.iter().filter(move |key| key.strategy == strategy);
        of_strategy.map(|key| key.offset)
    };
    let first = bound(pg_sys::BTGreaterEqualStrategyNumber).max();
    let last = bound(pg_sys::BTLessEqualStrategyNumber).min();
    first.unwrap_or(i64::MIN)..=last.unwrap_or(i64::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    /// Every row: committed, in flight or aborted.
    Any,
    /// Committed rows and those in flight, which `row_is_open` tells apart.
    Dirty,
}

/// An index scan over one partition, in offset order.
pub(super) struct Scan {
    desc: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    partition: i32,
    /// The last offsets that are asked for.
    offsets: RangeInclusive<i64>,
    /// The slot has the row that comes next already; false: there is none.
    ahead: Option<bool>,
    /// Boxed, because the scan keeps its address; the dirty snapshot is written by each fetch.
    snapshot: Box<pg_sys::SnapshotData>,
}

impl Scan {
    pub(super) fn new(
        log: &LogTable,
        partition: i32,
        offsets: &[OffsetKey],
        visibility: Visibility,
    ) -> Self {
        // SAFETY: relation and index stay open while `log` lives, which outlives the scan in
        // every caller; an all-zero SnapshotData with its type set is what InitDirtySnapshot makes.
        unsafe {
            let mut snapshot: Box<pg_sys::SnapshotData> = Box::new(std::mem::zeroed());
            snapshot.snapshot_type = match visibility {
                Visibility::Any => pg_sys::SnapshotType::SNAPSHOT_ANY,
                Visibility::Dirty => pg_sys::SnapshotType::SNAPSHOT_DIRTY,
            };
            let mut keys: [pg_sys::ScanKeyData; 3] = std::mem::zeroed();
            pg_sys::ScanKeyInit(
                &raw mut keys[0],
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_INT4EQ),
                pg_sys::Datum::from(partition),
            );
            for (key, offset) in keys[1..].iter_mut().zip(offsets) {
                pg_sys::ScanKeyInit(
                    ptr::from_mut(key),
                    2,
                    offset.strategy as u16,
                    pg_sys::Oid::from(offset.function),
                    pg_sys::Datum::from(offset.offset),
                );
            }
            let count = 1 + offsets.len() as i32;
            let desc = begin_scan(log.relation, log.index, &raw mut *snapshot, count);
            pg_sys::index_rescan(desc, keys.as_mut_ptr(), count, ptr::null_mut(), 0);
            let slot = pg_sys::table_slot_create(log.relation, ptr::null_mut());
            Self {
                desc,
                slot,
                partition,
                offsets: bounds(offsets),
                ahead: None,
                snapshot,
            }
        }
    }

    pub(super) fn next_forward(&mut self) -> Option<Row> {
        self.next(pg_sys::ScanDirection::ForwardScanDirection)
    }

    pub(super) fn next(&mut self, direction: pg_sys::ScanDirection::Type) -> Option<Row> {
        let ahead = self.ahead.take();
        // SAFETY: the scan and slot are alive.
        let fetch = || unsafe { pg_sys::index_getnext_slot(self.desc, direction, self.slot) };
        if !ahead.unwrap_or_else(fetch) {
            return None;
        }
        // On a standby vacuum may have let another row take the place of one that was rolled
        // back, between our looks at the index and at the table: there it does not wait for
        // scans like ours.
        let row = Row { slot: self.slot };
        let is_asked_for = |row: &Row| {
            row.partition() == self.partition && self.offsets.contains(&row.last_offset())
        };
        while !is_asked_for(&row) {
            if !fetch() {
                return None;
            }
        }
        Some(row)
    }

    /// The next row, if it is a further piece of the batch that ends with this offset. Whatever
    /// else comes is left for `next`.
    pub(super) fn next_piece(&mut self, last_offset: i64) -> Option<Row> {
        let row = self.next_forward();
        let more = |row: &Row| row.last_offset() == last_offset && !row.is_first_piece();
        if row.as_ref().is_some_and(more) {
            return row;
        }
        self.ahead = Some(row.is_some());
        None
    }

    /// Whether the row that was just fetched belongs to a transaction that is still open.
    pub(super) fn row_is_open(&self, row: &Row) -> bool {
        if self.snapshot.xmin != pg_sys::InvalidTransactionId {
            return true;
        }
        // A dirty snapshot shows this transaction's own rows as if committed.
        let header = row.header();
        // SAFETY: the header of a row that the slot keeps.
        unsafe {
            let frozen = (*header).t_infomask & pg_sys::HEAP_XMIN_FROZEN as u16
                == pg_sys::HEAP_XMIN_FROZEN as u16;
            !frozen && pg_sys::TransactionIdIsCurrentTransactionId((*header).t_choice.t_heap.t_xmin)
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // abort releases the pins
        }
        // SAFETY: made by `new`, ended once.
        unsafe {
            pg_sys::index_endscan(self.desc);
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
        }
    }
}

/// Begins to read a table along one of its indexes.
///
/// # Safety
/// The relations must be open, and the snapshot stay where it is, until the scan ends.
pub(super) unsafe fn begin_scan(
    relation: pg_sys::Relation,
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: the caller's promise.
    #[cfg(not(feature = "pg18"))]
    unsafe {
        pg_sys::index_beginscan(relation, index, snapshot, keys, 0)
    }
    // SAFETY: as above.
    #[cfg(feature = "pg18")]
    unsafe {
        pg_sys::index_beginscan(relation, index, snapshot, ptr::null_mut(), keys, 0)
    }
}
