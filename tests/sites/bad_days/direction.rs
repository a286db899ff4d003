//! The wrong direction, and sites that do not agree on it.

use std::fs;
use std::process::Command;

use super::Scenario;
use super::day::{Day, output};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("wrong direction", wrong_direction),
    ("sites disagree", sites_disagree),
    ("tree of the other direction", tree_of_the_other_direction),
    ("not our turn", not_our_turn),
];

/// Both sites' direction records, put back when dropped.
pub(super) struct Records<'a>(&'a Day, Vec<(&'static str, String)>);

impl<'a> Records<'a> {
    fn new(day: &'a Day) -> Self {
        let read =
            |site| fs::read_to_string(day.lab.exchange(site).join("direction.json")).expect("a direction record");
        Self(day, ["prod", "bcp"].map(|site| (site, read(site))).to_vec())
    }

    fn turn(&self, site: &str) {
        let path = self.0.lab.exchange(site).join("direction.json");
        let text = fs::read_to_string(&path).expect("a direction record");
        let turned = text.replace("\"active\": \"prod\"", "\"active\": \"bcp\"");
        assert_ne!(turned, text);
        fs::write(path, turned).expect("the record can be written");
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        for (site, text) in &self.1 {
            drop(fs::write(self.0.lab.exchange(site).join("direction.json"), text));
        }
    }
}

fn wrong_direction(day: &Day) {
    let records = Records::new(day);
    records.turn("prod");
    records.turn("bcp");
    let ran = day.program.run(&["run", "replicate", "--from", "prod"]).expect(3);
    ran.says("prod was asked for as the source, but bcp is active").says("turn the direction first");
}

fn sites_disagree(day: &Day) {
    let records = Records::new(day);
    records.turn("bcp");
    for args in [&["run", "replicate"][..], &["run", "replicate", "--from", "prod"]] {
        let ran = day.program.run(args).expect(3).says("the sites disagree about the direction");
        ran.says("bcp says that bcp is active").says("fence").says("neither epoch is newer");
    }
}

/// The tree of one direction, carried to where the other direction's is looked for.
fn tree_of_the_other_direction(day: &Day) {
    let records = Records::new(day);
    records.turn("prod");
    records.turn("bcp");
    let here = day.lab.exchange("prod").join("bcp-to-prod");
    output(Command::new("cp").arg("-a").arg(day.tree("bcp")).arg(&here));
    let ran = day.program.run(&["run", "restore", "--output", "json"]);
    fs::remove_dir_all(&here).expect("the tree can be removed");
    let ran = ran.expect(3).says("arrived@prod").says("it was made for prod -> bcp, not for bcp -> prod");
    assert!(!ran.stdout().contains("\"unit_started\",\"unit\":\"search-restore"), "{}", ran.text());
}

fn not_our_turn(day: &Day) {
    day.edit_estate("[sites.bcp.hosts.app1]\n", "[sites.bcp.hosts.app1]\nlocal = true\n");
    // A local host has no login.
    let text = fs::read_to_string(day.lab.estate_file()).expect("the estate");
    let (before, after) = text.split_once("local = true\n").expect("the local host");
    let (host, rest) = after.split_once("\n\n").expect("another host");
    let host: Vec<&str> =
        host.lines().filter(|line| line.starts_with("address") || line.starts_with("roles")).collect();
    day.write_estate(&format!("{before}local = true\n{}\n\n{rest}", host.join("\n")));
    let ran = day.program.run(&["run", "replicate", "--scheduled"]).expect(6);
    ran.says("not this site's turn").says("prod is active");
}
