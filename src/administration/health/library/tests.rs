//! Which texts name the library.

use super::names_library;

#[test]
fn the_library_is_found_in_a_list_however_it_is_written() {
    for list in [
        "dialstack_sessions",
        "pg_cron, dialstack_sessions",
        "\"$libdir/dialstack_sessions\",pg_cron",
        " /usr/lib/postgresql/15/lib/dialstack_sessions.so ",
    ] {
        assert!(names_library(list), "{list}");
    }
    for list in ["", "pg_cron", "dialstack_sessions_more", "dialstack_sessions/other"] {
        assert!(!names_library(list), "{list}");
    }
}
