//! Several streams for what is new at the other site: one rsync for each share of the sub-folders, ahead of the copy of
//! the whole.
//!
//! It only saves time. Nothing is deleted here, and nothing is called done: the copy of the whole follows, which carries
//! what lies above the sub-folders, joins hard links between them, sets the folders' times, and would have copied
//! everything by itself. What is cut off is found and used by the next attempt.
//!
//! Used when all of this holds: the estate asks for more than one stream, there is no bandwidth limit (it is meant for all
//! streams together), and neither the folder nor one like it is at the target, so that much has to be sent. Measured by
//! `benches/small_files.rs`: on a link that limits each connection, four streams are several times as fast as one; where
//! two cores are the limit they gain nothing, and for a tree that did not change the second look at it is a loss.

use super::looks::At;
use super::transfer::{Task, run_all};
use crate::model::{Failure, FailureKind};
use crate::port::Place;
use crate::systems::StepContext;
use crate::systems::rsync::{Copied, Copy};

/// How far down sub-folders are looked for.
const LEVELS: usize = 4;
/// So many sub-folders for each stream make shares that are about equal.
const FOLDERS: usize = 4;

/// Copies the sub-folders of what is new, in `streams` streams each. A failure that leaves no doubt is only told: the
/// copy of the whole that follows meets it again, and says what it means.
///
/// # Errors
/// When an ending is unknown, and when the step was asked to stop.
pub(super) async fn ahead(
    cx: &StepContext,
    source: &At,
    place: &Place,
    adding: &[Task],
    streams: usize,
) -> Result<Vec<Copied>, Failure> {
    let mut copied = Vec::new();
    if streams < 2 {
        return Ok(copied);
    }
    for task in adding {
        let Some(folder) = task.new.as_ref().filter(|_| task.copy.bandwidth.is_none()) else { continue };
        let shares = shares(sub_folders(cx, source, folder, streams * FOLDERS).await, streams);
        let tasks: Vec<Task> = shares.into_iter().enumerate().map(|(number, only)| share(task, number, only)).collect();
        match run_all(cx, place, tasks, streams).await {
            Ok(done) => copied.extend(done),
            Err(failure) if failure.is_unknown() || failure.kind == FailureKind::Cancelled => return Err(failure),
            Err(failure) => cx.say(format!("copying {folder} in several streams failed, now in one: {failure}")),
        }
    }
    Ok(copied)
}

/// The sub-folders on the first level that has `enough` of them, or on the one that has most.
async fn sub_folders(cx: &StepContext, source: &At, folder: &str, enough: usize) -> Vec<String> {
    let mut most = Vec::new();
    for level in 1..=LEVELS {
        // Without a list (it may be too long) the copy of the whole does it all.
        let Ok(found) = source.folders(cx, folder, level).await else { break };
        if found.len() > most.len() {
            most = found;
        }
        if most.len() >= enough {
            break;
        }
    }
    most
}

/// Deals folders out to streams; nothing when there is nothing to share.
fn shares(folders: Vec<String>, streams: usize) -> Vec<Vec<String>> {
    let count = streams.min(folders.len());
    if count < 2 {
        return Vec::new();
    }
    let mut shares = vec![Vec::new(); count];
    for (number, folder) in folders.into_iter().enumerate() {
        shares[number % count].push(folder);
    }
    shares
}

/// One stream of a task. It only adds.
fn share(task: &Task, number: usize, only: Vec<String>) -> Task {
    let copy = Copy { only, delete: None, ..task.copy.clone() };
    Task { label: format!("{}-stream-{number}", task.label), copy, new: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_in_exactly_one_share() {
        let folders: Vec<String> = (0..11).map(|number| format!("0/d{number}")).collect();
        let dealt = shares(folders.clone(), 4);
        assert_eq!(dealt.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 2]);
        let mut all = dealt.concat();
        all.sort();
        let mut expected = folders;
        expected.sort();
        assert_eq!(all, expected);
        assert_eq!(shares(vec!["one".to_owned()], 4), Vec::<Vec<String>>::new());
        assert_eq!(shares(Vec::new(), 4), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_stream_never_deletes_and_copies_its_folders_only() {
        let copy = Copy { delete: Some(1000), ..Copy::new("/a", "/b") };
        let task = Task { label: "add-assets".to_owned(), copy, new: Some("files-assets/p-1".to_owned()) };
        let stream = share(&task, 2, vec!["0/x y".to_owned(), "0/-z".to_owned()]);
        assert_eq!(stream.label, "add-assets-stream-2");
        let pipeline = stream.copy.pipeline();
        assert_eq!(pipeline.stdin.as_deref(), Some(&b"0/x y\x000/-z"[..]));
        let text = pipeline.to_string();
        assert!(text.contains("--files-from=- --from0 --recursive") && !text.contains("delete"), "{text}");
    }
}
