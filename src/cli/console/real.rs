//! The real world under the screen: asks both sites, reads the record, starts runs in processes of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::rows::{Rows, RunBooks};
use super::{ConsoleArgs, Ground, Order};
use crate::cli::args::Global;
use crate::cli::direction::{SiteSays, ask_sites, choose};
use crate::cli::live::Live;
use crate::cli::preview::{Looker, UnitPreview, extent, text};
use crate::cli::{App, CliError, Io, load};
use crate::console::Msg;
use crate::console::dialog::StartRequest;
use crate::console::facts::{DirectionFacts, Extent, PlanShown};
use crate::health::Watch;
use crate::model::{Direction, RunId, SafeText, SiteName};
use crate::port::Clock as _;
use crate::runbook::{Diagnostic, PlanRequest, Severity};
use crate::systems::catalogue;

/// How often the record is looked at.
const RECORD: Duration = Duration::from_secs(2);
/// How often the sites are asked for the direction.
const DIRECTION: Duration = Duration::from_secs(30);

/// The real world.
struct Real {
    app: App,
    live: Live,
    rows: Option<Rows>,
    tell: mpsc::UnboundedSender<Msg>,
    direction: Option<Direction>,
}

/// Wires the real world to a screen.
pub(super) fn ground(app: &App, args: &ConsoleArgs, live: Live) -> Ground {
    let (tell, tells) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let store = live.record.store.clone();
    // What is loaded for the screen must not print into it.
    let own = App { global: app.global.clone(), places: app.places.clone(), io: Io::silent(), catalogue: catalogue() };
    let (themes, preferences) = (super::settings::themes(app), super::settings::preferences(app, args));
    let real = Real { app: own, rows: Some(Rows::new(store.clone())), live, tell, direction: None };
    tokio::spawn(real.serve(ordered));
    Ground { tells, orders, store, own_time: false, themes, preferences }
}

impl Real {
    fn tell(&self, msg: Msg) {
        // The screen has gone: soon this is gone too.
        drop(self.tell.send(msg));
    }

    async fn serve(mut self, mut ordered: mpsc::UnboundedReceiver<Order>) {
        self.tell(Msg::Runbooks(RunBooks::read(&self.app, &self.live.record.estate)));
        self.read_record().await;
        let mut record = tokio::time::interval(RECORD);
        let mut direction = tokio::time::interval(DIRECTION);
        for interval in [&mut record, &mut direction] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let estate = Arc::clone(&self.live.record.estate);
        let (watch, mut looks) =
            Watch::start(self.live.world.clone(), self.live.clock.clone(), estate, &self.app.catalogue, None);
        let (asked, mut says) = mpsc::unbounded_channel();
        loop {
            tokio::select! {
                biased;
                order = ordered.recv() => match order {
                    None => return,
                    Some(Order::Refresh) => {
                        self.tell(Msg::Runbooks(RunBooks::read(&self.app, &self.live.record.estate)));
                        self.read_record().await;
                        self.ask(&asked);
                    }
                    Some(Order::Plan(request)) => self.plan(request),
                    Some(Order::Start(request)) => self.spawn(start_words(&request)),
                    Some(Order::Resume(run)) => self.spawn(vec!["resume".into(), run.to_string()]),
                    // In the real world nobody tells stories.
                    Some(Order::Story(_)) => {}
                },
                Some(said) = says.recv() => {
                    self.directed(&said);
                    if let Some(direction) = &self.direction {
                        watch.turn(direction);
                    }
                }
                Some(look) = looks.recv() => self.tell(Msg::Health(Box::new(look))),
                _ = record.tick() => self.read_record().await,
                _ = direction.tick() => self.ask(&asked),
            }
        }
    }

    /// Reads the list of runs, on a thread of its own: a disk may be slow.
    async fn read_record(&mut self) {
        let Some(mut rows) = self.rows.take() else { return };
        let read = tokio::task::spawn_blocking(move || {
            let read = rows.read();
            (rows, read)
        });
        match read.await {
            Ok((rows, read)) => {
                self.rows = Some(rows);
                match read {
                    Ok(runs) => self.tell(Msg::Runs(runs)),
                    Err(error) => self.tell(Msg::Told { text: SafeText::line(&error.to_string()), bad: true }),
                }
            }
            Err(error) => tracing::error!(%error, "the record could not be read"),
        }
    }

    /// Asks both sites which of them is active. A dead one is waited for here, and nowhere else.
    fn ask(&self, asked: &mpsc::UnboundedSender<Vec<(SiteName, SiteSays)>>) {
        let (world, estate, asked) = (self.live.world.clone(), Arc::clone(&self.live.record.estate), asked.clone());
        tokio::spawn(async move {
            let says = ask_sites(&*world, &estate).await;
            drop(asked.send(says));
        });
    }

    fn directed(&mut self, says: &[(SiteName, SiteSays)]) {
        let facts = direction_facts(&self.live.record.estate, says);
        self.direction.clone_from(&facts.direction);
        self.tell(Msg::Direction(Box::new(facts)));
    }

    /// Says what a runbook would do, without holding anything up.
    fn plan(&self, request: StartRequest) {
        let refused = |why: String| PlanShown {
            runbook: request.runbook.clone(),
            params: request.params.clone(),
            digest: None,
            text: SafeText::block(&why),
            losses: Vec::new(),
            unknown_losses: Vec::new(),
            findings: Vec::new(),
            extent: Extent::default(),
            at: self.live.clock.now(),
        };
        let Some(direction) = self.direction.clone() else {
            self.tell(Msg::Planned(Box::new(refused("the direction is not known yet".to_owned()))));
            return;
        };
        let planned = self.planned(&request, &direction);
        let (plan, looker) = match planned {
            Ok(both) => both,
            Err(error) => {
                let hints: Vec<&str> = error.hints.iter().map(SafeText::as_str).collect();
                let why = format!("{}\n{}\n{}", error.message, error.excerpts, hints.join("\n"));
                self.tell(Msg::Planned(Box::new(refused(why))));
                return;
            }
        };
        let (tell, clock) = (self.tell.clone(), self.live.clock.clone());
        tokio::spawn(async move {
            let previews = looker.look(&plan).await;
            let shown = shown(&request, &plan, &previews, clock.now());
            drop(tell.send(Msg::Planned(Box::new(shown))));
        });
    }

    fn planned(
        &self,
        request: &StartRequest,
        direction: &Direction,
    ) -> Result<(crate::runbook::Plan, Looker), CliError> {
        let estate = &self.live.record.estate;
        let (runbook, origin, _) = load::runbook(&self.app, estate, request.runbook.as_str())?;
        let planned = crate::runbook::plan(PlanRequest {
            runbook: &runbook,
            file: &format!("{}.toml", runbook.name),
            estate,
            direction,
            params: &request.params,
            kinds: &self.app.catalogue,
        });
        let (mut plan, _) = planned.map_err(|problems| CliError::invalid(cannot_be_planned(&problems)))?;
        plan.origin = Some(origin);
        let (run, point) = self.live.new_ids()?;
        let looker = Looker {
            reach: self.live.world.clone(),
            clock: self.live.clock.clone(),
            estate: Arc::clone(estate),
            catalogue: Arc::new(catalogue()),
            point,
            run,
        };
        Ok((plan, looker))
    }

    /// Starts this program again, in a process of its own that outlives the screen.
    fn spawn(&self, words: Vec<String>) {
        let (global, current, tell) = (self.app.global.clone(), self.app.places.current.clone(), self.tell.clone());
        tokio::spawn(async move {
            let started = detached(&global, current, words).await;
            drop(tell.send(Msg::Started(started)));
        });
    }
}

/// What the sites say, for the screen.
pub(in crate::cli) fn direction_facts(estate: &crate::estate::Estate, says: &[(SiteName, SiteSays)]) -> DirectionFacts {
    let epoch = says.iter().find_map(|(_, says)| match says {
        SiteSays::Record(record) => Some(record.epoch.0),
        _ => None,
    });
    let silent = says.iter().find_map(|(site, says)| match says {
        SiteSays::Unknown(why) => Some(SafeText::line(&format!("{site} does not say which site is active: {why}"))),
        _ => None,
    });
    match choose(estate, says, None) {
        Ok(direction) => DirectionFacts { direction: Some(direction), epoch, trouble: silent },
        Err(why) => DirectionFacts { direction: None, epoch, trouble: Some(SafeText::line(&why.to_string())) },
    }
}

/// Everything that keeps a runbook from being planned, each with its place and what to do.
pub(in crate::cli) fn cannot_be_planned(problems: &[Diagnostic]) -> String {
    let said = problems.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| {
        let hint = problem.hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
        format!("\n{}: {}{hint}", problem.path, problem.message)
    });
    format!("it cannot be planned:{}", said.collect::<String>())
}

/// A plan and what is known of it, for the screen.
pub(in crate::cli) fn shown(
    request: &StartRequest,
    plan: &crate::runbook::Plan,
    previews: &[UnitPreview],
    at: jiff::Timestamp,
) -> PlanShown {
    let bad = previews
        .iter()
        .flat_map(|preview| preview.findings.iter().filter(|finding| finding.bad).map(|finding| finding.text.clone()));
    PlanShown {
        runbook: request.runbook.clone(),
        params: request.params.clone(),
        digest: Some(plan.digest().as_str().to_owned()),
        text: SafeText::block(&text(plan, previews)),
        losses: previews.iter().flat_map(|preview| preview.losses.clone()).collect(),
        unknown_losses: previews.iter().filter_map(UnitPreview::unknown_loss).collect(),
        findings: bad.collect(),
        extent: extent(plan, previews),
        at,
    }
}

fn start_words(request: &StartRequest) -> Vec<String> {
    let params: &BTreeMap<String, String> = &request.params;
    let mut words = vec!["run".to_owned(), request.runbook.to_string()];
    for (name, value) in params {
        words.extend(["--param".to_owned(), format!("{name}={value}")]);
    }
    if let Some(digest) = &request.plan {
        words.extend(["--plan".to_owned(), digest.clone()]);
    }
    words
}

/// Starts a detached run. Returns its id once it is on record.
async fn detached(global: &Global, current: PathBuf, words: Vec<String>) -> Result<RunId, SafeText> {
    let failed = |what: &str, error: &dyn std::fmt::Display| SafeText::line(&format!("cannot {what}: {error}"));
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let mut command = tokio::process::Command::new(program);
    for (option, value) in
        [("--estate", &global.estate), ("--runbook-dir", &global.runbook_dir), ("--state-dir", &global.state_dir)]
    {
        if let Some(value) = value {
            command.arg(option).arg(value);
        }
    }
    command.args(words).args(["--detach", "--through", "console"]).current_dir(current).stdin(Stdio::null());
    // Not in this terminal's foreground group: what stops or closes the screen does not reach it.
    command.process_group(0);
    let output = command.output().await.map_err(|error| failed("start a process for the run", &error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match RunId::new(said.trim()) {
        Ok(run) if output.status.success() => Ok(run),
        _ => Err(SafeText::bytes(&[output.stderr, output.stdout].concat())),
    }
}
