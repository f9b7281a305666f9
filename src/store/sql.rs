//! SQL statements of the store, run as the extension's owner with a snapshot taken at that
//! moment: the catalogue is read as it is now, whatever the caller's isolation level, and
//! the caller needs no privilege on the tables behind the functions.
//!
//! The caller's `search_path` is in force: every function, operator and type must be
//! qualified with its schema, or a caller could make the owner run other code.
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char};

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

thread_local! {
    /// Plans kept for the session, by the text of the statement.
    static PLANS: RefCell<HashMap<&'static str, pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
}

/// A parameter: its type and value.
#[derive(Clone)]
pub(super) struct Param {
    oid: pg_sys::Oid,
    datum: Option<pg_sys::Datum>,
}

/// Pairs a value with its SQL type.
pub(super) fn param<T: IntoDatum>(value: T) -> Param {
    Param {
        oid: T::type_oid(),
        datum: value.into_datum(),
    }
}

/// One row of a result or a table. Columns count from 1.
pub(super) struct Row {
    tuple: pg_sys::HeapTuple,
    desc: pg_sys::TupleDesc,
}

impl Row {
    /// # Safety
    /// The tuple must stay where it is as long as the row is used.
    pub(super) unsafe fn new(tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) -> Self {
        Self { tuple, desc }
    }

    /// The column as an owned value; None where it is null. `T` must not borrow from the row.
    pub(super) fn get<T: FromDatum + 'static>(&self, column: i32) -> Option<T> {
        let mut null = false;
        // SAFETY: tuple and desc belong to what is alive while the row is: an SPI result, or a
        // slot; nothing that SPI_getbinval needs is connected.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.desc, column, &raw mut null);
            T::from_datum(datum, null)
        }
    }

    /// A `bytea[]`; empty where it is null, as are its null elements.
    pub(super) fn byteas(&self, column: i32) -> Vec<Vec<u8>> {
        let mut null = false;
        // SAFETY: as in `get`; the array is copied before the row goes.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.desc, column, &raw mut null);
            let array = pgrx::Array::<&[u8]>::from_datum(datum, null);
            array.map_or_else(Vec::new, |array| {
                array
                    .iter()
                    .map(|bytes| bytes.unwrap_or_default().to_vec())
                    .collect()
            })
        }
    }

    /// The column of a type and a constraint that allow no null.
    pub(super) fn required<T: FromDatum + 'static>(&self, column: i32) -> T {
        self.get(column)
            .unwrap_or_else(|| error!("unexpected null in column {column} of a pg_kafka table"))
    }
}

/// Reads. Works on a standby.
pub(super) fn query<T>(text: &'static str, params: &[Param], row: impl FnMut(&Row) -> T) -> Vec<T> {
    run(text, params, true, row)
}

/// Writes, or locks rows; `row` sees what the statement returns.
pub(super) fn modify<T>(
    text: &'static str,
    params: &[Param],
    row: impl FnMut(&Row) -> T,
) -> Vec<T> {
    run(text, params, false, row)
}

/// Writes and returns the number of rows it touched.
pub(super) fn execute(text: &'static str, params: &[Param]) {
    run(text, params, false, |_| ());
}

/// Runs a statement that is made at run time: generated table names and numbers, nothing from users.
pub(super) fn run_text(text: &str) {
    let text = CString::new(text).unwrap_or_default();
    as_owner(|| {
        // SAFETY: SPI is connected by as_owner.
        let code = unsafe { pg_sys::SPI_execute(text.as_ptr(), false, 0) };
        check(code, "statement made at run time");
    });
}

fn run<T>(
    text: &'static str,
    params: &[Param],
    read_only: bool,
    mut row: impl FnMut(&Row) -> T,
) -> Vec<T> {
    as_owner(|| {
        let plan = plan(text, params);
        let mut values: Vec<pg_sys::Datum> = params
            .iter()
            .map(|p| p.datum.unwrap_or(pg_sys::Datum::null()))
            .collect();
        let nulls: Vec<c_char> = params
            .iter()
            .map(|p| if p.datum.is_some() { b' ' } else { b'n' } as c_char)
            .collect();
        // SAFETY: the plan was made for these parameters' types; SPI copies the snapshot.
        unsafe {
            let code = pg_sys::SPI_execute_snapshot(
                plan,
                values.as_mut_ptr(),
                nulls.as_ptr(),
                pg_sys::GetLatestSnapshot(),
                std::ptr::null_mut(),
                read_only,
                true,
                0,
            );
            check(code, text);
            if pg_sys::SPI_tuptable.is_null() {
                return Vec::new();
            }
            let table = *pg_sys::SPI_tuptable;
            let tuples = std::slice::from_raw_parts(table.vals, table.numvals as usize);
            tuples
                .iter()
                .map(|&tuple| {
                    row(&Row {
                        tuple,
                        desc: table.tupdesc,
                    })
                })
                .collect()
        }
    })
}

fn plan(text: &'static str, params: &[Param]) -> pg_sys::SPIPlanPtr {
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(text).copied()) {
        return plan;
    }
    let source = CString::new(text).unwrap_or_default();
    let mut types: Vec<pg_sys::Oid> = params.iter().map(|p| p.oid).collect();
    // SAFETY: SPI is connected; keepplan moves the plan out of this call's memory.
    let plan = unsafe {
        let plan = pg_sys::SPI_prepare(source.as_ptr(), types.len() as i32, types.as_mut_ptr());
        if plan.is_null() {
            check(pg_sys::SPI_result, text);
        }
        check(pg_sys::SPI_keepplan(plan), text);
        plan
    };
    PLANS.with_borrow_mut(|plans| plans.insert(text, plan));
    plan
}

fn check(code: i32, text: &str) {
    if code < 0 {
        error!("SPI error {code} in: {text}");
    }
}

/// Connects SPI as the owner of the extension's tables. An ERROR inside needs no cleaning
/// up here: the (sub)transaction's abort restores the user and the SPI stack.
fn as_owner<T>(work: impl FnOnce() -> T) -> T {
    let owner = super::topic::catalog_owner();
    // SAFETY: plain backend globals, restored below or by abort.
    unsafe {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(
            owner,
            context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        );
        check(pg_sys::SPI_connect(), "connect");
        let result = work();
        check(pg_sys::SPI_finish(), "finish");
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}
