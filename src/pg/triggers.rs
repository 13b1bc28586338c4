//! The change that a trigger was fired by, and what a trigger function answers.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{PgTupleDesc, pg_sys};

use crate::pg::server;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A row is or was updated.
    UpdateRow,
    /// A row is or was deleted.
    DeleteRow,
    /// A table is or was emptied.
    Truncate,
    /// Anything else.
    Other,
}

/// The row that a trigger function answers with: the one that the server goes on with.
pub struct Answer(pg_sys::Datum);

// SAFETY: the functions that return one write their own CREATE FUNCTION.
unsafe impl SqlTranslatable for Answer {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Answer);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("trigger"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("trigger")));
}

// SAFETY: a trigger function answers with a pointer to a row, which may be zero, and never with NULL.
unsafe impl BoxRet for Answer {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: by this function's own contract.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// The table whose trigger is being called; `None` for a call that is none.
pub fn table_of(call: pg_sys::FunctionCallInfo) -> Option<pg_sys::Oid> {
    // SAFETY: the server passes a valid call; its context is a TriggerData if, and only if, it has that node's
    // tag, and then its relation is open.
    unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return None;
        }
        Some((*(*context.cast::<pg_sys::TriggerData>()).tg_relation).rd_id)
    }
}

/// The change that a trigger was fired by.
pub struct Change<'a> {
    data: &'a pg_sys::TriggerData,
    trigger: &'a pg_sys::Trigger,
    description: pg_sys::TupleDesc,
}

impl Change<'_> {
    /// The change that this call is about; `None` where no trigger calls.
    pub fn of(call: pg_sys::FunctionCallInfo) -> Option<Self> {
        // SAFETY: the server's own description of the call. Where its context is a TriggerData, that
        // and all that it points to live as long as the call.
        unsafe {
            if !pgrx::trigger_support::called_as_trigger(call) {
                return None;
            }
            let data = (*call).context.cast::<pg_sys::TriggerData>().as_ref()?;
            let trigger = data.tg_trigger.as_ref()?;
            let description = data.tg_relation.as_ref()?.rd_att;
            Some(Change {
                data,
                trigger,
                description,
            })
        }
    }

    /// What happened.
    pub fn event(&self) -> Event {
        let event = self.data.tg_event;
        let for_row = event & pg_sys::TRIGGER_EVENT_ROW != 0;
        let instead = event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_INSTEAD;
        match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_UPDATE if for_row && !instead => Event::UpdateRow,
            pg_sys::TRIGGER_EVENT_DELETE if for_row && !instead => Event::DeleteRow,
            pg_sys::TRIGGER_EVENT_TRUNCATE => Event::Truncate,
            _ => Event::Other,
        }
    }

    /// What CREATE TRIGGER names in the function's parentheses.
    pub fn arguments(&self) -> Vec<String> {
        let count = usize::try_from(self.trigger.tgnargs).unwrap_or_default();
        (0..count)
            .map(|n| {
                // SAFETY: the trigger has that many arguments, each of which ends with a NUL.
                let argument = unsafe { CStr::from_ptr(*self.trigger.tgargs.add(n)) };
                argument.to_string_lossy().into_owned()
            })
            .collect()
    }

    /// The number of a column of the table; `None` if it has none of that name.
    pub fn column(&self, name: &str) -> Option<i32> {
        let name = CString::new(name).ok()?;
        // SAFETY: the table's own description; an unknown name is answered with a negative number,
        // and so are the columns that every table has.
        let number = unsafe { pg_sys::SPI_fnumber(self.description, name.as_ptr()) };
        (number > 0).then_some(number)
    }

    /// Whether a column is not stored, but computed whenever it is read (PostgreSQL 18).
    pub fn is_virtual(&self, column: i32) -> bool {
        self.attribute(column)
            .is_some_and(|it| it.attgenerated.cast_unsigned() == b'v')
    }

    fn attribute(&self, column: i32) -> Option<pg_sys::FormData_pg_attribute> {
        let index = usize::try_from(column - 1).ok()?;
        // SAFETY: the description of an open table, which is only read.
        let columns = unsafe { PgTupleDesc::from_pg_unchecked(self.description) };
        columns.get(index).copied()
    }

    /// A value of the old row, as text; `None` for NULL. Blanks at the end of a `char(n)` are no part
    /// of it, as in the server's own cast.
    ///
    /// `column` must be one that [`Self::column`] found, and the event one of a row.
    pub fn old_text(&self, column: i32) -> Option<String> {
        // SAFETY: the row and its description belong together; the text is a copy in the current
        // memory context.
        let (text, base) = unsafe {
            let text = pg_sys::SPI_getvalue(self.data.tg_trigtuple, self.description, column);
            if text.is_null() {
                return None;
            }
            let column_type = pg_sys::SPI_gettypeid(self.description, column);
            (
                CStr::from_ptr(text).to_string_lossy(),
                pg_sys::getBaseType(column_type),
            )
        };
        Some(if base == pg_sys::BPCHAROID {
            text.trim_end_matches(' ').to_owned()
        } else {
            text.into_owned()
        })
    }

    /// Whether the update changed `column` or what the trigger watches: the columns that it names in
    /// UPDATE OF, or else the whole row. A virtual column changes with any other.
    pub fn is_changed(&self, column: i32) -> bool {
        let named = usize::try_from(self.trigger.tgnattr).unwrap_or_default();
        // SAFETY: the trigger names that many columns.
        let watched = (0..named).map(|n| i32::from(unsafe { *self.trigger.tgattr.add(n) }));
        let watched: Vec<i32> = watched.collect();
        if watched.is_empty() || watched.iter().any(|column| self.is_virtual(*column)) {
            // SAFETY: the description of an open table.
            let columns = unsafe { (*self.description).natts };
            return (1..=columns).any(|column| self.differs(column));
        }
        self.differs(column) || watched.into_iter().any(|column| self.differs(column))
    }

    /// Whether an update gave a column another value.
    pub fn has_changed(&self, column: &str) -> bool {
        self.event() == Event::UpdateRow && self.column(column).is_some_and(|it| self.differs(it))
    }

    /// How an update moved a column of type `timestamptz`: `Greater` is later. `None` where this is no update of a
    /// row, the column has another type, or either value is NULL.
    pub fn moved(&self, column: &str) -> Option<Ordering> {
        let column = self.column(column)?;
        let attribute = self.attribute(column)?;
        if self.event() != Event::UpdateRow || attribute.atttypid != pg_sys::TIMESTAMPTZOID {
            return None;
        }
        let value = |row| {
            let mut null = false;
            // SAFETY: both rows of an update have the table's description, which has that column.
            let datum = unsafe { pg_sys::SPI_getbinval(row, self.description, column, &mut null) };
            // A timestamptz is passed by value.
            (!null).then(|| datum.value() as i64)
        };
        let (old, new) = (value(self.data.tg_trigtuple), value(self.data.tg_newtuple));
        Some(new?.cmp(&old?))
    }

    fn differs(&self, column: i32) -> bool {
        let Some(attribute) = self.attribute(column).filter(|it| !it.attisdropped) else {
            return false;
        };
        let (mut old_null, mut new_null) = (false, false);
        // SAFETY: both rows of an update have the table's description, which has that column. The
        // comparison is byte by byte, whatever the type.
        unsafe {
            let (old, new) = (self.data.tg_trigtuple, self.data.tg_newtuple);
            let old = pg_sys::SPI_getbinval(old, self.description, column, &mut old_null);
            let new = pg_sys::SPI_getbinval(new, self.description, column, &mut new_null);
            if old_null || new_null {
                return old_null != new_null;
            }
            !server::datum_image_eq(old, new, attribute.attbyval, attribute.attlen)
        }
    }

    /// Lets the change go on as it is.
    pub fn go_on(&self) -> Answer {
        let row = match self.event() {
            Event::UpdateRow => self.data.tg_newtuple,
            Event::DeleteRow => self.data.tg_trigtuple,
            _ => std::ptr::null_mut(),
        };
        Answer(pg_sys::Datum::from(row))
    }
}
