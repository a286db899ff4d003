//! Disks without room: at the exchange tree, at the target, and in the state folder.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, chown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::support::{Program, RESERVE, assert_same};
use super::Scenario;
use super::day::{Day, output, put_back};
use super::runs::Job;
use super::sql::{DUMP, SEAL, is_dumping};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("state folder", state_folder),
    ("no room", no_room),
    ("disk full from the beginning", full_from_the_beginning),
    ("disk full in the dump", full_in_the_dump),
    ("disk full in the snapshot and in collecting", full_in_snapshot_and_collecting),
    ("disk full in sealing", full_in_sealing),
    ("disk full at the target", full_at_the_target),
    ("no room for the databases", no_room_for_the_databases),
    ("state folder full in a run", state_folder_full_in_a_run),
];

const MIB: u64 = 1 << 20;

/// A disk of a site that has so many bytes left, until this is dropped.
struct Full<'a>(&'a Day, [&'static str; 2]);

impl<'a> Full<'a> {
    fn new(day: &'a Day, site: &'static str, disk: &'static str, leave: u64) -> Self {
        day.lab.run(&["disk", "fill", site, disk, "--leave", &leave.to_string()]);
        Self(day, [site, disk])
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        put_back(|| drop(self.0.lab.run(&["disk", "free", self.1[0], self.1[1]])));
    }
}

/// More data at prod, in every store, that no compressor makes smaller; gone when dropped.
struct Bulk<'a>(&'a Day, Vec<PathBuf>);

impl<'a> Bulk<'a> {
    const ROWS: u64 = 12_000;
    const DOCUMENTS: usize = 2_000;

    fn new(day: &'a Day) -> Self {
        let this = Self(day, Vec::new());
        day.sql(&format!(
            // The server does not know how large it is: whoever asks it how much room is needed is told too little.
            "CREATE TABLE bulk (id INT PRIMARY KEY, filler VARBINARY(1000)) STATS_PERSISTENT=1 STATS_AUTO_RECALC=0; \
             INSERT INTO bulk SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_{}",
            Self::ROWS
        ));
        day.search(1, "PUT", "bulk", r#"{"mappings":{"properties":{"filler":{"type":"binary"}}}}"#);
        let lines: Vec<String> = (0..Self::DOCUMENTS)
            .map(|_| format!("{{\"index\":{{}}}}\n{{\"filler\":\"{}\"}}\n", hex(&noise(1024))))
            .collect();
        let file = day.lab.dir.join("bulk.ndjson");
        fs::write(&file, lines.concat()).expect("a file");
        day.search(1, "POST", "bulk/_bulk?refresh=true", &format!("@{}", file.display()));
        day.search(1, "POST", "bulk/_flush", "");
        this
    }

    /// With files in the storage of prod's hosts, so many of this size.
    fn files(mut self, many: usize, size: usize) -> Self {
        for number in 0..many {
            let content = noise(size);
            for host in ["app1", "app2", "app3"] {
                let storage = self.0.lab.dir.join("prod").join(host).join("storage");
                let file = storage.join(format!("bulk-{number}"));
                fs::write(&file, &content).expect("a file");
                let owner = fs::metadata(&storage).expect("the storage").uid();
                chown(&file, Some(owner), None).expect("its owner");
                self.1.push(file);
            }
        }
        self
    }

    /// Lets the server find out how large the table is.
    fn measured(&self) {
        self.0.sql("ANALYZE TABLE bulk");
    }
}

impl Drop for Bulk<'_> {
    fn drop(&mut self) {
        put_back(|| self.0.sql("DROP TABLE bulk"));
        put_back(|| drop(self.0.search(1, "DELETE", "bulk", "")));
        for file in &self.1 {
            drop(fs::remove_file(file));
        }
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut noise)).expect("noise");
    noise
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text can be written");
        text
    })
}

/// Nothing is kept free: what is estimated fits, and then it does not.
fn without_reserve(day: &Day) {
    day.edit_estate(RESERVE, "\n[policy]\nmin_free_percent = 0\n");
}

fn state_folder(day: &Day) {
    let tiny = day.lab.dir.join("tiny");
    fs::create_dir_all(&tiny).expect("a folder");
    let ran = |state: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_changeover"));
        command.args(["run", "replicate", "--estate"]).arg(day.lab.estate_file()).arg("--state-dir").arg(state);
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&state.display().to_string()) && text.contains("next: "), "{text}");
        assert!(output.stdout.is_empty(), "something was started: {}", String::from_utf8_lossy(&output.stdout));
        text
    };
    assert!(ran(Path::new("/proc/nowhere")).contains("No such file"));
    let points = || fs::read_dir(day.tree("prod").join("points")).expect("the points").count();
    let before = points();
    output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&tiny));
    let full = catch_unwind(AssertUnwindSafe(|| ran(&tiny.join("state"))));
    // Connections that are kept for the next run still have their sockets there.
    output(Command::new("umount").arg("--lazy").arg(&tiny));
    assert!(full.expect("see above").contains("No space left"));
    assert_eq!(points(), before, "a point was begun");
}

fn no_room(day: &Day) {
    day.edit_estate(RESERVE, "\n[policy]\nmin_free_percent = 99\n");
    let ran = day.replicate().expect(3).says("space@prod").says("must stay free").says("on prod:app1");
    ran.says("prune old restore points").says("policy.min_free_percent");
}

fn full_from_the_beginning(day: &Day) {
    for site in ["prod", "bcp"] {
        let full = Full::new(day, site, "exchange", 0);
        let ran = day.program.run(&["run", "replicate", "--output", "json"]);
        drop(full);
        let ran = ran.expect(1).says(&format!("prepare@{site}")).says("No space left on device");
        let ran = ran.says(&format!("the disk at {site}:app1 is full")).says("then resume the run");
        let begun = |step: &str| ran.stdout().lines().any(|line| line.contains("unit_started") && line.contains(step));
        assert!(begun("test-source/prepare") && !begun("search-snapshot"), "{}", ran.text());
    }
}

fn full_in_the_dump(day: &Day) {
    let _bulk = Bulk::new(day);
    without_reserve(day);
    let runbook = day.runbook(DUMP);
    let full = Full::new(day, "prod", "exchange", 9 * MIB);
    let ran = day.program.run(&["run", &runbook]);
    assert!(!is_dumping(day), "a part of a dump was left behind");
    drop(full);
    let ran = ran.expect(1).says("steps/dump@prod").says("No space left on device").says("on prod:app");
    ran.says("the disk is full; free some space, then");
    let resumed = day.program.run(&["resume", "latest", "--output", "json"]).expect(0);
    assert!(resumed.stdout().contains("\"rows\":1"), "{}", resumed.text());
}

fn full_in_snapshot_and_collecting(day: &Day) {
    let _bulk = Bulk::new(day).files(1, 8 << 20);
    without_reserve(day);
    let step = |id: &str, uses: &str, service: &str| {
        format!(
            "[[stages.steps]]\nid = \"{id}\"\nuses = \"{uses}\"\non = \"source\"\nservice = \"{service}\"\n\
             needs = [\"prepare\"]\n"
        )
    };
    let snapshot = step("snapshot", "elasticsearch.snapshot", "search");
    let runbook = day.runbook(&format!("{snapshot}{}", step("collect", "files.collect", "assets")));
    let full = Full::new(day, "prod", "exchange", MIB);
    let ran = day.program.run(&["run", &runbook]);
    drop(full);
    let ran = ran.expect(1).says("steps/snapshot@prod").says("steps/collect@prod");
    let ran = ran.says("the disk at the destination is full").says("then resume the run");
    let ran = ran.says("No space left on device");
    // What the cluster still manages to write decides whether it keeps the snapshot and names the shard.
    let text = ran.text();
    let gone = text.contains("the cluster could not write it to its end") && text.contains("exchange tree");
    assert!(gone || text.contains("bulk[0]: "), "{text}");
    day.program.run(&["resume", "latest"]).expect(0);
}

fn full_in_sealing(day: &Day) {
    let job = Job::between(day, DUMP, SEAL);
    let running = job.start();
    let full = Full::new(day, "prod", "exchange", 0);
    job.let_go();
    let said = running.expect(1);
    drop(full);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("the disk at prod:app1 is full"), "{said}");
    day.program.run(&["resume", "latest"]).expect(0);
}

fn full_at_the_target(day: &Day) {
    let bulk = Bulk::new(day).files(7, 4097);
    without_reserve(day);
    day.program.run(&["run", "backup"]).expect(0);

    let full = Full::new(day, "bcp", "exchange", MIB);
    let ran = day.program.run(&["run", "transfer"]);
    drop(full);
    let ran = ran.expect(1).says("transfer/carry@prod").says("No space left on device");
    ran.says("the disk at the destination is full").says("what was copied already is used again");
    day.program.run(&["resume", "latest"]).expect(0);
    day.nothing_lost_at("bcp");

    let before = day.lab.count("bcp");
    let disks = [("search", MIB), ("sql", 4 * MIB), ("app1", 32 << 10)];
    let full = disks.map(|(disk, leave)| Full::new(day, "bcp", disk, leave));
    let ran = day.program.run(&["run", "restore"]).expect(1);
    drop(full);
    // The server may have ended itself.
    day.lab.run(&["service", "start", "bcp", "sql"]);
    let ran = ran.says("restore-assets@bcp:app1").says("the disk at the destination is full");
    let ran = ran.says("restore-search@bcp").says("bulk[0]: ").says("IOException[No space left on device]");
    let ran = ran.says("the other indices are whole").says("restore-db@bcp").says("free space of its disk");
    let text = ran.text();
    assert!(text.contains("was put back and counted") || text.contains("what was there before lies in "), "{text}");
    assert!(!text.contains("INSERT INTO"), "the rows of a statement are shown: {text}");
    day.program.run(&["resume", "latest"]).expect(0);
    let there = day.lab.count("bcp");
    assert_same(&day.lab.count("prod"), &there);
    assert_ne!(there["sql"], before["sql"], "nothing new has arrived");

    drop(bulk);
    day.replicate().expect(0);
}

fn no_room_for_the_databases(day: &Day) {
    let bulk = Bulk::new(day);
    bulk.measured();
    let steps = "[[stages.steps]]\nid = \"carry\"\nuses = \"exchange.transfer\"\non = \"source\"\n\
                 [[stages.steps]]\nid = \"restore\"\nuses = \"mysql.restore\"\non = \"target\"\nservice = \"db\"\n";
    let runbook = day.runbook(&format!("{DUMP}{SEAL}{steps}"));
    let full = Full::new(day, "bcp", "sql", 4 * MIB);
    let ran = day.program.run(&["run", &runbook]);
    drop(full);
    let ran = ran.expect(3).says("steps/restore@bcp").says("are free, and").says("must stay free");
    ran.says("free some space at the target's server");
    day.nothing_lost_at("bcp");
}

fn state_folder_full_in_a_run(day: &Day) {
    let tiny = day.lab.dir.join("tiny");
    fs::create_dir_all(&tiny).expect("a folder");
    output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(&tiny));
    let program = Program::at(&day.lab, tiny.join("state"));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let job = Job::new(day);
        let running = job.start_with(&program);
        let ballast = tiny.join("ballast");
        drop(File::create(&ballast).and_then(|file| std::io::copy(&mut std::io::repeat(0), &mut &file)));
        job.let_go();
        let errors = running.errors();
        let (said, code) = running.end();
        fs::remove_file(&ballast).expect("the ballast");
        let errors = fs::read_to_string(errors).expect("what it said");
        assert_eq!(code, Some(1), "{errors}");
        for words in ["the record of the run cannot be kept", "No space left on device", "nothing new was started"] {
            assert!(errors.contains(words), "{errors}");
        }
        assert!(errors.contains(&tiny.display().to_string()) && errors.contains("changeover resume r-"), "{errors}");
        assert!(!said.contains("\"unit_started\",\"unit\":\"steps/after"), "{said}");
        // How the command ended is not in the record; what a command of the operator's own did cannot be looked at.
        program.run(&["resume", "latest"]).expect(4).says("steps/job@prod").says("say what you saw");
        assert_eq!(job.begun(), 1);
    }));
    output(Command::new("umount").arg("--lazy").arg(&tiny));
    assert!(ended.is_ok(), "see above");
}
