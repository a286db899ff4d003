use super::*;
use crate::model::RunId;
use crate::scenario::{Counting, RunFact, Stir, StirKind, TruthFacts};
use crate::world::{Fault, Spec};

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn truth(items: &[&str]) -> Truth {
    Truth { items: items.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect() }
}

fn scenario() -> Scenario {
    let source = crate::scenario::shipped("source-dies").expect("it is shipped");
    crate::scenario::examine(&source, &["replicate"]).into_result().expect("a good scenario").0
}

fn facts() -> Facts {
    let run = |began: u64, ended: u64, runbook: &str, done: bool| RunFact {
        run: RunId::new(format!("r-{began}")).expect("an id"),
        runbook: runbook.to_owned(),
        began: second(began),
        ended: second(ended),
        outcome: if done { "done" } else { "failed" }.to_owned(),
        done,
        restores: true,
        well: true,
    };
    let news = |at: u64, kind, words: &str| News { at: second(at), kind, words: words.to_owned() };
    let action = |at: u64, act, got| Action { at: second(at), act, got };
    let answer = |line: &str| Act::Answer(line.to_owned());
    let restore = Act::Run("restore".to_owned().try_into().expect("a name"));
    Facts {
        epoch: "2026-03-01T02:00:00Z".parse().expect("a time"),
        sites: Spec::sites(),
        struck: vec![(second(120), Fault::SiteDown { site: Spec::sites()[0].clone() })],
        news: vec![
            news(100, NewsKind::Retried, "before anything broke"),
            news(125, NewsKind::Said, "s/a@prod said: prod does not answer; asking again"),
            news(130, NewsKind::Retried, "s/a@prod failed and was tried again"),
            news(140, NewsKind::Asked, "s/a@prod asked"),
            news(170, NewsKind::Ended, "replicate ended: failed"),
        ],
        actions: vec![
            action(150, answer("yes"), Some(Got::Refused("that is no answer".to_owned()))),
            action(160, answer("stop"), Some(Got::Effect)),
            action(180, restore, Some(Got::Effect)),
        ],
        person: None,
        runs: vec![run(100, 170, "replicate", false), run(180, 300, "restore", true)],
        over: second(300),
        left: false,
        truth: TruthFacts {
            lost_at: Some(second(120)),
            promised: truth(&["search/o/1", "search/o/2", "sql/s.o/1", "sql/s.o/2", "sql/s.o/3", "files/a"]),
            held: truth(&["search/o/1", "sql/s.o/1", "sql/s.o/2", "files/a"]),
            newest: Some((second(20), truth(&["search/o/1", "sql/s.o/1", "files/a"]))),
            whole: true,
        },
    }
}

#[test]
fn a_story_is_scored_from_the_first_thing_that_broke() {
    let text = Card::of(&scenario(), &facts()).text();
    let expected = "\
source-dies: The active site goes dark in the middle of a copy

  broke        02:02:00  site prod goes dark: every host and every server of it
  noticed      02:02:05  after 5s: s/a@prod said: prod does not answer
  decided      02:02:40  after 40s: the operator answers `stop`
  acted        02:02:40  after 40s: the operator answers `stop`
  done         02:05:00  after 3m: bcp serves a whole copy, by restore
  green        02:05:00  after 3m: bcp is well, with a whole copy
  data lost    1 document, 1 row: prod had them, bcp has not
               nothing better was possible: the newest whole copy was 1m40s old then
  wrong turns  02:02:30  answers `yes`: refused: that is no answer
";
    assert_eq!(text, expected);
}

#[test]
fn what_was_possible_is_said_when_it_was_better() {
    let mut facts = facts();
    facts.truth.newest = Some((second(110), truth(&["search/o/1", "search/o/2", "sql/s.o/1", "sql/s.o/2", "files/a"])));
    let card = Card::of(&scenario(), &facts);
    assert_eq!(card.loss.best, [("rows".to_owned(), 1)].into());
    assert!(card.text().contains("possible was: 1 row (the newest whole copy was 10s old then)"), "{}", card.text());
}

#[test]
fn each_way_of_counting_finds_its_own_moment() {
    let facts = facts();
    let at = |found: Option<(Duration, String)>| found.map(|(at, _)| at.as_secs());
    let from = second(120);
    for (by, when) in [
        (NoticedBy::Told, Some(130)),
        (NoticedBy::Asked, Some(140)),
        (NoticedBy::Ended, Some(170)),
        (NoticedBy::Acted, Some(150)),
        (NoticedBy::Says("does not answer".to_owned()), Some(125)),
        (NoticedBy::Says("no such words".to_owned()), None),
    ] {
        assert_eq!(at(noticed(&by, &facts, from)), when, "{by:?}");
    }
    for (by, when) in [
        (DecidedBy::Acted, Some(160)),
        (DecidedBy::Started, Some(180)),
        (DecidedBy::Retried, Some(130)),
        (DecidedBy::Says("asking again".to_owned()), Some(125)),
    ] {
        assert_eq!(at(decided(&by, &facts, from)), when, "{by:?}");
    }
    for (by, when) in [(DoneBy::Copied, Some(300)), (DoneBy::Serves, Some(300)), (DoneBy::Safe, Some(300))] {
        assert_eq!(at(done(by, &facts, from)), when, "{by:?}");
    }
    let mut half = facts;
    half.truth.whole = false;
    for by in [DoneBy::Copied, DoneBy::Serves, DoneBy::Safe] {
        assert_eq!(at(done(by, &half, from)), None, "what is there is no whole copy: {by:?}");
    }
}

#[test]
fn without_anything_done_the_card_says_never() {
    let mut facts = facts();
    facts.actions.clear();
    facts.runs.truncate(1);
    facts.truth.newest = None;
    let text = Card::of(&scenario(), &facts).text();
    assert!(text.contains("decided      never\n  acted        never\n  done         never\n"), "{text}");
    assert!(text.contains("wrong turns  none\n"), "{text}");
    assert!(text.contains("no copy is whole at bcp"), "{text}");
}

#[test]
fn a_note_is_noticing_and_nothing_else() {
    let mut facts = facts();
    let note = Act::Note("looks at search of prod, which is DOWN".to_owned());
    facts.actions.insert(0, Action { at: second(122), act: note, got: Some(Got::Effect) });
    let card = Card::of(&scenario(), &facts);
    let moments = [&card.noticed, &card.decided, &card.acted].map(|moment| moment.as_ref().map(|m| m.after));
    assert_eq!(moments, [Some(Span::seconds(2)), Some(Span::seconds(40)), Some(Span::seconds(40))]);
    assert!(card.text().contains("the operator notes: looks at search of prod"), "{}", card.text());
    assert_eq!(card.wrong_turns.len(), 1, "a note is no wrong turn");
    // What was noted before anything broke is about something else.
    facts.actions[0].at = second(110);
    assert_eq!(Card::of(&scenario(), &facts).noticed.map(|moment| moment.after), Some(Span::seconds(5)));
}

/// The same story with a person at the screen, who did this there.
fn played(stirs: &[(u64, StirKind)]) -> Facts {
    let stir = |(at, kind): &(u64, StirKind)| Stir { at: second(*at), kind: kind.clone() };
    Facts { person: Some(stirs.iter().map(stir).collect()), ..facts() }
}

/// When it was noticed and decided, by this way of counting.
fn counted(decided: DecidedBy, facts: &Facts) -> [Option<u64>; 2] {
    let counts = Counting { decided, ..scenario().counts };
    let card = Card::of(&Scenario { counts, ..scenario() }, facts);
    [card.noticed, card.decided].map(|moment| moment.map(|moment| 120 + moment.after.0.as_secs()))
}

#[test]
fn what_the_program_says_is_noticed_by_nobody_who_does_nothing() {
    let mut facts = played(&[(110, StirKind::Key(Some("app of prod is DOWN".to_owned())))]);
    facts.actions.clear();
    for by in [DecidedBy::Says("asking again".to_owned()), DecidedBy::Retried, DecidedBy::Acted, DecidedBy::Started] {
        assert_eq!(counted(by, &facts), [None, None], "a key before anything broke is about something else");
    }
    assert!(Card::of(&scenario(), &facts).text().contains("noticed      never\n  decided      never\n"));
}

#[test]
fn a_person_notices_by_the_first_key_after_the_trouble_could_be_seen() {
    let key = |sees: Option<&str>| StirKind::Key(sees.map(str::to_owned));
    // Nothing could be seen at 122; at 125 a step said what the scenario waits for.
    let text = Card::of(&scenario(), &played(&[(122, key(None)), (127, key(None)), (128, key(None))])).text();
    let words = "after 7s: the operator's first key after this: s/a@prod said: prod does not answer\n";
    assert!(text.contains(words), "{text}");
    let text = Card::of(&scenario(), &played(&[(122, key(Some("app of prod is DOWN")))])).text();
    assert!(text.contains("after 2s: the operator's first key after this: app of prod is DOWN\n"), "{text}");
    // What a run has told badly is in sight, whatever else the scenario waits for.
    let counts = Counting { noticed: NoticedBy::Ended, ..scenario().counts };
    let card = Card::of(&Scenario { counts, ..scenario() }, &played(&[(127, key(None)), (133, key(None))]));
    assert_eq!(card.noticed.map(|moment| moment.after), Some(Span::seconds(13)));
}

#[test]
fn a_person_decides_after_noticing_by_what_they_do_or_let_go_on() {
    let key = StirKind::Key(None);
    let plan = StirKind::Plan("restore".to_owned());
    let asks = || DecidedBy::Says("asking again".to_owned());
    let by_acting = [(127, key.clone())];
    assert_eq!(counted(DecidedBy::Acted, &played(&by_acting)), [Some(127), Some(160)]);
    assert_eq!(counted(DecidedBy::Started, &played(&by_acting)), [Some(127), Some(180)]);
    // The line came before they noticed, the second try after it.
    assert_eq!(counted(asks(), &played(&by_acting)), [Some(127), Some(160)]);
    assert_eq!(counted(DecidedBy::Retried, &played(&by_acting)), [Some(127), Some(130)]);
    let by_plan = [(122, plan.clone()), (127, key), (140, plan)];
    for by in [DecidedBy::Acted, DecidedBy::Started, asks()] {
        assert_eq!(counted(by, &played(&by_plan)), [Some(127), Some(140)]);
    }
    let text = Card::of(&scenario(), &played(&by_plan)).text();
    assert!(text.contains("decided      02:02:20  after 20s: the operator asks what restore would do\n"), "{text}");
}

#[test]
fn a_story_that_was_left_says_how_far_it_went() {
    let mut facts = facts();
    facts.left = true;
    facts.actions.clear();
    facts.runs.truncate(1);
    let text = Card::of(&scenario(), &facts).text();
    let expected = "noticed      02:02:05  after 5s: s/a@prod said: prod does not answer\n  decided      not done\n  \
                    acted        not done\n  done         not done\n  green        not done\n";
    assert!(
        text.contains(expected) && text.ends_with("  left         before its end: this is how far it went\n"),
        "{text}"
    );
    facts.struck.clear();
    let text = Card::of(&scenario(), &facts).text();
    assert!(text.contains("broke        nothing yet\n") && !text.contains("after"), "{text}");
}

#[test]
fn green_wants_a_well_standby_and_done_need_not() {
    let mut facts = facts();
    facts.runs[1].well = false;
    let card = Card::of(&Scenario { counts: counts(DoneBy::Copied), ..scenario() }, &facts);
    assert!(card.done.is_some() && card.green.is_none(), "{}", card.text());
}

fn counts(done: DoneBy) -> crate::scenario::Counting {
    crate::scenario::Counting { done, ..scenario().counts }
}
