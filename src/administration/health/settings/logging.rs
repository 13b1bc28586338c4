//! What the server writes into its log of statements and of the values that are bound to them.

use std::collections::HashMap;
use std::ffi::CStr;

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

/// The values of those settings that are known.
#[derive(Clone)]
pub struct Settings(HashMap<String, String>);

/// The settings because of which something is logged.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    /// The values of parameters.
    pub parameters: Vec<String>,
    /// The texts of statements.
    pub statements: Vec<String>,
}

impl Settings {
    /// The values that `value` knows.
    pub fn read(value: impl Fn(&CStr) -> Option<String>) -> Self {
        let known = SETTINGS.into_iter().filter_map(|name| Some((name, value(name)?)));
        Settings(known.map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect())
    }

    /// These, but for what `changes` say, each `name=value`.
    pub fn with(&self, changes: &[String]) -> Self {
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
    pub fn logged(&self) -> Logged {
        let mut logged = Logged { parameters: Vec::new(), statements: Vec::new() };
        let said = |name| format!("{name} = {}", self.get(name));
        // Statements are logged because of the first setting, their parameters by the second one.
        let add = |logged: &mut Logged, statements, parameters, with_parameters| {
            if with_parameters {
                logged.parameters.push(format!("{} with {}", said(statements), said(parameters)));
            } else {
                logged.statements.push(said(statements));
            }
        };
        let log_statement = self.get("log_statement").to_lowercase();
        let always = [
            ("log_statement", matches!(log_statement.as_str(), "all" | "mod")),
            ("log_min_duration_statement", self.is_set("log_min_duration_statement")),
            (
                "log_min_duration_sample",
                self.is_set("log_min_duration_sample") && self.is_not_zero("log_statement_sample_rate"),
            ),
            ("log_transaction_sample_rate", self.is_not_zero("log_transaction_sample_rate")),
        ];
        for (name, _) in always.into_iter().filter(|(_, is_logged)| *is_logged) {
            add(&mut logged, name, "log_parameter_max_length", self.is_not_zero("log_parameter_max_length"));
        }
        if self.is_not_zero("log_parameter_max_length_on_error") {
            logged.parameters.push(said("log_parameter_max_length_on_error"));
        }
        if self.is_set("auto_explain.log_min_duration") {
            let parameters = "auto_explain.log_parameter_max_length";
            add(&mut logged, "auto_explain.log_min_duration", parameters, self.is_not_zero(parameters));
        }
        let audited = self.get("pgaudit.log");
        if !audited.is_empty() && !audited.eq_ignore_ascii_case("none") {
            add(&mut logged, "pgaudit.log", "pgaudit.log_parameter", self.is_on("pgaudit.log_parameter"));
        }
        logged
    }
}

impl Logged {
    /// What is logged here, and not there.
    pub fn beyond(self, there: &Logged) -> Logged {
        let beyond = |here: Vec<String>, there: &Vec<String>| {
            here.into_iter().filter(|reason| !there.contains(reason)).collect()
        };
        Logged {
            parameters: beyond(self.parameters, &there.parameters),
            statements: beyond(self.statements, &there.statements),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Logged, Settings};

    /// The server's own defaults, with changes.
    fn settings(changes: &[&str]) -> Settings {
        let defaults = Settings::read(|name| {
            let value = match name.to_bytes() {
                b"log_statement" => "none",
                b"log_min_duration_statement" | b"log_min_duration_sample" => "-1",
                b"log_parameter_max_length" => "-1",
                b"log_statement_sample_rate" => "1",
                b"log_transaction_sample_rate" | b"log_parameter_max_length_on_error" => "0",
                _ => return None,
            };
            Some(value.to_owned())
        });
        defaults.with(&changes.iter().map(|change| (*change).to_owned()).collect::<Vec<_>>())
    }

    fn counts(changes: &[&str]) -> (usize, usize) {
        let logged = settings(changes).logged();
        (logged.parameters.len(), logged.statements.len())
    }

    #[test]
    fn by_default_nothing_is_logged() {
        assert_eq!(counts(&[]), (0, 0));
        assert_eq!(counts(&["log_statement=ddl", "work_mem=1GB"]), (0, 0));
    }

    #[test]
    fn each_way_of_logging_statements_logs_their_parameters_too() {
        for change in [
            "log_statement=all",
            "log_statement=mod",
            "log_min_duration_statement=0",
            "LOG_MIN_DURATION_STATEMENT=250ms",
            "log_min_duration_sample=100",
            "log_transaction_sample_rate=0.01",
        ] {
            assert_eq!(counts(&[change]), (1, 0), "{change}");
            assert_eq!(counts(&[change, "log_parameter_max_length=80"]), (1, 0), "{change}");
            assert_eq!(counts(&[change, "log_parameter_max_length=0"]), (0, 1), "{change}");
            assert_eq!(counts(&[change, "log_parameter_max_length=0kB"]), (0, 1), "{change}");
        }
        assert_eq!(counts(&["log_min_duration_sample=100", "log_statement_sample_rate=0"]), (0, 0));
    }

    #[test]
    fn parameters_of_failed_statements_count_by_themselves() {
        assert_eq!(counts(&["log_parameter_max_length_on_error=-1"]), (1, 0));
        assert_eq!(counts(&["log_parameter_max_length_on_error=1kB", "log_parameter_max_length=0"]), (1, 0));
    }

    #[test]
    fn extensions_that_log_count_where_they_are_loaded() {
        assert_eq!(counts(&["auto_explain.log_min_duration=0"]), (0, 1));
        assert_eq!(
            counts(&["auto_explain.log_min_duration=0", "auto_explain.log_parameter_max_length=-1"]),
            (1, 0)
        );
        assert_eq!(counts(&["pgaudit.log=read, write"]), (0, 1));
        assert_eq!(counts(&["pgaudit.log=all", "pgaudit.log_parameter=on"]), (1, 0));
        assert_eq!(counts(&["pgaudit.log=none", "pgaudit.log_parameter=on"]), (0, 0));
    }

    #[test]
    fn of_a_role_only_what_it_adds_is_said() {
        let here = settings(&["log_statement=all"]);
        assert_eq!(
            here.with(&["log_parameter_max_length=0".to_owned()]).logged().beyond(&here.logged()),
            Logged { parameters: vec![], statements: vec!["log_statement = all".to_owned()] }
        );
        assert_eq!(
            here.with(&["work_mem=1MB".to_owned()]).logged().beyond(&here.logged()),
            Logged { parameters: vec![], statements: vec![] }
        );
    }
}
