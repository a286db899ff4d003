//! One run at a time changes a site, wherever it was started.

use super::*;
use crate::guard::{LEASE_BEAT, LEASE_SILENCE};
use crate::port::fake::FakeReach;
use crate::systems::shelf::Shelf;

const BCP: &str = "/x/leases/bcp";

/// Two changes at the target, which take half a minute each.
fn two_changes() -> String {
    let change = |id| step(id, "with = { takes = \"30s\" }").replace("t.do", "t.write").replace("console", "target");
    stage("s", "") + &change("a") + &change("b")
}

/// A run of two changes, started from this console, in the world of this shelf.
fn scene(name: &str, console: &str, shelf: &Shelf) -> Scene {
    let mut scene = Scene::new(name, &two_changes());
    let reach = Arc::new(FakeReach::new());
    shelf.serve(&reach);
    scene.config.reach = reach;
    scene.config.console = ConsoleId::new(console).expect("a name");
    scene
}

fn refused_by_lease(state: &RunState) -> bool {
    let failures = state.units.values().filter_map(|unit| unit.outcome()?.failure());
    matches!(outcome(state), RunOutcome::Refused { .. })
        && failures.into_iter().any(|failure| failure.to_string().contains("lease"))
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_the_lease_of_what_it_changes_keeps_it_and_gives_it_back() {
    let shelf = Shelf::agreed("/x");
    let mut scene = scene("lease-kept", "here", &shelf);
    let beats = Arc::new(Mutex::new(Vec::new()));
    let (watched, seen) = (shelf.clone(), Arc::clone(&beats));
    let watch = tokio::spawn(async move {
        loop {
            tokio::time::sleep(LEASE_BEAT + Duration::from_secs(1)).await;
            seen.lock().expect("not poisoned").push(watched.get(&format!("{BCP}/1/sign.json")));
        }
    });
    let state = scene.play(no_reaction).await.expect("an ending");
    watch.abort();
    assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
    let beat = |number| Some(format!("{{\"beat\":{number}}}"));
    assert_eq!(*beats.lock().expect("not poisoned"), [beat(2), beat(3)]);
    assert_eq!(shelf.get(&format!("{BCP}/1/sign.json")).as_deref(), Some("\"over\""));
    let holder = shelf.get(&format!("{BCP}/1/holder.json")).expect("a lease");
    assert!(holder.contains("lease-kept") && holder.contains(r#""session":1"#), "{holder}");
    assert!(shelf.paths().iter().all(|path| !path.contains("/leases/prod")), "nothing is changed there");
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_from_two_places_one_is_refused() {
    let shelf = Shelf::agreed("/x");
    let (mut one, mut two) = (scene("lease-one", "here", &shelf), scene("lease-two", "there", &shelf));
    let late = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        two.play(no_reaction).await.expect("an ending")
    };
    let (first, second) = tokio::join!(one.play(no_reaction), late);
    assert_eq!(outcome(&first.expect("an ending")), RunOutcome::Done { warned: false });
    assert!(refused_by_lease(&second), "{:?}", second.phase);
    assert_eq!((deeds(&one.run).len(), deeds(&two.run).len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_run_is_followed_at_once_from_its_own_console_and_after_a_silence_from_another() {
    for (console, at_least) in [("here", Duration::ZERO), ("there", LEASE_SILENCE)] {
        let shelf = Shelf::agreed("/x");
        let mut dead = scene(&format!("lease-dead-{console}"), "here", &shelf);
        let life = tokio::time::timeout(Duration::from_secs(10), dead.play(no_reaction)).await;
        assert!(life.is_err(), "it dies in its first change");
        let mut next = scene(&format!("lease-next-{console}"), console, &shelf);
        let began = tokio::time::Instant::now();
        let state = next.play(no_reaction).await.expect("an ending");
        assert_eq!(outcome(&state), RunOutcome::Done { warned: false });
        let waited = began.elapsed().saturating_sub(Duration::from_mins(1));
        assert!((at_least..at_least + Duration::from_secs(15)).contains(&waited), "{waited:?}");
        assert!(shelf.paths().iter().any(|path| path.starts_with(&format!("{BCP}/2/"))), "{:?}", shelf.paths());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_its_lease_begins_nothing_more() {
    let cases = [("2/holder.json", "other"), ("1/holder.json", "other"), ("1/holder.json", "")];
    for (number, (path, content)) in cases.into_iter().enumerate() {
        let shelf = Shelf::agreed("/x");
        let mut scene = scene(&format!("lease-lost-{number}"), "here", &shelf);
        let thief = shelf.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let own = thief.get(&format!("{BCP}/1/holder.json")).expect("a lease");
            let other = own.replace("here", "there").replace("lease-lost", "thief");
            thief.put(&format!("{BCP}/{path}"), if content.is_empty() { "" } else { &other });
        });
        let state = scene.play(no_reaction).await.expect("an ending");
        assert!(refused_by_lease(&state), "{path} {content}: {:?}", state.phase);
        assert_eq!(deeds(&scene.run), ["s/a@bcp 1"], "the second change was not begun");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_direction_is_another_one_not_even_a_lease_is_written() {
    let shelf = Shelf::agreed("/x");
    let record = shelf.get("/x/direction.json").expect("a record").replace("prod", "bcp");
    shelf.put("/x/direction.json", &record);
    let mut scene = scene("lease-direction", "here", &shelf);
    let state = scene.play(no_reaction).await.expect("an ending");
    assert!(matches!(outcome(&state), RunOutcome::Refused { .. }), "{:?}", state.phase);
    assert_eq!(shelf.paths(), ["/x/direction.json"]);
}
