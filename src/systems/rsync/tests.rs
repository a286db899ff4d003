use super::*;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn arguments_are_exact() {
    let plain = Copy::new("/a", "/b/").command().to_string();
    assert_eq!(
        plain,
        "LC_ALL=C rsync -aH --numeric-ids --no-inc-recursive --no-owner --no-group --partial-dir=.rsync-partial \
         --info=progress2,stats2 --no-human-readable --outbuf=L -- /a/ /b/"
    );
    let restore = Copy {
        owner: true,
        attributes: true,
        delete: Some(7),
        delay_updates: true,
        filters: vec!["--exclude=/tmp/".into()],
        ..Copy::new("/a", "/b")
    };
    assert_eq!(
        restore.command().to_string(),
        "LC_ALL=C rsync -aH --numeric-ids --no-inc-recursive -AX --delete-delay --delay-updates \
         --partial-dir=.rsync-partial --max-delete=7 --exclude=/tmp/ --info=progress2,stats2 --no-human-readable \
         --outbuf=L -- /a/ /b/"
    );
    let look = Copy { dry_run: true, only_deletions: true, ..restore }.command().to_string();
    assert!(look.contains("--dry-run --existing --ignore-existing --delete-delay"), "{look}");
    assert!(!look.contains("--max-delete"), "a dry run counts without a limit: {look}");
    let away = Copy {
        shell: Some("ssh -F /e/ssh".into()),
        bandwidth: Some("20m".into()),
        delete: Some(0),
        ..Copy::new("/a", "u@h:/b")
    };
    let away = away.command().to_string();
    assert!(away.contains("--delete-after") && away.contains("--max-delete=0"), "{away}");
    assert!(away.ends_with("-e 'ssh -F /e/ssh' --timeout=600 --protect-args --bwlimit=20m -- /a/ u@h:/b/"), "{away}");
    for command in [plain, look, away] {
        assert!(command.contains("--no-inc-recursive") && !command.contains("inplace"), "{command}");
    }
}

const STATS: &str = "
Number of files: 1,053 (reg: 1,050, dir: 2, link: 1)
Number of created files: 52 (reg: 50, dir: 1, link: 1)
Number of deleted files: 1 (reg: 1)
Number of regular files transferred: 49
Total file size: 1000004 bytes
Total transferred file size: 1000000 bytes
Literal data: 1000000 bytes
";

#[test]
fn statistics_are_read_and_never_guessed() {
    let stats = Stats::parse(STATS).expect("statistics");
    let expected = Stats {
        entries: 1053,
        files: 1050,
        created: 52,
        created_files: 50,
        deleted: 1,
        transferred: 49,
        bytes: 1_000_004,
        transferred_bytes: 1_000_000,
    };
    assert_eq!(stats, expected);
    assert_eq!(stats.present_before(), 1002);
    assert_eq!(Stats::parse("Number of files: 3"), None);
    let no_files = STATS.replace(" (reg: 1,050, dir: 2, link: 1)", " (dir: 2)");
    assert_eq!(Stats::parse(&no_files).expect("statistics").files, 0);
}

#[test]
fn progress_is_found_between_carriage_returns_in_any_pieces() {
    let output = "\r          20000   1%    0.00kB/s    0:00:00 (xfr#1, to-chk=49/53)\r         \
                  1000000 100%  953.67MB/s    0:00:00 (xfr#50, to-chk=0/53)\n\
                  rsync: [sender] link_stat \"/x\" failed: No such file or directory (2)\n";
    for size in [1, 7, 4096] {
        let mut reader = Reader::default();
        for piece in output.as_bytes().chunks(size) {
            reader.feed(piece);
        }
        assert_eq!(reader.progress, Some((1_000_000, 100)));
        assert_eq!(reader.end().len(), 1, "only the message is kept");
    }
    assert_eq!(parse_progress("1000 files were seen"), None);
}

#[test]
fn a_message_on_the_line_of_the_progress_is_kept() {
    let message = "rsync: [receiver] write failed on \"/a b/c\": No space left on device (28)";
    for progress in
        ["          32768   0%    0.00kB/s    0:00:00  ", "1000 10%  9.67MB/s  0:00:09 (xfr#5, ir-chk=0/53)"]
    {
        let mut reader = Reader::default();
        reader.feed(format!("\r{progress}{message}\n").as_bytes());
        assert!(reader.progress.is_some());
        let lines = reader.end();
        assert_eq!(lines, [message]);
        let Ended::Failed { meaning, .. } = classify(Exit::Code(11), &lines) else { panic!("it failed") };
        assert_eq!(meaning, "the disk at the destination is full");
    }
}

#[test]
fn every_ending_has_one_meaning() {
    use FailureKind::{Refused, Rule, Unknown, Unreachable};
    let table = [
        (23, "", Refused),
        (25, "", Rule),
        (24, "Deletions stopped due to --max-delete limit (25 skipped)", Rule),
        (23, "Deletions stopped due to --max-delete limit (25 skipped)", Rule),
        (0, "Deletions stopped due to --max-delete limit (25 skipped)", Rule),
        (24, "IO error encountered -- skipping file deletion", Refused),
        (11, "rsync: write failed on \"/b/x\": No space left on device (28)", Refused),
        (12, "rsync: [receiver] write failed: No space left on device (28)", Refused),
        (12, "rsync: connection unexpectedly closed", Unreachable),
        (30, "", Unreachable),
        (35, "", Unreachable),
        (10, "", Unreachable),
        (255, "ssh: connect to host x port 22: Connection refused", Unreachable),
        (127, "", Refused),
        (20, "", Refused),
        (137, "", Refused),
        (1, "", Refused),
        (99, "", Refused),
    ];
    for (code, said, expected) in table {
        let ended = classify(Exit::Code(code), &lines(said));
        assert!(matches!(ended, Ended::Failed { kind, .. } if kind == expected), "{code} {said:?}: {ended:?}");
    }
    assert!(matches!(classify(Exit::Unknown, &[]), Ended::Failed { kind: Unknown, .. }));
    assert_eq!(classify(Exit::Code(0), &[]), Ended::Whole);
    assert_eq!(classify(Exit::Code(24), &lines("file has vanished: \"/x\"")), Ended::Vanished);
}

#[test]
fn items_and_complaints_are_told_apart() {
    for item in [
        "*deleting   old",
        ">f.st...... a b",
        "cd+++++++++ d/",
        ".d..t...... ./",
        "hf          x",
        "cLc.t...... l -> x",
    ] {
        assert!(is_item(item), "{item}");
    }
    for complaint in [
        "rsync: [sender] opendir \"/x\" failed: Permission denied (13)",
        "ssh: no route",
        "cannot delete non-empty directory: x",
    ] {
        assert!(is_complaint(complaint), "{complaint}");
    }
    assert!(!is_complaint("Total file size: 5 bytes"));
}

#[test]
fn versions_are_compared_as_numbers() {
    let of = |text: &str| parse_version(text).map(|(_, good)| good);
    assert_eq!(of("rsync  version 3.5.0  protocol version 32"), Some(true));
    assert_eq!(of("rsync  version 3.10.1  protocol version 32"), Some(true));
    assert_eq!(of("rsync  version 3.0.9  protocol version 30"), Some(false));
    assert_eq!(of("rsync  version v3.2.7-dev"), None);
    assert_eq!(of("openrsync: protocol version 29"), None);
    assert!(has_attributes("hardlink-symlinks, ACLs, xattrs, iconv") && !has_attributes("no ACLs, no xattrs, iconv"));
}
