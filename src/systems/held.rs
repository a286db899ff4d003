//! Which restore points a site holds, as the folders of its exchange tree show them. It only looks, and opens nothing.

use std::time::Duration;

use super::StepContext;
use super::remote::path_arg;
use crate::model::{Failure, FailureKind, PointId};
use crate::points::Tree;
use crate::port::{Command, Pipeline, Place};

/// A point as its folder shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointSeen {
    /// Its name.
    pub id: PointId,
    /// The completion marker is there.
    pub complete: bool,
    /// A file `PINNED` is there: somebody wants to keep it.
    pub pinned: bool,
    /// When something in its folder was added, removed or renamed last: seconds since 1970.
    pub changed: i64,
}

/// The newest complete point.
#[must_use]
pub fn newest_complete(points: &[PointSeen]) -> Option<&PointId> {
    points.iter().filter(|point| point.complete).map(|point| &point.id).max()
}

/// The points of a tree, oldest first; none when the tree is not there yet.
///
/// # Errors
/// When the host cannot be asked, or a folder cannot be read.
pub async fn points(cx: &StepContext, place: &Place, tree: &Tree) -> Result<Vec<PointSeen>, Failure> {
    let folder = path_arg(&tree.points())?;
    let depth = ["-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%T@ %f\\0"];
    let folders = found(cx, place, &folder, &depth).await?;
    let depth = ["-mindepth", "2", "-maxdepth", "2", "-type", "f", "(", "-name", "COMPLETE", "-o", "-name", "PINNED"];
    let marks = found(cx, place, &folder, &[&depth[..], &[")", "-printf", "%P\\0"]].concat()).await?;
    let marked = |point: &PointId, mark: &str| marks.contains(&format!("{point}/{mark}"));
    let mut points = Vec::new();
    for record in folders {
        let Some((time, name)) = record.split_once(' ') else { continue };
        // Anything else there is not ours.
        let Ok(id) = PointId::new(name) else { continue };
        let seconds = time.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(i64::MAX);
        let (complete, pinned) = (marked(&id, "COMPLETE"), marked(&id, "PINNED"));
        points.push(PointSeen { id, complete, pinned, changed: seconds });
    }
    points.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(points)
}

/// Records that `find` prints of a folder (each ends with NUL); none when the folder is not there.
///
/// # Errors
/// When the host cannot be asked, or a part of the folder cannot be read.
pub async fn found(cx: &StepContext, place: &Place, folder: &str, expression: &[&str]) -> Result<Vec<String>, Failure> {
    let find = Command::new("find").arg(folder).args(expression.iter().copied()).env("LC_ALL", "C");
    let find = Pipeline::from(find);
    let tried = format!("run {find}");
    let output = cx.reach.exec(place, &find, Duration::from_mins(1)).await;
    let output = output.map_err(|error| error.while_reading(&tried))?;
    if output.is_success() && !output.truncated {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return Ok(text.split_terminator('\0').map(str::to_owned).collect());
    }
    let complaint = output.complaint(&find);
    // Only when it is the folder itself: a thing in it that vanished meanwhile must not make the rest look absent.
    if complaint.contains(&format!("'{folder}': No such file or directory")) {
        return Ok(Vec::new());
    }
    Err(Failure::new(FailureKind::Refused, format!("{tried} on {place}"), complaint))
}
