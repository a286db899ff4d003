//! The same command on the same files, for real and simulated: same words, same code, same files afterwards.

use super::support::{AT, Gave, Twins, really, simulate};

/// Numbers that no two runs of rsync share.
fn settled(text: &str) -> String {
    const VARIES: [&str; 6] =
        ["File list generation", "File list transfer", "Total bytes", "sent ", "File list size", "total size is"];
    let lines = text.split(['\n', '\r']).filter(|line| !line.contains("to-chk=") && !line.contains("B/s"));
    let lines = lines.filter(|line| !line.is_empty());
    lines.filter(|line| !VARIES.iter().any(|start| line.starts_with(start))).collect::<Vec<_>>().join("\n")
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive(['\n', '\0']).collect();
    lines.sort_unstable();
    lines.concat()
}

/// Where the place in the source of rsync and the like stand.
fn without_places(text: &str) -> String {
    text.lines()
        .map(|line| match (line.find(") at "), line.find(" [")) {
            (Some(at), Some(who)) if at < who => format!("{}{}", &line[..=at], &line[who..]),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs lines one after the other on the same files; a line that begins with `~` may answer in any order.
fn compare(twins: &mut Twins, lines: &[&str]) {
    for line in lines {
        let (line, any_order) = line.strip_prefix('~').map_or((*line, false), |line| (line, true));
        let line = twins.line(line);
        let tidy = |gave: Gave| {
            let out = if line.contains("rsync") { settled(&gave.out) } else { gave.out };
            let out = if any_order { sorted(&out) } else { out };
            (out, without_places(&gave.err), gave.code)
        };
        let simulated = tidy(simulate(&mut twins.state, AT, &line));
        let real = tidy(really(&line));
        assert_eq!(simulated, real, "simulated (left) and real differ: {line}");
        let (real, simulated) = twins.trees();
        assert_eq!(simulated, real, "files, simulated (left) and real, differ after: {line}");
    }
}

#[test]
fn programs_that_look() {
    compare(
        &mut Twins::filled(),
        &[
            "cat @/a/f",
            "cat @/a/f @/a/none @/a/d",
            "cat < @/a/f",
            "cat < @/none",
            "test -d @/a",
            "test -d @/a/f",
            "test -e @/none -o -e @/a/f",
            "test -d @/a -a -w @/a",
            "stat -c %Y -- @/a/f",
            "stat -L -c %s @/a/d/e/big",
            "stat -c %a @/a/d",
            "stat -c %Y -- @/none",
            "df -P -B1 @/none",
            "mountpoint -q @/a",
            "mountpoint -q @/none",
            "mountpoint -q /proc-none",
            "true",
            "false",
            "echo a b",
            "sleep 0",
            "sleep x",
        ],
    );
}

#[test]
fn find_in_all_forms_that_steps_use() {
    compare(
        &mut Twins::filled(),
        &[
            "~find @/a",
            "~find @/a -mindepth 1 -maxdepth 1 -type d -printf '%f\\n'",
            "~find @/a -mindepth 1 -maxdepth 1 -printf '%y %f %P %p %l\\0'",
            "~find @/a -mindepth 1 -regextype posix-extended -printf '%y %P\\n'",
            "~find @/a -mindepth 1 -type f -printf '%y %s %m %T@ %TY%Tm%Td%TH%TM %P\\0'",
            "~find @/a @/none -type f -printf '%s %T@ %p\\0'",
            "find @/none -mindepth 1 -maxdepth 1 -print -quit",
            "find @/a/nothing -mindepth 1 -maxdepth 1 -print -quit",
            "~find @/a -mindepth 2 -maxdepth 2 -type f '(' -name hard -o -name 'na*' ')' -printf '%P\\0'",
            "~find @/a -mindepth 1 -maxdepth 2 -type d -path '*/d/*' -printf '%P\\0'",
            "~find @/a -mindepth 1 -type f -links 1 -printf '%P\\n'",
            "~find @/a -mindepth 1 -regextype posix-extended '(' -type d -regex '@/a/(.*/)?e' ')' -prune -o -printf '%P\\n'",
            "~find @/a -mindepth 1 -regextype posix-extended '(' -regex '@/a/d/[^/]*' -o -regex '@/a/(.*/)?l.*' ')' -prune -o -print0",
            "find @/a -foo",
            "find @/a/f @/a/d/hard -printf '%n %Q %Cq %T@ %p\\n'",
            "find @/a/f -printf '%s %'",
            "find @/a -printf",
            "find @/a '(' -name x",
            "find @/a -name x ')'",
            "~find @/a/f @/a/d -maxdepth 0",
            "find @/a/ @/none @/a/f -maxdepth 0 '(' -writable -printf 'w %y %p\\n' -o -printf '- %p\\n' ')'",
            "find @/a/f/below",
        ],
    );
}

#[test]
fn programs_that_change_files() {
    compare(
        &mut Twins::filled(),
        &[
            "mkdir -p -m 2775 @/n/o/p",
            "mkdir -p -m 700 @/n/o/p",
            "mkdir -p @/a/f",
            "mkdir -p -m 2775 @/a/f/x",
            "mkdir @/a",
            "mkdir @/no/such",
            "cat @/a/f > @/n/copy",
            "cat @/a/f > @/no/such",
            "cat @/a/f > @/n",
            "cat @/a/f | tee @/n/tee | sha256sum",
            "cat @/a/f | tee @/no/such",
            "mv -f @/n/copy @/a/f",
            "mv -f @/none @/n/x",
            "mv -f @/a/f @/n",
            "mv -T -- @/n/o @/moved",
            "mv -T -- @/moved @/a",
            "mv -T -- @/moved @/a/empty",
            "mv -T -- @/a/empty @/moved",
            "touch -d @1000 -- @/n/tee",
            "touch -d bad @/n/tee",
            "touch -d @5 -- @/no/such",
            "rm -f -- @/none @/n/tee",
            "rm -f @/a",
            "rm -rf --one-file-system -- @/a/d @/none @/n",
            "rm @/none",
            "sync -f @/a",
            "sync @/a/f @/a/empty",
            "sync -f @/none",
        ],
    );
}

#[test]
fn sums_and_streams() {
    compare(
        &mut Twins::filled(),
        &[
            "sha256sum @/a/f @/none @/a @/a/d/e/big",
            "~sha256sum '@/a/d/back\\slash' '@/a/d/na me'",
            "sha256sum < @/a/f",
            "~find @/a -type f -print0 | sort -z",
            "find @/a -type f -print0 | sort -z | env --chdir=@/a xargs -0 -r sha256sum --zero -- | sha256sum",
            "env --chdir=@/a find . -mindepth 1 -regextype posix-extended -type f -print0 | sort -z | env --chdir=@/a xargs -0 -r sha256sum --zero --",
            "env --chdir=@/none true",
            "env no-such-program",
            "cat @/a/empty | xargs -0 -r no-such-program",
            "cat @/a/f | xargs -0 -r no-such-program",
            "cat @/a/f | tail -c 3",
            "cat @/a/d/e/big | tail -c 70000 | sha256sum",
            "cat @/a/f | sed '1{/999999/d;}'",
            "echo x999999 | sed '1{/999999/d;}'",
            "awk 'BEGIN { print \"here\" }'",
            "true | no-such-program",
            "no-such-program | cat",
            "zstd -q -d -c @/none",
            "zstd -q -d -c @/a/f",
            "gzip -d -c @/a/f",
            "gzip -d -c @/a/empty",
            "zstd -q -d -c @/a/empty",
        ],
    );
    let mut twins = Twins::filled();
    let counting = "find @/a -mindepth 1 -printf '%y %s\\n' | awk '{ n[$1]++; if ($1 == \"f\") b += $2 } END { printf \
                    \"counted %.0f %.0f %.0f %.0f %.0f\\n\", n[\"f\"], b, n[\"d\"], n[\"l\"], NR - n[\"f\"] - n[\"d\"] - \
                    n[\"l\"] }'";
    compare(&mut twins, &[counting]);
}

#[test]
fn listings_are_checked() {
    let mut twins = Twins::filled();
    let sum = really(&twins.line("env --chdir=@/a sha256sum f empty"));
    let listing = format!("# a comment\n{}{}  none\njunk\n", sum.out, "0".repeat(64));
    twins.file("listing", listing.as_bytes(), 0o644, 1);
    twins.file("wrong", listing.replace("  f\n", "  empty\n").as_bytes(), 0o644, 1);
    twins.file("good", sum.out.as_bytes(), 0o644, 1);
    let check = "env --chdir=@/a sha256sum --check --quiet --strict -";
    compare(
        &mut twins,
        &[
            &format!("cat @/listing | {check}"),
            &format!("cat @/wrong | {check}"),
            &format!("cat @/good | {check}"),
            &format!("cat @/a/empty | {check}"),
        ],
    );
}

#[test]
fn what_is_packed_is_unpacked_or_found_damaged() {
    for (pack, unpack, name) in [
        ("zstd -q -T0 -3 -c", "zstd -q -d -c", "x.zst"),
        ("gzip -3 -c", "gzip -d -c", "x.gz"),
        ("pigz -6 -c", "gzip -d -c", "y.gz"),
    ] {
        let mut twins = Twins::filled();
        let line = twins.line(&format!("cat @/a/d/e/big | {pack} > @/{name}"));
        assert_eq!(simulate(&mut twins.state, AT, &line).code, 0, "{line}");
        assert_eq!(really(&line).code, 0, "{line}");
        let line = twins.line(&format!("{unpack} @/{name} | sha256sum"));
        assert_eq!(simulate(&mut twins.state, AT, &line).out, really(&line).out, "{line}");
        // Cut short, and with one bit turned, at both.
        let real = std::fs::read(twins.root.join(name)).expect("the real one");
        let path = twins.line(&format!("@/{name}"));
        let simulated = super::support::on(&mut twins.state, AT, |on| on.read(&path)).expect("the simulated one");
        for damage in [
            |bytes: &mut Vec<u8>| bytes.truncate(1000),
            |bytes: &mut Vec<u8>| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            },
        ] {
            let (mut real, mut simulated) = (real.clone(), simulated.to_vec());
            damage(&mut real);
            damage(&mut simulated);
            std::fs::write(twins.root.join(name), real).expect("written");
            super::support::on(&mut twins.state, AT, |on| on.write(&path, simulated, 0o644)).expect("written");
            let line = twins.line(&format!("{unpack} @/{name}"));
            let (simulated, real) = (simulate(&mut twins.state, AT, &line), really(&line));
            assert_eq!(simulated.code, real.code, "{line}: {} {}", simulated.err, real.err);
            assert!(simulated.code != 0 && simulated.err.contains(name), "{}", simulated.err);
        }
    }
}

const RSYNC: &str = "rsync -aH --numeric-ids --no-inc-recursive";
const TOLD: &str = "--no-human-readable --outbuf=L --";

fn rsyncs(lines: &[&str]) -> Vec<String> {
    let read = |line: &&str| {
        let (mark, rest) = line.split_once("rsync").expect("a line of rsync");
        format!("{mark}{RSYNC}{}", rest.replace("TOLD", TOLD))
    };
    lines.iter().map(read).collect()
}

fn compare_rsync(twins: &mut Twins, lines: &[&str]) {
    let lines = rsyncs(lines);
    compare(twins, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn rsync_copies_counts_and_itemizes_as_the_real_one() {
    let mut twins = Twins::filled();
    compare_rsync(
        &mut twins,
        &[
            "rsync --dry-run --itemize-changes --info=stats2 TOLD @/a/ @/b/",
            "rsync --dry-run --existing --ignore-existing --delete-after --info=stats2 TOLD @/a/ @/b/",
            "~rsync --itemize-changes --partial-dir=.rsync-partial --info=progress2,stats2 TOLD @/a/ @/b/",
            "~rsync --itemize-changes --partial-dir=.rsync-partial --info=progress2,stats2 TOLD @/a/ @/b/",
            "rsync --info=stats2 TOLD @/none/ @/b/",
            "rsync --info=stats2 TOLD @/a/ @/no/such/",
        ],
    );
    twins.file("b/f", b"changed\n", 0o640, 1_700_000_001);
    twins.file("b/extra", b"1", 0o644, 1);
    twins.folder("b/xd/y");
    twins.file("b/xd/y/z", b"2", 0o644, 1);
    twins.file("a/new", b"new", 0o644, 7);
    twins.file("a/empty", b"", 0o600, 1_700_000_060);
    compare_rsync(
        &mut twins,
        &[
            "rsync --dry-run --itemize-changes --delete-after --info=stats2 TOLD @/a/ @/b/",
            "rsync --dry-run --existing --ignore-existing --delete-after --info=stats2 TOLD @/a/ @/b/",
            "rsync --delete-after --max-delete=1 --info=progress2,stats2 TOLD @/a/ @/b/",
            "~rsync --itemize-changes --delete-delay --delay-updates --partial-dir=.rsync-partial --max-delete=9 \
         --info=progress2,stats2 TOLD @/a/ @/b/",
        ],
    );
}

#[test]
fn rsync_links_to_earlier_copies_as_the_real_one() {
    let mut twins = Twins::filled();
    compare_rsync(&mut twins, &["rsync --info=stats2 TOLD @/a/ @/one/"]);
    twins.file("a/d/na me", b"changed", 0o600, 1_700_000_999);
    twins.file("a/new", b"new", 0o644, 7);
    twins.file("a/empty", b"", 0o600, 1_700_000_060);
    twins.folder("two");
    compare_rsync(
        &mut twins,
        &[
            "rsync --partial-dir=.rsync-partial --link-dest=@/one --info=progress2,stats2 TOLD @/a/ @/two/",
            "rsync --dry-run --checksum --itemize-changes --delete-after --info=stats2 TOLD @/a/ @/two/",
        ],
    );
}

#[test]
fn rsync_leaves_out_what_filters_name_as_the_real_one() {
    let mut twins = Twins::filled();
    compare_rsync(
        &mut twins,
        &[
            "rsync --exclude=/d/e/ --exclude='*k' --info=stats2 TOLD @/a/ @/b/",
            "rsync --exclude=/f --delete-after --info=stats2 --itemize-changes TOLD @/a/ @/b/",
            "rsync --exclude='/d/**' --delete-after --info=stats2 --itemize-changes TOLD @/a/d/ @/b/",
            "rsync --omit-dir-times --exclude=e --delete-after --max-delete=0 --info=stats2 TOLD @/a/d/ @/b/",
        ],
    );
}
