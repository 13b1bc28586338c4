//! The change that a trigger was fired by.

use std::cmp::Ordering;
use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::{PgTupleDesc, pg_sys};

use crate::pg::server;

/// What fired a trigger. A row is looked at only after its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    UpdateRow,
    DeleteRow,
    Truncate,
    Other,
}

/// The change that a trigger was fired by. It lives no longer than the call of the trigger function.
pub struct Change<'call> {
    data: &'call pg_sys::TriggerData,
    trigger: &'call pg_sys::Trigger,
    table: &'call pg_sys::RelationData,
    class: &'call pg_sys::FormData_pg_class,
    /// Where the old row, if there is one, has its next version.
    next_version: Option<pg_sys::ItemPointerData>,
    columns: PgTupleDesc<'call>,
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
            let table = data.tg_relation.as_ref()?;
            let columns = PgTupleDesc::from_pg_unchecked(table.rd_att);
            let next_version = data.tg_trigtuple.as_ref().map(|row| (*row.t_data).t_ctid);
            let class = table.rd_rel.as_ref()?;
            Some(Change { data, trigger: data.tg_trigger.as_ref()?, table, class, next_version, columns })
        }
    }

    /// The table; of a partitioned one the partition that holds the row.
    pub fn table(&self) -> pg_sys::Oid {
        self.table.rd_id
    }

    pub fn owner(&self) -> pg_sys::Oid {
        self.class.relowner
    }

    /// Whether the trigger fires for UPDATE too.
    pub fn is_for_update(&self) -> bool {
        u32::from(self.trigger.tgtype.cast_unsigned()) & pg_sys::TRIGGER_TYPE_UPDATE != 0
    }

    /// Whether the deleted row lives on in another partition: an UPDATE moved it there. Known only after
    /// the deletion, when the server has marked the row that it left behind.
    pub fn moved_away(&self) -> bool {
        self.next_version.is_some_and(|pg_sys::ItemPointerData { ip_blkid, ip_posid }| {
            u32::from(ip_posid) == pg_sys::MovedPartitionsOffsetNumber
                && (ip_blkid.bi_hi, ip_blkid.bi_lo) == (u16::MAX, u16::MAX)
        })
    }

    pub fn event(&self) -> Event {
        let event = self.data.tg_event;
        let after = event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER;
        let for_row = after && event & pg_sys::TRIGGER_EVENT_ROW != 0;
        match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_UPDATE if for_row => Event::UpdateRow,
            pg_sys::TRIGGER_EVENT_DELETE if for_row => Event::DeleteRow,
            pg_sys::TRIGGER_EVENT_TRUNCATE => Event::Truncate,
            _ => Event::Other,
        }
    }

    /// What CREATE TRIGGER names in the function's parentheses.
    pub fn arguments(&self) -> Vec<String> {
        let argument = |n: usize| {
            // SAFETY: the trigger has as many arguments as it says, each of which ends with a NUL.
            unsafe { CStr::from_ptr(*self.trigger.tgargs.add(n)) }.to_string_lossy().into_owned()
        };
        (0..count(self.trigger.tgnargs)).map(argument).collect()
    }

    /// The number of a column of the table, from 1; `None` if it has none of that name.
    pub fn column(&self, name: &str) -> Option<i32> {
        let named = |column: &pg_sys::FormData_pg_attribute| !column.attisdropped && column.name() == name;
        let index = self.columns.iter().position(named)?;
        i32::try_from(index + 1).ok()
    }

    /// The numbers of the columns that CREATE TRIGGER names in UPDATE OF.
    pub fn watched(&self) -> Vec<i32> {
        // SAFETY: the trigger has as many columns as it says.
        let column = |n: usize| i32::from(unsafe { *self.trigger.tgattr.add(n) });
        (0..count(self.trigger.tgnattr)).map(column).collect()
    }

    /// Whether a column is not stored, but computed whenever it is read (PostgreSQL 18).
    pub fn is_virtual(&self, column: i32) -> bool {
        self.attribute(column).is_some_and(|it| it.attgenerated.cast_unsigned() == b'v')
    }

    fn attribute(&self, column: i32) -> Option<&pg_sys::FormData_pg_attribute> {
        self.columns.get(usize::try_from(column - 1).ok()?)
    }

    /// A value of the old row, as text; `None` for NULL, for a column that the table has not, and for
    /// an event that is not one of a row. Blanks at the end of a `char(n)` are no part of it, as in the
    /// server's own cast.
    pub fn old_text(&self, column: i32) -> Option<String> {
        let attribute = self.attribute(column)?;
        self.value(self.data.tg_trigtuple, column)?;
        // SAFETY: the row, which is there, and its description belong together; of a value that is not NULL there is a
        // text, which is a copy in the current memory context.
        let (text, base) = unsafe {
            let text = pg_sys::SPI_getvalue(self.data.tg_trigtuple, self.columns.as_ptr(), column);
            (CStr::from_ptr(text).to_string_lossy(), pg_sys::getBaseType(attribute.atttypid))
        };
        let text = if base == pg_sys::BPCHAROID { text.trim_end_matches(' ') } else { &text };
        Some(text.to_owned())
    }

    /// A value of the old row, NULL where there is none, with its type and the name of its column; `None` for a column
    /// that the table has not.
    pub fn old_value(&self, column: i32) -> Option<(&str, DatumWithOid<'_>)> {
        let attribute = self.attribute(column)?;
        let value = match self.value(self.data.tg_trigtuple, column) {
            // SAFETY: the value has the column's type, and lives as long as the call.
            Some(value) => unsafe { DatumWithOid::new(value, attribute.atttypid) },
            None => DatumWithOid::null_oid(attribute.atttypid),
        };
        Some((attribute.name(), value))
    }

    /// Whether the update changed any column of the row.
    pub fn row_differs(&self) -> bool {
        (1..).take(self.columns.len()).any(|column| self.differs(column))
    }

    /// True if an update gave a column another value.
    pub fn has_changed(&self, column: &str) -> bool {
        self.column(column).is_some_and(|it| self.differs(it))
    }

    /// How an update moved a column of type `timestamptz`: `Greater` is later. `None` where this is no update of a
    /// row, the column has another type, or either value is NULL.
    pub fn moved(&self, column: &str) -> Option<Ordering> {
        let column = self.column(column)?;
        if self.attribute(column)?.atttypid != pg_sys::TIMESTAMPTZOID {
            return None;
        }
        // A timestamptz is passed by value.
        let value = |row| self.value(row, column).map(|value| value.value() as i64);
        let (old, new) = (value(self.data.tg_trigtuple), value(self.data.tg_newtuple));
        Some(new?.cmp(&old?))
    }

    /// Whether this is an update that gave a column another value.
    pub fn differs(&self, column: i32) -> bool {
        let Some(attribute) = self.attribute(column).filter(|it| !it.attisdropped) else {
            return false;
        };
        let [old, new] = [self.data.tg_trigtuple, self.data.tg_newtuple].map(|row| self.value(row, column));
        self.event() == Event::UpdateRow
            && match (old, new) {
                // SAFETY: two values of the column, whose type is kept in this way.
                (Some(old), Some(new)) => unsafe {
                    !server::datum_image_eq(old, new, attribute.attbyval, attribute.attlen)
                },
                (old, new) => old.is_some() != new.is_some(),
            }
    }

    /// The value of a column that the table has, in the old or the new row; `None` for NULL, and where there is no
    /// such row.
    fn value(&self, row: pg_sys::HeapTuple, column: i32) -> Option<pg_sys::Datum> {
        if row.is_null() {
            return None;
        }
        let mut null = false;
        // SAFETY: both rows of a change have the table's description.
        let value = unsafe { pg_sys::SPI_getbinval(row, self.columns.as_ptr(), column, &mut null) };
        (!null).then_some(value)
    }
}

fn count(number: i16) -> usize {
    usize::try_from(number).unwrap_or_default()
}
