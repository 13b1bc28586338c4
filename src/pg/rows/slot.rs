//! A place for one row, on its way to or from a table.

use std::ptr::null_mut;

use pgrx::pg_sys;

use crate::pg::scan::OpenRelation;

/// A place for one row of a table.
pub(crate) struct Slot(pub(crate) *mut pg_sys::TupleTableSlot);

impl Slot {
    pub(crate) fn new(relation: &OpenRelation) -> Self {
        // SAFETY: the relation is open.
        Slot(unsafe { pg_sys::table_slot_create(relation.0, null_mut()) })
    }

    /// Fills it with a value for each column, which it counts from 0.
    pub(crate) fn fill(&mut self, value: impl Fn(usize) -> Option<pg_sys::Datum>) {
        // SAFETY: the slot is empty and has as many places as its row type has columns.
        unsafe {
            for n in 0..self.columns() {
                let value = value(n);
                *(*self.0).tts_isnull.add(n) = value.is_none();
                *(*self.0).tts_values.add(n) = value.unwrap_or(pg_sys::Datum::null());
            }
            pg_sys::ExecStoreVirtualTuple(self.0);
        }
    }

    /// Makes the values of a stored row readable.
    pub(crate) fn deform(&mut self) {
        // SAFETY: the slot holds a row, whose values stay as long as the slot does.
        unsafe {
            let columns = (*(*self.0).tts_tupleDescriptor).natts;
            pg_sys::slot_getsomeattrs_int(self.0, columns);
        }
    }

    fn columns(&self) -> usize {
        // SAFETY: a slot has a row type.
        usize::try_from(unsafe { (*(*self.0).tts_tupleDescriptor).natts }).unwrap_or_default()
    }

    /// The value of a column, which is counted from 0.
    pub(crate) fn value(&self, n: usize) -> Option<pg_sys::Datum> {
        if n >= self.columns() {
            return None;
        }
        // SAFETY: the slot is filled, and has that many values.
        unsafe { (!*(*self.0).tts_isnull.add(n)).then(|| *(*self.0).tts_values.add(n)) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`; while unwinding, the transaction's abort gives back its buffer.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.0) }
        }
    }
}
