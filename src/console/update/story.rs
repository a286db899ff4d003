//! What there is in the simulated world only: the guided tour, and stories. Both look at what has happened to the state,
//! whatever key or message that came of.

use jiff::Timestamp;

use super::log::fit;
use crate::console::action::Action;
use crate::console::dialog::Dialog;
use crate::console::msg::{Effect, Msg};
use crate::console::run_view::since;
use crate::console::state::{Badge, State};
use crate::console::story::{Story, StoryNews, StoryOrder, StoryPhase};
use crate::console::tour::Tour;
use crate::health::{Subject, Verdict};
use crate::model::{SafeText, SiteName};

/// What a message came upon.
pub(super) struct Seen {
    /// What was looked at.
    detail: Option<(SiteName, Subject)>,
    /// True when a person sends it.
    by_hand: bool,
    /// When leaving was asked for the first time.
    leaving: Option<Timestamp>,
}

impl Seen {
    pub(super) fn by(state: &State, msg: &Msg) -> Self {
        Self {
            detail: state.story.as_ref().and_then(|_| state.detail.clone()),
            by_hand: matches!(msg, Msg::Key(_) | Msg::Mouse { .. }),
            leaving: state.leaving,
        }
    }

    /// True for a key or a click of somebody who stays.
    fn is_playing(&self, state: &State, effects: &[Effect]) -> bool {
        let leaves =
            state.leaving != self.leaving || effects.iter().any(|effect| matches!(effect, Effect::Quit { .. }));
        self.by_hand && !leaves
    }
}

pub(super) fn begin_tour(state: &mut State, effects: &mut Vec<Effect>) {
    // It asks to begin a run, which nobody can do who only looks.
    if state.badge == Badge::Simulated && state.story.is_none() && !state.read_only {
        state.tour = Some(Tour::begin(state.now));
        // Its line takes one from the panes.
        fit(state, effects);
    }
}

pub(super) fn on_news(state: &mut State, news: StoryNews) {
    match news {
        StoryNews::Briefed(briefing) if state.badge == Badge::Simulated => {
            state.tour = None;
            state.story = Some(Story { briefing: *briefing, phase: StoryPhase::Briefing });
            show(state);
        }
        StoryNews::Over { card, won } => {
            let now = state.now;
            let Some(story) = &mut state.story else { return };
            let took = match story.phase {
                StoryPhase::Playing(from) => since(from, now),
                _ => std::time::Duration::ZERO,
            };
            story.phase = StoryPhase::Over { took, card, won };
            state.palette = None;
            state.search = None;
            show(state);
        }
        StoryNews::Briefed(_) => {}
    }
}

/// Shows the briefing, or the card once it is over.
fn show(state: &mut State) {
    let Some(story) = &state.story else { return };
    let name = &story.briefing.name;
    let (title, text) = match &story.phase {
        StoryPhase::Over { card, .. } => (format!("SIMULATED: how {name} went"), card.clone()),
        _ => (format!("SIMULATED: {name}"), story.briefing.text.clone()),
    };
    state.dialog = Some(Dialog::Text { title: SafeText::line(&title), text, top: 0 });
}

/// The actions that are there in the simulated world only.
pub(super) fn in_demo(state: &mut State, action: Action, argument: &str, effects: &mut Vec<Effect>) {
    let plays = state.story.as_ref().map(|story| matches!(story.phase, StoryPhase::Playing(_)));
    match (action, plays) {
        (Action::Tour, None) if state.read_only => {
            state.tell("the tour begins a run, and this console only looks", false);
        }
        (Action::Tour, None) => begin_tour(state, effects),
        (Action::Tour, Some(_)) => state.tell("there is no tour in a story", false),
        (Action::TourOff, _) if state.tour.take().is_some() => {
            state.tell(format!("the tour has ended; {} begins it again", state.key_of(Action::Tour)), false);
            fit(state, effects);
        }
        (Action::TourOff, _) => state.tell("no tour is going on", false),
        (_, None) => state.tell("no story is told: `changeover demo --scenario NAME` tells one", false),
        (Action::Note, Some(true)) => {
            effects.push(Effect::Story(StoryOrder::Note(SafeText::line(argument))));
            state.tell("noted", false);
        }
        (Action::Note, Some(false)) => state.tell("the story does not go on: nothing is noted", false),
        _ => show(state),
    }
}

/// Looks at what has become of the state: a briefing that was closed lets the story begin, a key was pressed in it, the
/// detail of something that is not well was opened, and the tour may be further on.
pub(super) fn after(state: &mut State, before: &Seen, effects: &mut Vec<Effect>) {
    if let Some(mut tour) = state.tour.take() {
        tour.advance(state);
        state.tour = Some(tour);
    }
    let looked = state.detail.clone().filter(|detail| before.detail.as_ref() != Some(detail));
    let plays = before.is_playing(state, effects);
    let Some(story) = &mut state.story else { return };
    match story.phase {
        StoryPhase::Briefing if state.dialog.is_none() => {
            story.phase = StoryPhase::Playing(state.now);
            effects.push(Effect::Story(StoryOrder::Begin));
        }
        StoryPhase::Playing(_) => {
            if plays {
                // Before what came of it: nobody acts before they have pressed the key.
                effects.insert(0, Effect::Story(StoryOrder::Key));
            }
            let Some((site, subject)) = looked else { return };
            let verdict = state.health.of(&site, &subject).map(|(_, probe)| probe.verdict(state.now)).max();
            if let Some(verdict) = verdict.filter(|verdict| *verdict != Verdict::Up) {
                let word = crate::console::view::verdict_word(verdict);
                let text = SafeText::line(&format!("looks at {subject} of {site}, which is {word}"));
                effects.push(Effect::Story(StoryOrder::Note(text)));
            }
        }
        _ => {}
    }
}
