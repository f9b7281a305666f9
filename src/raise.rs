//! Kafka's errors as PostgreSQL errors: SQLSTATE `KFnnn`, where nnn is Kafka's error code.
use std::ffi::{CString, c_char, c_int};

use kafka_core::error::KafkaError;
use pgrx::pg_sys;

// The macros behind ereport are variadic C functions, which pgrx does not bind.
unsafe extern "C-unwind" {
    fn errstart(elevel: c_int, domain: *const c_char) -> bool;
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errmsg_internal(fmt: *const c_char, ...) -> c_int;
    fn errdetail_internal(fmt: *const c_char, ...) -> c_int;
    fn errhint(fmt: *const c_char, ...) -> c_int;
    fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
}

/// Raises `error` as an ERROR with its message, DETAIL and HINT.
pub(crate) fn raise(error: &KafkaError) -> ! {
    let message = c_string(error.to_string());
    let detail = error.detail().map(c_string);
    let hint = error.hint().map(|text| c_string(text.to_owned()));
    let state = sqlstate(error.code());
    // SAFETY: the strings outlive the calls (errmsg and friends copy them), and the
    // boundary turns errfinish's longjmp into a panic that runs our destructors.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            if errstart(pgrx::PgLogLevel::ERROR as c_int, std::ptr::null()) {
                errcode(state);
                errmsg_internal(c"%s".as_ptr(), message.as_ptr());
                if let Some(detail) = &detail {
                    errdetail_internal(c"%s".as_ptr(), detail.as_ptr());
                }
                if let Some(hint) = &hint {
                    errhint(c"%s".as_ptr(), hint.as_ptr());
                }
                errfinish(c"raise.rs".as_ptr(), 0, std::ptr::null());
            }
        });
    }
    unreachable!("an ERROR does not return")
}

/// Unwraps a result at the SQL face, where a Kafka error is an ERROR.
pub(crate) fn ok<T>(result: Result<T, KafkaError>) -> T {
    result.unwrap_or_else(|error| raise(&error))
}

fn c_string(text: String) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// `KFnnn` packed as PostgreSQL packs SQLSTATEs: six bits for each character.
/// Kafka's only negative code, -1 (unknown server error), becomes `KF000`.
fn sqlstate(code: i16) -> c_int {
    let text = format!("KF{:03}", code.max(0));
    text.bytes().enumerate().fold(0, |state, (i, byte)| {
        state | ((c_int::from(byte) - c_int::from(b'0')) & 0x3f) << (6 * i)
    })
}
