//! Copies that are not what they should be.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Scenario;
use super::day::{Day, wait_until};
use super::network::is_arriving;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("damaged copy", damaged_copy),
    ("copy that is being carried", copy_that_is_being_carried),
    ("copy that is written to", copy_that_is_written_to),
];

/// The newest point at bcp.
fn newest_point(day: &Day) -> PathBuf {
    let points = fs::read_dir(day.tree("bcp").join("points")).expect("the points").flatten();
    points.map(|entry| entry.path()).max().expect("a point")
}

/// What the storage does that carries the exchange tree by itself: not in the order that we would choose.
fn carry(day: &Day, options: &[&str]) -> Child {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aH", "--delete"]).args(options);
    rsync.arg(day.tree("prod").join("")).arg(day.tree("bcp").join(""));
    rsync.spawn().expect("rsync can be started")
}

fn by_storage(day: &Day) {
    day.write_estate(&format!("{}\n[transfer]\nby = \"storage\"\n", day.estate));
}

fn restore_is_not_begun(said: &str) {
    for step in ["search-restore", "sql-restore", "files-restore"] {
        let begun = said.lines().any(|line| line.contains("\"unit_started\"") && line.contains(step));
        assert!(!begun, "{step} was begun: {said}");
    }
}

fn copy_that_is_being_carried(day: &Day) {
    by_storage(day);
    day.program.run(&["run", "backup"]).expect(0);
    assert!(carry(day, &["--exclude=db.sql.zst"]).wait().expect("rsync ends").success());
    assert!(newest_point(day).join("COMPLETE").exists());
    let mut carrying = carry(day, &["--bwlimit=50"]);
    wait_until("a part of the dump has arrived", || is_arriving(day));
    let rsync = Pid::from_raw(i32::try_from(carrying.id()).expect("a pid"));
    // It takes as long as all that follows.
    kill(rsync, Signal::SIGSTOP).expect("rsync can be stopped");
    let ran = day.program.run(&["run", "restore", "--output", "json"]).expect(1).says("transfer/arrived@bcp");
    let ran = ran.says("it is incomplete").says("db.sql.zst").says("it is still on its way");
    restore_is_not_begun(&ran.stdout());
    let mut waiting = day.start(&["run", "restore", "--param", "wait=5m"]);
    waiting.wait_for(&["\"unit_said\"", "transfer/arrived@bcp", "waiting"]);
    restore_is_not_begun(&waiting.seen.join("\n"));
    kill(rsync, Signal::SIGCONT).expect("rsync can go on");
    assert!(carrying.wait().expect("rsync ends").success());
    waiting.expect(0);
}

fn copy_that_is_written_to(day: &Day) {
    by_storage(day);
    let dump = newest_point(day).join("db.sql.zst");
    let good = fs::read(&dump).expect("a dump");
    let mut file = OpenOptions::new().write(true).open(&dump).expect("it can be opened");
    let (stop, stopped) = channel::<()>();
    // The same bytes again and again: every size and every checksum is right at every moment.
    let writing = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Timeout) {
            file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&good)).expect("it can be written");
        }
    });
    let refused = day.program.run(&["run", "restore", "--output", "json"]);
    let mut waiting = day.start(&["run", "restore", "--param", "wait=5m"]);
    waiting.wait_for(&["\"unit_said\"", "transfer/arrived@bcp", "waiting"]);
    drop(stop);
    writing.join().expect("it ends");
    let refused = refused.expect(1).says("its files were not the same twice").says("the storage is still copying");
    restore_is_not_begun(&refused.stdout());
    restore_is_not_begun(&waiting.seen.join("\n"));
    waiting.expect(0);
}

fn damaged_copy(day: &Day) {
    day.program.run(&["run", "backup"]).expect(0);
    day.program.run(&["run", "transfer"]).expect(0);
    let point = newest_point(day);
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
