//! The partition log: one row per record batch, or several that fill a page each, in the
//! topic's log table, offsets given under a short partition lock, and a high watermark found by walking the index.
//!
//! Rows enter the index in offset order, because the partition lock covers reading the
//! rightmost entry and inserting behind it. So below the first row whose transaction is
//! still open nothing can appear any more: that row is the high watermark. Rows of aborted
//! transactions leave gaps, as compaction does in Kafka. Nothing but rows and the state of
//! transactions is read, so this holds after a crash, under PREPARE TRANSACTION and on a
//! standby.
use std::borrow::Cow;
use std::ops::ControlFlow;

use pgrx::pg_sys;

use super::scan::{OffsetKey, Scan, Visibility};
use super::stored::StoredBatch;
use super::topic::{self, Topic};
use super::wake;
use super::writer::{RowValues, RowWriter};

/// What a call does with the log table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// Reads; the lock is given back when the call ends, so that segments can be dropped.
    Read,
    /// Writes; the lock is kept to the end of the transaction.
    Write,
    /// Drops or alters the topic.
    Exclusive,
}

impl LockMode {
    fn relation_lock(self) -> i32 {
        (match self {
            Self::Read => pg_sys::AccessShareLock,
            Self::Write => pg_sys::RowExclusiveLock,
            Self::Exclusive => pg_sys::AccessExclusiveLock,
        }) as i32
    }
}

/// An open log table with its index on (partition, `last_offset`, piece).
pub(crate) struct LogTable {
    pub(super) relation: pg_sys::Relation,
    pub(super) index: pg_sys::Relation,
    mode: LockMode,
}

/// The bounds of what can be read of a partition at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watermarks {
    pub(crate) log_start_offset: i64,
    /// The first offset that cannot be read yet.
    pub(crate) high_watermark: i64,
    /// The offset that the next batch would get.
    pub(crate) end_offset: i64,
}

/// A batch on its way into the log.
pub(crate) struct NewBatch<'a> {
    /// The bytes; the stored ones get their base offset and leader epoch.
    data: Cow<'a, [u8]>,
    last_offset_delta: i32,
    /// Milliseconds since the epoch; -1 where the records have none.
    max_timestamp: i64,
}

impl<'a> NewBatch<'a> {
    /// Puts `log_append_time` (milliseconds since the epoch), where there is one, on its
    /// records, which takes a look at all of its bytes: not to be done under the lock.
    pub(crate) fn new(
        mut data: Cow<'a, [u8]>,
        last_offset_delta: i32,
        max_timestamp: i64,
        log_append_time: Option<i64>,
    ) -> Self {
        if log_append_time.is_some() {
            kafka_core::batch::stamp(data.to_mut(), 0, 0, log_append_time);
        }
        Self {
            data,
            last_offset_delta,
            max_timestamp: log_append_time.unwrap_or(max_timestamp),
        }
    }
}

impl LogTable {
    /// None where the table is gone.
    pub(super) fn open(topic: &Topic, mode: LockMode) -> Option<Self> {
        // SAFETY: opened relations are closed by Drop, or by the resource owner on abort.
        unsafe {
            let relation = pg_sys::try_table_open(topic.log_table, mode.relation_lock());
            if relation.is_null() {
                return None;
            }
            let index = open_offset_index(relation, mode.relation_lock());
            Some(Self {
                relation,
                index,
                mode,
            })
        }
    }

    /// The rightmost row of the partition, whatever the state of its transaction.
    fn tail(&self, partition: i32) -> Option<Tail> {
        let mut scan = Scan::new(self, partition, &[], Visibility::Any);
        scan.next(pg_sys::ScanDirection::BackwardScanDirection)
            .map(|row| Tail {
                last_offset: row.last_offset(),
                stable_offset: row.stable_offset(),
                running_max_timestamp: row.running_max_timestamp(),
                may_be_deleted: row.may_be_deleted(),
            })
    }

    /// Walks from the tail's stable offset towards the tail, up to the first row whose
    /// transaction is open (this session's own included).
    fn walk(&self, partition: i32, tail: &Tail) -> i64 {
        let keys = [
            OffsetKey::at_least(tail.stable_offset),
            OffsetKey::at_most(tail.last_offset),
        ];
        let mut scan = Scan::new(self, partition, &keys, Visibility::Dirty);
        let mut high_watermark = tail.stable_offset;
        while let Some(row) = scan.next_forward() {
            if scan.row_is_open(&row) {
                break;
            }
            high_watermark = row.last_offset() + 1;
        }
        high_watermark
    }
}

/// The unique index on (partition, `last_offset`, piece), whatever other indexes somebody added.
///
/// # Safety
/// `relation` must be an open log table.
unsafe fn open_offset_index(relation: pg_sys::Relation, lock: i32) -> pg_sys::Relation {
    const KEY: [i16; 3] = [1, 2, 8];
    // SAFETY: the caller's promise; an index of an open relation can be opened.
    unsafe {
        let indexes = pgrx::PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(relation));
        for oid in indexes.iter_oid() {
            let index = pg_sys::index_open(oid, lock);
            let form = &*(*index).rd_index;
            let columns = usize::try_from(form.indnkeyatts).unwrap_or(0);
            if form.indisunique && form.indkey.values.as_slice(columns) == KEY {
                return index;
            }
            pg_sys::index_close(index, lock);
        }
        let name = std::ffi::CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr());
        pgrx::error!(
            "log table {} has no unique index on (partition, last_offset, piece): after restoring a dump of an older version run SELECT kafka.upgrade_logs()",
            name.to_string_lossy()
        )
    }
}

impl Drop for LogTable {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // an ERROR is on its way: abort closes what is open
        }
        let unlock = if self.mode == LockMode::Read {
            self.mode.relation_lock()
        } else {
            pg_sys::NoLock as i32
        };
        // SAFETY: both were opened by `open` and are closed once.
        unsafe {
            pg_sys::index_close(self.index, unlock);
            pg_sys::table_close(self.relation, unlock);
        }
    }
}

struct Tail {
    last_offset: i64,
    stable_offset: i64,
    running_max_timestamp: i64,
    may_be_deleted: bool,
}

/// Appends batches to a partition, one behind another, under its lock. They become readable
/// when the transaction commits.
pub(crate) struct Appender<'log> {
    topic_number: i32,
    partition: i32,
    leader_epoch: i32,
    writer: RowWriter<'log>,
    lock: PartitionLock,
    next_offset: i64,
    stable_offset: i64,
    running_max_timestamp: i64,
    /// Bytes appended.
    bytes: usize,
}

impl<'log> Appender<'log> {
    /// Takes the lock. Nobody else appends until [`finish`](Self::finish), before which this
    /// session must wait for nobody.
    pub(crate) fn begin(topic: &Topic, log: &'log LogTable, partition: i32) -> Self {
        let leader_epoch = super::server::leader_epoch();
        // SAFETY: assigns the transaction id before the lock, so that no WAL write for it happens under the lock.
        unsafe { pg_sys::GetCurrentTransactionId() };
        let writer = RowWriter::new(log);
        let lock = PartitionLock::acquire(topic.number, partition);
        let tail = log.tail(partition);
        // Behind deleted rows the index no longer tells the next offset: scans mark entries of dead
        // rows, which are passed over from then on, in any order. The log start tells it.
        let start = match &tail {
            Some(tail) if !tail.may_be_deleted => 0,
            _ => topic::stored_log_start_offset(topic, partition),
        };
        let (next_offset, stable_offset, running_max_timestamp) = match &tail {
            Some(tail) => (
                start.max(tail.last_offset + 1),
                start.max(log.walk(partition, tail)),
                tail.running_max_timestamp,
            ),
            None => (start, start, -1),
        };
        Self {
            topic_number: topic.number,
            partition,
            leader_epoch,
            writer,
            lock,
            next_offset,
            stable_offset,
            running_max_timestamp,
            bytes: 0,
        }
    }

    /// At [`next_offset`](Self::next_offset).
    pub(crate) fn append(&mut self, batch: &NewBatch<'_>) {
        let base_offset = self.next_offset;
        self.running_max_timestamp = self.running_max_timestamp.max(batch.max_timestamp);
        let values = RowValues {
            partition: self.partition,
            last_offset: base_offset + i64::from(batch.last_offset_delta),
            base_offset,
            stable_offset: self.stable_offset,
            max_timestamp: batch.max_timestamp,
            running_max_timestamp: self.running_max_timestamp,
        };
        self.writer.write(&values, &batch.data, |header| {
            kafka_core::batch::stamp(header, base_offset, self.leader_epoch, None);
        });
        self.next_offset = values.last_offset + 1;
        self.bytes += batch.data.len();
    }

    /// By the numbers of topic and partition.
    pub(crate) fn partition(&self) -> (i32, i32) {
        (self.topic_number, self.partition)
    }

    /// The base offset of the next batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Has written so much that others should have their turn.
    pub(crate) fn is_full(&self) -> bool {
        const TURN_BYTES: usize = 1024 * 1024;
        self.bytes >= TURN_BYTES
    }

    /// Writes what is left, and gives the lock back.
    pub(crate) fn finish(self) {
        self.writer.finish();
        self.lock.release();
        flush_ahead(self.bytes);
        wake::touch(wake::Slot::partition(self.topic_number, self.partition));
    }
}

/// Lets the WAL writer begin with what a large append has written, so that the commit finds
/// most of it flushed.
fn flush_ahead(bytes: usize) {
    const WORTH_IT: usize = 256 * 1024;
    if bytes >= WORTH_IT {
        // SAFETY: the end of the last WAL record of this transaction; wakes another process.
        unsafe { pg_sys::XLogSetAsyncXactLSN(pg_sys::XactLastRecEnd) };
    }
}

/// Fixes the watermarks; whatever is below `high_watermark` stays readable.
pub(crate) fn watermarks(topic: &Topic, log: &LogTable, partition: i32) -> Watermarks {
    let tail = log.tail(partition);
    let log_start_offset = match tail {
        Some(_) => topic.log_start_offset(partition),
        None => topic::stored_log_start_offset(topic, partition),
    };
    let (high_watermark, end_offset) = match tail {
        Some(tail) => (log.walk(partition, &tail), tail.last_offset + 1),
        None => (log_start_offset, log_start_offset),
    };
    // Deleted rows do not count in the walk, but the log start has moved past them.
    Watermarks {
        log_start_offset,
        high_watermark: high_watermark.max(log_start_offset),
        end_offset: end_offset.max(log_start_offset),
    }
}

/// Whether a reader could open the log table now, without waiting for somebody who drops it.
pub(crate) fn is_unlocked(topic: &Topic) -> bool {
    let lock = LockMode::Read.relation_lock();
    // SAFETY: locks and unlocks by OID; the relation need not exist.
    unsafe {
        let free = pg_sys::ConditionalLockRelationOid(topic.log_table, lock);
        if free {
            pg_sys::UnlockRelationOid(topic.log_table, lock);
        }
        free
    }
}

/// Visits the committed batches with `last_offset >= from` below `high_watermark`, in order.
pub(crate) fn for_each_batch(
    log: &LogTable,
    partition: i32,
    from: i64,
    high_watermark: i64,
    mut visit: impl FnMut(&mut StoredBatch<'_>) -> ControlFlow<()>,
) {
    let keys = [
        OffsetKey::at_least(from),
        OffsetKey::at_most(high_watermark - 1),
    ];
    let mut scan = Scan::new(log, partition, &keys, Visibility::Dirty);
    while let Some(row) = scan.next_forward() {
        pgrx::check_for_interrupts!();
        if scan.row_is_open(&row) {
            // Another try may find it ended.
            // SAFETY: a getter.
            if unsafe { pg_sys::RecoveryInProgress() } {
                pgrx::ereport!(
                    ERROR,
                    pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                    "row of a transaction that has not ended on this standby below the high watermark"
                );
            }
            pgrx::error!(
                "row of an open transaction below the high watermark: the log table is damaged"
            );
        }
        let mut batch = StoredBatch::new(&mut scan, row);
        if visit(&mut batch).is_break() {
            break;
        }
        batch.skip();
    }
}

/// The largest timestamp of the committed batches below `high_watermark`, if there are any,
/// and of those that were rolled back between them.
pub(crate) fn running_max_timestamp(
    log: &LogTable,
    partition: i32,
    high_watermark: i64,
) -> Option<i64> {
    let keys = [OffsetKey::at_most(high_watermark - 1)];
    let mut scan = Scan::new(log, partition, &keys, Visibility::Dirty);
    scan.next(pg_sys::ScanDirection::BackwardScanDirection)
        .map(|row| row.running_max_timestamp())
}

/// The short exclusive lock under which offsets are given. A transaction holds it for the
/// time of one insert and waits for nobody meanwhile. Lock tags of the type USERLOCK
/// cannot meet advisory locks.
struct PartitionLock(pg_sys::LOCKTAG);

impl PartitionLock {
    /// Tries for a moment before it queues up: the lock is held so briefly that giving the
    /// processor to its holder is cheaper than being put to sleep and woken.
    fn acquire(topic_number: i32, partition: i32) -> Self {
        const ATTEMPTS: usize = 200;
        let tag =
            super::server::lock_tag(topic_number, partition, super::server::LockKind::Partition);
        for attempt in 0..=ATTEMPTS {
            // SAFETY: a transaction-level lock; released by `release`, or by abort.
            let result = unsafe {
                pg_sys::LockAcquire(
                    &raw const tag,
                    pg_sys::ExclusiveLock as i32,
                    false,
                    attempt < ATTEMPTS,
                )
            };
            if result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
                break;
            }
            std::thread::yield_now();
        }
        Self(tag)
    }

    fn release(self) {
        // SAFETY: acquired above in the same mode.
        unsafe { pg_sys::LockRelease(&raw const self.0, pg_sys::ExclusiveLock as i32, false) };
    }
}
