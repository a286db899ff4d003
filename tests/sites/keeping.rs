//! What is kept and what goes, on real servers: restore points, their snapshots, and the copy of the repository at the
//! standby, over many runs.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::setups::{change, tree};
use super::support::{Lab, Program, RESERVE, alone, assert_same};
use serde_json::Value;

const REPOSITORY: &str = "changeover-prod-to-bcp-search";

/// Asks a search server of a site, without any code of the program.
fn ask(lab: &Lab, site: &str, method: &str, path: &str) -> Value {
    let estate = fs::read_to_string(lab.estate_file()).expect("the estate file is there");
    let url = estate.split(&format!("{site} = {{ urls = [\"")).nth(1).and_then(|rest| rest.split('"').next());
    let url = format!("{}{path}", url.expect("a URL"));
    let answer = Command::new("curl").args(["-s", "-X", method, &url]).output().expect("curl");
    serde_json::from_slice(&answer.stdout).expect("JSON")
}

/// The names of the snapshots as a site sees them.
fn snapshots(lab: &Lab, site: &str) -> BTreeSet<String> {
    let list = ask(lab, site, "GET", &format!("/_snapshot/{REPOSITORY}/_all"));
    let list = list["snapshots"].as_array().unwrap_or_else(|| panic!("no list of snapshots: {list}"));
    list.iter().map(|snapshot| snapshot["snapshot"].as_str().expect("a name").to_owned()).collect()
}

/// The points whose folder a site has, oldest first.
fn points(lab: &Lab, site: &str) -> Vec<String> {
    let folder = lab.exchange(site).join("prod-to-bcp/points");
    let entries = fs::read_dir(folder).expect("the points");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The files of a site's copy of the repository.
fn repository(lab: &Lab, site: &str) -> BTreeSet<(String, u64)> {
    let root = lab.exchange(site).join("prod-to-bcp/search-search");
    tree(&root).into_iter().map(|(path, size, ..)| (path, size)).filter(|(path, _)| root.join(path).is_file()).collect()
}

fn set(names: &[&String]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).clone()).collect()
}

fn snapshots_go_with_their_points(name: &str, flags: &[&str]) {
    let _alone = alone();
    let lab = Lab::fresh(name, flags);
    lab.run(&["load", "--documents", "1000", "--rows", "500", "--files", "50"]);
    lab.edit_estate(|estate| format!("{estate}\n[policy]\nkeep_points = 2\nmin_free_percent = 1\n"));
    let program = Program::new(&lab);
    let replicate = || {
        program.run(&["run", "replicate"]).expect(0);
        points(&lab, "prod").pop().expect("a point")
    };
    let first = replicate();
    // Somebody keeps a snapshot of his own in the same repository, named as nearly like ours as can be.
    let stranger = format!("my-{first}");
    let taken = ask(&lab, "prod", "PUT", &format!("/_snapshot/{REPOSITORY}/{stranger}?wait_for_completion=true"));
    assert_eq!(taken["snapshot"]["state"], "SUCCESS", "{taken}");

    change(&lab, "prod");
    let second = replicate();
    let at_second = lab.count("bcp");
    assert_eq!(snapshots(&lab, "prod"), set(&[&first, &second, &stranger]));
    // Only the standby's copy of this one is pinned.
    fs::write(lab.exchange("bcp").join("prod-to-bcp/points").join(&second).join("PINNED"), "").expect("a pin");
    change(&lab, "prod");
    let third = replicate();
    assert_eq!(points(&lab, "prod"), [second.clone(), third.clone()]);
    assert_eq!(snapshots(&lab, "prod"), set(&[&second, &third, &stranger]), "the snapshot went with its point");
    change(&lab, "prod");
    let fourth = replicate();
    assert_eq!(points(&lab, "prod"), [third.clone(), fourth.clone()]);
    assert_eq!(points(&lab, "bcp"), [second.clone(), third.clone(), fourth.clone()]);
    assert_eq!(snapshots(&lab, "prod"), set(&[&second, &third, &fourth, &stranger]), "pinned at the standby");
    change(&lab, "prod");
    let fifth = replicate();
    // What earlier runs hashed at the standby is not hashed again.
    program.run(&["runs", "show", "latest", "--json"]).expect(0).says("were before, and are unchanged since");

    // The pinned point is good for a restore, long after its folder is gone from the source.
    let point = format!("point={second}");
    program.run(&["run", "restore", "--param", &point, "--param", "accept_deletions=true"]).expect(0);
    let restored = lab.count("bcp");
    for part in ["search", "sql", "files"] {
        assert_eq!(restored[part], at_second[part], "{part} of the pinned point");
    }

    fs::remove_file(lab.exchange("bcp").join("prod-to-bcp/points").join(&second).join("PINNED")).expect("the pin");
    change(&lab, "prod");
    let sixth = replicate();
    assert_eq!(snapshots(&lab, "prod"), set(&[&fifth, &sixth, &stranger]), "the pin is gone, and the snapshot with it");
    // What was deleted goes from the copy with the next transfer, and the standby sees it at once.
    assert_ne!(repository(&lab, "prod"), repository(&lab, "bcp"));
    program.run(&["run", "transfer"]).expect(0);
    assert_eq!(repository(&lab, "prod"), repository(&lab, "bcp"));
    assert_eq!(snapshots(&lab, "bcp"), set(&[&fifth, &sixth, &stranger]));
    program.run(&["run", "restore"]).expect(0);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
}

#[test]
fn snapshots_go_with_their_points_on_opensearch() {
    snapshots_go_with_their_points("keeping", &[]);
}

#[test]
#[ignore = "a lab of its own, two minutes"]
fn snapshots_go_with_their_points_on_elasticsearch_6() {
    snapshots_go_with_their_points("keeping-es6", &["--search", "es6"]);
}

/// Changes a file of the storage of a site's hosts, at its size and time.
fn change_unseen(path: &std::path::Path) {
    let time = fs::metadata(path).expect("a file").modified().expect("a time");
    let mut content = fs::read(path).expect("a file");
    let first = content.first_mut().expect("a byte");
    *first = first.wrapping_add(1);
    fs::write(path, content).expect("it can be written");
    fs::File::options().write(true).open(path).expect("a file").set_modified(time).expect("a time");
}

#[test]
fn a_change_that_keeps_size_and_time_is_carried_with_deep() {
    let _alone = alone();
    let lab = Lab::fresh("deep", &[]);
    lab.run(&["load", "--documents", "100", "--rows", "100", "--files", "30"]);
    lab.edit_estate(|estate| estate + RESERVE);
    let program = Program::new(&lab);
    program.run(&["run", "replicate"]).expect(0);
    let storage = |site: &str| lab.dir.join(site).join("app1/storage");
    let file = tree(&storage("prod"))
        .into_iter()
        .find(|(path, size, ..)| *size > 0 && !path.starts_with('.') && storage("prod").join(path).is_file());
    let (file, ..) = file.expect("a file with something in it");
    for host in ["app1", "app2", "app3"] {
        change_unseen(&lab.dir.join("prod").join(host).join("storage").join(&file));
    }
    let same = || fs::read(storage("prod").join(&file)).ok() == fs::read(storage("bcp").join(&file)).ok();
    program.run(&["run", "replicate"]).expect(0);
    assert!(!same(), "this is what is not guaranteed");
    program.run(&["run", "replicate", "--param", "deep=true"]).expect(0);
    assert!(same());
    assert_same(&lab.count("prod"), &lab.count("bcp"));
    // The other way round: the standby's copy was changed, and the last point knows all content.
    change_unseen(&storage("bcp").join(&file));
    program.run(&["run", "restore", "--param", "deep=true"]).expect(0);
    assert!(same());
}
