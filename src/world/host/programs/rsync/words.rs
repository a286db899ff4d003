//! What rsync prints: changes, progress, statistics, and how it ended.

use super::list::{Item, Kind};
use crate::world::disk::{Inode, Node};

/// How many of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    files: u64,
    folders: u64,
    links: u64,
}

impl Tally {
    pub(super) fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::File => self.files += 1,
            Kind::Folder => self.folders += 1,
            Kind::Link(_) => self.links += 1,
        }
    }

    pub(super) fn add_node(&mut self, node: &Node) {
        match node {
            Node::File(_) => self.files += 1,
            Node::Folder(_) => self.folders += 1,
            Node::Link(_) => self.links += 1,
        }
    }

    pub(super) fn total(self) -> u64 {
        self.files + self.folders + self.links
    }

    fn text(self) -> String {
        let parts = [("reg", self.files), ("dir", self.folders), ("link", self.links)];
        let parts: Vec<String> =
            parts.iter().filter(|(_, number)| *number > 0).map(|(name, number)| format!("{name}: {number}")).collect();
        if parts.is_empty() { "0".to_owned() } else { format!("{} ({})", self.total(), parts.join(", ")) }
    }
}

/// What is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Stats {
    pub(super) all: Tally,
    pub(super) created: Tally,
    pub(super) deleted: Tally,
    /// Files whose content was sent.
    pub(super) transferred: u64,
    /// The size of all files and links.
    pub(super) bytes: u64,
    pub(super) transferred_bytes: u64,
}

impl Stats {
    /// What `--info=stats2` prints.
    pub(super) fn text(&self, dry_run: bool) -> String {
        let literal = if dry_run { 0 } else { self.transferred_bytes };
        let sent = literal + 20 * self.all.total() + 80;
        let received = 20 + 12 * self.transferred;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let (rate, speedup) = ((sent + received) as f64 * 2.0, self.bytes as f64 / (sent + received) as f64);
        format!(
            "\nNumber of files: {}\nNumber of created files: {}\nNumber of deleted files: {}\n\
             Number of regular files transferred: {}\nTotal file size: {} bytes\n\
             Total transferred file size: {} bytes\nLiteral data: {literal} bytes\nMatched data: 0 bytes\n\
             File list size: 0\nFile list generation time: 0.001 seconds\nFile list transfer time: 0.000 seconds\n\
             Total bytes sent: {sent}\nTotal bytes received: {received}\n\n\
             sent {sent} bytes  received {received} bytes  {rate:.2} bytes/sec\n\
             total size is {}  speedup is {speedup:.2}{}\n",
            self.all.text(),
            self.created.text(),
            self.deleted.text(),
            self.transferred,
            self.bytes,
            self.transferred_bytes,
            self.bytes,
            if dry_run { " (DRY RUN)" } else { "" },
        )
    }

    /// A line of `--info=progress2`.
    pub(super) fn progress(&self, left: usize, all: usize) -> String {
        let percent = (self.transferred_bytes * 100).checked_div(self.bytes).unwrap_or(100);
        format!(
            "\r{:>15} {percent:>3}%   18.00MB/s    0:00:00 (xfr#{}, to-chk={left}/{all})        ",
            self.transferred_bytes, self.transferred
        )
    }
}

/// How an entry of the list and what is at the destination differ; nothing there is `None`.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of rsync's")]
pub(super) struct Difference {
    pub(super) new: bool,
    pub(super) content: bool,
    pub(super) size: bool,
    pub(super) time: bool,
    pub(super) mode: bool,
}

impl Difference {
    pub(super) fn of(item: &Item, there: Option<&Inode>) -> Self {
        let Some(there) = there else {
            return Self { new: true, content: false, size: false, time: false, mode: false };
        };
        let content = matches!((&item.kind, &there.node), (Kind::Link(a), Node::Link(b)) if a != b);
        Self {
            new: false,
            content,
            size: item.is_file() && item.size != there.size(),
            // Only whole seconds are compared.
            time: item.modified.as_second() != there.modified.as_second(),
            mode: !matches!(item.kind, Kind::Link(_)) && item.mode != there.mode,
        }
    }

    pub(super) fn any(self) -> bool {
        self.new || self.content || self.size || self.time || self.mode
    }

    /// The line of `--itemize-changes`; `update` is its first letter.
    pub(super) fn line(self, update: char, item: &Item, behind: &str) -> String {
        let kind = match item.kind {
            Kind::File => 'f',
            Kind::Folder => 'd',
            Kind::Link(_) => 'L',
        };
        let attributes = if self.new {
            "+++++++++".to_owned()
        } else {
            let letter = |is: bool, letter: char| if is { letter } else { '.' };
            let letters =
                [letter(self.content, 'c'), letter(self.size, 's'), letter(self.time, 't'), letter(self.mode, 'p')];
            format!("{}.....", letters.iter().collect::<String>())
        };
        let path = if item.path.is_empty() { "." } else { &item.path };
        format!("{update}{kind}{attributes} {}{}{behind}\n", shown(path), if item.is_folder() { "/" } else { "" })
    }
}

/// A name as rsync prints it: what is no printable character as `\#ooo`.
pub(super) fn shown(path: &str) -> String {
    path.chars().map(|c| if c.is_control() { format!("\\#{:03o}", u32::from(c)) } else { c.to_string() }).collect()
}

/// The last line of an ending that is not a good one.
pub(super) fn error(code: i32, who: &str) -> String {
    let (word, meaning, place) = match code {
        11 => ("error", "error in file IO", "receiver.c(381)"),
        23 => ("error", "some files/attrs were not transferred (see previous errors)", "main.c(1394)"),
        24 => ("warning", "some files vanished before they could be transferred", "main.c(1394)"),
        25 => ("error", "the --max-delete limit stopped deletions", "main.c(1394)"),
        30 => ("error", "timeout in data send/receive", "io.c(200)"),
        _ => ("error", "unexplained error", "io.c(232)"),
    };
    format!("rsync {word}: {meaning} (code {code}) at {place} [{who}=3.5.0]")
}
