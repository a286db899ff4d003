//! `changeover doctor` on a host that lacks something: what it says of it, and how it ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use crate::lab::Lab;

/// All that the program needs on a host with every kind of service.
const NEEDED: [&str; 8] = ["find", "gzip", "mariadb", "mariadb-dump", "rsync", "setsid", "sha256sum", "awk"];

/// A host whose programs are those of this machine without some, with an exchange tree and every kind of service.
struct Ward {
    programs: tempfile::TempDir,
    lab: Lab,
    estate: String,
}

impl Ward {
    fn without(lacking: &[&str]) -> Self {
        let programs = tempfile::tempdir().expect("a folder");
        for folder in ["/bin", "/usr/bin"] {
            for program in fs::read_dir(folder).expect("programs").flatten() {
                let name = program.file_name();
                if !lacking.iter().any(|lacks| name == *lacks) {
                    // Where one folder is the other under another name, it is there already.
                    drop(symlink(program.path(), programs.path().join(name)));
                }
            }
        }
        fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        // Not installed everywhere, and only looked for.
        for name in NEEDED.iter().filter(|name| !lacking.contains(*name)) {
            drop(symlink("/bin/true", programs.path().join(name)));
        }
        let lab = Lab::with_programs(&programs.path().display().to_string());
        fs::create_dir(lab.path("exchange")).expect("a folder");
        fs::write(lab.path("exchange/.changeover-exchange"), "").expect("the mark");
        let estate = fs::read_to_string(lab.path("estate.toml")).expect("the estate").replacen(
            "exchange = \"/x\"",
            &format!("exchange = '{}'", lab.text_path("exchange")),
            1,
        );
        let estate = format!(
            "{estate}[services.files]\nkind = \"files\"\npaths = [\"/x\"]\n\
             [services.db]\nkind = \"mysql\"\ndatabases = [\"x\"]\nuser = \"x\"\na = {{}}\nb = {{}}\n\
             [policy]\nmin_free_percent = 0\n"
        );
        Self { programs, lab, estate }
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.path().join(name)
    }

    /// What `doctor` says of the host, and its exit code.
    fn examine(&self) -> (i32, String) {
        let estate = self.lab.path("estate.toml");
        fs::write(&estate, &self.estate).expect("the estate");
        fs::set_permissions(&estate, fs::Permissions::from_mode(0o600)).expect("its mode");
        let mut doctor = Process::new(env!("CARGO_BIN_EXE_changeover"));
        doctor.arg("--estate").arg(&estate).arg("--state-dir").arg(self.lab.path("d")).arg("doctor");
        let output = doctor.output().expect("the program starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().expect("a code"), text)
    }

    /// Panics unless it is not well, and these are all the lines that are said of it.
    #[track_caller]
    fn lacks(&self, wanted: &[&str]) {
        let (code, text) = self.examine();
        let (_, of_host) = text.split_once("a:app1").unwrap_or_else(|| panic!("{text}"));
        let mut lines = of_host.lines().map(str::trim);
        assert_eq!((code, lines.next()), (1, Some("LACKS")), "{text}");
        assert_eq!(lines.collect::<Vec<_>>(), wanted);
    }
}

fn script(path: &Path, text: &str) {
    // In place of the link, not of what it leads to.
    fs::remove_file(path).expect("it was there");
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[test]
fn a_host_that_lacks_nothing_is_fine() {
    let (code, text) = Ward::without(&["pigz", "which"]).examine();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("this machine         fine\na:app1               fine\n"), "{text}");
}

#[test]
fn programs_that_are_not_there_are_named_with_what_they_are_for() {
    Ward::without(&["rsync", "find", "awk", "zstd"]).lacks(&[
        "! no `find`: needed for looking through trees",
        "! no `rsync`: needed for copying trees",
        "! no `awk`: needed for counting the rows of SQL dumps",
        "- no `zstd`: needed for the fastest compression",
    ]);
    let none = Ward::without(&["zstd", "pigz", "gzip", "mysql", "mysqldump", "mariadb", "mariadb-dump"]);
    none.lacks(&[
        "! no `mariadb-dump` or `mysqldump`: needed for SQL dumps",
        "! no `mariadb` or `mysql`: needed for SQL restores",
        "! no `zstd` or `pigz` or `gzip`: needed for compression",
        "- no `zstd`: needed for the fastest compression",
    ]);
}

#[test]
fn no_room_a_wrong_clock_and_no_exchange_tree_are_said() {
    let mut ward = Ward::without(&[]);
    ward.estate = ward.estate.replace("min_free_percent = 0", "min_free_percent = 99");
    script(&ward.program("date"), "#!/bin/sh\nexec /bin/date -d '1 hour' \"$@\"\n");
    script(&ward.program("df"), "#!/bin/sh\necho head; echo 'disk one 1000 995 5 100% /x'\n");
    let (code, text) = ward.examine();
    let exchange = ward.lab.text_path("exchange");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("  ! its clock is 3600 s away from this machine's\n"), "{text}");
    let crowded =
        format!("  ! the disk of the exchange tree {exchange} has 5 B left (0 %, and 99 % should stay free)\n");
    assert!(text.contains(&crowded), "{text}");
    script(&ward.program("date"), "#!/bin/sh\necho noon\n");
    fs::remove_file(ward.lab.path("exchange/.changeover-exchange")).expect("the mark");
    let (code, text) = ward.examine();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("  ! its clock cannot be read\n") && text.contains("is the share mounted?"), "{text}");
    fs::remove_dir(ward.lab.path("exchange")).expect("the folder");
    let (code, text) = ward.examine();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(&format!("  ! the exchange tree {exchange} is not there or not writable\n")), "{text}");
}

#[test]
fn a_host_that_is_not_there_is_said_with_what_to_do() {
    let mut ward = Ward::without(&[]);
    let mut server = ward.lab.server.take().expect("it runs");
    server.kill().expect("it can be ended");
    server.wait().expect("it ends");
    let (code, text) = ward.examine();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("a:app1               LACKS\n  ! ") && text.contains("Connection refused"), "{text}");
}
