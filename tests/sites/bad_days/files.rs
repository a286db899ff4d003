//! Source trees that lost files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Scenario;
use super::day::Day;

pub(super) const SCENARIOS: &[Scenario] =
    &[("empty source tree", empty_source_tree), ("many deletions", many_deletions)];

/// Files of prod's storage that are elsewhere, put back when dropped.
pub(super) struct Away {
    storage: PathBuf,
    aside: PathBuf,
    pub(super) files: Vec<PathBuf>,
}

impl Away {
    /// Takes every `nth` file away, or with 1 everything.
    pub(super) fn new(day: &Day, nth: usize) -> Self {
        let storage = day.lab.dir.join("prod/app1/storage");
        let aside = day.lab.dir.join("prod/app1/aside");
        let files = if nth == 1 {
            fs::read_dir(&storage).expect("the storage").flatten().map(|entry| entry.file_name().into()).collect()
        } else {
            let mut found = Vec::new();
            files_below(&storage, &mut found);
            found.sort();
            let relative = |file: &PathBuf| file.strip_prefix(&storage).expect("below").to_owned();
            found.iter().step_by(nth).map(relative).collect()
        };
        let moved = Self { storage, aside, files };
        assert!(moved.carry(&moved.storage, &moved.aside), "the files can be moved");
        moved
    }

    /// Moves the files, also to another disk; false when that failed.
    fn carry(&self, from: &Path, to: &Path) -> bool {
        let mut folders: BTreeMap<&Path, Vec<PathBuf>> = BTreeMap::new();
        for file in &self.files {
            folders.entry(file.parent().expect("a folder")).or_default().push(from.join(file));
        }
        folders.into_iter().all(|(folder, files)| {
            let folder = to.join(folder);
            let moved = || Command::new("mv").arg("-t").arg(&folder).arg("--").args(files).status();
            fs::create_dir_all(&folder).is_ok() && moved().is_ok_and(|status| status.success())
        })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // Whoever counts afterwards sees when it did not work.
        self.carry(&self.aside, &self.storage);
    }
}

pub(super) fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let kind = entry.file_type().expect("its type");
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn empty_source_tree(day: &Day) {
    let _away = Away::new(day, 1);
    day.replicate().expect(3).says("assets-source@prod").says("it is empty").says("not mounted looks like this");
}

fn many_deletions(day: &Day) {
    let collect = "[[stages.steps]]\nid = \"collect\"\nuses = \"files.collect\"\non = \"source\"\nservice = \"assets\"\n\
                   with = { accept_deletions = \"{{ params.accept_deletions }}\" }\n";
    let runbook = day.runbook(collect);
    let away = Away::new(day, 3);
    let gone = away.files.len();
    let ran = day.program.run(&["run", &runbook]).expect(3).says("collect@prod").says(&format!("{gone} of "));
    ran.says("are gone since p-").says("allowed are 5%").says("--param accept_deletions=true");
    day.program.run(&["run", &runbook, "--param", "accept_deletions=true"]).expect(0);
    drop(away);
    day.program.run(&["run", &runbook]).expect(0);
}
