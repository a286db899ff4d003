//! Everything that the screen shows, and nothing else.

use jiff::{SignedDuration, Timestamp};

use super::action::Action;
use super::dialog::{Confirm, Deed, Dialog};
use super::facts::{DRILL, DirectionFacts, EstateFacts, RunRow, RunbookFacts, ThemeFacts};
use super::keys::Keymap;
use super::line::Line;
use super::log::LogView;
use super::msg::Key;
use super::palette::Palette;
use super::pane::Pane;
use super::run_view::RunView;
use super::story::Story;
use super::tour::Tour;
use crate::health::{HealthState, Subject};
use crate::model::{HostName, RunId, SafeText, SiteName};
use crate::run::{Operator, RunPhase};
use crate::style::{Mark, Theme};

/// What the screen is about: what kind of world, and whether it is a rehearsal there. In every frame, and in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Badge {
    /// Real sites.
    Live,
    /// A rehearsal, in whatever world: it takes the place of [`Badge::Live`], and stands beside [`Badge::Simulated`].
    Drill,
    /// The simulated world of the demo.
    Simulated,
}

impl Badge {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Drill => "DRILL",
            Self::Simulated => "SIMULATED",
        }
    }
}

/// What the user chose, and what this terminal can do.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is chosen on its own")]
pub struct Settings {
    /// The look, with the colours that this terminal has.
    pub theme: Theme,
    /// The themes that there are.
    pub themes: Vec<ThemeFacts>,
    /// Only ASCII.
    pub ascii: bool,
    /// Nothing moves by itself but figures.
    pub reduced_motion: bool,
    /// The mouse is taken.
    pub mouse: bool,
    /// The bell rings when a person is needed.
    pub bell: bool,
    /// The desktop is told when a person is needed.
    pub notify: bool,
    /// Addresses are hidden.
    pub privacy: bool,
    /// The time zone of what is shown.
    pub zone: jiff::tz::TimeZone,
    /// The keys.
    pub keys: Keymap,
}

/// A line at the lower edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: SafeText,
    /// True when it is bad.
    pub bad: bool,
    /// When it goes.
    pub until: Timestamp,
}

/// A list of which one line is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The selected line.
    pub selected: usize,
    /// Only lines with this.
    pub filter: Option<String>,
}

/// The state of the screen.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not, whatever the others are")]
pub struct State {
    /// The estate.
    pub estate: EstateFacts,
    /// What kind of world, whatever is done there; what is shown of it are [`State::badges`].
    pub badge: Badge,
    /// This console only looks: nothing can be begun, stopped or answered from here, in whatever world.
    pub read_only: bool,
    /// Who sits here.
    pub by: Operator,
    /// What was chosen.
    pub settings: Settings,
    /// Width and height of the terminal.
    pub size: (u16, u16),
    /// The time.
    pub now: Timestamp,
    /// The time of the person at the keyboard.
    pub(super) wall: Timestamp,
    /// When the key before came.
    pub(super) last_key: Timestamp,
    /// How many keys in a row came faster than fingers.
    pub(super) burst: u8,
    /// Keys that may become a longer chord.
    pub typed: Vec<Key>,
    /// The pane that keys go to.
    pub focus: Pane,
    /// True while it has the whole screen.
    pub zoom: bool,
    /// The pane that is shown at the lower left.
    pub tab: Pane,
    /// Which way the estate goes.
    pub direction: DirectionFacts,
    /// What is known of both sites.
    pub health: HealthState,
    /// The site and the line that are selected there.
    pub at_site: (usize, usize),
    /// The service, host or tree that is looked at closely.
    pub detail: Option<(SiteName, Subject)>,
    /// The first line of that in sight.
    pub detail_top: u16,
    /// The runbooks.
    pub runbooks: Vec<RunbookFacts>,
    /// Which of them is selected.
    pub runbook: Choice,
    /// The runs, newest first.
    pub runs: Vec<RunRow>,
    /// True once they have been read.
    pub runs_read: bool,
    /// Which of them is selected.
    pub past: Choice,
    /// Which point is selected.
    pub point: Choice,
    /// The run that is looked at.
    pub run: Option<RunView>,
    /// Its log.
    pub log: LogView,
    /// A question or a text over the panes.
    pub dialog: Option<Dialog>,
    /// The palette.
    pub palette: Option<Palette>,
    /// A search or filter that is being typed.
    pub search: Option<Line>,
    /// A line at the lower edge.
    pub notice: Option<Notice>,
    /// The picture is held still.
    pub frozen: bool,
    /// The guided tour, in the demo.
    pub tour: Option<Tour>,
    /// The story that is told, in the demo.
    pub story: Option<Story>,
    /// How many times as fast as the person's the world's time goes.
    pub(super) haste: f64,
    /// The run that was looked away from: it is not opened again by itself.
    pub(super) let_go: Option<RunId>,
    /// A run was asked for, and it has not been told yet what came of that.
    pub(super) beginning: bool,
    /// A run that was asked to be opened for its question: that is put as soon as the run is there.
    pub(super) to_answer: Option<RunId>,
    /// When leaving was asked for the first time.
    pub(super) leaving: Option<Timestamp>,
    /// The terminal's title as it was set last.
    pub(super) title: SafeText,
}

impl State {
    /// The screen as it is before anything is known.
    #[must_use]
    pub fn new(estate: EstateFacts, badge: Badge, by: Operator, settings: Settings, now: Timestamp) -> Self {
        Self {
            estate,
            badge,
            read_only: false,
            by,
            settings,
            size: (80, 24),
            now,
            wall: now,
            last_key: Timestamp::UNIX_EPOCH,
            burst: 0,
            typed: Vec::new(),
            focus: Pane::Sites,
            zoom: false,
            tab: Pane::Runbooks,
            direction: DirectionFacts::default(),
            health: HealthState::default(),
            at_site: (0, 0),
            detail: None,
            detail_top: 0,
            runbooks: Vec::new(),
            runbook: Choice::default(),
            runs: Vec::new(),
            runs_read: false,
            past: Choice::default(),
            point: Choice::default(),
            run: None,
            log: LogView::default(),
            dialog: None,
            palette: None,
            search: None,
            notice: None,
            frozen: false,
            tour: None,
            story: None,
            haste: 1.0,
            let_go: None,
            beginning: false,
            to_answer: None,
            leaving: None,
            title: SafeText::default(),
        }
    }

    /// The world's time goes so many times as fast as the person's: what is meant for them takes as many times as long.
    pub fn hurry(&mut self, times: f64) {
        self.haste = times.max(1.0);
    }

    /// So many seconds of the person at the keyboard, in the world's time.
    pub(super) fn patience(&self, seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds).mul_f64(self.haste)
    }

    /// Tells something at the lower edge for some seconds.
    pub fn tell(&mut self, text: impl AsRef<str>, bad: bool) {
        let until = self.now.saturating_add(self.patience(8)).unwrap_or(self.now);
        self.notice = Some(Notice { text: SafeText::line(text.as_ref()), bad, until });
    }

    /// The key of an action as it is on this keyboard, or its name in the palette. Every text that names a key takes it
    /// from here.
    #[must_use]
    pub fn key_of(&self, action: Action) -> String {
        self.settings.keys.hint(action)
    }

    /// Gives a pane the focus.
    pub fn go(&mut self, pane: Pane) {
        self.focus = pane;
        if !matches!(pane, Pane::Sites | Pane::Log) {
            self.tab = pane;
        }
        self.detail = None;
    }

    /// True when what keys go to is a rehearsal: the runbook or the run that is asked about, otherwise the run in sight, until
    /// it has ended. After that the sites are themselves again, and nobody may take them for a rehearsal.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        let drills = |mode: &SafeText| mode.as_str() == DRILL;
        let book = |name: &SafeText| self.runbooks.iter().any(|book| book.name == *name && drills(&book.mode));
        match &self.dialog {
            Some(Dialog::Form(form)) => drills(&form.runbook.mode),
            Some(Dialog::Planning(request, _)) => book(&request.runbook),
            Some(Dialog::Start(start)) => drills(&start.runbook.mode),
            Some(Dialog::Confirm(Confirm { deed: Deed::Resume(run), .. })) => {
                let in_sight = self.run.as_ref().filter(|view| view.id == *run);
                let listed = self.runs.iter().any(|row| row.run == *run && drills(&row.mode));
                in_sight.map_or(listed, RunView::is_drill)
            }
            _ => self.run.as_ref().is_some_and(|run| run.is_drill() && !run.is_past()),
        }
    }

    /// The words for what the screen is about, each in a look of its own.
    #[must_use]
    pub fn badges(&self) -> &'static [Badge] {
        match (self.badge, self.is_drill()) {
            (Badge::Live, false) => &[Badge::Live],
            (Badge::Simulated, false) => &[Badge::Simulated],
            (Badge::Simulated, true) => &[Badge::Simulated, Badge::Drill],
            (Badge::Live, true) | (Badge::Drill, _) => &[Badge::Drill],
        }
    }

    /// The same in one text.
    #[must_use]
    pub fn badge_words(&self) -> String {
        self.badges().iter().map(|badge| badge.word()).collect::<Vec<_>>().join(" ")
    }

    /// What kind of world this is, and whether it is only looked at, in words.
    #[must_use]
    pub fn world(&self) -> String {
        let permission = if self.read_only { " READ-ONLY" } else { "" };
        format!("{}{permission}", self.badge_words())
    }

    /// The lines of a site: its services, its hosts, its exchange tree.
    #[must_use]
    pub fn subjects(&self, site: usize) -> Vec<&Subject> {
        let Some(site) = self.estate.sites.get(site) else { return Vec::new() };
        self.health.subjects(&site.name, self.now).into_iter().map(|(subject, _)| subject).collect()
    }

    /// The runbooks that pass the filter.
    #[must_use]
    pub fn shown_runbooks(&self) -> Vec<&RunbookFacts> {
        let passes = |book: &&RunbookFacts| passes(&self.runbook, &[&book.name, &book.title, &book.mode]);
        self.runbooks.iter().filter(passes).collect()
    }

    /// The runs that pass the filter.
    #[must_use]
    pub fn shown_runs(&self) -> Vec<&RunRow> {
        let passes = |run: &&RunRow| {
            let id = SafeText::line(run.run.as_str());
            passes(&self.past, &[&run.runbook, &run.title, &run.mode, &run.word, &run.by, &run.direction, &id])
        };
        self.runs.iter().filter(passes).collect()
    }

    /// The runs that have made a restore point and pass the filter.
    #[must_use]
    pub fn shown_points(&self) -> Vec<&RunRow> {
        let passes = |run: &&RunRow| {
            run.point.as_ref().is_some_and(|point| passes(&self.point, &[&point.id, &run.direction, &run.word]))
        };
        self.runs.iter().filter(passes).collect()
    }

    /// The hosts that what the log shows runs on: of the selected step, or of all of them.
    #[must_use]
    pub fn hosts_of_log(&self) -> Vec<HostName> {
        let Some(run) = &self.run else { return Vec::new() };
        run.hosts(if self.log.all { None } else { run.selected_step() }.as_ref())
    }

    /// The run whose process lives, by the list.
    #[must_use]
    pub fn alive(&self) -> Option<&RunRow> {
        self.runs.iter().find(|run| run.alive)
    }

    /// The run that goes on: the one in sight, which the list may not have yet, or the one whose process lives by the list.
    #[must_use]
    pub fn goes_on(&self) -> Option<&RunId> {
        let in_sight = self.run.as_ref().filter(|run| run.goes_on());
        in_sight.map(|run| &run.id).or_else(|| self.alive().map(|row| &row.run))
    }

    /// The run that waits for a person and is not in sight, by the list.
    #[must_use]
    pub fn waits_elsewhere(&self) -> Option<&RunRow> {
        let in_sight = self.run.as_ref().filter(|run| run.live).map(|run| &run.id);
        self.runs.iter().find(|row| row.alive && row.mark == Mark::Ask && in_sight != Some(&row.run))
    }

    /// The run that leaving would leave behind: one that goes on, in sight or not. The list may lag behind what the run in
    /// sight has told of its own end.
    #[must_use]
    pub fn left_behind(&self) -> Option<&RunId> {
        let in_sight = self.run.as_ref();
        let ended = in_sight.filter(|run| matches!(run.state.phase, RunPhase::Ended(_))).map(|run| &run.id);
        let mut alive = self.runs.iter().filter(|row| row.alive && ended != Some(&row.run)).map(|row| &row.run);
        in_sight.filter(|run| run.goes_on()).map(|run| &run.id).or_else(|| alive.next())
    }

    /// What the nonce of a question stands for besides the plan.
    #[must_use]
    pub fn observed(&self) -> String {
        let direction = self.direction.direction.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        let epoch = self.direction.epoch.map_or_else(|| "?".to_owned(), |epoch| epoch.to_string());
        let sites: Vec<String> = self
            .estate
            .sites
            .iter()
            .map(|site| format!("{} {}", site.name, super::view::verdict_word(self.health.site(&site.name, self.now))))
            .collect();
        format!("{direction}, epoch {epoch}, {}", sites.join(", "))
    }

    /// Usual durations for a run that is looked at.
    pub(super) fn know_usual(&mut self) {
        if let Some(run) = &mut self.run {
            let runbook = SafeText::line(run.state.plan.runbook.as_str());
            let others: Vec<RunRow> = self.runs.iter().filter(|row| row.run != run.id).cloned().collect();
            run.usual = super::facts::usual_stages(&others, &runbook);
            run.usual_all = super::facts::usual(&others, &runbook);
        }
    }
}

fn passes(choice: &Choice, texts: &[&SafeText]) -> bool {
    let Some(filter) = choice.filter.as_deref().filter(|filter| !filter.is_empty()) else { return true };
    let (wanted, invert) = filter.strip_prefix('!').map_or((filter, false), |rest| (rest, true));
    let wanted = wanted.to_lowercase();
    texts.iter().any(|text| text.as_str().to_lowercase().contains(&wanted)) != invert
}
