//! `kafka.header[]`: record headers in SQL, order and repeated keys kept.
use std::ptr;

use kafka_core::error::KafkaError;
use kafka_core::record::HeaderRef;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{AnyArray, FromDatum, IntoDatum, pg_sys};

/// Headers as owned values.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Headers {
    /// The headers as the batch builder takes them.
    pub(crate) fn as_refs(&self) -> Vec<HeaderRef<'_>> {
        self.0
            .iter()
            .map(|(key, value)| HeaderRef {
                key,
                value: value.as_deref(),
            })
            .collect()
    }

    /// Reads an argument of the type `kafka.header[]`.
    #[allow(clippy::cast_ptr_alignment)]
    pub(crate) fn read(array: Option<AnyArray>) -> Result<Self, KafkaError> {
        let Some(array) = array else {
            return Ok(Self::default());
        };
        let (mut elements, mut nulls, mut count) = (ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: the SQL declaration makes the argument an array of the composite type
        // kafka.header (key text, value bytea): by reference, of variable length, double aligned.
        // A detoasted varlena is aligned for what it holds.
        unsafe {
            let array =
                pg_sys::pg_detoast_datum(array.datum().cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            pg_sys::deconstruct_array(
                array,
                (*array).elemtype,
                -1,
                false,
                b'd' as std::ffi::c_char,
                &raw mut elements,
                &raw mut nulls,
                &raw mut count,
            );
            (0..count as usize)
                .map(|i| {
                    if *nulls.add(i) {
                        return Err(null_key());
                    }
                    let row = pg_sys::pg_detoast_datum((*elements.add(i)).cast_mut_ptr())
                        .cast::<pg_sys::HeapTupleHeaderData>();
                    let key: Option<Vec<u8>> = attribute(row, 1);
                    Ok((
                        super::server::to_utf8(&key.ok_or_else(null_key)?),
                        attribute(row, 2),
                    ))
                })
                .collect::<Result<_, _>>()
                .map(Self)
        }
    }
}

fn null_key() -> KafkaError {
    KafkaError::InvalidRecord {
        reason: "a header needs a key".to_owned(),
    }
}

/// # Safety
/// `row` must be a row of kafka.header; both its columns can be read as bytes.
unsafe fn attribute(row: pg_sys::HeapTupleHeader, number: i16) -> Option<Vec<u8>> {
    let mut null = false;
    // SAFETY: the caller's promise.
    unsafe {
        let datum = pg_sys::GetAttributeByNum(row, number, &raw mut null);
        Vec::<u8>::from_datum(datum, null)
    }
}

/// A header key as text: Kafka's clients do not check theirs, and a reader must be able to
/// get past what they wrote.
fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).replace('\0', "\u{fffd}")
}

/// Makes values of the type `kafka.header[]`, looked up once.
pub(crate) struct HeaderArrays {
    header_type: pg_sys::Oid,
    /// What a record without headers has.
    empty: pg_sys::Datum,
    /// Holds the arrays until `free`.
    context: pg_sys::MemoryContext,
    used: bool,
}

impl HeaderArrays {
    pub(crate) fn new() -> Self {
        let header_type = header_type();
        // SAFETY: a context below the caller's, with which it goes away.
        let context = unsafe {
            pg_sys::AllocSetContextCreateExtended(
                pg_sys::CurrentMemoryContext,
                c"kafka headers".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            )
        };
        Self {
            header_type,
            empty: array(header_type, std::iter::empty()),
            context,
            used: false,
        }
    }

    /// Valid until `free`.
    pub(crate) fn datum(&mut self, headers: kafka_core::Headers<'_>) -> pg_sys::Datum {
        if headers.len() == 0 {
            return self.empty;
        }
        self.used = true;
        // SAFETY: the context lives; an ERROR goes on in whatever context its catcher wants.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.context);
            let array = array(self.header_type, headers);
            pg_sys::MemoryContextSwitchTo(before);
            array
        }
    }

    /// Frees what was made.
    pub(crate) fn free(&mut self) {
        if std::mem::take(&mut self.used) {
            // SAFETY: nobody keeps what lies in it.
            unsafe { pg_sys::MemoryContextReset(self.context) };
        }
    }
}

/// A value of `kafka.header[]`.
fn array<'a>(
    header_type: pg_sys::Oid,
    headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> pg_sys::Datum {
    // SAFETY: rows are formed with the type's own descriptor, the array with its layout.
    unsafe {
        let desc = pg_sys::lookup_rowtype_tupdesc(header_type, -1);
        let mut rows: Vec<pg_sys::Datum> = headers
            .map(|(key, value)| {
                let mut nulls = [false, value.is_none()];
                let mut values = [
                    super::server::from_utf8(key_text(key).as_bytes())
                        .into_datum()
                        .unwrap_or(pg_sys::Datum::null()),
                    value.into_datum().unwrap_or(pg_sys::Datum::null()),
                ];
                let tuple = pg_sys::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr());
                pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
            })
            .collect();
        if (*desc).tdrefcount >= 0 {
            pg_sys::DecrTupleDescRefCount(desc);
        }
        let array = pg_sys::construct_array(
            rows.as_mut_ptr(),
            rows.len() as i32,
            header_type,
            -1,
            false,
            b'd' as std::ffi::c_char,
        );
        pg_sys::Datum::from(array)
    }
}

impl IntoDatum for Headers {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let headers = self.0.iter().map(|(key, value)| (&**key, value.as_deref()));
        Some(array(header_type(), headers))
    }

    fn type_oid() -> pg_sys::Oid {
        // SAFETY: a catalogue look-up.
        unsafe { pg_sys::get_array_type(header_type()) }
    }
}

/// The OID of `kafka.header`.
fn header_type() -> pg_sys::Oid {
    // SAFETY: syscache look-ups of C strings.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"kafka".as_ptr(), false);
        let oid = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            pg_sys::Datum::from(c"header".as_ptr()),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
        );
        if oid == pg_sys::InvalidOid {
            pgrx::error!("type kafka.header is missing: run CREATE EXTENSION pg_kafka");
        }
        oid
    }
}

// SAFETY: into_datum gives a well-formed array in the context of the call.
unsafe impl BoxRet for Headers {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: as above.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

pgrx::impl_sql_translatable!(Headers, "kafka.header[]");
