//! `changeover status --watch`: asks on and on, and shows what changes. On a terminal the table is drawn anew in its
//! place; elsewhere each change of a verdict is a line (with `--json`: an object a line).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthChar;

use super::health::View;
use super::{App, CliError, Exit, Live, StatusArgs, health_exit};
use crate::cli::direction::{SiteSays, ask_sites, choose};
use crate::estate::Estate;
use crate::health::{Around, HealthState, ProbeHealth, ProbeKey, Verdict, Watch, plan, unseen};
use crate::model::{Direction, SiteName};
use crate::port::{Clock as _, Reach};
use crate::style::Look;

/// Between two looks at which way the direction goes.
const DIRECTION: Duration = Duration::from_secs(30);
/// The table is drawn at most this often.
const DRAW: Duration = Duration::from_secs(1);

pub(super) async fn follow(
    app: &mut App,
    live: &Live,
    args: &StatusArgs,
    direction: Direction,
) -> Result<Exit, CliError> {
    let estate = Arc::clone(&live.record.estate);
    let plan = plan(&estate, &app.catalogue);
    let mut shown = Shown {
        state: unseen(&plan),
        direction,
        told: BTreeMap::new(),
        rows: 0,
        in_place: app.io.is_terminal && !args.json,
    };
    let around = Around { reach: live.world.clone(), clock: live.clock.clone(), estate: Arc::clone(&estate) };
    let (watch, mut looks) = Watch::over(plan, &around, shown.direction.clone());
    let (sender, mut turns) = mpsc::channel(1);
    let (world, asked): (Arc<dyn Reach>, _) = (live.world.clone(), Arc::clone(&estate));
    // In a task of its own: a site that hangs must not hold up what is shown of the other.
    let asking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(DIRECTION).await;
            if sender.send(ask_sites(&*world, &asked).await).await.is_err() {
                return;
            }
        }
    });
    let mut draw = tokio::time::interval(DRAW);
    draw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            stop = tokio::signal::ctrl_c() => {
                stop?;
                break;
            }
            Some(says) = turns.recv() => shown.turn(&estate, &watch, &says),
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
                    shown.tell_stale(app, args.json, &estate, now)?;
                }
            }
        }
    }
    asking.abort();
    let now = live.clock.now();
    let view = View { state: &shown.state, estate: &estate, direction: &shown.direction, now };
    Ok(health_exit(view.worst()))
}

/// What was shown so far.
struct Shown {
    state: HealthState,
    direction: Direction,
    /// The verdicts that were told.
    told: BTreeMap<ProbeKey, Verdict>,
    /// How many lines of the terminal the last table took.
    rows: usize,
    in_place: bool,
}

impl Shown {
    fn turn(&mut self, estate: &Estate, watch: &Watch, says: &[(SiteName, SiteSays)]) {
        // Sites that disagree are told by `changeover status`; until they agree, what was known goes on.
        if let Ok(direction) = choose(estate, says, None) {
            watch.turn(&direction);
            self.direction = direction;
        }
    }

    fn draw(&mut self, app: &mut App, estate: &Estate, now: Timestamp) -> Result<(), CliError> {
        let colour = app.io.colour;
        let look = Look { attributes: colour, color: colour, ascii: false };
        let view = View { state: &self.state, estate, direction: &self.direction, now };
        let lines: Vec<String> = view.lines(look).iter().map(|line| fitting(line, app.io.width)).collect();
        let out = &mut app.io.out;
        if self.rows > 0 {
            // Up to where the last table began, and everything below it away: only lines of our own.
            write!(out, "\x1b[{}F\x1b[J", self.rows)?;
        }
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        self.rows = lines.len();
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
    fn a_line_takes_one_row_and_keeps_its_colours() {
        assert_eq!(fitting("abcdef", 10), "abcdef");
        assert_eq!(fitting("abcdef", 4), "abc");
        assert_eq!(fitting("\x1b[31mabcdef\x1b[0m", 4), "\x1b[31mabc\x1b[0m");
        assert_eq!(fitting("a語語語", 5), "a語");
    }
}
