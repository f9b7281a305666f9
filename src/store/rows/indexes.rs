//! Index entries of rows that are written, made by the executor: it knows partial indexes.
use std::ptr;

use pgrx::pg_sys;

/// What the executor keeps the indexes up with.
#[derive(Clone, Copy)]
pub(super) struct Indexes {
    estate: *mut pg_sys::EState,
    table: *mut pg_sys::ResultRelInfo,
}

impl Indexes {
    pub(super) fn open(relation: pg_sys::Relation) -> Self {
        // SAFETY: the relation stays open until the indexes are closed; everything is
        // allocated in the state's own memory.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let context = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let table = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(table, relation, 0, ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(table, false);
            pg_sys::MemoryContextSwitchTo(context);
            Self { estate, table }
        }
    }

    /// # Safety
    /// The slot must have a row that is in the table.
    #[cfg_attr(feature = "pg15", allow(unused_variables))]
    pub(super) unsafe fn enter(
        self,
        slot: *mut pg_sys::TupleTableSlot,
        update: bool,
        only_summarizing: bool,
    ) {
        // SAFETY: the caller's promise; no constraint of the tables is deferred, so that
        // nothing is left to be checked again.
        unsafe {
            pg_sys::ExecInsertIndexTuples(
                self.table,
                slot,
                self.estate,
                update,
                false,
                ptr::null_mut(),
                ptr::null_mut(),
                #[cfg(not(feature = "pg15"))]
                only_summarizing,
            );
        }
    }

    /// # Safety
    /// The relation must still be open.
    pub(super) unsafe fn close(self) {
        // SAFETY: opened by `open`; the caller's promise.
        unsafe {
            pg_sys::ExecCloseIndices(self.table);
            pg_sys::FreeExecutorState(self.estate);
        }
    }
}

/// Whether an update needs index entries, and only those of indexes that summarize.
#[cfg(feature = "pg15")]
pub(super) fn needed_entries(update_indexes: bool) -> (bool, bool) {
    (update_indexes, false)
}

#[cfg(not(feature = "pg15"))]
pub(super) fn needed_entries(update_indexes: pg_sys::TU_UpdateIndexes::Type) -> (bool, bool) {
    (
        update_indexes != pg_sys::TU_UpdateIndexes::TU_None,
        update_indexes == pg_sys::TU_UpdateIndexes::TU_Summarizing,
    )
}
