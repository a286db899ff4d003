//! The set-ups that people run, each on real servers and counted by somebody else.
//!
//! The ones that are always run stand first. The others take a lab of their own each:
//!
//! ```text
//! cargo test --test sites -- --ignored --test-threads=1 [name]
//! ```

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Lab, Program, RESERVE, alone, assert_same};
use serde_json::{Value, json};

const SMALL: &[&str] = &["load", "--documents", "2000", "--rows", "5000", "--files", "200"];

/// Orders go through the application of a site: documents, rows and files change.
pub(super) fn change(lab: &Lab, site: &str) {
    let before = lab.count(site);
    let ledger = lab.dir.join("ledger.jsonl");
    let ledger = ledger.to_str().expect("UTF-8");
    lab.run(&["churn", "--site", site, "--seconds", "3", "--rate", "20", "--ledger", ledger]);
    let after = lab.count(site);
    for part in ["search", "sql", "files"] {
        assert_ne!(before[part], after[part], "nothing was changed in {part}");
    }
}

/// A lab on a machine whose disk may be nearly full.
pub(super) fn fresh(name: &str, flags: &[&str]) -> Lab {
    let lab = Lab::fresh(name, flags);
    lab.edit_estate(|estate| estate + RESERVE);
    lab
}

/// Copies, changes the source, copies again; both times both sites hold the same.
pub(super) fn twice(lab: &Lab) -> Program {
    lab.run(SMALL);
    let program = Program::new(lab);
    program.run(&["check"]).expect(0);
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    change(lab, "prod");
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    program
}

fn set_up(name: &str, flags: &[&str]) {
    let _alone = alone();
    twice(&fresh(name, flags));
}

/// An estate file in which the hosts and servers of a site are out of reach.
fn without(lab: &Lab, site: &str) -> String {
    let number = if site == "prod" { 1 } else { 2 };
    let net = lab.run(&["estate"]).lines().find_map(|line| {
        let (_, rest) = line.split_once("address = \"127.")?;
        rest.split_once('.').map(|(lab, _)| format!("127.{lab}."))
    });
    let net = net.expect("the lab has addresses");
    let estate = fs::read_to_string(lab.estate_file()).expect("the estate file is there");
    // Nobody listens there.
    let silent = estate.replace(&format!("{net}{number}."), &format!("{net}{}.", number + 200));
    assert_ne!(silent, estate);
    silent
}

/// Everything below a folder: path, size, time and inode.
pub(super) fn tree(root: &Path) -> Vec<(String, u64, i64, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let about = entry.metadata().expect("it can be looked at");
            if about.is_dir() {
                folders.push(entry.path());
            }
            let path = entry.path().strip_prefix(root).expect("below the root").display().to_string();
            found.push((path, about.size(), about.mtime(), about.ino()));
        }
    }
    found.sort();
    found
}

/// What storage replication does: the exchange tree of prod at bcp, and nothing else.
fn carry(lab: &Lab, options: &[&str]) {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aH", "--delete"]).args(options);
    rsync.arg(lab.exchange("prod").join("")).arg(lab.exchange("bcp").join(""));
    assert!(rsync.status().expect("rsync can be started").success());
}

#[test]
fn elasticsearch_7_and_mysql_8() {
    set_up("es7-mysql80", &["--search", "es7", "--sql", "mysql80"]);
}

#[test]
fn three_parts_without_a_way_between_the_sites() {
    let _alone = alone();
    let lab = fresh("parts", &[]);
    lab.run(SMALL);
    let by_storage = |estate: String| format!("{estate}\n[transfer]\nby = \"storage\"\n");
    let whole = fs::read_to_string(lab.estate_file()).expect("the estate file is there");
    let (here, there) = (by_storage(without(&lab, "bcp")), by_storage(without(&lab, "prod")));
    let program = Program::new(&lab);
    let empty = lab.count("bcp");

    lab.edit_estate(|_| here.clone());
    program.run(&["run", "backup"]).expect(0);

    // Half of it has arrived: the marker last of all, and not even all blobs.
    carry(&lab, &["--exclude=COMPLETE", "--exclude=__*"]);
    lab.edit_estate(|_| there.clone());
    program.run(&["run", "restore"]).expect(1).says("latest");
    // The marker is there, but the storage did not keep the order.
    carry(&lab, &["--exclude=__*"]);
    program.run(&["run", "restore"]).expect(1).says("it is incomplete");
    assert_eq!(lab.count("bcp"), empty, "nothing was restored from half a copy");

    // It waits for the rest, and goes on by itself.
    let waiting = program
        .command(&["run", "restore", "--param", "wait=5m", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_mins(1);
    while !program.run(&["runs", "show", "latest"]).text().contains("waiting") {
        assert!(Instant::now() < deadline, "it does not wait");
    }
    carry(&lab, &[]);
    let ended = waiting.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_same(&lab.count("prod"), &lab.count("bcp"));

    // The same again, with what has changed, and carried by the program.
    change(&lab, "prod");
    lab.edit_estate(|_| here);
    program.run(&["run", "backup"]).expect(0);
    lab.edit_estate(|_| whole);
    program.run(&["run", "transfer"]).expect(0);
    lab.edit_estate(|_| there);
    program.run(&["run", "restore"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
}

#[test]
fn the_other_direction_has_a_tree_of_its_own() {
    let _alone = alone();
    let lab = fresh("turned", &[]);
    lab.run(SMALL);
    let program = Program::new(&lab);
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    let trees = || ["prod", "bcp"].map(|site| tree(&lab.exchange(site).join("prod-to-bcp")));
    let before = trees();
    assert!(before.iter().all(|tree| tree.iter().any(|(path, ..)| path.ends_with("/COMPLETE"))));

    for site in ["prod", "bcp"] {
        let path = lab.exchange(site).join("direction.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
        record["epoch"] = json!(2);
        record["active"] = json!("bcp");
        fs::write(&path, record.to_string()).expect("the record can be written");
    }
    change(&lab, "bcp");
    program.run(&["run", "replicate", "--from", "prod"]).expect(3);
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("bcp"), &lab.count("prod"));
    change(&lab, "bcp");
    program.run(&["run", "replicate", "--from", "bcp"]).expect(0);
    assert_same(&lab.count("bcp"), &lab.count("prod"));
    assert_eq!(trees(), before, "the other direction's trees were touched");
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn elasticsearch_6() {
    set_up("es6", &["--search", "es6"]);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn elasticsearch_8() {
    set_up("es8", &["--search", "es8"]);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn mysql_9() {
    set_up("mysql97", &["--sql", "mysql97"]);
}

#[test]
#[ignore = "four search nodes, 4 GiB of memory"]
fn a_standby_with_fewer_nodes() {
    let _alone = alone();
    let lab = fresh("nodes", &["--nodes", "3", "--standby-nodes", "1"]);
    let program = twice(&lab);
    // Were a replica waited for that no node can hold, the cluster would be yellow, and the check would say so.
    program
        .run(&["runs", "show", "latest", "--json"])
        .expect(0)
        .says("indices with fewer replicas than at the source: ");
    let estate = fs::read_to_string(lab.estate_file()).expect("the estate file is there");
    let url = estate.split("bcp = { urls = [\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a URL");
    let health = Command::new("curl").args(["-s", &format!("{url}/_cluster/health")]).output().expect("curl");
    let health: Value = serde_json::from_slice(&health.stdout).expect("JSON");
    assert_eq!((&health["status"], &health["unassigned_shards"]), (&json!("green"), &json!(0)), "{health}");
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn a_dump_over_the_sql_port() {
    let _alone = alone();
    let lab = fresh("port", &[]);
    let estate = lab.run(&["estate", "--via", "port"]);
    lab.edit_estate(|_| estate + RESERVE);
    twice(&lab);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn a_dump_through_a_tunnel_needs_the_exchange_tree_here() {
    let _alone = alone();
    let lab = fresh("tunnel", &[]);
    lab.run(SMALL);
    let estate = lab.run(&["estate", "--via", "tunnel"]);
    lab.edit_estate(|_| estate + RESERVE);
    let program = Program::new(&lab);
    program.run(&["run", "replicate"]).expect(1).says("local = true");
    assert_ne!(lab.count("prod")["sql"], lab.count("bcp")["sql"]);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn a_dump_through_a_tunnel_when_this_machine_mounts_both_trees() {
    let _alone = alone();
    let lab = fresh("tunnel-here", &[]);
    let estate = lab.run(&["estate", "--via", "tunnel", "--local-paths"]);
    let here = |site: &str| format!("\n[sites.{site}.hosts.here]\nlocal = true\n");
    lab.edit_estate(|_| format!("{estate}{}{}{RESERVE}", here("prod"), here("bcp")));
    // Outside of the hosts the trees are plain folders: somebody has to say that they are meant.
    for site in ["prod", "bcp"] {
        fs::write(lab.exchange(site).join(".changeover-exchange"), "").expect("the mark");
    }
    twice(&lab);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn folders_on_shared_storage() {
    let _alone = alone();
    let lab = fresh("shared", &[]);
    lab.run(SMALL);
    // The exchange mount is what the hosts of a site share.
    let mine = |host: &str| format!("paths = [\"{}\"]\nrole = \"app\"\nmax_delete", lab.dir.join(host).display());
    lab.edit_estate(|estate| {
        let shared = mine("mnt/exchange/assets").replace("role = \"app\"\n", "");
        let changed = estate.replace(&mine("mnt/storage"), &shared);
        assert_ne!(changed, estate);
        changed
    });
    let shared = |site: &str| lab.exchange(site).join("assets");
    for site in ["prod", "bcp"] {
        fs::create_dir(shared(site)).expect("a folder");
    }
    for number in 0..50 {
        fs::write(shared("prod").join(format!("f{number}")), format!("content {number}")).expect("a file");
    }
    for site in ["prod", "bcp"] {
        let mut owner = Command::new("chown");
        owner.arg("-R").arg("--reference").arg(lab.dir.join(site).join("app1/storage")).arg(shared(site));
        assert!(owner.status().expect("chown can be started").success());
    }
    let program = Program::new(&lab);
    program.run(&["check"]).expect(0);
    let contents = |site: &str| -> Vec<(String, String)> {
        let names = tree(&shared(site)).into_iter().map(|(path, ..)| path);
        names.map(|path| (fs::read_to_string(shared(site).join(&path)).expect("a file"), path)).collect()
    };
    for round in ["first", "second"] {
        fs::write(shared("prod").join("f7"), format!("the {round} time")).expect("a file");
        program.run(&["run", "replicate"]).expect(0);
        assert_eq!(contents("prod"), contents("bcp"));
        let shown = program.run(&["runs", "show", "latest"]).expect(0).stdout();
        for step in ["files-restore/restore-assets", "test-target/verify-assets"] {
            for (host, ending) in [("app1", "done"), ("app2", "skipped"), ("app3", "skipped")] {
                let unit = format!("{step}@bcp:{host}");
                let line = shown.lines().find(|line| line.trim_end().ends_with(&unit));
                assert!(line.is_some_and(|line| line.trim_start().starts_with(ending)), "{unit}:\n{shown}");
            }
        }
    }
}
