//! What breaks half-way: what was done until then stays, and is said in the real programs' words.

use changeover::model::SiteName;
use changeover::port::Exit;
use changeover::world::{Fault, State, Zone};

use super::support::{AT, Gave, big, host, on, pipeline, simulate, simulate_with, site, world};

const COPY: &str = "rsync -aH --numeric-ids --no-inc-recursive --delete-after --partial-dir=.rsync-partial \
                    --info=progress2,stats2 --no-human-readable --outbuf=L -e ssh --timeout=600 --protect-args -- \
                    /mnt/exchange/a/ 10.0.2.11:/mnt/exchange/a/";
const FAR: (&str, &str) = ("bcp", "app1");

/// An exchange tree with 30 small files and a large one at the end.
fn laden() -> State {
    let mut state = world();
    on(&mut state, AT, |machine| {
        let now = machine.now();
        let (disk, _) = machine.disk_mut("/mnt/exchange");
        disk.make_folder("/a", 0o755, now).expect("a folder");
        for number in 0..30 {
            disk.write(&format!("/a/{number:02}"), vec![b'x'; 100 + number], 0o644, now).expect("a file");
        }
        disk.write("/a/zz-large", big(), 0o644, now).expect("a file");
    });
    state
}

fn names(state: &mut State, at: (&str, &str)) -> Vec<String> {
    on(state, at, |machine| {
        let (disk, _) = machine.disk("/mnt/exchange");
        let found = disk.walk("/a").unwrap_or_default();
        found.into_iter().map(|(path, _)| path).collect()
    })
}

/// The copy, with something that happens before a slice.
fn copy_with(state: &mut State, when: usize, act: impl Fn(&mut State)) -> Gave {
    simulate_with(state, AT, &pipeline(COPY), |state, slice| {
        if slice == when {
            act(state);
        }
    })
}

fn cut(state: &mut State) {
    state.strike(&Fault::Cut { from: Zone::Site(site("prod")), to: Zone::Site(site("bcp")) });
}

fn ensure_whole_after_again(state: &mut State) {
    let again = simulate(state, AT, COPY);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(names(state, FAR), names(state, AT), "nothing is missing, nothing is left over");
}

#[test]
fn a_copy_goes_through_the_network_and_takes_what_is_there() {
    let mut state = laden();
    let gave = simulate(&mut state, AT, COPY);
    assert_eq!((gave.code, gave.err.as_str()), (0, ""));
    assert!(gave.out.contains("Number of regular files transferred: 31"), "{}", gave.out);
    assert_eq!(names(&mut state, FAR), names(&mut state, AT));
    let again = simulate(&mut state, AT, COPY);
    assert!(again.out.contains("Number of regular files transferred: 0"), "{}", again.out);
}

#[test]
fn a_cut_in_the_middle_leaves_what_was_copied() {
    let mut state = laden();
    let gave = copy_with(&mut state, 4, cut);
    assert_eq!(gave.code, 255);
    assert!(gave.err.contains("Timeout, server 10.0.2.11 not responding."), "{}", gave.err);
    assert!(gave.err.contains("rsync error: unexplained error (code 255)"), "{}", gave.err);
    let there = names(&mut state, FAR).len();
    assert!(there > 0 && there < 31, "{there}");
    state.strike(&Fault::Heal);
    ensure_whole_after_again(&mut state);
}

#[test]
fn a_cut_in_the_middle_of_a_file_leaves_a_part_that_is_used_again() {
    let mut state = laden();
    let gave = simulate_with(&mut state, AT, &pipeline(COPY), |state, _| {
        if names(state, FAR).iter().any(|name| name.starts_with(".zz-large")) {
            cut(state);
        }
    });
    assert_eq!(gave.code, 255, "{}", gave.err);
    let there = names(&mut state, FAR);
    assert!(there.contains(&".rsync-partial/zz-large".to_owned()) && !there.contains(&"zz-large".to_owned()));
    state.strike(&Fault::Heal);
    ensure_whole_after_again(&mut state);
}

#[test]
fn who_cannot_be_reached_at_first_is_named() {
    let mut state = laden();
    cut(&mut state);
    let gave = simulate(&mut state, AT, COPY);
    assert_eq!(gave.code, 255);
    assert!(gave.err.contains("ssh: connect to host 10.0.2.11 port 22: Connection timed out"), "{}", gave.err);
    state.strike(&Fault::Heal);
    let (far, name): (SiteName, _) = (site("bcp"), host("app1"));
    state.strike(&Fault::HostDown { site: far.clone(), host: name.clone() });
    let gave = simulate(&mut state, AT, COPY);
    assert!(gave.code == 255 && gave.err.contains("No route to host"), "{}", gave.err);
    state.strike(&Fault::HostUp { site: far, host: name });
    ensure_whole_after_again(&mut state);
}

#[test]
fn a_short_cut_is_waited_for() {
    let mut state = laden();
    let gave = simulate_with(&mut state, AT, &pipeline(COPY), |state, slice| match slice {
        4 => cut(state),
        9 => state.strike(&Fault::Heal),
        _ => {}
    });
    assert_eq!(gave.code, 0, "{}", gave.err);
    assert_eq!(names(&mut state, FAR), names(&mut state, AT));
}

#[test]
fn a_far_host_that_restarts_ends_the_copy() {
    let mut state = laden();
    let gave = simulate_with(&mut state, AT, &pipeline(COPY), |state, slice| match slice {
        4 => state.strike(&Fault::HostDown { site: site("bcp"), host: host("app1") }),
        6 => state.strike(&Fault::HostUp { site: site("bcp"), host: host("app1") }),
        _ => {}
    });
    assert!(gave.code == 255 && gave.err.contains("Broken pipe"), "{}", gave.err);
    ensure_whole_after_again(&mut state);
}

#[test]
fn a_far_share_that_stalls_is_given_up_after_the_timeout() {
    let mut state = laden();
    let gave = copy_with(&mut state, 4, |state| state.strike(&Fault::ShareStalls { site: site("bcp") }));
    assert_eq!(gave.code, 30);
    assert!(gave.err.contains("io timeout after 600 seconds -- exiting"), "{}", gave.err);
    state.strike(&Fault::Heal);
    ensure_whole_after_again(&mut state);
}

#[test]
fn a_full_disk_ends_the_copy_and_keeps_what_fitted() {
    let mut state = laden();
    let gave = copy_with(&mut state, 3, |state| state.strike(&Fault::ExchangeFull { site: site("bcp") }));
    assert_eq!(gave.code, 11);
    assert!(gave.err.contains("No space left on device (28)"), "{}", gave.err);
    assert!(names(&mut state, FAR).len() > 1);
    state.strike(&Fault::Heal);
    ensure_whole_after_again(&mut state);
}

#[test]
fn a_file_that_vanishes_meanwhile_is_told() {
    let mut state = laden();
    let gave = copy_with(&mut state, 2, |state| {
        on(state, AT, |machine| {
            let now = machine.now();
            machine.disk_mut("/mnt/exchange").0.remove("/a/29", now).expect("it was there");
        });
    });
    assert_eq!(gave.code, 24);
    assert!(gave.err.contains("file has vanished: \"/mnt/exchange/a/29\""), "{}", gave.err);
    assert!(gave.err.contains("rsync warning: some files vanished before they could be transferred (code 24)"));
}

#[test]
fn a_pipeline_ends_as_a_shell_says_it_does() {
    let mut state = world();
    let exits = |gave: &Gave| gave.exits.clone();
    let large = pipeline("cat | no-such-program").stdin(vec![b'x'; 1 << 20]);
    let gave = simulate_with(&mut state, AT, &large, |_, _| {});
    assert_eq!(exits(&gave), [Exit::Code(141), Exit::Code(127)], "the writer is killed by signal 13");
    let gave = simulate(&mut state, AT, "cat /none | sha256sum");
    assert_eq!(exits(&gave), [Exit::Code(1), Exit::Code(0)]);
    assert!(gave.out.starts_with("e3b0c442"), "{}", gave.out);
    let gave = simulate(&mut state, AT, "cat < /none | sha256sum > /no/such");
    assert_eq!(exits(&gave), [Exit::Code(2), Exit::Code(2)]);
    state.strike(&Fault::DisksFull { site: site("prod") });
    let gave = simulate_with(&mut state, AT, &pipeline("cat > /tmp/x").stdin("hello"), |_, _| {});
    assert_eq!((gave.code, gave.err.as_str()), (1, "cat: write error: No space left on device\n"));
    let gave = simulate_with(&mut state, AT, &pipeline("cat | tee /tmp/x | sha256sum").stdin("hello"), |_, _| {});
    assert_eq!(exits(&gave), [Exit::Code(0), Exit::Code(1), Exit::Code(0)]);
    assert!(gave.err.contains("tee: /tmp/x: No space left on device"), "{}", gave.err);
}

#[test]
fn a_host_without_a_program_says_so() {
    let mut state = world();
    state.sites.get_mut(&site("prod")).expect("a site").hosts.get_mut(&host("app1")).expect("a host").lacks =
        ["zstd".to_owned()].into();
    let gave = simulate(&mut state, AT, "zstd --version");
    assert_eq!((gave.code, gave.err.as_str()), (127, "sh: 1: zstd: not found\n"));
    assert_eq!(simulate(&mut state, AT, "sudo -n zstd --version").code, 1);
    assert_eq!(simulate(&mut state, AT, "env zstd --version").code, 127);
    assert_eq!(simulate(&mut state, FAR, "zstd --version").code, 0);
    assert_eq!(simulate(&mut state, AT, "rsync --unheard-of /a/ /b/").code, 1);
}

#[test]
fn the_exchange_tree_is_a_mount_with_room() {
    let mut state = world();
    assert_eq!(simulate(&mut state, AT, "mountpoint -q /mnt/exchange").code, 0);
    assert_eq!(simulate(&mut state, AT, "mountpoint -q /tmp").code, 32);
    let gave = simulate(&mut state, AT, "df -P -B1 /mnt/exchange");
    let fields: Vec<&str> = gave.out.lines().nth(1).expect("a line").split_whitespace().collect();
    assert_eq!((fields[1], fields[5]), (&*state.spec.disk.to_string(), "/mnt/exchange"));
    let gave =
        simulate(&mut state, AT, "df -B1 --output=size,avail,itotal,iavail,source,target /mnt/exchange /none /tmp/..");
    assert_eq!(
        (gave.code, gave.err.as_str()),
        (1, "df: /none: No such file or directory\ndf: /tmp/..: No such file or directory\n")
    );
    let line = gave.out.lines().nth(1).expect("a line");
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((fields.len(), fields[0], fields[5]), (6, &*state.spec.disk.to_string(), "/mnt/exchange"));
    let gave = simulate(&mut state, AT, "findmnt -n -o TARGET,SOURCE,FSTYPE -T /mnt/exchange/x/..");
    assert_eq!(gave.code, 1, "what is not there lies nowhere");
    let gave = simulate(&mut state, AT, "sv status /etc/service/shop");
    assert!(gave.code == 0 && gave.out.starts_with("run: /etc/service/shop: (pid "), "{}", gave.out);
    assert_eq!(simulate(&mut state, AT, "sudo -n /usr/local/sbin/restart-shop").code, 0);
}
