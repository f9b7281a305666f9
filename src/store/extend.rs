//! Adds many pages to a log table at once. PostgreSQL 15 adds them one by one, each written
//! as zeroes first, which took a quarter of the processor time of large appends; from 16 on
//! it does for itself what this module does.
use std::ffi::CStr;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;

use pgrx::pg_sys;

use super::writer::{MAX_ROW, free_in_page};

/// Fewer pages are left to PostgreSQL.
const WORTH_IT: u32 = 8;

/// Adds the pages that so many bytes of rows fill, unless the table has room already. They are
/// given to whoever inserts next, by way of the free space map. Does nothing where it cannot:
/// PostgreSQL then adds the pages itself, or says why not.
///
/// # Safety
/// The relation must be open, and locked against truncation and removal.
pub(super) unsafe fn make_room(relation: pg_sys::Relation, bytes: usize) {
    let pages = (bytes / MAX_ROW) as u32;
    if pages < WORTH_IT {
        return;
    }
    let exclusive = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: see above; the extension lock is released below, or by an error.
    unsafe {
        if has_room(relation) || !pg_sys::ConditionalLockRelationForExtension(relation, exclusive) {
            return;
        }
        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
        let first = pg_sys::RelationGetNumberOfBlocksInFork(relation, main);
        // PostgreSQL begins each of the files that a table consists of.
        let in_file = first % pg_sys::RELSEG_SIZE;
        if in_file > 0 {
            let end = first + pages.min(pg_sys::RELSEG_SIZE - in_file);
            cache_as_zeroes(relation, first..end);
            if allocate(relation, first..end) {
                for block in first..end {
                    pg_sys::RecordPageWithFreeSpace(relation, block, MAX_ROW);
                }
                pg_sys::FreeSpaceMapVacuumRange(relation, first, end);
            }
        }
        pg_sys::UnlockRelationForExtension(relation, exclusive);
    }
}

/// Whether there is an empty page. The free space map has it that pages are empty that
/// sessions have been filling meanwhile, and is told better.
///
/// # Safety
/// As for [`make_room`].
unsafe fn has_room(relation: pg_sys::Relation) -> bool {
    // SAFETY: blocks of the map exist while the relation is locked against truncation.
    unsafe {
        let mut block = pg_sys::GetPageWithFreeSpace(relation, MAX_ROW);
        while block != pg_sys::InvalidBlockNumber {
            let free = free_in_page(relation, block);
            if free >= MAX_ROW {
                return true;
            }
            block = pg_sys::RecordAndGetPageWithFreeSpace(relation, block, free, MAX_ROW);
        }
    }
    false
}

/// Puts pages that the file does not have yet into the buffer pool, so that they need not be
/// read. They stay clean: a buffer that is given up meanwhile reads the same from the file.
/// Where the file does not grow after all, the next extension takes such buffers for what
/// they are (`ReadBuffer_common`).
///
/// # Safety
/// The extension lock must be held, and the blocks be behind the relation's end: nobody can
/// have used them.
unsafe fn cache_as_zeroes(relation: pg_sys::Relation, blocks: std::ops::Range<u32>) {
    for block in blocks {
        // SAFETY: see above.
        unsafe {
            let buffer = pg_sys::ReadBufferExtended(
                relation,
                pg_sys::ForkNumber::MAIN_FORKNUM,
                block,
                pg_sys::ReadBufferMode::RBM_ZERO_AND_LOCK,
                std::ptr::null_mut(),
            );
            pg_sys::UnlockReleaseBuffer(buffer);
        }
    }
}

/// Makes the relation's last file longer by these blocks, which read as zeroes.
///
/// # Safety
/// As above, and the blocks must be in one file.
unsafe fn allocate(relation: pg_sys::Relation, blocks: std::ops::Range<u32>) -> bool {
    // SAFETY: an open relation has a file node; the path is of the present memory context.
    let path = unsafe {
        let node = (*relation).rd_node;
        let path = pg_sys::GetRelationPath(
            node.dbNode,
            node.spcNode,
            node.relNode,
            (*relation).rd_backend,
            pg_sys::ForkNumber::MAIN_FORKNUM,
        );
        let owned = CStr::from_ptr(path).to_string_lossy().into_owned();
        pg_sys::pfree(path.cast());
        owned
    };
    let segment = blocks.start / pg_sys::RELSEG_SIZE;
    let path = if segment == 0 {
        path
    } else {
        format!("{path}.{segment}")
    };
    let Ok(file) = OpenOptions::new().write(true).open(path) else {
        return false;
    };
    let bytes = |blocks: u32| i64::from(blocks) * i64::from(pg_sys::BLCKSZ);
    let offset = bytes(blocks.start % pg_sys::RELSEG_SIZE);
    // SAFETY: an open file; nothing else is touched.
    let failed =
        unsafe { libc::posix_fallocate(file.as_raw_fd(), offset, bytes(blocks.len() as u32)) };
    failed == 0
}
