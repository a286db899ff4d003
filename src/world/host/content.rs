//! The files that hosts begin with, those that users add, and what is really there: counted by the world itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::SignedDuration;

use super::{DiskId, Power};
use crate::model::{HostName, SiteName};
use crate::world::disk::{Disk, DiskError, Node};
use crate::world::{Counts, State, Store, Truth};

/// What users upload.
const STORAGE: &str = "/var/lib/shop/storage";
/// How the application is set up.
const CONFIG: &str = "/etc/shop";
/// The folders that are copied from site to site.
const TREES: [&str; 2] = [STORAGE, CONFIG];
/// Where uploads go.
const UPLOADS: &str = "/var/lib/shop/storage/uploads";
/// The largest file, so that its copying takes several pieces.
const LARGEST: usize = 96 * 1024;

/// Puts into a site what the world begins with: the files of the users at the active site, an empty folder for them at
/// the other one, and an older copy of the configuration there.
pub fn fill(state: &mut State, site: &SiteName) {
    let is_active = state.active == *site;
    for (_, disk) in roots(state, site) {
        // Every host of a site begins with the same files.
        let mut rng = fastrand::Rng::with_seed(state.spec.seed);
        let now = state.spec.epoch;
        let files = state.spec.files;
        let disk = &mut state.disks[disk.0];
        let filled = system(disk, now)
            .and_then(|()| config(disk, now, is_active))
            .and_then(|()| if is_active { storage(disk, now, files, &mut rng) } else { Ok(()) });
        debug_assert!(filled.is_ok(), "a host of {site} could not be filled: {filled:?}");
        disk.sync_all();
    }
    let now = state.spec.epoch;
    if let Some(site) = state.sites.get(site) {
        let disk = &mut state.disks[site.exchange.0];
        let marked = disk.write("/.changeover-exchange", "", 0o644, now);
        debug_assert!(marked.is_ok(), "the exchange folder could not be marked: {marked:?}");
        disk.sync_all();
    }
}

/// The disk that holds `/` of each host.
fn roots(state: &State, site: &SiteName) -> Vec<(HostName, DiskId)> {
    let hosts = state.sites.get(site).into_iter().flat_map(|site| &site.hosts);
    hosts
        .filter_map(|(name, host)| {
            let (_, disk) = host.mounts.iter().find(|(mount, _)| mount == "/")?;
            Some((name.clone(), *disk))
        })
        .collect()
}

fn system(disk: &mut Disk, now: jiff::Timestamp) -> Result<(), DiskError> {
    for folder in ["/mnt/exchange", "/tmp", "/etc/service/shop", "/usr/local/sbin", CONFIG, STORAGE] {
        disk.make_folders(folder, 0o755, now)?;
    }
    disk.write("/usr/local/sbin/restart-shop", "#!/bin/sh\nexec sv -w 30 restart /etc/service/shop\n", 0o755, now)
}

fn config(disk: &mut Disk, now: jiff::Timestamp, is_active: bool) -> Result<(), DiskError> {
    let changed = now - SignedDuration::from_hours(if is_active { 5 } else { 700 });
    let version = if is_active { 7 } else { 5 };
    let files = [
        ("/etc/shop/shop.toml", format!("version = {version}\ncurrency = \"EUR\"\n")),
        ("/etc/shop/tax rates.csv", format!("country,rate\nDE,19\nversion,{version}\n")),
        ("/etc/shop/templates/order.txt", format!("Your order ({version})\n")),
    ];
    disk.make_folder("/etc/shop/templates", 0o755, changed)?;
    for (path, text) in files {
        disk.write(path, text, 0o644, changed)?;
        disk.set_modified(path, changed, now)?;
    }
    disk.set_mode("/etc/shop/shop.toml", 0o640, now)
}

/// `files` regular files, one of them empty, one with two names, one large, some with odd names; and a link.
fn storage(disk: &mut Disk, now: jiff::Timestamp, files: u32, rng: &mut fastrand::Rng) -> Result<(), DiskError> {
    const ODD: [&str; 5] = ["it's.txt", "two  spaces.txt", "größe.txt", "line\nbreak.txt", "back\\slash.txt"];
    for folder in ["products", "products/large", "invoices", "odd", "uploads", "nothing"] {
        disk.make_folder(&format!("{STORAGE}/{folder}"), 0o755, now)?;
    }
    for number in 0..files {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let (path, length) = match index {
            0 => ("products/large/film.bin".to_owned(), LARGEST),
            1 => ("products/empty.txt".to_owned(), 0),
            2 => {
                disk.hard_link(&format!("{STORAGE}/products/large/film.bin"), &format!("{STORAGE}/odd/film.bin"), now)?;
                continue;
            }
            3..8 => (format!("odd/{}", ODD[index - 3]), rng.usize(1..200)),
            _ if rng.bool() => (format!("products/{number:04}.jpg"), rng.usize(1..4000)),
            _ => (format!("invoices/{number:04}.pdf"), rng.usize(1..4000)),
        };
        let path = format!("{STORAGE}/{path}");
        let mode = *rng.choice([0o644, 0o640, 0o600].iter()).unwrap_or(&0o644);
        disk.write(&path, bytes_of(rng, length), mode, now)?;
        disk.set_modified(&path, now - SignedDuration::from_secs(rng.i64(1..10_000_000)), now)?;
    }
    disk.make_link(&format!("{STORAGE}/products/front.jpg"), "large/film.bin", now)
}

fn bytes_of(rng: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

/// One write that users of the application make, the `number`th of the world: an upload, which every host of the site
/// has before it is acknowledged. True when it was.
pub fn write(state: &mut State, site: &SiteName, number: u64) -> bool {
    let roots = roots(state, site);
    let is_up = |(host, _): &(HostName, DiskId)| state.sites[site].hosts[host].power == Power::Up;
    if roots.is_empty() || !roots.iter().all(is_up) {
        return false;
    }
    let now = state.wall_time();
    let content = format!("upload {number} at {now}\n").repeat(1 + usize::try_from(number % 7).unwrap_or(0));
    let path = format!("{UPLOADS}/{number:06}.txt");
    for (index, (_, id)) in roots.iter().enumerate() {
        let disk = &mut state.disks[id.0];
        let made = match disk.make_folders(UPLOADS, 0o755, now) {
            Ok(()) => disk.write(&path, content.clone(), 0o644, now).and_then(|()| disk.sync(&path)),
            Err(error) => Err(error),
        };
        if made.is_err() {
            // None has it when one cannot take it.
            for (_, id) in &roots[..=index] {
                let _: Result<(), DiskError> = state.disks[id.0].remove(&path, now);
            }
            return false;
        }
    }
    state.changed(site, Store::Files, format!("upload {number}"));
    true
}

/// Counts what a site holds: files and bytes per folder. A host that differs from the first is counted on its own, as
/// `folder (host)`.
pub fn count(state: &State, site: &SiteName, counts: &mut Counts) {
    for tree in TREES {
        let mut first = None;
        for (host, id) in roots(state, site) {
            let found = state.disks[id.0].walk(tree).unwrap_or_default();
            let files = found.iter().filter(|(_, inode)| matches!(inode.node, Node::File(_)));
            let held = files.fold((0, 0), |(files, bytes), (_, inode)| (files + 1, bytes + inode.size()));
            let name = match first {
                None => tree.to_owned(),
                Some(same) if same == held => continue,
                Some(_) => format!("{tree} ({host})"),
            };
            first.get_or_insert(held);
            counts.files.insert(name.clone(), held.0);
            counts.bytes.insert(name, held.1);
        }
    }
}

/// Tells everything that a site holds, content included, without the times of folders. Where a host differs from the
/// first, its own is told too, under `files@host/…`.
pub fn truth(state: &State, site: &SiteName, truth: &mut Truth) {
    for tree in TREES {
        let mut first: Option<BTreeMap<String, String>> = None;
        for (host, id) in roots(state, site) {
            let found = state.disks[id.0].walk(tree).unwrap_or_default();
            let all: BTreeMap<String, String> =
                found.into_iter().map(|(path, inode)| (path, described(inode))).collect();
            match &first {
                None => {
                    truth.items.extend(all.iter().map(|(path, what)| (format!("files{tree}/{path}"), what.clone())));
                    first = Some(all);
                }
                Some(same) => {
                    let own = all.iter().filter(|(path, what)| same.get(*path) != Some(what));
                    let gone = same.keys().filter(|path| !all.contains_key(*path));
                    let own = own.map(|(path, what)| (path, what.clone()));
                    let gone = gone.map(|path| (path, "missing".to_owned()));
                    truth
                        .items
                        .extend(own.chain(gone).map(|(path, what)| (format!("files@{host}{tree}/{path}"), what)));
                }
            }
        }
    }
}

/// An entry in words: type, mode, time, and a digest of its content.
fn described(inode: &super::super::disk::Inode) -> String {
    let mut text = format!("{} {:o}", inode.letter(), inode.mode);
    // Writing to a `String` cannot fail.
    let _ = match &inode.node {
        Node::File(content) => write!(text, " {} {}", inode.modified.as_second(), blake3::hash(content).to_hex()),
        Node::Link(target) => write!(text, " {target}"),
        Node::Folder(_) => Ok(()),
    };
    text
}
