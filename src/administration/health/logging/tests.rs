//! What is found of the settings that log.

use super::{Reason, Settings};

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
    let (parameters, statements): (Vec<_>, Vec<_>) = logged.into_iter().partition(|reason| reason.parameters);
    (parameters.len(), statements.len())
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
fn a_reason_is_the_same_wherever_it_is_set() {
    let here = settings(&["log_statement=all"]);
    assert_eq!(
        here.with(&["log_parameter_max_length=0".to_owned()]).logged(),
        [Reason { parameters: false, settings: "log_statement = all".to_owned() }]
    );
    assert_eq!(here.with(&["work_mem=1MB".to_owned()]).logged(), here.logged());
}
