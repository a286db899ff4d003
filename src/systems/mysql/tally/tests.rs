use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Runs the counter with every awk of this machine; all must agree.
fn count(dump: &str) -> Tally {
    let mut found: Vec<Tally> = Vec::new();
    for awk in ["awk", "gawk", "mawk", "original-awk"] {
        let mut folder = tempfile::NamedTempFile::new().expect("a file");
        folder.write_all(PROGRAM.as_bytes()).expect("written");
        let child = Command::new(awk)
            .arg("-f")
            .arg(folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            continue;
        };
        let mut stdin = child.stdin.take().expect("a pipe");
        let dump = dump.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(dump.as_bytes()));
        let output = child.wait_with_output().expect("an ending");
        writer.join().expect("joined").expect("written");
        assert!(output.status.success(), "{awk}");
        found.push(Tally::read(&String::from_utf8_lossy(&output.stdout)).expect("a tally"));
    }
    let first = found.pop().expect("an awk on this machine");
    assert!(found.iter().all(|other| *other == first), "{found:#?} and {first:#?}");
    first
}

fn rows(tally: &Tally) -> Vec<(String, u64)> {
    tally.rows.iter().map(|((db, table), rows)| (format!("{db}.{table}"), *rows)).collect()
}

/// A dump of one table `t` of database `s` with these lines of data.
fn one_table(data: &str) -> String {
    format!("-- MySQL dump\nUSE `s`;\nCREATE TABLE `t` (\n  `a` int\n);\n{data}\n-- Dump completed on 2026-03-01\n")
}

#[test]
fn many_rows_on_a_line_are_counted_whatever_their_strings_hold() {
    for (values, number) in [
        ("(1)", 1),
        ("(1),(2),(3)", 3),
        ("(1,'a'),(2,'b')", 2),
        ("(1,'x),(y'),(2,'),(')", 2),
        (r"(1,'it\'s'),(2,'\'),(\'')", 2),
        (r"(1,'ends with \\'),(2,'\\\\\'),(')", 2),
        (r"(1,'\\'),(2,'\\')", 2),
        (r"(1,'line\n(1),\n(2);\nINSERT INTO `t` VALUES (1)')", 1),
        ("(1,''),(2,'')", 2),
        ("(1,0x2C28,NULL),(2,_binary '),(',-1.5e30)", 2),
        ("('it''s),(','')", 1),
        ("(1,'Ж),(ж'),(2,'日本')", 2),
    ] {
        let tally = count(&one_table(&format!("INSERT INTO `t` VALUES {values};")));
        assert_eq!((rows(&tally), tally.odd), (vec![("s.t".to_owned(), number)], 0), "{values}");
    }
}

#[test]
fn one_row_a_line_is_counted() {
    let data = "INSERT INTO `t` VALUES\n(1,'x),(y'),\n(2,'INSERT INTO `t` VALUES'),\n(3,';');\nINSERT INTO `t` VALUES\n(4,'');";
    let tally = count(&one_table(data));
    assert_eq!((rows(&tally), tally.odd), (vec![("s.t".to_owned(), 4)], 0));
}

#[test]
fn columns_may_be_listed_and_called_anything() {
    for data in [
        "INSERT INTO `t` (`a`, `b`) VALUES (1,2),(3,4);",
        "INSERT INTO `t` (`odd`` ) VALUES (`, `'`) VALUES (1,2),(3,4);",
        "INSERT INTO `t` (`a`,`b`) VALUES\n(1,2),\n(3,4);",
    ] {
        let tally = count(&one_table(data));
        assert_eq!((rows(&tally), tally.odd), (vec![("s.t".to_owned(), 2)], 0), "{data}");
    }
}

#[test]
fn tables_may_be_called_anything_and_several_databases_may_have_the_same() {
    let dump = "USE `a``b`;\nCREATE TABLE `we``ird 'na,me` (\n);\nINSERT INTO `we``ird 'na,me` VALUES (1,'),('),(2,NULL);\n\
                USE `c`;\nCREATE TABLE `we``ird 'na,me` (\n);\n-- Dump completed\n";
    let tally = count(dump);
    assert_eq!(rows(&tally), [("a`b.we`ird 'na,me".to_owned(), 2), ("c.we`ird 'na,me".to_owned(), 0)]);
    assert!(tally.is_complete());
}

#[test]
fn code_and_views_are_not_data() {
    let data = "INSERT INTO `t` VALUES (1);\nDELIMITER ;;\nCREATE PROCEDURE `p`()\nBEGIN\n-- don't count this\n\
                INSERT INTO `t` VALUES (1),(2);\nINSERT INTO `t` VALUES\n(1),\n(2);\nEND ;;\nDELIMITER ;\n\
                /*!50001 CREATE VIEW `v` AS SELECT \n 1 AS `id`*/;\n/*!50001 CREATE TABLE `old_view` (\n  `id` int) */;\n\
                CREATE SEQUENCE `sq` start with 1;\nINSERT INTO `t` VALUES (2);";
    let tally = count(&one_table(data));
    assert_eq!((rows(&tally), tally.odd), (vec![("s.t".to_owned(), 2)], 0));
}

#[test]
fn long_lines_are_counted_whole() {
    let values: Vec<String> = (0..40_000).map(|n| format!("({n},'a \\'quoted\\' note \\\\ {n}',NULL)")).collect();
    let tally = count(&one_table(&format!("INSERT INTO `t` VALUES {};", values.join(","))));
    assert_eq!((tally.total(), tally.odd), (40_000, 0));
}

#[test]
fn what_is_not_understood_is_said() {
    for data in [
        "INSERT INTO `t` SELECT 1;",
        "INSERT INTO `t` VALUES (1),(2)",
        "INSERT INTO `t` VALUES (1,'unclosed);",
        "INSERT INTO `t` VALUES\n(1),\nnonsense",
        "INSERT INTO `t` VALUES\n(1),",
        "INSERT INTO `unheard_of` VALUES (1);",
        "DELIMITER ;;",
    ] {
        assert!(count(&one_table(data)).odd > 0, "{data}");
    }
}

#[test]
fn the_beginning_and_the_end_of_a_dump_are_seen() {
    let whole =
        count("/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n-- Dump completed on 2026-03-01\n\n");
    assert!(whole.has_sandbox_line() && whole.is_complete());
    let cut = count("-- MySQL dump\nUSE `s`;\nCREATE TABLE `t` (\n);\nINSERT INTO `t` VALUES (1),(2");
    assert!(!cut.has_sandbox_line() && !cut.is_complete());
    assert!(!count("").is_complete());
}

#[test]
fn a_counter_that_did_not_end_says_nothing() {
    assert_eq!(Tally::read("rows\t1\ts\tt\n"), None);
    let noisy = "zstd: noise\nrows\t1\ts\tt\twith tab\nodd\t0\nfirst\tx\nlast\t-- Dump completed\n";
    let tally = Tally::read(noisy).expect("a tally");
    assert_eq!(rows(&tally), [("s.t\twith tab".to_owned(), 1)]);
}
