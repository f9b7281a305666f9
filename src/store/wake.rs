//! Waking sessions that wait for records or groups, without NOTIFY and without shared memory.
//!
//! A waiter holds a share lock on one of 256 wait slots for each partition or group it waits
//! for, looks, and sleeps on its latch. A transaction that appended, or changed a group, asks
//! right after its commit who holds the slots it touched, and sets their latches. COMMIT PREPARED and the
//! replay on a standby run no such code: there the waiter sees the records when it looks
//! again by itself.
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::server::{LockKind, lock_tag};

const SLOTS: u32 = 256;
/// How long a waiter sleeps before it looks by itself.
const RECHECK: Duration = Duration::from_secs(1);
/// The same on a standby, where nobody wakes it.
const RECHECK_ON_STANDBY: Duration = Duration::from_millis(20);

thread_local! {
    /// Wait slots of what this transaction changed.
    static TOUCHED: RefCell<BTreeSet<Slot>> = const { RefCell::new(BTreeSet::new()) };
}

/// Where waiters for a partition or a group are found, among others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    number: i32,
    /// 0 for partitions, 1 for groups.
    kind: i32,
}

impl Slot {
    pub(crate) fn partition(topic_number: i32, partition: i32) -> Self {
        let mixed = (topic_number as u32)
            .wrapping_mul(0x9e37_79b1)
            .wrapping_add((partition as u32).wrapping_mul(0x85eb_ca6b));
        Self {
            number: ((mixed >> 16) % SLOTS) as i32,
            kind: 0,
        }
    }

    pub(crate) fn group(group_id: &str) -> Self {
        let hash = kafka_core::partitioner::murmur2(group_id.as_bytes());
        Self {
            number: (hash % SLOTS) as i32,
            kind: 1,
        }
    }

    fn lock_tag(self) -> pg_sys::LOCKTAG {
        lock_tag(self.number, self.kind, LockKind::WaitSlot)
    }
}

/// Notes that this transaction changed what is waited for there.
pub(super) fn touch(slot: Slot) {
    TOUCHED.with_borrow_mut(|touched| touched.insert(slot));
}

/// After commit: wakes whoever waits for what was changed. Must not raise.
pub(super) fn committed() {
    TOUCHED.with_borrow(|touched| {
        for slot in touched {
            wake_holders(&slot.lock_tag());
        }
    });
    forget();
}

/// After abort or prepare: nobody is woken.
pub(super) fn forget() {
    TOUCHED.with_borrow_mut(BTreeSet::clear);
}

/// Sets the latch of every other session that holds the lock in share mode.
fn wake_holders(tag: &pg_sys::LOCKTAG) -> i32 {
    let mut count = 0;
    // SAFETY: the returned array has `count` entries; a process that has gone meanwhile is
    // a null pointer or a process slot whose latch may be set harmlessly.
    unsafe {
        let holders = pg_sys::GetLockConflicts(tag, pg_sys::ExclusiveLock as i32, &raw mut count);
        for i in 0..count as usize {
            let process = process_of(&*holders.add(i));
            if !process.is_null() {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
    }
    count
}

#[cfg(any(feature = "pg15", feature = "pg16"))]
unsafe fn process_of(holder: &pg_sys::VirtualTransactionId) -> *mut pg_sys::PGPROC {
    unsafe extern "C-unwind" {
        fn BackendIdGetProc(backend_id: i32) -> *mut pg_sys::PGPROC;
    }
    // SAFETY: looks up shared memory under a lock; null where the backend has gone.
    unsafe { BackendIdGetProc(holder.backendId) }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn process_of(holder: &pg_sys::VirtualTransactionId) -> *mut pg_sys::PGPROC {
    // SAFETY: looks up shared memory; null where the backend has gone.
    unsafe { pg_sys::ProcNumberGetProc(holder.procNumber) }
}

/// Wakes the wait that was started with this waiter id; the number of sessions woken.
pub(crate) fn interrupt(waiter: i32) -> i32 {
    wake_holders(&lock_tag(waiter, 0, LockKind::Waiter))
}

/// Calls `look` until it finds something or the time is over. With a `waiter` id it also
/// returns, empty-handed, when it was woken for nothing.
pub(crate) fn wait<T>(
    slots: impl Iterator<Item = Slot>,
    max_wait: Duration,
    waiter: Option<i32>,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + max_wait;
    let slots: BTreeSet<Slot> = slots.collect();
    let mut locks: Vec<pg_sys::LOCKTAG> = slots.into_iter().map(Slot::lock_tag).collect();
    locks.extend(waiter.map(|id| lock_tag(id, 0, LockKind::Waiter)));
    // The locks come before the first look: a commit after it finds us.
    for tag in &locks {
        // SAFETY: transaction-level locks, released below or by abort. Nobody takes these
        // locks in a mode that conflicts with ours, so this does not wait.
        unsafe { pg_sys::LockAcquire(tag, pg_sys::ShareLock as i32, false, false) };
    }
    let found = loop {
        // SAFETY: our own latch.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
        pgrx::check_for_interrupts!();
        if let Some(found) = look() {
            break Some(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break None;
        }
        let woken = sleep(left.min(if super::server::in_recovery() {
            RECHECK_ON_STANDBY
        } else {
            RECHECK
        }));
        if woken && waiter.is_some() {
            pgrx::check_for_interrupts!();
            break look();
        }
    };
    for tag in &locks {
        // SAFETY: acquired above.
        unsafe { pg_sys::LockRelease(tag, pg_sys::ShareLock as i32, false) };
    }
    found
}

/// Sleeps on the latch; true where it was set.
fn sleep(time: Duration) -> bool {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let millis = time.as_millis().max(1) as std::ffi::c_long;
    // SAFETY: our own latch; the process exits when the postmaster dies.
    let happened = unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            millis,
            pg_sys::PG_WAIT_EXTENSION,
        )
    };
    happened & pg_sys::WL_LATCH_SET as i32 != 0
}
