//! Sends large rows to the client from where they are. PostgreSQL up to version 16 copies
//! them to a buffer of 8 KB and sends each of these pieces by itself, which took a quarter
//! of the time of large fetches; from 17 on it does for itself what this module does.
//!
//! The functions that send what a session says are in a table, which `PqCommMethods` names
//! (`libpq/libpq.h`). Here it comes to name one whose functions hand on to PostgreSQL's.
use std::ffi::{c_char, c_int, c_void};
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use pgrx::{PgLogLevel, PgSqlErrorCode, ereport, pg_guard, pg_sys};

/// `PQcommMethods`.
#[repr(C)]
struct Methods {
    comm_reset: unsafe extern "C-unwind" fn(),
    flush: unsafe extern "C-unwind" fn() -> c_int,
    flush_if_writable: unsafe extern "C-unwind" fn() -> c_int,
    is_send_pending: unsafe extern "C-unwind" fn() -> bool,
    putmessage: unsafe extern "C-unwind" fn(c_char, *const c_char, usize) -> c_int,
    putmessage_noblock: unsafe extern "C-unwind" fn(c_char, *const c_char, usize),
}

// They raise nothing that does not end the session.
unsafe extern "C-unwind" {
    static mut PqCommMethods: *mut Methods;
    fn secure_write(port: *mut pg_sys::Port, bytes: *mut c_void, len: usize) -> isize;
}

static OURS: Methods = Methods {
    comm_reset,
    flush,
    flush_if_writable,
    is_send_pending,
    putmessage,
    putmessage_noblock,
};
/// Null until this session sends large rows at once.
static POSTGRES: AtomicPtr<Methods> = AtomicPtr::new(std::ptr::null_mut());
/// Amid a message. Whatever else is to be said is then lost, as it is with PostgreSQL.
static SENDING: AtomicBool = AtomicBool::new(false);

/// What is smaller goes by way of the buffer.
const LARGE: usize = 8192;
const DATA_ROW: c_char = b'D' as c_char;
const EOF: c_int = -1;

/// For the rest of the session.
pub(crate) fn large_rows_at_once() {
    // SAFETY: a backend has one thread; the table is static.
    unsafe {
        if POSTGRES.load(Relaxed).is_null() && !pg_sys::MyProcPort.is_null() {
            POSTGRES.store(PqCommMethods, Relaxed);
            PqCommMethods = (&raw const OURS).cast_mut();
        }
    }
}

fn postgres() -> &'static Methods {
    // SAFETY: set before any of our functions can be called, to a static table.
    unsafe { &*POSTGRES.load(Relaxed) }
}

#[pg_guard]
unsafe extern "C-unwind" fn comm_reset() {
    SENDING.store(false, Relaxed);
    // SAFETY: called as PostgreSQL would call it; so are those below.
    unsafe { (postgres().comm_reset)() }
}

#[pg_guard]
unsafe extern "C-unwind" fn flush() -> c_int {
    if SENDING.load(Relaxed) {
        return 0;
    }
    unsafe { (postgres().flush)() }
}

#[pg_guard]
unsafe extern "C-unwind" fn flush_if_writable() -> c_int {
    if SENDING.load(Relaxed) {
        return 0;
    }
    unsafe { (postgres().flush_if_writable)() }
}

#[pg_guard]
unsafe extern "C-unwind" fn is_send_pending() -> bool {
    unsafe { (postgres().is_send_pending)() }
}

#[pg_guard]
unsafe extern "C-unwind" fn putmessage_noblock(kind: c_char, message: *const c_char, len: usize) {
    if !SENDING.load(Relaxed) {
        unsafe { (postgres().putmessage_noblock)(kind, message, len) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn putmessage(kind: c_char, message: *const c_char, len: usize) -> c_int {
    if SENDING.load(Relaxed) {
        return 0;
    }
    // SAFETY: PostgreSQL's messages are this long, and below 1 GB. Flushing also lets writes wait.
    unsafe {
        if kind != DATA_ROW || len < LARGE {
            return (postgres().putmessage)(kind, message, len);
        }
        if (postgres().flush)() != 0 {
            return EOF;
        }
        let mut head = [kind as u8, 0, 0, 0, 0];
        head[1..].copy_from_slice(&(len as u32 + 4).to_be_bytes());
        SENDING.store(true, Relaxed);
        let sent =
            write(&head).and_then(|()| write(std::slice::from_raw_parts(message.cast(), len)));
        SENDING.store(false, Relaxed);
        match sent {
            Ok(()) => 0,
            Err(error) => {
                lost(&error);
                EOF
            }
        }
    }
}

/// Waits until the client has taken them all.
///
/// # Safety
/// Writes must be set to wait.
unsafe fn write(mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are only read; the session has a client.
        let written = unsafe {
            let start = bytes.as_ptr().cast_mut().cast();
            secure_write(pg_sys::MyProcPort, start, bytes.len())
        };
        match usize::try_from(written) {
            Ok(written) if written > 0 => bytes = &bytes[written..],
            _ => {
                let error = Error::last_os_error();
                if error.kind() != ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Tells the server's log, and lets the session end when it can.
fn lost(error: &Error) {
    ereport!(
        PgLogLevel::LOG_SERVER_ONLY,
        PgSqlErrorCode::ERRCODE_CONNECTION_FAILURE,
        format!("could not send data to client: {error}")
    );
    // SAFETY: a backend has one thread; flags that it looks at by itself.
    unsafe {
        pg_sys::ClientConnectionLost = 1;
        pg_sys::InterruptPending = 1;
    }
}
