//! Kafka's errors as PostgreSQL errors: SQLSTATE `KFnnn`, where nnn is Kafka's error code.
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::ptr;

use kafka_core::error::KafkaError;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

thread_local! {
    static SQLSTATE: Cell<c_int> = const { Cell::new(0) };
    static CONTEXT: UnsafeCell<pg_sys::ErrorContextCallback> =
        const { UnsafeCell::new(pg_sys::ErrorContextCallback { previous: ptr::null_mut(), callback: Some(set_sqlstate), arg: ptr::null_mut() }) };
}

/// Raises `error` as an ERROR with its message, DETAIL and HINT.
///
/// pgrx reports only the SQLSTATEs that it knows. So the report goes out as an internal
/// error, and an error context callback, which PostgreSQL runs while it finishes the
/// report, puts the real SQLSTATE in its place.
pub(crate) fn raise(error: &KafkaError) -> ! {
    let mut report = ErrorReport::new(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        error.to_string(),
        "pg_kafka",
    );
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint);
    }
    SQLSTATE.set(sqlstate(error.code()));
    let context = CONTEXT.with(UnsafeCell::get);
    // SAFETY: the node lives as long as the thread, and whoever catches the error (PG_TRY or
    // the main loop) takes it off the stack again by restoring the stack as it was before.
    unsafe {
        if pg_sys::error_context_stack != context {
            (*context).previous = pg_sys::error_context_stack;
            pg_sys::error_context_stack = context;
        }
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Unwraps a result at the SQL face, where a Kafka error is an ERROR.
pub(crate) fn ok<T>(result: Result<T, KafkaError>) -> T {
    result.unwrap_or_else(|error| raise(&error))
}

unsafe extern "C-unwind" fn set_sqlstate(_arg: *mut c_void) {
    unsafe extern "C-unwind" {
        fn errcode(sqlerrcode: c_int) -> c_int;
    }
    // SAFETY: runs inside errfinish, where a report is being made.
    unsafe { errcode(SQLSTATE.get()) };
}

/// `KFnnn` packed as PostgreSQL packs SQLSTATEs: six bits for each character.
/// Kafka's only negative code, -1 (unknown server error), becomes `KF000`.
fn sqlstate(code: i16) -> c_int {
    let text = format!("KF{:03}", code.max(0));
    text.bytes().enumerate().fold(0, |state, (i, byte)| {
        state | ((c_int::from(byte) - c_int::from(b'0')) & 0x3f) << (6 * i)
    })
}
