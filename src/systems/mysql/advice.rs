//! What to do about the errors that dump and client programs are known to end with.

/// Words of the complaint (all must be there) and the advice.
const KNOWN: [(&[&str], &str); 18] = [
    (
        &["Table definition has changed"],
        "a table was altered while it was dumped; run again when no migration is running",
    ),
    (
        &["ERROR 1449"],
        "create the missing account at the target, or give the object another definer at the source and dump again",
    ),
    (
        &["as a definer does not exist"],
        "create the missing account, or give the object another definer, then run again",
    ),
    (
        &["1356"],
        "a view does not work at the source: its tables, functions or definer are gone; repair or drop the view",
    ),
    (
        &["1227"],
        "the account lacks a privilege: to create objects of other definers it needs SET USER (MariaDB), SET_ANY_DEFINER (MySQL 8.2) or SUPER",
    ),
    (&["1419"], "SET GLOBAL log_bin_trust_function_creators = 1 at the target, or give the account SUPER"),
    (
        &["1273", "collation"],
        "the target does not know a collation of the source: it is older, or of the other flavour; upgrade it, or convert the tables at the source",
    ),
    (
        &["Unknown collation"],
        "the target does not know a collation of the source: it is older, or of the other flavour; upgrade it, or convert the tables at the source",
    ),
    (&["max_allowed_packet"], "raise max_allowed_packet of the server, then run again"),
    (
        &["read-only"],
        "the server refuses writes: it is a replica, or read_only was set as a fence; make sure that this is the right leader",
    ),
    (
        &["1205"],
        "a session holds a table of the database: stop the application there, or end the session, then run again",
    ),
    (&["1044"], "grant the account what it needs on the databases; `mysql.check` lists it"),
    (&["1142"], "grant the account what it needs on the databases; `mysql.check` lists it"),
    (&["1045"], "user or password are wrong, or the account does not exist for this host"),
    (
        &["ERROR 1114"],
        "the disk of the server is full, or the limit of a tablespace is reached; free some space, then run again",
    ),
    (
        &["Lost connection"],
        "look whether the server still runs, at its log and at the free space of its disk, then run again",
    ),
    (
        &["ERROR 2002"],
        "look whether the server still runs, at its log and at the free space of its disk, then run again",
    ),
    (&["No space left on device"], "the disk is full; free some space, then run again"),
];

/// Advice for what a program complained of, if it is known.
#[must_use]
pub fn advice(complaint: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(words, _)| words.iter().all(|word| says(complaint, word))).map(|(_, advice)| *advice)
}

/// The number of an error must stand by itself: paths, points and checksums hold any four digits some day.
fn says(complaint: &str, word: &str) -> bool {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        complaint.split_whitespace().any(|part| part.trim_matches(['(', ')', ':', ',', ';', '.']) == word)
    } else {
        complaint.contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn known_complaints_have_advice() {
        for (complaint, word) in [
            ("mysqldump: Error 1412: Table definition has changed, please retry transaction", "migration"),
            ("ERROR 1449 (HY000) at line 88: The user specified as a definer ('app'@'%') does not exist", "account"),
            ("ERROR 1273 (HY000) at line 25: Unknown collation: 'utf8mb4_0900_ai_ci'", "collation"),
            ("ERROR 1290 (HY000): The MariaDB server is running with the --read-only option", "refuses writes"),
            ("ERROR 2013 (HY000) at line 1250: Lost connection to server during query", "still runs"),
            ("ERROR 1114 (HY000) at line 40: The table 'orders' is full", "free some space"),
            ("ERROR 1045 (28000): Access denied for user 'co'@'localhost' (using password: YES)", "password"),
        ] {
            assert!(advice(complaint).is_some_and(|advice| advice.contains(word)), "{complaint}");
        }
        assert_eq!(advice("something else"), None);
    }

    #[test]
    fn digits_of_a_path_or_a_checksum_are_no_error() {
        let full = "tee: /mnt/points/p-20261122-112055-1db6/db.sql.zst: No space left on device";
        assert!(advice(full).is_some_and(|advice| advice.contains("the disk is full")), "{full}");
        for complaint in ["tee: /p-20261122-112055-1205/x: refused", "9e5c1045  -", "127.14.1.31:1142 is busy"] {
            assert_eq!(advice(complaint), None, "{complaint}");
        }
        for complaint in ["mysqldump: Got error: 1045: Access denied", "Couldn't execute 'SHOW': no view (1356)"] {
            assert!(advice(complaint).is_some(), "{complaint}");
        }
    }
}
