use crate::error::Result;
use crate::pg::statements::Statement;
use pgrx::pg_sys;
pub type Rel = &'static str;
#[derive(Clone, Copy)]
pub struct Location;
pub fn insert(_: Rel, _: &[Option<pg_sys::Datum>], _: &Statement) -> Result<()> {
    unimplemented!()
}
pub fn insert_in_silence(_: Rel, _: &[Option<pg_sys::Datum>]) -> Result<()> {
    unimplemented!()
}
pub fn are_changed_as_told(_: Rel) -> Result<bool> {
    unimplemented!()
}
pub struct Update {
    pub rel: Rel,
    pub columns: &'static [usize],
    pub statement: Statement,
}
pub type Values = Vec<Option<pg_sys::Datum>>;
pub struct StoredRow;
impl StoredRow {
    pub fn get<T: pgrx::FromDatum>(&self, _: usize) -> Option<T> {
        unimplemented!()
    }
}
impl Update {
    pub fn run<T>(
        &self,
        _: Location,
        _: &[Option<pg_sys::Datum>],
        _: impl Fn(&StoredRow) -> Option<(Values, T)>,
    ) -> Result<Option<T>> {
        unimplemented!()
    }
}
