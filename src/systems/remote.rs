//! Small remote chores that several rooms share: files written whole or not at all, files read, free space, and the
//! parts of a restore point on the exchange tree.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::StepContext;
use crate::model::{ByteSize, Counted, Failure, FailureKind, PointId, ServiceName, SiteName};
use crate::points::Part;
use crate::port::{Command, ExecOutput, Exit, Pipeline, Place};

const CHORE: Duration = Duration::from_mins(1);

/// A path as an argument: absolute, so that it can never be taken for an option.
///
/// # Errors
/// When the path is relative or not UTF-8.
pub fn path_arg(path: &Path) -> Result<String, Failure> {
    path.to_str().filter(|text| text.starts_with('/')).map(str::to_owned).ok_or_else(|| {
        Failure::new(FailureKind::Invalid, format!("use the path {}", path.display()), "it is not an absolute path")
            .hint("write absolute paths in the estate")
    })
}

/// Runs a short pipeline that changes something, and fails unless every member ended with code 0.
///
/// # Errors
/// `Unknown` when the answer was lost; `Refused` with the end of stderr when it failed.
pub async fn change(cx: &StepContext, place: &Place, pipeline: &Pipeline) -> Result<ExecOutput, Failure> {
    let tried = format!("run {pipeline}");
    let output = cx.reach.exec(place, pipeline, CHORE).await.map_err(|error| error.while_changing(&tried))?;
    finished(place, pipeline, output, &tried)
}

/// Runs a short pipeline that only looks, and fails unless every member ended with code 0.
///
/// # Errors
/// `Unreachable` when the answer was lost; `Refused` with the end of stderr when it failed.
pub async fn look(cx: &StepContext, place: &Place, pipeline: &Pipeline) -> Result<ExecOutput, Failure> {
    let tried = format!("run {pipeline}");
    let output = cx.reach.exec(place, pipeline, CHORE).await.map_err(|error| error.while_reading(&tried))?;
    finished(place, pipeline, output, &tried)
}

fn finished(place: &Place, pipeline: &Pipeline, output: ExecOutput, tried: &str) -> Result<ExecOutput, Failure> {
    if output.is_success() {
        return Ok(output);
    }
    let complaint = output.complaint(pipeline);
    let failure = Failure::new(FailureKind::Refused, format!("{tried} on {place}"), &complaint);
    Err(if complaint.contains("No space left on device") || complaint.contains("Disk quota exceeded") {
        failure.hint(format!("the disk at {place} is full; free some space, then resume the run"))
    } else {
        failure
    })
}

/// Writes a file on a host so that it is there whole or not at all: a temporary neighbour, synced, then renamed.
/// Missing parent folders are created.
///
/// # Errors
/// As [`change`].
pub async fn put_file(cx: &StepContext, place: &Place, path: &Path, content: &[u8]) -> Result<(), Failure> {
    let path_text = path_arg(path)?;
    let partial = format!("{path_text}.partial-{}", cx.run);
    if let Some(parent) = path.parent() {
        make_folder(cx, place, parent).await?;
    }
    let write = Pipeline::from(Command::new("cat")).stdin(content).to_file(&partial).umask(0o002);
    change(cx, place, &write).await?;
    change(cx, place, &Command::new("sync").arg(&partial).into()).await?;
    change(cx, place, &Command::new("mv").args(["-f", &partial, &path_text]).into()).await?;
    Ok(())
}

/// Creates a folder and its missing parents, open to the group: several users of one group share an exchange tree.
///
/// # Errors
/// As [`change`].
pub async fn make_folder(cx: &StepContext, place: &Place, path: &Path) -> Result<(), Failure> {
    make_folders(cx, place, &[path.to_owned()]).await
}

/// Creates folders as [`make_folder`] does, in their order.
///
/// # Errors
/// As [`change`].
pub async fn make_folders(cx: &StepContext, place: &Place, paths: &[PathBuf]) -> Result<(), Failure> {
    let paths = paths.iter().map(|path| path_arg(path)).collect::<Result<Vec<_>, _>>()?;
    // `-m` is only for the last folder of each path; those above it follow the umask.
    let mkdir = Command::new("mkdir").args(["-p", "-m", "2775"]).args(paths);
    change(cx, place, &Pipeline::from(mkdir).umask(0o002)).await.map(drop)
}

/// Reads a file of a host; nothing when it is not there.
///
/// # Errors
/// As [`look`], and when the file is larger than what a short command may return (1 MiB).
pub async fn get_file(cx: &StepContext, place: &Place, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let pipeline = Pipeline::from(Command::new("cat").arg(path_arg(path)?).env("LC_ALL", "C"));
    let tried = format!("read {}", path.display());
    let output = cx.reach.exec(place, &pipeline, CHORE).await.map_err(|error| error.while_reading(&tried))?;
    if output.is_success() && !output.truncated {
        return Ok(Some(output.stdout));
    }
    let complaint = output.complaint(&pipeline);
    if complaint.contains("No such file or directory") {
        return Ok(None);
    }
    let got = if output.truncated { "it is larger than 1 MiB".to_owned() } else { complaint };
    Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), got))
}

/// Reads and decodes a JSON file of a host; nothing when it is not there.
///
/// # Errors
/// As [`get_file`], and when the content does not fit.
pub async fn get_json<T: DeserializeOwned>(cx: &StepContext, place: &Place, path: &Path) -> Result<Option<T>, Failure> {
    let Some(content) = get_file(cx, place, path).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&content).map(Some).map_err(|error| {
        Failure::new(FailureKind::Refused, format!("read {} on {place}", path.display()), error.to_string())
            .hint("the file is damaged or from another version of the program")
    })
}

/// Fails unless the disk that holds `path` (or its nearest existing parent) has room for `bytes` beside the reserve that
/// the estate's policy keeps free. Returns the free bytes.
///
/// # Errors
/// `Rule` when there is too little room.
pub async fn ensure_space(cx: &StepContext, place: &Place, path: &Path, bytes: u64) -> Result<u64, Failure> {
    let path_text = path_arg(path)?;
    let df = Pipeline::from(Command::new("df").args(["-P", "-B1", &path_text]).env("LC_ALL", "C"));
    let output = look(cx, place, &df).await?;
    let (size, free) = parse_df(&output.text()).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("read the free space at {path_text} on {place}"), output.text())
    })?;
    let reserve = size / 100 * u64::from(cx.estate.policy.min_free_percent.unwrap_or(10));
    if free >= bytes.saturating_add(reserve) {
        return Ok(free);
    }
    Err(Failure::new(
        FailureKind::Rule,
        format!("make sure that {} fit at {path_text} on {place}", ByteSize(bytes)),
        format!("{} are free, and {} must stay free", ByteSize(free), ByteSize(reserve)),
    )
    .hint("free some space there, prune old restore points, or lower `policy.min_free_percent` in the estate"))
}

/// The space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// How many bytes it holds.
    pub size: u64,
    /// How many more can be written.
    pub free: u64,
    /// Its inodes; nothing where their number has no limit, or was not asked.
    pub inodes: Option<Inodes>,
}

/// How many files, folders and links a disk can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inodes {
    /// In all.
    pub all: u64,
    /// How many more.
    pub free: u64,
}

impl Space {
    /// What is wrong with it, given how many percent must stay free.
    #[must_use]
    pub fn problem(self, min_free_percent: u8) -> Option<String> {
        let min = min_free_percent;
        let bytes = match self.free {
            0 => Some("is full".to_owned()),
            free => short(free, self.size, min)
                .map(|percent| format!("has {} left ({percent} %, and {min} % should stay free)", ByteSize(free))),
        };
        let inodes = self.inodes.and_then(|inodes| match inodes.free {
            0 => Some("has no inode left: nothing new can be made there".to_owned()),
            free => short(free, inodes.all, min).map(|percent| {
                let left = Counted(free, "inode", "inodes");
                format!("has {left} left ({percent} %, and {min} % should stay free)")
            }),
        });
        let problems: Vec<String> = bytes.into_iter().chain(inodes).collect();
        (!problems.is_empty()).then(|| problems.join(", and "))
    }
}

/// How many percent are free when that is too few.
fn short(free: u64, all: u64, min_free_percent: u8) -> Option<u128> {
    let percent = u128::from(free) * 100 / u128::from(all.max(1));
    (percent < u128::from(min_free_percent)).then_some(percent)
}

/// A disk as `df` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What is mounted: a device or a share. All disks in memory have one name.
    pub source: String,
    /// Where.
    pub mount: String,
    /// Its space.
    pub space: Space,
}

/// What a look at disks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disks {
    /// The disk of each path, in their order.
    Seen(Vec<Disk>),
    /// The host answers, and the file system at one of the paths does not.
    Stalled,
}

/// How many seconds `df` may take. A share that does not answer holds it for ever, and with it one of the few sessions
/// that a host allows: so the host itself ends it.
pub const DF_SECONDS: &str = "4";
/// A little more: then it is the host that does not answer.
const DF_PATIENCE: Duration = Duration::from_secs(6);

/// What `df` is to print.
const DF_COLUMNS: &str = "--output=size,avail,itotal,iavail,source,target";

/// Looks at the space of the disks that hold these paths, and never leaves anything hanging on the host.
///
/// # Errors
/// As [`look`]: also when one of the paths is not there.
pub async fn disks(cx: &StepContext, place: &Place, paths: &[String]) -> Result<Disks, Failure> {
    let df = df(paths.iter().map(String::as_str));
    let tried = format!("run {df}");
    let Some(output) = run_df(cx, place, &df).await? else { return Ok(Disks::Stalled) };
    let text = finished(place, &df, output, &tried)?.text();
    match columns(&text) {
        Some(seen) if seen.len() == paths.len() => Ok(Disks::Seen(seen)),
        _ => Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), text)),
    }
}

/// The same, of those of the paths that are there and may be looked at.
///
/// # Errors
/// As [`look`], and when none is there.
pub async fn disks_there(cx: &StepContext, place: &Place, paths: &[&str]) -> Result<Disks, Failure> {
    let df = df(paths.iter().copied());
    let Some(output) = run_df(cx, place, &df).await? else { return Ok(Disks::Stalled) };
    match columns(&output.text()) {
        Some(seen) if !seen.is_empty() => Ok(Disks::Seen(seen)),
        _ => {
            let got = [output.text(), output.complaint(&df)].join("\n");
            Err(Failure::new(FailureKind::Refused, format!("run {df} on {place}"), got.trim_start()))
        }
    }
}

fn df<'a>(paths: impl IntoIterator<Item = &'a str>) -> Pipeline {
    let df = Command::new("timeout").args(["-s", "KILL", DF_SECONDS, "df", "-B1", DF_COLUMNS]);
    df.args(paths).env("LC_ALL", "C").into()
}

/// The answer; nothing when the host had to end it.
async fn run_df(cx: &StepContext, place: &Place, df: &Pipeline) -> Result<Option<ExecOutput>, Failure> {
    let output = cx.reach.exec(place, df, DF_PATIENCE).await;
    let output = output.map_err(|error| error.while_reading(format!("run {df}")))?;
    Ok((output.exits != [Exit::Code(137)]).then_some(output))
}

/// The lines of an answer with [`DF_COLUMNS`]; nothing when it is none.
fn columns(text: &str) -> Option<Vec<Disk>> {
    text.lines().skip(1).map(column_line).collect()
}

fn column_line(line: &str) -> Option<Disk> {
    let mut rest = line.trim_start();
    let mut numbers = [None; 4];
    for number in &mut numbers {
        let (word, behind) = rest.split_once(' ')?;
        // A file system that does not say it shows `-`.
        *number = word.parse::<u64>().ok();
        rest = behind.trim_start();
    }
    let [size, free, all, free_inodes] = numbers;
    let inodes = all.filter(|all| *all > 0).zip(free_inodes).map(|(all, free)| Inodes { all, free });
    // Both may hold spaces, and only what is mounted is followed by some.
    let (source, mount) = rest.rsplit_once(" /")?;
    let space = Space { size: size?, free: free?, inodes };
    Some(Disk { source: source.trim_end().to_owned(), mount: format!("/{mount}"), space })
}

/// The disks in an answer of `df -P -B1`; nothing when it is none.
#[must_use]
pub fn spaces(text: &str) -> Option<Vec<Space>> {
    text.lines().skip(1).map(parse_df_line).collect()
}

/// Size and free bytes from `df -P -B1`.
fn parse_df(text: &str) -> Option<(u64, u64)> {
    text.lines().nth(1).and_then(parse_df_line).map(|space| (space.size, space.free))
}

fn parse_df_line(line: &str) -> Option<Space> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    // From the right, because the device name may hold spaces: … size used available capacity% mount.
    let percent = fields.iter().rposition(|field| field.ends_with('%'))?;
    let number = |back: usize| fields.get(percent.checked_sub(back)?)?.parse().ok();
    Some(Space { size: number(3)?, free: number(1)?, inodes: None })
}

/// Keeps what one store put into the point, at the source's exchange tree.
///
/// # Errors
/// As [`put_file`].
pub async fn save_part(cx: &StepContext, site: &SiteName, part: &Part) -> Result<(), Failure> {
    let place = cx.exchange_place(site)?;
    let path = cx.tree(site)?.part(&cx.point, &part.service);
    let json = serde_json::to_vec_pretty(part)
        .map_err(|error| Failure::new(FailureKind::Invalid, "write the part of a restore point", error.to_string()))?;
    put_file(cx, &place, &path, &json).await
}

/// Reads what a store put into a point, as it is on the exchange tree of `site`.
///
/// # Errors
/// As [`get_file`], and when the point has no such part.
pub async fn load_part(
    cx: &StepContext,
    site: &SiteName,
    point: &PointId,
    service: &ServiceName,
) -> Result<Part, Failure> {
    let place = cx.exchange_place(site)?;
    let path = cx.tree(site)?.part(point, service);
    get_json(cx, &place, &path).await?.ok_or_else(|| {
        Failure::new(
            FailureKind::Refused,
            format!("read {} on {place}", path.display()),
            format!("point {point} has no part of service {service} at {site}"),
        )
        .hint("look at the point with `changeover points show`; it may have been made without this service")
    })
}

#[cfg(test)]
mod tests {
    use super::{Disk, Inodes, Space, columns, parse_df};

    #[test]
    fn a_disk_is_full_or_short_or_fine() {
        for (size, free, said) in [
            (1000, 500, None),
            (1000, 100, None),
            (1000, 99, Some("has 99 B left (9 %, and 10 % should stay free)")),
            (1000, 0, Some("is full")),
            (0, 0, Some("is full")),
        ] {
            assert_eq!(Space { size, free, inodes: None }.problem(10).as_deref(), said, "{free} of {size}");
        }
    }

    #[test]
    fn a_disk_runs_out_of_inodes_too() {
        for (free, all, left, said) in [
            (500, 1000, 500, None),
            (500, 1000, 100, None),
            (500, 1000, 99, Some("has 99 inodes left (9 %, and 10 % should stay free)")),
            (500, 1000, 0, Some("has no inode left: nothing new can be made there")),
            (0, 1000, 500, Some("is full")),
            (0, 1000, 0, Some("is full, and has no inode left: nothing new can be made there")),
        ] {
            let space = Space { size: 1000, free, inodes: Some(Inodes { all, free: left }) };
            assert_eq!(space.problem(10).as_deref(), said, "{free} bytes, {left} inodes");
        }
    }

    #[test]
    fn df_is_read_by_columns() {
        let head = "  1B-blocks      Avail Inodes IFree Filesystem Mounted on\n";
        let read = |line: &str| columns(&format!("{head}{line}\n"));
        let disk = |inodes, source: &str, mount: &str| {
            let space = Space { size: 1000, free: 600, inodes };
            Some(vec![Disk { source: source.to_owned(), mount: mount.to_owned(), space }])
        };
        let inodes = Some(Inodes { all: 50, free: 7 });
        assert_eq!(read("       1000        600     50     7 /dev/vda1   /"), disk(inodes, "/dev/vda1", "/"));
        assert_eq!(read("1000 600 50 7 nas:/a b /mnt/x y"), disk(inodes, "nas:/a b", "/mnt/x y"));
        assert_eq!(read("1000 600 0 0 /dev/sda /"), disk(None, "/dev/sda", "/"), "btrfs has no limit");
        assert_eq!(read("1000 600 - - tmpfs /tmp"), disk(None, "tmpfs", "/tmp"));
        assert_eq!(read("- - 50 7 /dev/vda1 /"), None, "unknown is never zero");
        assert_eq!(read("nonsense"), None);
        assert_eq!(columns(""), Some(vec![]));
    }

    #[test]
    fn df_is_read_from_the_right() {
        let plain = "Filesystem 1-blocks Used Available Capacity Mounted on\n/dev/vda 1000 400 600 40% /mnt\n";
        assert_eq!(parse_df(plain), Some((1000, 600)));
        let spaces = "Filesystem 1-blocks Used Available Capacity Mounted on\nnas:/a b 10 4 6 40% /mnt/x y\n";
        assert_eq!(parse_df(spaces), Some((10, 6)));
        assert_eq!(parse_df("nonsense"), None);
    }
}
