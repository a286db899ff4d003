//! What really happens on the hosts of a lab, seen without the program: which jobs began, what they started, what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::support::Lab;
use nix::unistd::Pid;

/// The programs that jobs start, as far as the mechanism of jobs does not use them itself.
const WORKERS: &[&str] = &[
    "awk",
    "cp",
    "find",
    "gzip",
    "mariadb",
    "mariadb-dump",
    "mysql",
    "mysqldump",
    "pigz",
    "rsync",
    "sed",
    "sha256sum",
    "sort",
    "stat",
    "tar",
    "tee",
    "zstd",
];
/// Stands in the hosts' way: says which program was started for which job, then becomes it.
const WORKER: &str = "#!/bin/sh\nname=${0##*/}\n[ -z \"$CO_JOB\" ] || echo \"work $CO_JOB $name\" >>\"$HOME/begun\"\n\
                      PATH=${PATH#*:}\nexec \"$name\" \"$@\"\n";
/// The one link that gives a runner the right to do its job's work, see `src/transport/job.sh`.
const LINK: &str = "#!/bin/sh\nPATH=${PATH#*:}\nln \"$@\" || exit\ncase $2 in */jobs/*/pid)\n  read -r pid rest <\"$2\"\n  \
                    job=${2%/pid}\n  [ \"$pid\" = 0 ] || echo \"begin ${job##*/}\" >>\"$HOME/begun\" ;;\nesac\n";

/// Stands for what makes the names of some jobs their own: those look at what may have changed since the last look, and
/// have the time or a digest of what there is to look at in their names.
const STAMP: &str = "STAMP";

/// The homes of the login user on all hosts.
fn homes(lab: &Lab) -> Vec<PathBuf> {
    let hosts = ["prod", "bcp"].into_iter().flat_map(|site| ["app1", "app2", "app3"].map(|host| (site, host)));
    hosts.map(|(site, host)| lab.dir.join(site).join(host).join("home")).collect()
}

/// Lets every host write down which jobs' work began, and which programs they started.
pub fn watch(lab: &Lab) {
    for home in homes(lab) {
        watch_one(&home);
    }
}

fn watch_one(home: &Path) {
    let programs = home.join("watched");
    fs::create_dir_all(&programs).expect("a folder");
    for (name, text) in WORKERS.iter().map(|name| (*name, WORKER)).chain([("ln", LINK)]) {
        let path = programs.join(name);
        fs::write(&path, text).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    fs::set_permissions(&programs, fs::Permissions::from_mode(0o755)).expect("its mode");
    let start = home.join(".bashrc");
    let text = fs::read_to_string(&start).expect("the lab wrote it");
    fs::write(&start, format!("{text}PATH=$HOME/watched:$PATH\n")).expect("it can be written");
    drop(fs::remove_file(home.join("begun")));
}

/// True for a job of `jobs_of` that is begun under another name each time.
pub fn is_always_another(job: &str) -> bool {
    job.contains(STAMP)
}

fn is_stamp(part: &&str) -> bool {
    let is = |length, is_digit: fn(&char) -> bool| part.len() == length && part.chars().all(|c| is_digit(&c));
    is(13, char::is_ascii_digit) || is(16, char::is_ascii_hexdigit)
}

/// The jobs of a run whose work was begun, without its name, and the programs that each started. Panics when a job's
/// work was begun twice.
#[track_caller]
pub fn jobs_of(lab: &Lab, run: &str) -> BTreeMap<String, Vec<String>> {
    let mut begun = BTreeSet::new();
    let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for home in homes(lab) {
        // A host without jobs has none.
        let text = fs::read_to_string(home.join("begun")).unwrap_or_default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(job) = words[1].strip_prefix(run).and_then(|job| job.strip_prefix('.')) else { continue };
            let name = match job.split('-').find(is_stamp) {
                Some(stamp) => job.replace(stamp, STAMP),
                None => job.to_owned(),
            };
            let workers = jobs.entry(name).or_default();
            match words[0] {
                "begin" => assert!(begun.insert(job.to_owned()), "the work of job {job} of run {run} was begun twice"),
                _ => workers.push(words[2].to_owned()),
            }
        }
    }
    for workers in jobs.values_mut() {
        workers.sort_unstable();
    }
    jobs
}

/// Living processes on this machine, and so on all hosts of the lab, that belong to jobs whose names begin like this.
pub fn processes_of_jobs(jobs: &str) -> Vec<(Pid, String)> {
    let mark = format!("CO_JOB={jobs}");
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(id) = process.file_name().to_string_lossy().parse() else { continue };
        // One that has just ended has nothing to read.
        let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let environment = read("environ");
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let is_runner = command.contains(&format!("/jobs/{jobs}"));
        if is_runner || environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(mark.as_bytes())) {
            found.push((Pid::from_raw(id), command));
        }
    }
    found
}

/// What runs on the hosts of the lab. Connections are not counted: the program keeps one to each host for the next run.
pub fn commands_on_hosts(lab: &Lab) -> BTreeSet<String> {
    let (storage, exchange) = (lab.dir.join("mnt/storage"), lab.dir.join("mnt/exchange"));
    let marks = [storage, exchange].map(|path| format!(" {} ", path.display()));
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        // One that has just ended has nothing to read.
        let read =
            |name: &str| String::from_utf8_lossy(&fs::read(process.path().join(name)).unwrap_or_default()).into_owned();
        let command = read("cmdline").replace('\0', " ");
        let mounts = read("mountinfo");
        if !command.is_empty() && !command.starts_with("sshd") && marks.iter().all(|mark| mounts.contains(mark)) {
            found.insert(command);
        }
    }
    found
}
