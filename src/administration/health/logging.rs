//! Findings about what the server writes into its log: statements, and the values that are bound to them.

use std::collections::HashMap;
use std::ffi::CStr;

use super::kinds::{PARAMETERS_LOGGED, STATEMENTS_LOGGED};
use super::{Finding, value};
use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement};

/// The settings that decide it.
const SETTINGS: [&CStr; 11] = [
    c"log_statement",
    c"log_min_duration_statement",
    c"log_min_duration_sample",
    c"log_statement_sample_rate",
    c"log_transaction_sample_rate",
    c"log_parameter_max_length",
    c"log_parameter_max_length_on_error",
    c"pgaudit.log",
    c"pgaudit.log_parameter",
    c"auto_explain.log_min_duration",
    c"auto_explain.log_parameter_max_length",
];

/// What roles and this database set, where it is not for another database.
static OF_ROLES: Statement = Statement::new(
    "SELECT concat_ws(' in ', 'role ' || quote_ident(r.rolname), \
                              'database ' || quote_ident(d.datname)), s.setconfig \
            FROM pg_catalog.pg_db_role_setting s \
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
            LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
           WHERE s.setdatabase = 0 OR d.datname = current_database() \
           ORDER BY 1",
);

/// What is logged in this connection, and what in those of a role or database beyond that.
pub fn findings(owner: &AsOwner) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let here = Settings::read(value);
    let logged_here = here.logged();
    add(&mut found, &logged_here, "");
    let of_roles: Vec<(String, Option<Vec<String>>)> = OF_ROLES.read(owner, &[], FromRow::from_row)?;
    for (of, settings) in of_roles {
        let mut logged = here.with(&settings.unwrap_or_default()).logged();
        logged.retain(|reason| !logged_here.contains(reason));
        add(&mut found, &logged, &format!(" of {of}"));
    }
    Ok(found)
}

fn add(found: &mut Vec<Finding>, logged: &[Reason], of: &str) {
    for (kind, parameters) in [(&PARAMETERS_LOGGED, true), (&STATEMENTS_LOGGED, false)] {
        let reasons = logged.iter().filter(|reason| reason.parameters == parameters);
        let settings: Vec<&str> = reasons.map(|reason| &*reason.settings).collect();
        if !settings.is_empty() {
            found.push(Finding::new(kind, format!("By the settings{of}: {}.", settings.join(", "))));
        }
    }
}

/// Why something is logged.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    /// Whether the values of parameters are; else the texts of statements alone.
    parameters: bool,
    /// The settings that say so.
    settings: String,
}

/// The values of those settings that are known.
#[derive(Clone)]
struct Settings(HashMap<String, String>);

impl Settings {
    /// The values that `value` knows.
    fn read(value: impl Fn(&CStr) -> Option<String>) -> Self {
        let known = SETTINGS.into_iter().filter_map(|name| Some((name, value(name)?)));
        Settings(known.map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect())
    }

    /// These, but for what `changes` say, each `name=value`.
    fn with(&self, changes: &[String]) -> Self {
        let mut changed = self.clone();
        for (name, value) in changes.iter().filter_map(|change| change.split_once('=')) {
            let name = name.to_lowercase();
            if SETTINGS.iter().any(|known| known.to_bytes() == name.as_bytes()) {
                changed.0.insert(name, value.to_owned());
            }
        }
        changed
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    /// A number that is not negative: the least time, with a unit or without, from which on something is logged.
    fn is_set(&self, name: &str) -> bool {
        let value = self.get(name);
        !value.is_empty() && !value.starts_with('-')
    }

    /// A number that is neither zero nor unknown. Its unit does not matter.
    fn is_not_zero(&self, name: &str) -> bool {
        let value = self.get(name);
        let number = value.trim_end_matches(|c: char| c.is_alphabetic() || c.is_whitespace());
        !value.is_empty() && number.parse() != Ok(0.0)
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name).to_lowercase().as_str(), "on" | "true" | "yes" | "1")
    }

    /// What is logged.
    fn logged(&self) -> Vec<Reason> {
        let mut logged = Vec::new();
        let said = |name| format!("{name} = {}", self.get(name));
        // Statements are logged because of the first setting, their parameters by the second one.
        let mut add = |statements, parameters, with_parameters| {
            logged.push(if with_parameters {
                let settings = format!("{} with {}", said(statements), said(parameters));
                Reason { parameters: true, settings }
            } else {
                Reason { parameters: false, settings: said(statements) }
            });
        };
        let log_statement = self.get("log_statement").to_lowercase();
        let server = [
            ("log_statement", matches!(log_statement.as_str(), "all" | "mod")),
            ("log_min_duration_statement", self.is_set("log_min_duration_statement")),
            (
                "log_min_duration_sample",
                self.is_set("log_min_duration_sample") && self.is_not_zero("log_statement_sample_rate"),
            ),
            ("log_transaction_sample_rate", self.is_not_zero("log_transaction_sample_rate")),
        ];
        for (name, is_logged) in server {
            if is_logged {
                let parameters = "log_parameter_max_length";
                add(name, parameters, self.is_not_zero(parameters));
            }
        }
        if self.is_set("auto_explain.log_min_duration") {
            let parameters = "auto_explain.log_parameter_max_length";
            add("auto_explain.log_min_duration", parameters, self.is_not_zero(parameters));
        }
        let audited = self.get("pgaudit.log");
        if !audited.is_empty() && !audited.eq_ignore_ascii_case("none") {
            add("pgaudit.log", "pgaudit.log_parameter", self.is_on("pgaudit.log_parameter"));
        }
        if self.is_not_zero("log_parameter_max_length_on_error") {
            logged.push(Reason { parameters: true, settings: said("log_parameter_max_length_on_error") });
        }
        logged
    }
}

#[cfg(test)]
mod tests;
