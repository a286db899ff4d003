//! The load balancer of the simulated world: who is given what users write, what is said over its runtime socket, and
//! whether two sites were ever given writes at once.

use std::time::Duration;

use changeover::model::{HostName, SiteName};
use changeover::port::{Command, Pipeline, Place, Reach};
use changeover::world::balancer::Balancer;
use changeover::world::{Fault, SimulatedWorld, Spec};

fn sites() -> [SiteName; 2] {
    Spec::sites()
}

fn host(name: &str) -> HostName {
    HostName::new(name).expect("a name")
}

fn world(seed: u64) -> SimulatedWorld {
    let spec = Spec { balancer: true, write_every: Some(Duration::from_millis(500)), ..Spec::small(seed) };
    SimulatedWorld::new(&spec)
}

fn balancer<T>(world: &SimulatedWorld, look: impl FnOnce(&Balancer) -> T) -> T {
    world.with(|state| look(state.balancer.as_ref().expect("a balancer")))
}

/// One line over the runtime socket, from a host of the first site.
async fn tell(world: &SimulatedWorld, line: &str) -> String {
    let [prod, _] = sites();
    let socat = Command::new("socat").args(["-", "UNIX-CONNECT:/run/haproxy/admin.sock"]);
    let said = world
        .exec(
            &Place::Host(prod, host("app1")),
            &Pipeline::from(socat).stdin(format!("{line}\n")),
            Duration::from_secs(5),
        )
        .await
        .expect("a host");
    assert!(said.is_success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("text")
}

/// Cells of a row of `show stat`, by their names.
async fn stat(world: &SimulatedWorld, server: (&str, &str), names: &[&str]) -> Vec<String> {
    let text = tell(world, "show stat").await;
    let (head, rows) = text.split_once('\n').expect("a header");
    let columns: Vec<&str> = head.strip_prefix("# ").expect("a header").split(',').collect();
    let row = rows.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let row = row.into_iter().find(|row| row.len() > 1 && (row[0], row[1]) == server).expect("a row");
    assert_eq!(row.len(), columns.len());
    let cell = |name: &&str| row[columns.iter().position(|column| column == name).expect("a column")].to_owned();
    names.iter().map(cell).collect()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const STATE: &[&str] = &["status", "check_status", "check_code"];

#[tokio::test(start_paused = true)]
async fn users_are_served_by_the_active_site_and_dealt_out_by_weight() {
    let [prod, bcp] = sites();
    let world = world(1);
    pass(40).await;
    balancer(&world, |balancer| {
        assert!(balancer.served(&prod) > 70, "{}", balancer.served(&prod));
        assert_eq!((balancer.served(&bcp), balancer.refused(), balancer.both().len()), (0, 0, 0));
    });
    assert_eq!(stat(&world, ("prod", "app1"), STATE).await, ["UP", "L7OK", "200"]);
    assert_eq!(stat(&world, ("bcp", "app1"), STATE).await, ["MAINT", "", ""]);
    assert_eq!(stat(&world, ("bcp", "BACKEND"), &["status", "act"]).await, ["DOWN", "0"]);
    assert_eq!(stat(&world, ("users", "FRONTEND"), &["status"]).await, ["OPEN"]);
    let acknowledged = world.with(|state| state.acknowledged.len() as u64);
    assert_eq!(balancer(&world, |balancer| balancer.served(&prod)), acknowledged);

    assert_eq!(tell(&world, "set server prod/app1 weight 50").await, "\n");
    let before = stat(&world, ("prod", "app1"), &["stot"]).await[0].parse::<u32>().expect("a number");
    pass(30).await;
    let after = stat(&world, ("prod", "app1"), &["stot"]).await[0].parse::<u32>().expect("a number");
    assert!((19..=21).contains(&(after - before)), "a third of sixty, not {}", after - before);
}

#[tokio::test(start_paused = true)]
async fn what_is_unwell_or_drained_gets_nothing_until_it_is_well_and_ready_again() {
    let [prod, _] = sites();
    let world = world(2);
    pass(5).await;
    world.strike(&Fault::AppBreaks { site: prod.clone(), host: host("app1") });
    pass(2).await;
    assert_eq!(stat(&world, ("prod", "app1"), STATE).await, ["UP 2/3", "L7STS", "503"]);
    pass(6).await;
    assert_eq!(stat(&world, ("prod", "app1"), STATE).await, ["DOWN", "L7STS", "503"]);
    let given = stat(&world, ("prod", "app1"), &["stot"]).await;
    pass(10).await;
    assert_eq!(stat(&world, ("prod", "app1"), &["stot"]).await, given, "it is down");
    world.strike(&Fault::AppMends { site: prod.clone(), host: host("app1") });
    pass(2).await;
    assert_eq!(stat(&world, ("prod", "app1"), STATE).await, ["DOWN 1/2", "L7OK", "200"]);
    pass(2).await;
    assert_eq!(stat(&world, ("prod", "app1"), STATE).await, ["UP", "L7OK", "200"]);

    assert_eq!(tell(&world, "set server prod/app1 state drain; set server prod/app2 state drain").await, "\n\n");
    assert_eq!(stat(&world, ("prod", "app2"), &["status"]).await, ["DRAIN"]);
    let (served, refused) = balancer(&world, |balancer| (balancer.served(&prod), balancer.refused()));
    pass(10).await;
    let later = balancer(&world, |balancer| (balancer.served(&prod), balancer.refused()));
    assert!(later.0 == served && later.1 > refused + 15, "{served} {refused} {later:?}");
    assert_eq!(tell(&world, "set server prod/app2 state maint").await, "\n");
    pass(5).await;
    assert_eq!(stat(&world, ("prod", "app2"), STATE).await, ["MAINT", "", ""]);
    assert_eq!(tell(&world, "set server prod/app2 state ready").await, "\n");
    assert_eq!(stat(&world, ("prod", "app2"), &["status"]).await, ["UP 1/3"]);
    pass(3).await;
    assert_eq!(stat(&world, ("prod", "app2"), STATE).await, ["UP", "L7OK", "200"]);
    assert!(balancer(&world, |balancer| balancer.served(&prod)) > served);
}

#[tokio::test(start_paused = true)]
async fn two_sites_that_are_given_writes_at_once_are_noticed_and_two_after_another_are_not() {
    let [prod, bcp] = sites();
    let world = world(3);
    pass(10).await;
    world.strike(&Fault::DirectionTurns);
    pass(10).await;
    balancer(&world, |balancer| {
        assert_eq!(balancer.usable(), [bcp.clone()].into());
        assert_eq!((balancer.both().len(), balancer.served(&bcp)), (0, 0), "an empty database takes no order");
        assert!(balancer.failed(&bcp) > 10);
    });
    // Back, first one and then the other: never both.
    for line in ["set server bcp/app1 state maint", "set server prod/app1 state ready"] {
        assert_eq!(tell(&world, line).await, "\n");
        pass(5).await;
    }
    assert_eq!(balancer(&world, |balancer| balancer.both().len()), 0);
    // What the first site holds is at the second too, and both are told to serve.
    world.with(|state| {
        let (sql, search) = {
            let from = state.sites.get_mut(&prod).expect("a site");
            (
                std::mem::take(&mut from.sql),
                std::mem::replace(&mut from.search, changeover::world::search::Cluster::new(1)),
            )
        };
        let to = state.sites.get_mut(&bcp).expect("a site");
        (to.sql, to.search) = (sql, search);
    });
    let served = balancer(&world, |balancer| balancer.served(&prod));
    assert!(served > 0);
    assert_eq!(tell(&world, "set server bcp/app1 state ready").await, "\n");
    pass(10).await;
    balancer(&world, |balancer| {
        assert!(balancer.served(&bcp) > 5);
        assert!(!balancer.both().is_empty(), "prod was given writes, could still be, and bcp was given some too");
    });
}

#[tokio::test(start_paused = true)]
async fn refusals_are_those_of_the_real_one() {
    let world = world(4);
    for (line, said) in [
        ("set server prod/app9 state drain", "No such server.\n\n"),
        ("set server else/app1 state drain", "No such backend.\n\n"),
        ("set server prod/app1 state away", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"),
        ("set server prod/app1 weight 500", "Absolute weight can only be between 0 and 256 inclusive.\n\n"),
    ] {
        assert_eq!(tell(&world, line).await, said, "{line}");
    }
    assert!(tell(&world, "drain prod").await.starts_with("Unknown command: 'drain prod'"));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_deals_the_same_to_the_same() {
    let play = async || {
        let world = world(5);
        world.strike_at(Duration::from_secs(7), Fault::HostDown { site: sites()[0].clone(), host: host("app1") });
        world.strike_at(Duration::from_secs(21), Fault::HostUp { site: sites()[0].clone(), host: host("app1") });
        world.strike_at(Duration::from_secs(50), Fault::DirectionTurns);
        pass(80).await;
        world.with(|state| (format!("{:?}", state.balancer), state.acknowledged.clone()))
    };
    let (first, second) = (play().await, play().await);
    assert_eq!(first, second);
    assert!(first.1.len() > 60, "{}", first.1.len());
}
