//! Which texts name the library.

use super::{is_replaced_library, names_library};

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

#[test]
fn a_mapping_of_a_file_that_was_replaced_is_told_from_others() {
    let line = |path: &str| format!("7f1c2a000000-7f1c2a400000 r-xp 00000000 08:01 1048602   {path}");
    assert!(is_replaced_library(&line("/usr/lib/postgresql/15/lib/dialstack_sessions.so (deleted)")));
    for other in [
        "/usr/lib/postgresql/15/lib/dialstack_sessions.so",
        "/usr/lib/postgresql/15/lib/not_dialstack_sessions.so (deleted)",
        "/dev/zero (deleted)",
        "",
    ] {
        assert!(!is_replaced_library(&line(other)), "{other}");
    }
}
