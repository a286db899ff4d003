//! What bad input and bad days get, on real servers: the documented exit code, a message that says where, what was tried
//! and what to do, and nothing lost.
//!
//! One lab carries all scenarios, in order, because a fresh one for each would take longer than all of them together.
//! To run some of them only: `BAD_DAYS=dump,signal cargo test --test sites bad_days` (parts of their names).

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::support::{Lab, Program, Ran, alone, assert_same};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The lab, what both sites hold when nothing is lost, and the program.
struct Day {
    lab: Lab,
    program: Program,
    estate: String,
    number: String,
    prod: Value,
    bcp: Value,
}

type Scenario = (&'static str, fn(&Day));

const SCENARIOS: &[Scenario] = &[
    ("unknown host key", unknown_host_key),
    ("refused key", refused_key),
    ("host down", host_down),
    ("malformed estate", malformed_estate),
    ("unknown names", unknown_names),
    ("state folder", state_folder),
    ("wrong direction", wrong_direction),
    ("sites disagree", sites_disagree),
    ("not our turn", not_our_turn),
    ("search red", search_red),
    ("search snapshot of a stranger", snapshot_of_a_stranger),
    ("search index that is not copied", index_that_is_not_copied),
    ("view without definer", view_without_definer),
    ("no room", no_room),
    ("empty source tree", empty_source_tree),
    ("many deletions", many_deletions),
    ("damaged copy", damaged_copy),
    ("second writer", second_writer),
    ("two runs", two_runs_and_a_hangup),
    ("signal once", signal_once),
    ("signal twice", signal_twice),
    ("killed", killed),
    ("killed in the dump", killed_in_the_dump),
    ("connection cut in a job", connection_cut_in_a_job),
    ("connection cut in the dump and the transfer", connection_cut_in_real_work),
    ("host dies in a job", host_dies_in_a_job),
    ("server killed in the dump", server_killed_in_the_dump),
    ("redis replica", redis_replica),
    ("application not coming back", application_not_coming_back),
    ("search down", search_down),
];

#[test]
#[expect(clippy::print_stderr, reason = "which scenario is slow or fails is what a reader of a failed run needs")]
fn bad_days_lose_nothing() {
    let wanted = std::env::var("BAD_DAYS").unwrap_or_default();
    let scenarios: Vec<_> =
        SCENARIOS.iter().filter(|(name, _)| wanted.split(',').any(|part| name.contains(part))).collect();
    assert!(!scenarios.is_empty(), "no scenario is called {wanted}");
    let _alone = alone();
    let day = Day::begin();
    let mut failed = Vec::new();
    for (name, scenario) in scenarios {
        let began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            scenario(&day);
            day.nothing_lost();
        }));
        eprintln!(
            "{name}: {} in {:.1} s",
            if ended.is_ok() { "good" } else { "FAILED" },
            began.elapsed().as_secs_f64()
        );
        if ended.is_err() {
            failed.push(name);
            // What the scenario took away would fail all others too.
            day.lab.run(&["up"]);
        }
        day.write_estate(&day.estate);
    }
    assert!(failed.is_empty(), "these scenarios failed, see above: {failed:?}");
}

impl Day {
    fn begin() -> Self {
        let lab = Lab::fresh("bad-days", &[]);
        lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
        let program = Program::new(&lab);
        program.run(&["run", "replicate"]).expect(0);
        let (prod, bcp) = (lab.count("prod"), lab.count("bcp"));
        assert_same(&prod, &bcp);
        let estate = fs::read_to_string(lab.estate_file()).expect("an estate");
        let (_, after) = estate.split_once("address = \"127.").expect("an address of the lab");
        let number = after.split('.').next().expect("its number").to_owned();
        Self { lab, program, estate, number, prod, bcp }
    }

    /// Documents, rows and files of both sites are what they were when the day began.
    #[track_caller]
    fn nothing_lost(&self) {
        assert_same(&self.prod, &self.lab.count("prod"));
        assert_same(&self.bcp, &self.lab.count("bcp"));
    }

    fn write_estate(&self, text: &str) {
        fs::write(self.lab.estate_file(), text).expect("the estate can be written");
    }

    fn edit_estate(&self, from: &str, to: &str) {
        assert!(self.estate.contains(from), "the estate has no {from}");
        self.write_estate(&self.estate.replace(from, to));
    }

    fn replicate(&self) -> Ran {
        self.program.run(&["run", "replicate"])
    }

    /// An address of the lab: `prod` is 1, `bcp` is 2.
    fn address(&self, site: u8, last: u8) -> String {
        format!("127.{}.{site}.{last}", self.number)
    }

    /// A request to a search cluster; returns the answer.
    fn search(&self, site: u8, method: &str, path: &str, body: &str) -> String {
        let url = format!("http://{}:9200/{path}", self.address(site, 21));
        output(Command::new("curl").args(["-sS", "--fail-with-body", "-X", method, &url]).args([
            "-H",
            "content-type: application/json",
            "-d",
            body,
        ]))
    }

    /// Statements at the active site's SQL server.
    fn sql(&self, statements: &str) {
        let password = fs::read_to_string(self.lab.dir.join("secrets/sql")).expect("the lab's password");
        output(
            Command::new("mariadb")
                .args(["-h", &self.address(1, 31), "-u", "changeover", "shop", "-e", statements])
                .env("MYSQL_PWD", password.trim()),
        );
    }

    /// A runbook of `exchange.prepare` and these steps.
    fn runbook(&self, steps: &str) -> String {
        let path = self.lab.dir.join("bad-day.toml");
        let text = format!(
            "name = \"bad-day\"\ntitle = \"A bad day\"\nmode = \"maintenance\"\n\
             [params.accept_deletions]\ntype = \"bool\"\ndefault = false\nhelp = \"Allow more deletions\"\n\
             [[stages]]\nid = \"steps\"\ntitle = \"Steps\"\n\
             [[stages.steps]]\nid = \"prepare\"\nuses = \"exchange.prepare\"\non = \"both\"\n{steps}"
        );
        fs::write(&path, text).expect("the runbook can be written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// A site's tree of the direction from `prod` to `bcp`.
    fn tree(&self, site: &str) -> PathBuf {
        self.lab.exchange(site).join("prod-to-bcp")
    }

    /// Starts the program in the background, with its events to be waited for.
    fn start(&self, args: &[&str]) -> Running {
        let mut child = self
            .program
            .command(args)
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines, seen: Vec::new() }
    }
}

/// What a command printed; panics when it fails.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// The program in the background.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Waits for an event whose line holds all of these.
    #[track_caller]
    fn wait_for(&mut self, parts: &[&str]) {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no event with {parts:?} after\n{}", self.seen.join("\n"));
            };
            let found = parts.iter().all(|part| line.contains(part));
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("it can be signalled");
    }

    /// Waits for its end; returns its events.
    #[track_caller]
    fn expect(mut self, code: i32) -> String {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        let status = self.child.wait().expect("it ends");
        let text = self.seen.join("\n");
        assert_eq!(status.code(), Some(code), "{status}\n{text}");
        text
    }
}

/// A service that is stopped, until this is dropped.
struct Without<'a>(&'a Day, [&'static str; 2]);

impl<'a> Without<'a> {
    fn new(day: &'a Day, how: &str, site: &'static str, name: &'static str) -> Self {
        day.lab.run(&["service", how, site, name]);
        Self(day, [site, name])
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        self.0.lab.run(&["service", "start", self.1[0], self.1[1]]);
    }
}

// ── Hosts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn unknown_host_key(day: &Day) {
    let known = fs::read_to_string(day.lab.dir.join("ssh/known_hosts")).expect("the lab's host keys");
    let address = day.address(1, 11);
    let others: Vec<&str> = known.lines().filter(|line| !line.contains(&address)).collect();
    assert!(others.len() < known.lines().count(), "{address} is not in\n{known}");
    fs::write(day.lab.dir.join("ssh/without_app1"), others.join("\n") + "\n").expect("a file");
    day.edit_estate("ssh/known_hosts", "ssh/without_app1");
    let ran = day.replicate().expect(1).says("prod:app1").says("its host key is not known");
    let ran = ran.says(&format!("ssh-keyscan -p 22 {address} >> ")).says("ssh/without_app1");
    for weak in ["StrictHostKeyChecking", "accept-new"] {
        assert!(!ran.text().contains(weak), "{}", ran.text());
    }
}

fn refused_key(day: &Day) {
    let key = day.lab.dir.join("ssh/stranger");
    drop(fs::remove_file(&key));
    output(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    // The lab's own ssh configuration offers the good key.
    let config = format!("config = \"{}\"", day.lab.dir.join("ssh/config").display());
    assert!(day.estate.contains(&config));
    day.write_estate(&day.estate.replace(&config, "").replace("ssh/id_ed25519", "ssh/stranger"));
    day.replicate().expect(1).says("prod:app1").says("Permission denied (publickey)").says("authorized_keys");
}

fn host_down(day: &Day) {
    let _down = Without::new(day, "stop", "prod", "sshd@app1");
    let ran = day.program.run(&["run", "replicate", "--output", "json"]).expect(1);
    let ran = ran.says("Connection refused").says("is sshd running").says("prod:app1");
    let attempts = ran
        .stdout()
        .lines()
        .filter(|line| line.contains("\"unit_started\"") && line.contains("test-source/prepare@prod"))
        .count();
    assert_eq!(attempts, 3, "{}", ran.text());
    assert!(!ran.text().contains("search-snapshot/snapshot@prod\",\"attempt\":1"), "{}", ran.text());
}

// ── Files and words ─────────────────────────────────────────────────────────────────────────────────────────────────

fn malformed_estate(day: &Day) {
    day.edit_estate("[ssh]", "[ssh");
    let at = format!("estate.toml:{}:", 1 + day.estate.lines().position(|line| line == "[ssh]").expect("[ssh]"));
    day.replicate().expect(2).says(&at).says("expected `]`");
    day.edit_estate("active = \"prod\"", "active = \"prd\"");
    day.replicate().expect(2).says("estate.toml:2:").says("prd");
}

fn unknown_names(day: &Day) {
    day.program.run(&["run", "replicat"]).expect(2).says("did you mean `replicate`?");
    day.program.run(&["run", "replicate", "--param", "nope=1"]).expect(2).says("no parameter `nope`");
    let runbook = day.runbook(
        "[[stages.steps]]\nid = \"wait\"\nuses = \"basic.wait\"\non = \"console\"\nwith = { \"for\" = \"{{ params.long }}\" }\n",
    );
    day.program.run(&["run", &runbook]).expect(2).says("bad-day.toml:").says("long");
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

// ── Direction ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// Both sites' direction records, put back when dropped.
struct Records<'a>(&'a Day, Vec<(&'static str, String)>);

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

// ── Search ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn search_red(day: &Day) {
    let nowhere = r#"{"settings":{"index.routing.allocation.require._name":"nowhere","number_of_replicas":0}}"#;
    day.search(1, "PUT", "red?wait_for_active_shards=0", nowhere);
    let ran = day.replicate();
    day.search(1, "DELETE", "red", "");
    ran.expect(1).says("search-source@prod").says("the cluster is red").says("GET /_cat/shards");
}

fn snapshot_of_a_stranger(day: &Day) {
    let step = "[[stages.steps]]\nid = \"snapshot\"\nuses = \"elasticsearch.snapshot\"\non = \"source\"\n\
                service = \"search\"\nwith = { name = \"monthly\" }\n";
    let runbook = day.runbook(step);
    day.program.run(&["run", &runbook]).expect(0);
    let of = || day.search(1, "GET", "_snapshot/changeover-prod-to-bcp-search/monthly?filter_path=snapshots.uuid", "");
    let before = of();
    let ran = day.program.run(&["run", &runbook]).expect(3).says("steps/snapshot@prod").says("snapshot monthly");
    ran.says("this run did not make it").says("another `name`");
    assert_eq!(of(), before, "the stranger's snapshot was touched");
}

fn index_that_is_not_copied(day: &Day) {
    day.search(2, "POST", "foreign-x/_doc?refresh=true", r#"{"theirs":true}"#);
    let ran = day.program.run(&["plan", "replicate"]);
    let left = day.search(2, "GET", "foreign-x/_count", "");
    day.search(2, "DELETE", "foreign-x", "");
    assert!(left.contains("\"count\":1"), "{left}");
    ran.expect(0).says("index foreign-x at bcp");
}

fn search_down(day: &Day) {
    let _down = Without::new(day, "kill", "prod", "search");
    day.replicate()
        .expect(1)
        .says("search-source@prod")
        .says("Connection refused")
        .says("see whether the cluster runs");
}

fn second_writer(day: &Day) {
    let path = "_snapshot/changeover-prod-to-bcp-search";
    let read_only = day.search(2, "GET", path, "");
    let repositories: Value = serde_json::from_str(&read_only).expect("JSON");
    let mut settings = repositories["changeover-prod-to-bcp-search"].clone();
    assert_eq!(settings["settings"]["readonly"], "true", "{read_only}");
    let good = settings.to_string();
    settings["settings"].as_object_mut().expect("settings").remove("readonly");
    day.search(2, "PUT", path, &settings.to_string());
    let ran = day.program.run(&["run", "restore", "--output", "json"]);
    day.search(2, "PUT", path, &good);
    let ran = ran.expect(3).says("registered there for writing").says("make sure that this is the standby");
    // Found before any store is replaced, not while the others already are.
    for step in ["restore-db", "restore-assets", "restore-search"] {
        let started = ran.stdout().lines().any(|line| line.contains("\"unit_started\"") && line.contains(step));
        assert!(!started, "{step} was started:\n{}", ran.text());
    }
}

// ── SQL ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn view_without_definer(day: &Day) {
    day.sql("CREATE DEFINER='ghost'@'%' VIEW ghostly AS SELECT 1 AS one");
    let ran = day.replicate();
    day.sql("DROP VIEW ghostly");
    ran.expect(3).says("db-standby@bcp").says("the target has no account ghost@%").says("CREATE USER");
}

const SEAL: &str = "[[stages.steps]]\nid = \"seal\"\nuses = \"exchange.seal\"\non = \"source\"\n";
const DUMP: &str = "[[stages.steps]]\nid = \"dump\"\nuses = \"mysql.dump\"\non = \"source\"\nservice = \"db\"\n";

/// A table that takes a moment to dump, gone when dropped.
struct Ballast<'a>(&'a Day);

impl<'a> Ballast<'a> {
    fn new(day: &'a Day, rows: u32) -> Self {
        day.sql(&format!(
            "CREATE TABLE ballast (id INT PRIMARY KEY, filler VARCHAR(2000)); \
             INSERT INTO ballast SELECT seq, REPEAT(MD5(seq), 40) FROM seq_1_to_{rows}"
        ));
        Self(day)
    }
}

impl Drop for Ballast<'_> {
    fn drop(&mut self) {
        self.0.sql("DROP TABLE ballast");
    }
}

/// Whether a dump is being written: the file it has until it is whole is there.
fn is_dumping(day: &Day) -> bool {
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

// ── Room, files, the copy ───────────────────────────────────────────────────────────────────────────────────────────

fn no_room(day: &Day) {
    day.write_estate(&format!("{}\n[policy]\nmin_free_percent = 99\n", day.estate));
    let ran = day.replicate().expect(3).says("space@prod").says("must stay free").says("on prod:app1");
    ran.says("prune old restore points").says("policy.min_free_percent");
}

/// Files of prod's storage that are elsewhere, put back when dropped.
struct Away {
    storage: PathBuf,
    aside: PathBuf,
    files: Vec<PathBuf>,
}

impl Away {
    /// Takes every `nth` file away, or with 1 everything.
    fn new(day: &Day, nth: usize) -> Self {
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
        moved.carry(&moved.storage, &moved.aside);
        moved
    }

    fn carry(&self, from: &Path, to: &Path) {
        for file in &self.files {
            let target = to.join(file);
            fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
            fs::rename(from.join(file), target).expect("a file can be moved");
        }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.carry(&self.aside, &self.storage);
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
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

fn damaged_copy(day: &Day) {
    day.program.run(&["run", "backup"]).expect(0);
    day.program.run(&["run", "transfer"]).expect(0);
    let points = fs::read_dir(day.tree("bcp").join("points")).expect("the points");
    let point = points.flatten().map(|entry| entry.path()).max().expect("a point");
    let id = point.file_name().expect("a name").to_string_lossy().into_owned();
    let dump = point.join("db.sql.zst");
    let good = fs::read(&dump).expect("a dump");
    let restore = || day.program.run(&["run", "restore", "--param", &format!("point={id}")]).expect(1).says(&id);
    let put = |bytes: &[u8]| fs::write(&dump, bytes).expect("the dump can be written");

    let mut wrong = good.clone();
    wrong[100] ^= 1;
    put(&wrong);
    restore().says("db.sql.zst: FAILED").says("do not restore this point");
    day.nothing_lost();

    put(&good[..good.len() - 10]);
    restore().says("incomplete").says(&format!("db.sql.zst: {} bytes, not {}", good.len() - 10, good.len()));
    day.nothing_lost();

    put(&good);
    let (marker, aside) = (point.join("COMPLETE"), point.join("COMPLETE.aside"));
    fs::rename(&marker, &aside).expect("the marker can be moved");
    let ran = restore();
    fs::rename(&aside, &marker).expect("the marker can be moved back");
    ran.says("completion marker is not there").says("copy it again");
    day.nothing_lost();
}

// ── Signals, locks, connections ─────────────────────────────────────────────────────────────────────────────────────

/// A job on a host of prod that says in the exchange folder that it began, and ends when the test lets it go.
struct Job<'a> {
    day: &'a Day,
    runbook: String,
    began: PathBuf,
    go: PathBuf,
}

impl<'a> Job<'a> {
    fn new(day: &'a Day) -> Self {
        let (began, go) = (day.lab.exchange("prod").join("bad-day-began"), day.lab.exchange("prod").join("bad-day-go"));
        drop(fs::remove_file(&began));
        drop(fs::remove_file(&go));
        let mount = day.lab.dir.join("mnt/exchange");
        let script = format!(
            "echo began >> {0}/bad-day-began; until test -e {0}/bad-day-go; do sleep 0.1; done",
            mount.display()
        );
        let command = |id: &str, run: &str| {
            format!(
                "[[stages.steps]]\nid = \"{id}\"\nuses = \"basic.command\"\non = \"source\"\nwith = {{ run = {run} }}\n"
            )
        };
        let steps = command("job", &format!("[\"sh\", \"-c\", \"{script}\"]")) + &command("after", "[\"true\"]");
        Self { day, runbook: day.runbook(&steps), began, go }
    }

    /// Starts a run and waits until the job does its work.
    fn start(&self) -> Running {
        let mut running = self.day.start(&["run", &self.runbook]);
        running.wait_for(&["\"unit_started\"", "steps/job@prod"]);
        wait_until("the job begins", || self.begun() == 1);
        running
    }

    /// How often the job began its work.
    fn begun(&self) -> usize {
        fs::read_to_string(&self.began).map_or(0, |text| text.lines().count())
    }

    fn let_go(&self) {
        File::create(&self.go).expect("a file");
        fs::set_permissions(&self.go, fs::Permissions::from_mode(0o644)).expect("its mode");
    }

    /// Whether anything of the job runs on any host: the hosts' processes are this machine's.
    fn is_alive(&self) -> bool {
        let marker = format!("until test -e {}/mnt/exchange/bad-day-go", self.day.lab.dir.display());
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&marker))
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // Whatever the test came to: nothing may wait forever.
        drop(File::create(&self.go));
    }
}

fn two_runs_and_a_hangup(day: &Day) {
    let job = Job::new(day);
    let mut first = job.start();
    let second = day.program.run(&["run", &job.runbook]).expect(5);
    let holder = first.seen.iter().find_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event["run"].as_str().map(str::to_owned)
    });
    second.says(&holder.expect("the run's id in its events")).says("changeover attach");
    first.signal(Signal::SIGHUP);
    assert!(first.child.try_wait().expect("it can be asked").is_none(), "SIGHUP ended it");
    job.let_go();
    let said = first.expect(0);
    assert!(!said.contains("cancel_requested"), "{said}");
}

fn signal_once(day: &Day) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let job = Job::new(day);
        let mut running = job.start();
        running.signal(signal);
        running.wait_for(&["cancel_requested"]);
        assert!(job.is_alive(), "{signal} stopped the running step");
        job.let_go();
        let said = running.expect(1);
        assert!(!said.contains("\"unit_started\",\"unit\":\"steps/after"), "{said}");
        let resumed = day.program.run(&["resume", "latest", "--output", "json"]).expect(0);
        let started =
            |step: &str| resumed.stdout().lines().any(|line| line.contains("\"unit_started\"") && line.contains(step));
        assert!(started("steps/after@prod") && !started("steps/job@prod"), "{}", resumed.text());
        assert_eq!(job.begun(), 1);
    }
}

fn signal_twice(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    running.signal(Signal::SIGINT);
    running.wait_for(&["cancel_requested"]);
    assert!(job.is_alive());
    running.signal(Signal::SIGINT);
    running.expect(1);
    assert!(!job.is_alive(), "the job still runs");
}

fn killed(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    running.child.kill().expect("it can be killed");
    running.child.wait().expect("it ends");
    assert!(job.is_alive(), "the job ended with the program");
    job.let_go();
    // What a command of the operator's own has done cannot be looked at: it is asked about, and nobody is there to ask.
    let resumed = day.program.run(&["resume", "latest"]).expect(4).says("steps/job@prod");
    resumed.says("the program died while it ran").says("say what you saw");
    assert_eq!(job.begun(), 1, "the job was started again");
}

fn killed_in_the_dump(day: &Day) {
    let _ballast = Ballast::new(day, 60_000);
    let runbook = day.runbook(DUMP);
    let mut running = day.start(&["run", &runbook]);
    wait_until("a dump is written", || is_dumping(day));
    running.child.kill().expect("it can be killed");
    running.child.wait().expect("it ends");
    let resumed = day.program.run(&["resume", "latest", "--output", "json"]).expect(0);
    assert!(resumed.stdout().contains("ballast") || resumed.stdout().contains("rows"), "{}", resumed.text());
    assert!(!is_dumping(day), "a part of a dump was left behind");
}

/// Cuts the connections to a host: its SSH sessions die, what they started lives on.
fn cut(day: &Day, site: &str, host: &str) -> usize {
    let storage = day.lab.dir.join(site).join(host).join("storage");
    let storage = storage.to_str().expect("UTF-8");
    let mut cut = 0;
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let title = read("cmdline");
        // The server itself goes on listening.
        let is_session = title.starts_with(b"sshd: ") && !String::from_utf8_lossy(&title).contains("[listener]");
        if !is_session || !String::from_utf8_lossy(&read("mountinfo")).contains(storage) {
            continue;
        }
        let id = process.file_name().to_string_lossy().parse().expect("a process has a number");
        // One that has just ended by itself needs no killing.
        cut += usize::from(kill(Pid::from_raw(id), Signal::SIGKILL).is_ok());
    }
    cut
}

fn connection_cut_in_a_job(day: &Day) {
    let job = Job::new(day);
    let mut running = job.start();
    assert!(cut(day, "prod", "app1") > 0, "there was no connection to cut");
    // Noticed while it is followed, or while its start is being answered.
    running.wait_for(&["\"unit_said\"", "steps/job@prod", "lost"]);
    assert!(job.is_alive(), "the job ended with the connection");
    job.let_go();
    let said = running.expect(0);
    assert_eq!(job.begun(), 1, "the job was started again\n{said}");
}

fn connection_cut_in_real_work(day: &Day) {
    let _ballast = Ballast::new(day, 100_000);
    let carry = "[[stages.steps]]\nid = \"carry\"\nuses = \"exchange.transfer\"\non = \"source\"\n\
                 retry = { attempts = 5, backoff = \"1s\" }\n";
    let runbook = day.runbook(&format!("{DUMP}{SEAL}{carry}"));
    let mut running = day.start(&["run", &runbook]);
    running.wait_for(&["\"unit_started\"", "steps/dump@prod"]);
    wait_until("a dump is written", || is_dumping(day));
    let cuts: usize = ["app1", "app2", "app3"].into_iter().map(|host| cut(day, "prod", host)).sum();
    assert!(cuts > 0, "there was no connection to cut");
    running.wait_for(&["\"unit_started\"", "steps/carry@prod"]);
    // The end that receives, as soon as it does.
    wait_until("the transfer begins", || cut(day, "bcp", "app1") > 0);
    let said = running.expect(0);
    let dumps =
        said.lines().filter(|line| line.contains("\"unit_started\"") && line.contains("steps/dump@prod")).count();
    assert_eq!(dumps, 1, "the dump was begun again\n{said}");
}

fn host_dies_in_a_job(day: &Day) {
    let job = Job::new(day);
    let running = job.start();
    drop(Without::new(day, "kill", "prod", "sshd@app1"));
    assert!(!job.is_alive(), "the host still runs the job");
    // Nobody can know how far the command got: not good, not failed, and not begun again.
    let said = running.expect(4);
    assert!(said.contains("prod:app1") && said.contains("it left no ending"), "{said}");
    assert!(said.contains("look at what it left behind"), "{said}");
    assert_eq!(job.begun(), 1, "the job was started again\n{said}");
}

// ── Caches and the application ──────────────────────────────────────────────────────────────────────────────────────

fn redis_replica(day: &Day) {
    let (master, replica) = (day.address(2, 41), day.address(2, 42));
    output(Command::new("redis-cli").args(["-h", &master, "set", "bad-day", "1"]));
    day.edit_estate(&master, &replica);
    let runbook =
        day.runbook("[[stages.steps]]\nid = \"flush\"\nuses = \"redis.flush\"\non = \"target\"\nservice = \"cache\"\n");
    let ran = day.program.run(&["run", &runbook]).expect(0);
    ran.says(&format!("{replica}:6379 is a replica; its master is {master}:6379"));
    assert_eq!(day.lab.count("bcp")["redis"]["keys"], 0);
}

fn application_not_coming_back(day: &Day) {
    let runbook = day.runbook(
        "[[stages.steps]]\nid = \"restart\"\nuses = \"app.restart\"\non = \"target.app\"\nservice = \"app\"\n\
         with = { within = \"5s\" }\n",
    );
    let down = Without::new(day, "stop", "bcp", "sql");
    let ran = day.program.run(&["run", &runbook]);
    drop(down);
    let ran = ran.expect(1).says("restart the application on bcp:app1").says("status 503").says("stores/sql: down");
    let ran = ran.says("then resume the run");
    // One host at a time: the others keep working.
    assert!(!ran.text().contains("restart the application on bcp:app2"), "{}", ran.text());
    day.program.run(&["run", &runbook]).expect(0);
}
