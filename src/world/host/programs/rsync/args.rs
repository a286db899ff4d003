//! The command line of rsync. An option that is not known is refused.

use super::super::Call;
use super::end::End;
use super::list::Rule;
use crate::world::host::Machine;

/// When what the source does not have is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delete {
    /// `--delete-after`.
    After,
    /// `--delete-delay`.
    Delay,
}

/// The command line, read.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of rsync")]
pub(super) struct Options {
    pub(super) dry_run: bool,
    pub(super) existing: bool,
    pub(super) ignore_existing: bool,
    pub(super) itemize: bool,
    pub(super) checksum: bool,
    pub(super) omit_folder_times: bool,
    pub(super) delay_updates: bool,
    pub(super) partial: bool,
    pub(super) progress: bool,
    pub(super) delete: Option<Delete>,
    pub(super) max_delete: Option<u64>,
    pub(super) link_dest: Vec<String>,
    pub(super) rules: Vec<Rule>,
    /// Seconds of silence after which it gives up.
    pub(super) timeout: Option<u64>,
    /// The most bytes a second.
    pub(super) bandwidth: Option<u64>,
    pub(super) from: End,
    pub(super) to: End,
}

/// The folder that holds what is not whole yet, or not to be seen yet.
pub(super) const PARTIAL: &str = ".rsync-partial";

impl Options {
    pub(super) fn read(on: &Machine<'_>, call: &Call) -> Result<Self, String> {
        let here = End::here(on, "/");
        let mut options = Self {
            dry_run: false,
            existing: false,
            ignore_existing: false,
            itemize: false,
            checksum: false,
            omit_folder_times: false,
            delay_updates: false,
            partial: false,
            progress: false,
            delete: None,
            max_delete: None,
            link_dest: Vec::new(),
            rules: Vec::new(),
            timeout: None,
            bandwidth: None,
            from: here.clone(),
            to: here,
        };
        let mut archive = false;
        let mut whole_list = false;
        let mut operands = Vec::new();
        let mut words = call.words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match (name, value) {
                ("--", "") => {
                    operands.extend(words);
                    break;
                }
                ("-aH", _) => archive = true,
                ("--no-inc-recursive", _) => whole_list = true,
                // Owners, ACLs and attributes are not kept on these disks.
                ("--numeric-ids" | "-AX" | "--no-owner" | "--no-group", _) => {}
                ("--no-human-readable" | "--outbuf" | "--protect-args", _) => {}
                ("--omit-dir-times", _) => options.omit_folder_times = true,
                ("--dry-run", _) => options.dry_run = true,
                ("--existing", _) => options.existing = true,
                ("--ignore-existing", _) => options.ignore_existing = true,
                ("--itemize-changes", _) => options.itemize = true,
                ("--checksum", _) => options.checksum = true,
                ("--delete-delay", _) => options.delete = Some(Delete::Delay),
                ("--delete-after", _) => options.delete = Some(Delete::After),
                ("--delay-updates", _) => options.delay_updates = true,
                ("--partial-dir", PARTIAL) => options.partial = true,
                ("--max-delete", number) => options.max_delete = Some(parsed(name, number)?),
                ("--timeout", number) => options.timeout = Some(parsed(name, number)?),
                ("--bwlimit", limit) => options.bandwidth = Some(rate(limit)?),
                ("--link-dest", path) => options.link_dest.push(path.to_owned()),
                ("--exclude", pattern) => options.rules.push(Rule::new(false, pattern)),
                ("--include", pattern) => options.rules.push(Rule::new(true, pattern)),
                ("--info", what) => options.progress = what.contains("progress2"),
                // Which keys and options ssh uses makes no difference in this network.
                ("-e", _) => drop(words.next()),
                _ if word.starts_with('-') => return Err(format!("{word}: unknown option")),
                _ => operands.push(word),
            }
        }
        if !archive || !whole_list {
            return Err("the world knows only -aH --no-inc-recursive".to_owned());
        }
        let [from, to] = operands[..] else { return Err("a source and a destination are needed".to_owned()) };
        if !from.ends_with('/') || !to.ends_with('/') {
            return Err("the world copies only the content of folders: write a slash at the end".to_owned());
        }
        options.from = End::read(on, call, from)?;
        options.to = End::read(on, call, to)?;
        if options.from.is_far() && options.to.is_far() {
            return Err("The source and destination cannot both be remote.".to_owned());
        }
        Ok(options)
    }
}

fn parsed(name: &str, number: &str) -> Result<u64, String> {
    number.parse().map_err(|_| format!("{name}={number}: invalid numeric value"))
}

/// Bytes a second of a `--bwlimit`: KiB unless a unit says otherwise.
fn rate(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(format!("--bwlimit value is invalid: {text}")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("--bwlimit value is invalid: {text}"))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate; saturates")]
    let whole = (number.max(0.0) * f64::from(unit)) as u64;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("100"), Ok(102_400));
        assert_eq!(rate("20m"), Ok(20 << 20));
        assert_eq!(rate("1.5M"), Ok(3 << 19));
        assert!(rate("fast").is_err());
    }
}
