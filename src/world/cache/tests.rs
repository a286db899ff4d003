//! The cache, asked through the port.

use std::time::Duration;

use super::Trouble;
use crate::port::{Reach, RedisEndpoint, RedisReply};
use crate::world::{Fault, SimulatedWorld, Spec};

fn server(address: &str) -> RedisEndpoint {
    RedisEndpoint { address: address.to_owned(), port: 6379, through: None, user: None, password: None }
}

async fn ask(world: &SimulatedWorld, address: &str, commands: &[&str]) -> Vec<RedisReply> {
    let words = |command: &&str| command.split(' ').map(str::to_owned).collect();
    let commands: Vec<Vec<String>> = commands.iter().map(words).collect();
    world.redis(&server(address), &commands).await.expect("an answer")
}

async fn info(world: &SimulatedWorld, address: &str) -> String {
    ask(world, address, &["INFO"]).await[0].text().expect("text")
}

fn quiet() -> SimulatedWorld {
    SimulatedWorld::new(&Spec { write_every: None, ..Spec::small(1) })
}

#[tokio::test(start_paused = true)]
async fn a_flush_empties_what_was_selected_and_the_follower_tells_so_later() {
    let world = quiet();
    tokio::time::sleep(Duration::from_millis(2300)).await;
    let replies =
        ask(&world, "10.0.2.41", &["SELECT 1", "DBSIZE", "FLUSHDB ASYNC", "DBSIZE", "SELECT 0", "DBSIZE"]).await;
    let number = RedisReply::Integer;
    assert_eq!([&replies[1], &replies[3], &replies[5]], [&number(1), &number(0), &number(30)]);
    let at_once = info(&world, "10.0.2.41").await;
    assert!(at_once.contains("lazyfree_pending_objects:1\r\n"), "{at_once}");
    let behind = |info: &str| {
        let offset = info.split("master_repl_offset:").nth(1).and_then(|rest| rest.lines().next()).expect("an offset");
        !info.contains(&format!("offset={offset},"))
    };
    assert!(behind(&at_once), "the follower tells once a second how far it is: {at_once}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = info(&world, "10.0.2.41").await;
    assert!(!behind(&later) && later.contains("lazyfree_pending_objects:0\r\n"), "{later}");
}

#[tokio::test(start_paused = true)]
async fn the_follower_refuses_writes_and_takes_over() {
    let world = quiet();
    let site = Spec::sites()[0].clone();
    let refused = RedisReply::Error("READONLY You can't write against a read only replica.".to_owned());
    assert_eq!(
        ask(&world, "10.0.1.42", &["FLUSHALL", "PING"]).await,
        std::slice::from_ref(&refused),
        "nothing goes behind a refusal"
    );
    assert!(info(&world, "10.0.1.42").await.contains("master_host:10.0.1.41\r\n"));
    world.strike(&Fault::Cache { site: site.clone(), trouble: Trouble::FailsOver });
    assert_eq!(ask(&world, "10.0.1.41", &["FLUSHALL"]).await, [refused]);
    assert_eq!(ask(&world, "10.0.1.42", &["FLUSHALL"]).await, [RedisReply::Status("OK".to_owned())]);
    assert_eq!(world.with(|state| state.count(&site).keys), 0);
    world.strike(&Fault::Cache { site: site.clone(), trouble: Trouble::Down });
    let silent = world.redis(&server("10.0.1.42"), &[vec!["PING".to_owned()]]).await.expect_err("it is down");
    assert_eq!(silent.got, "Connection refused (os error 111)");
}

#[tokio::test(start_paused = true)]
async fn what_it_does_not_know_it_says() {
    let world = quiet();
    for (command, said) in [("KEYS *", "ERR unknown command 'KEYS'"), ("SELECT 16", "ERR DB index is out of range")] {
        let replies = ask(&world, "10.0.1.41", &[command]).await;
        assert!(matches!(&replies[0], RedisReply::Error(text) if text.starts_with(said)), "{replies:?}");
    }
}

#[test]
fn users_begin_sessions() {
    let mut state = Spec::small(1).build();
    let [first, _] = Spec::sites();
    let before = state.count(&first).keys;
    assert!(super::write(&mut state, &first, 7));
    assert_eq!(state.count(&first).keys, before + 1);
    state.strike(&Fault::Cache { site: first.clone(), trouble: Trouble::Down });
    assert!(!super::write(&mut state, &first, 8));
}
