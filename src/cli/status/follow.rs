//! `changeover status --watch`: asks on and on, and shows what changes. On a terminal all that `status` prints is drawn anew
//! in its place; elsewhere each change of a verdict or of the direction is a line (with `--json`: an object a line).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use terminal_size::{Height, Width, terminal_size};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthChar;

use super::health::View;
use super::{App, CliError, Exit, Live, StatusArgs, Summary, estates_own};
use crate::cli::direction::{NoDirection, SiteSays, ask_for_one, ask_sites};
use crate::estate::Estate;
use crate::health::{Around, HealthState, ProbeHealth, ProbeKey, Verdict, Watch, plan, unseen};
use crate::model::{Direction, SafeText, SiteName};
use crate::port::{Clock as _, Reach};
use crate::style::Look;

/// So long the first looks wait for a site that knows the direction: what is right at either end depends on it.
const FIRST: Duration = Duration::from_secs(3);
/// Between two questions which way the direction goes.
const DIRECTION: Duration = Duration::from_secs(30);
/// Between two looks at the record of this machine.
const RECORD: Duration = Duration::from_secs(10);
/// The table is drawn at most this often.
const DRAW: Duration = Duration::from_secs(1);

pub(super) async fn follow(app: &mut App, live: &Live, args: &StatusArgs) -> Result<Exit, CliError> {
    let estate = Arc::clone(&live.record.estate);
    let says = ask_for_one(&*live.world, &estate, FIRST).await;
    let summary = Summary::read(live, says)?;
    let direction = match &summary.chosen {
        Ok(direction) => direction.clone(),
        Err(_) => estates_own(&estate)?,
    };
    let plan = plan(&estate, &app.catalogue);
    let mut shown = Shown {
        state: unseen(&plan),
        direction,
        summary,
        told: BTreeMap::new(),
        told_direction: None,
        rows: 0,
        room: None,
        in_place: app.io.is_terminal && !args.json,
    };
    let around = Around { reach: live.world.clone(), clock: live.clock.clone(), estate: Arc::clone(&estate) };
    let (watch, mut looks) = Watch::over(plan, &around, shown.direction.clone());
    let (sender, mut turns) = mpsc::channel(1);
    let (world, asked): (Arc<dyn Reach>, _) = (live.world.clone(), Arc::clone(&estate));
    // In a task of its own: a site that hangs must not hold up what is shown of the other.
    let asking = tokio::spawn(async move {
        while sender.send(ask_sites(&*world, &asked).await).await.is_ok() {
            tokio::time::sleep(DIRECTION).await;
        }
    });
    let cannot_hear = |error| CliError::new(Exit::Failed, format!("the terminal's size cannot be followed: {error}"));
    // Heard from here on: what comes while something is drawn is not lost.
    let mut stopped = signal(SignalKind::interrupt())?;
    let mut resized = signal(SignalKind::window_change()).map_err(cannot_hear)?;
    let mut draw = tokio::time::interval(DRAW);
    draw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut record = tokio::time::interval_at(tokio::time::Instant::now() + RECORD, RECORD);
    record.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.recv() => break,
            _ = resized.recv(), if shown.in_place => shown.draw(app, &estate, live.clock.now())?,
            Some(says) = turns.recv() => shown.turn(live, &watch, says)?,
            look = looks.recv() => match look {
                Some(look) => {
                    shown.state.apply(&look);
                    if !shown.in_place {
                        shown.tell(app, args.json, &estate, &look.key, live.clock.now())?;
                    }
                }
                None => break,
            },
            _ = draw.tick() => {
                let now = live.clock.now();
                if shown.in_place {
                    shown.draw(app, &estate, now)?;
                } else {
                    shown.tell_direction(app, args.json, now)?;
                    shown.tell_stale(app, args.json, &estate, now)?;
                }
            }
            _ = record.tick(), if shown.in_place => {
                let says = std::mem::take(&mut shown.summary.says);
                shown.summary = Summary::read(live, says)?;
            }
        }
    }
    asking.abort();
    Ok(shown.summary.exit(&shown.view(&estate, live.clock.now())))
}

/// What was shown so far.
struct Shown {
    state: HealthState,
    /// What the health is judged by: what the sites say as long as they agree.
    direction: Direction,
    summary: Summary,
    /// The verdicts that were told.
    told: BTreeMap<ProbeKey, Verdict>,
    /// The direction that was told.
    told_direction: Option<Result<Direction, NoDirection>>,
    /// How many lines of the terminal the last table took.
    rows: usize,
    /// How large the terminal was then, in columns and rows.
    room: Option<(usize, usize)>,
    in_place: bool,
}

impl Shown {
    fn view<'a>(&'a self, estate: &'a Estate, now: Timestamp) -> View<'a> {
        View { state: &self.state, estate, direction: &self.direction, now }
    }

    fn turn(&mut self, live: &Live, watch: &Watch, says: Vec<(SiteName, SiteSays)>) -> Result<(), CliError> {
        self.summary = Summary::read(live, says)?;
        // While they disagree the looks go on by the last direction that they agreed on; that there is none is shown.
        if let Ok(direction) = &self.summary.chosen {
            watch.turn(direction);
            self.direction.clone_from(direction);
        }
        Ok(())
    }

    fn draw(&mut self, app: &mut App, estate: &Estate, now: Timestamp) -> Result<(), CliError> {
        let colour = app.io.colour;
        let look = Look { attributes: colour, color: colour, ascii: false };
        let room @ (width, height) = room(app);
        let is_as_before = self.room.replace(room) == Some(room);
        let view = self.view(estate, now);
        let head = self.summary.lines(&view);
        let mut lines = [head.clone(), view.lines(look)].concat();
        if lines.len() >= height {
            lines = [head, view.trouble(look)].concat();
        }
        let lines: Vec<String> = cropped(lines, height).iter().map(|line| fitting(line, width)).collect();
        let out = &mut app.io.out;
        if self.rows > 0 && !is_as_before {
            // It may have wrapped the last table anew: nobody knows where that begins.
            write!(out, "\x1b[H\x1b[J")?;
        } else if self.rows > 0 {
            // Up to where the last table began: only lines of our own.
            write!(out, "\x1b[{}F", self.rows)?;
        }
        for line in &lines {
            writeln!(out, "{line}\x1b[K")?;
        }
        // Not before: a whole screen that is wiped at once goes into the history of some terminals.
        write!(out, "\x1b[J")?;
        out.flush()?;
        self.rows = lines.len();
        Ok(())
    }

    /// Tells which way the direction goes, or why nobody can say, when that is another word than the last one.
    fn tell_direction(&mut self, app: &mut App, as_json: bool, now: Timestamp) -> Result<(), CliError> {
        let chosen = &self.summary.chosen;
        if self.told_direction.as_ref() == Some(chosen) {
            return Ok(());
        }
        let out = &mut app.io.out;
        match chosen {
            _ if as_json => {
                let refused = chosen.as_ref().err().map(NoDirection::to_string);
                let object = json!({ "at": now, "direction": chosen.as_ref().ok(), "refused": refused });
                writeln!(out, "{object}")?;
            }
            Ok(direction) => writeln!(out, "{now:.0} {} ==> {}", direction.source, direction.target)?,
            Err(problem) => writeln!(out, "{now:.0} NO DIRECTION: {}", SafeText::line(&problem.to_string()))?,
        }
        out.flush()?;
        self.told_direction = Some(chosen.clone());
        Ok(())
    }

    /// Tells which verdicts have changed because nobody answers any more.
    fn tell_stale(&mut self, app: &mut App, as_json: bool, estate: &Estate, now: Timestamp) -> Result<(), CliError> {
        let told: Vec<ProbeKey> = self.told.keys().cloned().collect();
        told.iter().try_for_each(|key| self.tell(app, as_json, estate, key, now))
    }

    /// Tells the verdict of a probe when it is another one than was told.
    fn tell(
        &mut self,
        app: &mut App,
        as_json: bool,
        estate: &Estate,
        key: &ProbeKey,
        now: Timestamp,
    ) -> Result<(), CliError> {
        let Some(probe) = self.state.probes().get(key) else { return Ok(()) };
        let verdict = probe.verdict(now);
        let before = self.told.insert(key.clone(), verdict);
        if before == Some(verdict) {
            return Ok(());
        }
        let out = &mut app.io.out;
        if as_json {
            let view = View { state: &self.state, estate, direction: &self.direction, now };
            let object = json!({ "at": now, "site": key.site, "before": before, "probe": view.probe_json(key, probe) });
            writeln!(out, "{object}")?;
        } else {
            writeln!(out, "{now:.0} {}", changed(key, probe, before, now))?;
        }
        out.flush()?;
        Ok(())
    }
}

/// The verdict of a probe in words, with the one before and the first reason.
pub(in crate::cli) fn changed(key: &ProbeKey, probe: &ProbeHealth, before: Option<Verdict>, now: Timestamp) -> String {
    let ProbeKey { site, subject, question } = key;
    let came = before.map_or_else(String::new, |before| format!("{} -> ", before.word()));
    let why = probe.reasons(now).into_iter().next().or_else(|| Some(probe.reading.as_ref()?.summary.clone()));
    let why = why.map_or_else(String::new, |why| format!(": {}", why.as_str().lines().next().unwrap_or_default()));
    format!("{site} {subject} {question}: {came}{}{why}", probe.verdict(now).word())
}

/// The columns and rows that the terminal has now. Not the width that the environment tells: a line that is too long for
/// the terminal takes two rows of it.
fn room(app: &App) -> (usize, usize) {
    match terminal_size() {
        Some((Width(width), Height(height))) => (width.into(), height.into()),
        None => (app.io.width, app.io.height.unwrap_or(usize::MAX)),
    }
}

/// As many lines as a terminal of `height` rows shows with the cursor below them: the first ones and the last, and how many
/// are left out between them.
fn cropped(mut lines: Vec<String>, height: usize) -> Vec<String> {
    let room = height.saturating_sub(1).max(3);
    if lines.len() > room {
        let left_out = lines.len() - (room - 1);
        lines.splice(room - 2..lines.len() - 1, [format!("… {left_out} more lines: make the terminal higher")]);
    }
    lines
}

/// A line cut to the width of the terminal, so that it never takes two rows. Colour sequences take no room.
fn fitting(line: &str, width: usize) -> String {
    let (mut out, mut used, mut escape) = (String::new(), 0, false);
    for c in line.chars() {
        if c == '\x1b' {
            escape = true;
        }
        if escape {
            out.push(c);
            escape = c != 'm';
            continue;
        }
        used += c.width().unwrap_or(0);
        if used < width {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_never_takes_more_rows_than_there_are() {
        let lines = |count: usize| (1..=count).map(|line| line.to_string()).collect::<Vec<_>>();
        assert_eq!(cropped(lines(9), 10), lines(9));
        assert_eq!(
            cropped(lines(9), 9),
            ["1", "2", "3", "4", "5", "6", "… 2 more lines: make the terminal higher", "9"]
        );
        assert_eq!(cropped(lines(9), 1), ["1", "… 7 more lines: make the terminal higher", "9"]);
        assert_eq!(cropped(lines(2), 1), lines(2));
        assert_eq!(cropped(lines(9), usize::MAX), lines(9));
    }

    #[test]
    fn a_line_takes_one_row_and_keeps_its_colours() {
        assert_eq!(fitting("abcdef", 10), "abcdef");
        assert_eq!(fitting("abcdef", 4), "abc");
        assert_eq!(fitting("\x1b[31mabcdef\x1b[0m", 4), "\x1b[31mabc\x1b[0m");
        assert_eq!(fitting("a語語語", 5), "a語");
    }
}
