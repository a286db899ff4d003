//! SQL servers that do not do what is asked of them.

use std::fs;

use super::Scenario;
use super::day::{Day, Without, put_back, wait_until};

pub(super) const SCENARIOS: &[Scenario] =
    &[("view without definer", view_without_definer), ("server killed in the dump", server_killed_in_the_dump)];

fn view_without_definer(day: &Day) {
    day.sql("CREATE DEFINER='ghost'@'%' VIEW ghostly AS SELECT 1 AS one");
    let ran = day.replicate();
    day.sql("DROP VIEW ghostly");
    ran.expect(3).says("db-standby@bcp").says("the target has no account ghost@%").says("CREATE USER");
}

pub(super) const SEAL: &str = "[[stages.steps]]\nid = \"seal\"\nuses = \"exchange.seal\"\non = \"source\"\n";
pub(super) const DUMP: &str =
    "[[stages.steps]]\nid = \"dump\"\nuses = \"mysql.dump\"\non = \"source\"\nservice = \"db\"\n";

/// A table that takes a moment to dump, gone when dropped.
pub(super) struct Ballast<'a>(&'a Day);

impl<'a> Ballast<'a> {
    pub(super) fn new(day: &'a Day, rows: u32) -> Self {
        day.sql(&format!(
            "CREATE TABLE ballast (id INT PRIMARY KEY, filler VARCHAR(2000)); \
             INSERT INTO ballast SELECT seq, REPEAT(MD5(seq), 40) FROM seq_1_to_{rows}"
        ));
        Self(day)
    }
}

impl Drop for Ballast<'_> {
    fn drop(&mut self) {
        put_back(|| self.0.sql("DROP TABLE ballast"));
    }
}

/// Whether a dump is being written: the file it has until it is whole is there.
pub(super) fn is_dumping(day: &Day) -> bool {
    let points = fs::read_dir(day.tree("prod").join("points")).expect("the points");
    let mut files = points.flatten().filter_map(|point| fs::read_dir(point.path()).ok()).flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with("db.sql.zst.partial-"))
}

fn server_killed_in_the_dump(day: &Day) {
    let _ballast = Ballast::new(day, 100_000);
    let runbook = day.runbook(DUMP);
    let mut running = day.start(&["run", &runbook]);
    running.wait_for(&["\"unit_started\"", "steps/dump@prod"]);
    wait_until("a dump is written", || is_dumping(day));
    let down = Without::new(day, "kill", "prod", "sql");
    let said = running.expect(1);
    drop(down);
    assert!(said.contains("Lost connection to server"), "{said}");
    assert!(said.contains("prod:app"), "{said}");
    assert!(!is_dumping(day), "a part of a dump was left behind");
}
