//! Rows of the extension's tables without plans: found by an index, locked, inserted,
//! updated and deleted as the executor does, with every index kept up. For what each batch of a producer
//! and each end of a transaction needs; everything else is `sql`'s.
//!
//! As there, rows are read with a snapshot taken at that moment, whatever the caller's
//! isolation level, the caller needs no privilege on the tables, and what is written is seen
//! by what follows in the same transaction.
mod indexes;
mod key;
mod name;

use std::ops::ControlFlow;
use std::ptr;

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use indexes::{Indexes, needed_entries};
pub(super) use key::Key;
use key::scan_keys;
pub(super) use name::{Name, init};

use super::scan::begin_scan;
use super::sql::Row;

/// Which index a scan goes along.
#[derive(Clone, Copy)]
pub(super) enum Index {
    PrimaryKey,
    Named(Name),
}

/// Where a row is. Whoever has it locked may update it, in the same call.
pub(super) struct Place(pg_sys::ItemPointerData);

/// A value of a row; None is null.
pub(super) type Value = Option<pg_sys::Datum>;

/// An array without nulls.
pub(super) fn array<T: IntoDatum>(values: impl Iterator<Item = T>) -> pg_sys::Datum {
    let mut values: Vec<pg_sys::Datum> = values.filter_map(IntoDatum::into_datum).collect();
    let (mut length, mut by_value, mut align) = (0, false, 0);
    // SAFETY: the datums are of the type whose properties are asked for.
    unsafe {
        pg_sys::get_typlenbyvalalign(
            T::type_oid(),
            &raw mut length,
            &raw mut by_value,
            &raw mut align,
        );
        let array = pg_sys::construct_array(
            values.as_mut_ptr(),
            values.len() as i32,
            T::type_oid(),
            i32::from(length),
            by_value,
            align,
        );
        pg_sys::Datum::from(array)
    }
}

/// An open table of the extension, with this many columns.
pub(super) struct Table<const COLUMNS: usize> {
    relation: pg_sys::Relation,
    lock: i32,
    /// The row that was found, or is about to be written.
    slot: *mut pg_sys::TupleTableSlot,
    /// Made for the first row that needs new index entries.
    indexes: Option<Indexes>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// For reading. The lock is given back with the table.
    pub(super) fn read(name: Name) -> Self {
        Self::open(name, pg_sys::AccessShareLock)
    }

    /// For locking and writing rows. The lock is kept to the end of the transaction.
    pub(super) fn write(name: Name) -> Self {
        Self::open(name, pg_sys::RowExclusiveLock)
    }

    fn open(name: Name, lock: u32) -> Self {
        let lock = lock as i32;
        loop {
            pgrx::check_for_interrupts!();
            let oid = name.oid();
            // SAFETY: what is opened is closed below or by Drop, or by the resource owner on abort.
            unsafe {
                let relation = pg_sys::try_table_open(oid, lock);
                if relation.is_null() {
                    name.note(pg_sys::InvalidOid);
                    continue;
                }
                if name.known() != oid {
                    pg_sys::table_close(relation, lock);
                    continue;
                }
                check_columns(relation, name, COLUMNS);
                return Self {
                    relation,
                    lock,
                    slot: pg_sys::table_slot_create(relation, ptr::null_mut()),
                    indexes: None,
                };
            }
        }
    }

    /// Visits the rows whose first columns in the index are as the keys say, in its order.
    pub(super) fn scan(
        &self,
        index: Index,
        keys: &[Key],
        mut visit: impl FnMut(&Row) -> ControlFlow<()>,
    ) {
        let snapshot = Snapshot::latest();
        self.scan_at(&snapshot, index, keys, |row| visit(&row));
    }

    /// The row with this primary key.
    pub(super) fn find<T>(&self, key: &[Key], read: impl FnOnce(&Row) -> T) -> Option<(Place, T)> {
        let snapshot = Snapshot::latest();
        self.find_at(&snapshot, key)
            .then(|| (self.place(), read(&self.row())))
    }

    /// The same, locked to the end of the transaction: waits for whoever has it locked or is
    /// about to write it, and finds what they leave, as SELECT FOR UPDATE does.
    pub(super) fn lock<T>(&self, key: &[Key], read: impl FnOnce(&Row) -> T) -> Option<(Place, T)> {
        let snapshot = Snapshot::latest();
        let locked = self.find_at(&snapshot, key) && self.lock_found(&snapshot);
        locked.then(|| (self.place(), read(&self.row())))
    }

    /// Writes a new row. Another one with the same key is an error.
    pub(super) fn insert(&mut self, values: &[Value; COLUMNS]) {
        self.fill(values);
        // SAFETY: the slot has a row of the table's columns.
        unsafe { pg_sys::simple_table_tuple_insert(self.relation, self.slot) };
        self.enter_in_indexes(false, false);
        // SAFETY: ends the command that has written.
        unsafe { pg_sys::CommandCounterIncrement() };
    }

    /// Writes the new values of a row.
    pub(super) fn update(&mut self, mut place: Place, values: &[Value; COLUMNS]) {
        self.fill(values);
        let snapshot = Snapshot::latest();
        let mut entries = Default::default();
        // SAFETY: as in `insert`; an update that somebody was faster with raises.
        unsafe {
            pg_sys::simple_table_tuple_update(
                self.relation,
                &raw mut place.0,
                self.slot,
                snapshot.0,
                &raw mut entries,
            );
        }
        let (needed, only_summarizing) = needed_entries(entries);
        if needed {
            self.enter_in_indexes(true, only_summarizing);
        }
        // SAFETY: ends the command that has written.
        unsafe { pg_sys::CommandCounterIncrement() };
    }

    /// Deletes a row.
    pub(super) fn delete(&mut self, mut place: Place) {
        let snapshot = Snapshot::latest();
        // SAFETY: a row of the open table; a deletion that somebody was faster with raises.
        unsafe {
            pg_sys::simple_table_tuple_delete(self.relation, &raw mut place.0, snapshot.0);
            pg_sys::CommandCounterIncrement();
        }
    }

    fn find_at(&self, snapshot: &Snapshot, key: &[Key]) -> bool {
        let mut found = false;
        self.scan_at(snapshot, Index::PrimaryKey, key, |_| {
            found = true;
            ControlFlow::Break(())
        });
        found
    }

    /// Locks the row in the slot, which is its last version then; false where it is gone.
    fn lock_found(&self, snapshot: &Snapshot) -> bool {
        // SAFETY: a plain backend global.
        let one_snapshot = unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as i32;
        let mut flags = pg_sys::TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;
        if !one_snapshot {
            flags |= pg_sys::TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
        }
        let Place(mut tid) = self.place();
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: the slot has a row of the open table, and is of its kind.
        let result = unsafe {
            pg_sys::table_tuple_lock(
                self.relation,
                &raw mut tid,
                snapshot.0,
                self.slot,
                pg_sys::GetCurrentCommandId(false),
                pg_sys::LockTupleMode::LockTupleExclusive,
                pg_sys::LockWaitPolicy::LockWaitBlock,
                flags as u8,
                &raw mut failure,
            )
        };
        let moved_on = [pg_sys::TM_Result::TM_Updated, pg_sys::TM_Result::TM_Deleted];
        if one_snapshot && moved_on.contains(&result) {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                "could not serialize access due to concurrent update"
            );
        }
        match result {
            pg_sys::TM_Result::TM_Ok => true,
            pg_sys::TM_Result::TM_Deleted => false,
            other => error!("unexpected table_tuple_lock status: {other}"),
        }
    }

    /// The slot keeps the row at which `visit` breaks.
    fn scan_at(
        &self,
        snapshot: &Snapshot,
        index: Index,
        keys: &[Key],
        mut visit: impl FnMut(Row) -> ControlFlow<()>,
    ) {
        let count = keys.len() as i32;
        let mut scan_keys = scan_keys(keys);
        // SAFETY: the index is one of the open table's; the keys and the snapshot outlive the
        // scan. An ERROR leaves the rest to the resource owner.
        unsafe {
            let index = pg_sys::index_open(self.index_oid(index), self.lock);
            let scan = begin_scan(self.relation, index, snapshot.0, count);
            pg_sys::index_rescan(scan, scan_keys.as_mut_ptr(), count, ptr::null_mut(), 0);
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            while pg_sys::index_getnext_slot(scan, forward, self.slot) {
                if visit(self.row()).is_break() {
                    break;
                }
                pgrx::check_for_interrupts!();
            }
            pg_sys::index_endscan(scan);
            pg_sys::index_close(index, self.unlock());
        }
    }

    fn index_oid(&self, index: Index) -> pg_sys::Oid {
        match index {
            Index::Named(name) => name.oid(),
            // SAFETY: the table is open.
            #[cfg(not(feature = "pg18"))]
            Index::PrimaryKey => unsafe { pg_sys::RelationGetPrimaryKeyIndex(self.relation) },
            // SAFETY: as above.
            #[cfg(feature = "pg18")]
            Index::PrimaryKey => unsafe {
                pg_sys::RelationGetPrimaryKeyIndex(self.relation, false)
            },
        }
    }

    /// The row in the slot, as long as it stays there.
    fn row(&self) -> Row {
        // SAFETY: called when the slot has a row, which it keeps pinned.
        unsafe {
            let tuple = pg_sys::ExecFetchSlotHeapTuple(self.slot, false, ptr::null_mut());
            Row::new(tuple, (*self.relation).rd_att)
        }
    }

    fn place(&self) -> Place {
        // SAFETY: as above.
        Place(unsafe { (*self.slot).tts_tid })
    }

    fn fill(&self, values: &[Value; COLUMNS]) {
        // SAFETY: the slot was made for a table of so many columns.
        unsafe {
            pg_sys::ExecClearTuple(self.slot);
            for (i, value) in values.iter().enumerate() {
                *(*self.slot).tts_values.add(i) = value.unwrap_or(pg_sys::Datum::null());
                *(*self.slot).tts_isnull.add(i) = value.is_none();
            }
            pg_sys::ExecStoreVirtualTuple(self.slot);
        }
    }

    /// Makes the index entries of the row that was just written.
    fn enter_in_indexes(&mut self, update: bool, only_summarizing: bool) {
        let indexes = *self
            .indexes
            .get_or_insert_with(|| Indexes::open(self.relation));
        // SAFETY: the slot has the row with its place.
        unsafe { indexes.enter(self.slot, update, only_summarizing) };
    }

    fn unlock(&self) -> i32 {
        if self.lock == pg_sys::AccessShareLock as i32 {
            self.lock
        } else {
            pg_sys::NoLock as i32
        }
    }
}

impl<const COLUMNS: usize> Drop for Table<COLUMNS> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // an ERROR is on its way: abort closes what is open
        }
        // SAFETY: made or opened once, closed once.
        unsafe {
            if let Some(indexes) = self.indexes {
                indexes.close();
            }
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::table_close(self.relation, self.unlock());
        }
    }
}

/// The library may be newer than the tables.
///
/// # Safety
/// The relation must be open.
unsafe fn check_columns(relation: pg_sys::Relation, name: Name, columns: usize) {
    // SAFETY: the caller's promise.
    let found = unsafe { (*(*relation).rd_att).natts };
    if found != columns as i32 {
        error!(
            "kafka_log.{} has {found} columns instead of {columns}: run ALTER EXTENSION pg_kafka UPDATE",
            name.as_str()
        );
    }
}

/// A snapshot taken now. Registered, so that large values can be read and replaced.
struct Snapshot(pg_sys::Snapshot);

impl Snapshot {
    fn latest() -> Self {
        // SAFETY: given back by Drop, or by the resource owner on abort.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: registered once.
            unsafe { pg_sys::UnregisterSnapshot(self.0) };
        }
    }
}
