//! A monkey at three in the morning: nothing that is hard to take back happens by chance.

use super::chance::{go_on, wanted};
use super::made::*;
use super::picture::drawn;
use crate::console::dialog::Dialog;
use crate::console::{Effect, Pane, State};
use crate::run::{Answer, PromptAnswer, PromptKind, RunCommand};

/// How an effect is guarded: 2 for what moves traffic or replaces data, 1 for what changes something else, 0 for looks.
pub fn level(state: &State, effect: &Effect) -> u8 {
    match effect {
        Effect::Start(request) => {
            state.runbooks.iter().find(|book| book.name == request.runbook).map_or(4, |book| book.level)
        }
        Effect::Command(RunCommand::Answer(Answer { prompt, answer: PromptAnswer::Proceed, .. })) => {
            let asked = state.run.as_ref().and_then(|run| run.state.open_prompts().find(|open| open.id == *prompt));
            if asked.is_none_or(|asked| asked.phrase.is_some()) { 2 } else { 1 }
        }
        Effect::Resume(run) => state
            .run
            .as_ref()
            .filter(|view| view.id == *run)
            .map_or(4, |view| crate::console::facts::level(view.state.plan.mode)),
        Effect::Command(_) => 1,
        _ => 0,
    }
}

fn beginnings() -> Vec<State> {
    let confirm = || asks(restored(), PromptKind::Confirm, Some("restart bcp 7f3a"));
    let mut answering = with_run(confirm(), true);
    press(&mut answering, "a");
    let mut nearly = start_dialog("failover");
    let almost = phrase(&nearly);
    // All but the four letters that stand for the plan and the sites.
    typed(&mut nearly, &almost[..almost.len() - 4], 100);
    let mut books = full();
    books.go(Pane::Runbooks);
    books.runbook.selected = 1;
    let beginnings = vec![
        start_dialog("restore"),
        start_dialog("failover"),
        answering,
        nearly,
        books,
        with_run(confirm(), true),
        with_run(failed(), false),
        super::story::playing(),
    ];
    assert!(matches!(beginnings[0].dialog, Some(Dialog::Start(_))));
    assert!(matches!(beginnings[2].dialog, Some(Dialog::Answer(_))));
    beginnings
}

#[test]
fn a_hundred_thousand_keys_do_nothing_of_level_two() {
    let mut chance = fastrand::Rng::with_seed(0x3a3a);
    let beginnings = beginnings();
    let (mut round, mut looked, mut questions) = (0, 0, 0);
    while round * 50 < 100_000 {
        let mut state = beginnings[round % beginnings.len()].clone();
        go_on(&mut chance, &mut state, 50, |before, effect| {
            looked += 1;
            questions += u32::from(wanted(before).len() > 1);
            let level = level(before, effect);
            assert!(level < 2, "round {round}: {effect:?}\nin {:?}", before.dialog);
        });
        round += 1;
        if round % 100 == 0 {
            drawn(&state, (chance.u16(1..=300), chance.u16(1..=100)));
        }
    }
    assert!(looked > 5_000 && questions > 100, "the monkey did too little: {looked} effects, {questions} questions");
}
