//! What the store asks of the server itself: identity, timeline, clock, lock tags.
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{IntoDatum, pg_sys};

/// The fourth field of our lock tags. The type USERLOCK keeps them apart from every other
/// lock, these numbers from each other.
#[derive(Clone, Copy)]
pub(super) enum LockKind {
    /// (topic number, partition): held while offsets are given.
    Partition = 0x6b01,
    /// (wait slot, what for): held in share mode by sessions that wait for records or groups.
    WaitSlot = 0x6b02,
    /// (waiter id): held in share mode by a wait that may be interrupted.
    Waiter = 0x6b03,
    /// (hash of the group id): held to the end of the transaction, exclusively by steps of
    /// the group, shared by commits of its offsets.
    Group = 0x6b04,
    /// (hash of the group id, hash of topic and partition): held by `kafka.poll` to the end
    /// of the transaction that has records of the partition.
    Claim = 0x6b05,
    /// Held by `kafka.maintain` to the end of its transaction.
    Maintenance = 0x6b06,
    /// (hash of the transactional id): held to the end of the transaction by whoever changes
    /// its state or writes in its name.
    Transaction = 0x6b07,
}

pub(super) fn lock_tag(first: i32, second: i32, kind: LockKind) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: a plain backend global.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: first as u32,
        locktag_field3: second as u32,
        locktag_field4: kind as u16,
        locktag_type: pg_sys::LockTagType::LOCKTAG_USERLOCK as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// Takes a lock to the end of the transaction, if nobody else has it.
pub(super) fn try_lock(tag: &pg_sys::LOCKTAG) -> bool {
    // SAFETY: a transaction-level lock, released at the end of the transaction.
    let result = unsafe { pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock as i32, false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Takes a lock to the end of the transaction, in a mode of PostgreSQL's. Deadlocks are found
/// by PostgreSQL.
pub(super) fn lock(tag: &pg_sys::LOCKTAG, mode: u32) {
    // SAFETY: a transaction-level lock, released at the end of the transaction.
    unsafe { pg_sys::LockAcquire(tag, mode as i32, false, false) };
}

/// Whether this transaction is the one that maintains.
pub(crate) fn try_maintenance() -> bool {
    try_lock(&lock_tag(0, 0, LockKind::Maintenance))
}

/// The server's timeline, which grows exactly when a standby is promoted.
pub(crate) fn leader_epoch() -> i32 {
    // SAFETY: reads shared state under its own locks.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            let mut timeline = 0;
            pg_sys::GetXLogReplayRecPtr(&raw mut timeline);
            timeline as i32
        } else {
            pg_sys::GetWALInsertionTimeLine() as i32
        }
    }
}

/// Whether this server is a standby.
pub(crate) fn in_recovery() -> bool {
    // SAFETY: reads shared state.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// The same for this database on every server of a replication cluster.
pub(crate) fn cluster_id() -> String {
    // SAFETY: plain getters.
    let (system, database) = unsafe { (pg_sys::GetSystemIdentifier(), pg_sys::MyDatabaseId) };
    format!("{system:016x}-{}", database.to_u32())
}

/// Milliseconds since the epoch, now.
pub(crate) fn now_ms() -> i64 {
    // SAFETY: reads the clock.
    micros_to_ms(unsafe { pg_sys::GetCurrentTimestamp() })
}

/// What SQL's `now()` returns.
pub(super) fn transaction_timestamp() -> TimestampWithTimeZone {
    // SAFETY: takes no arguments.
    let now = unsafe { pgrx::direct_function_call(pg_sys::now, &[]) };
    now.unwrap_or_else(|| pgrx::error!("now returned null"))
}

/// A random number below `bound`, which must not be 0.
pub(crate) fn random_below(bound: usize) -> usize {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (random % bound as u64) as usize
}

/// A random id in the usual text form.
pub(crate) fn random_uuid() -> String {
    // SAFETY: takes no arguments.
    let uuid: Option<pgrx::Uuid> =
        unsafe { pgrx::direct_function_call(pg_sys::gen_random_uuid, &[]) };
    uuid.map_or_else(String::new, |uuid| uuid.to_string())
}

/// When the server was started, in milliseconds since the epoch.
pub(crate) fn started_ms() -> i64 {
    // SAFETY: set by the postmaster before it starts any other process.
    micros_to_ms(unsafe { pg_sys::PgStartTime })
}

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const EPOCH_OFFSET: i64 = 946_684_800_000_000;

/// A `timestamptz` as milliseconds since the Unix epoch, rounded down.
pub(crate) fn micros_to_ms(timestamp: i64) -> i64 {
    timestamp.saturating_add(EPOCH_OFFSET).div_euclid(1000)
}

/// The same, rounded up.
pub(crate) fn micros_to_ms_up(timestamp: i64) -> i64 {
    micros_to_ms(timestamp.saturating_add(999))
}

/// Reads text as PostgreSQL reads a `timestamptz`; raises where it is none.
pub(crate) fn parse_timestamptz(text: &str) -> TimestampWithTimeZone {
    let text = std::ffi::CString::new(text).unwrap_or_default();
    let arguments = [
        text.as_c_str().into_datum(),
        pg_sys::InvalidOid.into_datum(),
        (-1).into_datum(),
    ];
    // SAFETY: the input function takes a C string, an unused OID and a type modifier.
    let parsed = unsafe { pgrx::direct_function_call(pg_sys::timestamptz_in, &arguments) };
    parsed.unwrap_or_else(|| pgrx::error!("timestamptz_in returned null"))
}

/// Milliseconds since the Unix epoch as a `timestamptz`; None outside its range.
pub(crate) fn ms_to_micros(ms: i64) -> Option<i64> {
    ms.checked_mul(1000)?.checked_sub(EPOCH_OFFSET)
}

/// Refuses to write on a standby and in a read-only transaction, naming `command`.
pub(crate) fn require_writable(command: &'static std::ffi::CStr) {
    // SAFETY: both raise an ERROR or return.
    unsafe {
        pg_sys::PreventCommandDuringRecovery(command.as_ptr());
        pg_sys::PreventCommandIfReadOnly(command.as_ptr());
    }
}

/// Text of the database's encoding as UTF-8, which is what Kafka's strings are.
pub(crate) fn to_utf8(text: &[u8]) -> Vec<u8> {
    // SAFETY: the source outlives the call.
    let converted =
        unsafe { pg_sys::pg_server_to_any(text.as_ptr().cast(), text.len() as i32, UTF8) };
    converted_or(text, converted)
}

/// UTF-8 as text of the database's encoding; raises where it is not valid.
pub(crate) fn from_utf8(text: &[u8]) -> Vec<u8> {
    // SAFETY: the source outlives the call.
    let converted =
        unsafe { pg_sys::pg_any_to_server(text.as_ptr().cast(), text.len() as i32, UTF8) };
    converted_or(text, converted)
}

const UTF8: i32 = pg_sys::pg_enc::PG_UTF8 as i32;

/// The conversions return their argument where there is nothing to convert.
fn converted_or(text: &[u8], converted: *mut std::ffi::c_char) -> Vec<u8> {
    if converted.cast_const().cast() == text.as_ptr() {
        return text.to_vec();
    }
    // SAFETY: a new C string in PostgreSQL's memory.
    unsafe { std::ffi::CStr::from_ptr(converted) }
        .to_bytes()
        .to_vec()
}
