//! Weaknesses of policies that the catalogues alone show.

use pgrx::pg_sys;

use super::Finding;
use super::weakness::{ALL, OWNER_NOT_BOUND};
use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};

static CHECKS: Statement = Statement::new(include_str!("checks.sql"));

/// The roles by which the owner of a table, which is not bound by its policies, can log in.
pub fn unbound_owner(owner: &AsOwner, relation: pg_sys::Oid) -> Result<Option<String>> {
    let found = read(owner, Some(OWNER_NOT_BOUND.name))?;
    Ok(found.into_iter().find(|finding| finding.relation == relation).map(|finding| finding.detail))
}

pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    read(owner, None)
}

fn read(owner: &AsOwner, only: Option<&str>) -> Result<Vec<Finding>> {
    CHECKS.read(owner, &[bind(only)], |row| {
        let name: String = row.required(1)?;
        Ok(Finding {
            relation: row.required(2)?,
            policy: row.get(3)?,
            weakness: ALL
                .iter()
                .find(|it| it.name == name)
                .expect("the statement names weaknesses that there are"),
            detail: row.required(4)?,
        })
    })
}
