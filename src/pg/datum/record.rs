//! What a function answers with, as bare values of the server.
//!
//! [`Value`] is one value, [`Record`] one row: of the type that the function is declared with, see
//! [`As`](super::sql_type::As).
//!
//! A set-returning function is called twice and describes its columns anew at every call; for a
//! function that each request calls that is a tenth of its cost. This answers with a single row, which
//! the server takes from functions of a composite type and from those that RETURN TABLE alike, and
//! forms it by the description that the query has at hand.

use pgrx::PgTupleDesc;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys::{self, BOOLOID, JSONBOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID, UUIDOID};

/// One value; `None` is NULL.
pub struct Value(pub Option<pg_sys::Datum>);

// SAFETY: returns the datum or NULL.
unsafe impl BoxRet for Value {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.0 {
            // SAFETY: made in the function's own memory context, of the declared type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

/// The columns of a row, in the order of the composite type; `None` is NULL.
pub struct Record<const N: usize>(pub [Option<pg_sys::Datum>; N]);

// SAFETY: returns a datum of the type that the called function is declared to return.
unsafe impl<const N: usize> BoxRet for Record<N> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let mut values = [pg_sys::Datum::null(); N];
        let mut nulls = [true; N];
        for (n, value) in self.0.into_iter().enumerate() {
            if let Some(value) = value {
                values[n] = value;
                nulls[n] = false;
            }
        }
        // SAFETY: the description is the one of this call's answer, which outlives this. One with other columns is refused
        // before a value is read.
        unsafe {
            let description = description(fcinfo);
            if description.is_null() || !fits::<N>(&PgTupleDesc::from_pg_unchecked(description)) {
                pgrx::ereport!(
                    ERROR,
                    pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "JWT_NOT_AVAILABLE: the library and the SQL of the extension are of different versions",
                    "Run ALTER EXTENSION dialstack_sessions UPDATE."
                );
            }
            let row = pg_sys::heap_form_tuple(description, values.as_mut_ptr(), nulls.as_mut_ptr());
            fcinfo.return_raw_datum(pg_sys::HeapTupleHeaderGetDatum((*row).t_data))
        }
    }
}

/// The types of the columns of `dialstack.session_verdict`, the one type by name that functions return.
/// The columns of the others are those of the function, which nobody can alter.
const VERDICT: [pg_sys::Oid; 14] = [
    BOOLOID,
    TEXTOID,
    TEXTOID,
    UUIDOID,
    TEXTOID,
    TEXTOID,
    JSONBOID,
    TEXTARRAYOID,
    TIMESTAMPTZOID,
    TEXTOID,
    TEXTOID,
    TEXTOID,
    TIMESTAMPTZOID,
    TIMESTAMPTZOID,
];

/// Whether a row of so many columns can be formed by a description.
fn fits<const N: usize>(columns: &PgTupleDesc<'_>) -> bool {
    let by_name = columns.oid() != pg_sys::RECORDOID;
    columns.len() == N && (!by_name || columns.iter().map(|column| column.atttypid).eq(VERDICT))
}

/// The columns that the call is to answer with, under a type that whoever reads the row can look up; null where the
/// function is not declared with any.
///
/// # Safety
/// A call by the server, of a function that is declared to return rows.
unsafe fn description(fcinfo: &mut FcInfo<'_>) -> pg_sys::TupleDesc {
    // SAFETY: what a call hands in as its result information has a node's tag, and that one names its
    // type. The server finds the description itself where the query has none at hand.
    unsafe {
        let call = fcinfo.as_mut_ptr();
        let info: *mut pg_sys::ReturnSetInfo = (*call).resultinfo.cast();
        if !info.is_null() && (*info).type_ == pg_sys::NodeTag::T_ReturnSetInfo {
            let expected = (*info).expectedDesc;
            let named =
                |desc: pg_sys::TupleDesc| (*desc).tdtypeid != pg_sys::RECORDOID || (*desc).tdtypmod >= 0;
            if !expected.is_null() && named(expected) {
                return expected;
            }
        }
        let mut description = std::ptr::null_mut();
        pg_sys::get_call_result_type(call, std::ptr::null_mut(), &mut description);
        if description.is_null() { description } else { pg_sys::BlessTupleDesc(description) }
    }
}
