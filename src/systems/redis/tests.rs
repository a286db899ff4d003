//! Redis: reading `INFO`, finding the master, flushing, and seeing the replicas follow.

use serde_json::json;

use super::client::refused;
use super::flush::{flush_commands, has_followed, late_replicas};
use super::info::{Info, ReplicaLine, Role};
use super::kinds;
use crate::model::{End, Failure, FailureKind};
use crate::port::fake::Answer;
use crate::port::{ReachErrorKind, RedisReply};
use crate::systems::fake::{Bench, decode};
use crate::systems::{Step, StepDone};

/// What Redis 7.0.15 says, without the lines nobody reads.
const MASTER: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\nused_memory:1108672\r\n\
    used_memory_human:1.06M\r\nlazyfree_pending_objects:0\r\n\r\n# Stats\r\nslave_expires_tracked_keys:0\r\n\r\n\
    # Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
    slave0:ip=127.0.0.1,port=6379,state=online,offset=1122,lag=0\r\nmaster_failover_state:no-failover\r\n\
    master_replid:72b6bbf409e70084775f3bf4ba4d6e0f0f376c98\r\n\
    master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:1122\r\n\r\n\
    # Keyspace\r\ndb0:keys=200,expires=0,avg_ttl=0\r\ndb5:keys=3,expires=1,avg_ttl=9\r\n";
const REPLICA: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\nused_memory:1063848\r\n\
    lazyfree_pending_objects:0\r\n\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.2.30\r\nmaster_port:6380\r\n\
    master_link_status:up\r\nmaster_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\n\
    slave_read_repl_offset:1122\r\nslave_repl_offset:1122\r\nslave_read_only:1\r\nconnected_slaves:0\r\n\
    master_replid:72b6bbf409e70084775f3bf4ba4d6e0f0f376c98\r\nmaster_repl_offset:1122\r\n\r\n\
    # Keyspace\r\ndb0:keys=200,expires=0,avg_ttl=0\r\n";

const CACHE: &str = r#"
[services.cache]
kind = "redis"
prod.address = "10.0.1.30"
bcp.address = "10.0.2.31"
"#;

fn info(text: &str) -> RedisReply {
    RedisReply::Bytes(text.into())
}

fn ok() -> RedisReply {
    RedisReply::Status("OK".into())
}

fn error(text: &str) -> RedisReply {
    RedisReply::Error(text.into())
}

/// The master after a flush at this offset, with its replica at that one, and these keys.
fn flushed(offset: u64, replica: u64, keys: &str) -> String {
    MASTER
        .replace("master_repl_offset:1122", &format!("master_repl_offset:{offset}"))
        .replace("offset=1122", &format!("offset={replica}"))
        .replace("db0:keys=200,expires=0,avg_ttl=0\r\ndb5:keys=3,expires=1,avg_ttl=9\r\n", keys)
}

fn bench(services: &str) -> Bench {
    Bench::new(services).end(Some(End::Target)).service("cache")
}

fn flush() -> Box<dyn Step> {
    decode(&kinds(), "redis.flush", &json!({}))
}

/// The configured server is a replica, its master has 203 keys.
fn prepared() -> Bench {
    let bench = bench(CACHE);
    bench.reach.always("10.0.2.31:6379> INFO", Answer::redis(&[info(&REPLICA.replace("1122", "1200"))]));
    bench.reach.on("10.0.2.30:6380> INFO", Answer::redis(&[info(MASTER)]));
    bench
}

async fn fails(bench: &Bench) -> Failure {
    flush().run(&bench.cx).await.expect_err("a failure")
}

async fn works(bench: &Bench) -> StepDone {
    flush().run(&bench.cx).await.expect("a good ending")
}

#[test]
fn info_of_a_real_server_is_read() {
    let master = Info::parse(MASTER).expect("a master");
    assert_eq!((master.version.as_str(), master.mode.as_str(), &master.role), ("7.0.15", "standalone", &Role::Master));
    assert_eq!((master.offset, master.memory, master.pending_free), (1122, Some(1_108_672), Some(0)));
    let line =
        ReplicaLine { address: "127.0.0.1".into(), port: 6379, state: "online".into(), offset: 1122, lag: Some(0) };
    assert_eq!(master.replicas, [line]);
    assert_eq!((master.keys_in(None), master.keys_in(Some(5)), master.keys_in(Some(1))), (203, 3, 0));
    let replica = Info::parse(REPLICA).expect("a replica");
    assert_eq!(replica.role, Role::Replica { host: "10.0.2.30".into(), port: 6380, linked: true });
    assert_eq!(replica.history, master.history);
}

#[test]
fn what_info_does_not_say_is_an_error_and_not_zero() {
    for (without, missing) in [
        ("role:master\r\n", "role"),
        ("master_repl_offset:1122", "master_repl_offset"),
        ("# Keyspace\r\n", "keys"),
        ("master_replid:72b6bbf409e70084775f3bf4ba4d6e0f0f376c98\r\n", "master_replid"),
    ] {
        let text = MASTER.replace(without, "");
        assert_ne!(text, MASTER);
        let said = Info::parse(&text).expect_err("a part is missing");
        assert!(said.contains(missing), "{said}");
    }
    for (good, bad) in [("keys=200", "keys=many"), ("state=online,", ""), ("role:master", "role:sentinel")] {
        assert!(Info::parse(&MASTER.replace(good, bad)).is_err(), "{bad}");
    }
    assert!(Info::parse("-ERR").is_err());
    let down = REPLICA.replace("master_link_status:up", "master_link_status:down");
    assert!(matches!(Info::parse(&down).expect("a replica").role, Role::Replica { linked: false, .. }));
    let copying = REPLICA.replace("master_sync_in_progress:0", "master_sync_in_progress:1");
    assert!(matches!(Info::parse(&copying).expect("a replica").role, Role::Replica { linked: false, .. }));
}

#[test]
fn the_flush_is_chosen_by_database_and_version() {
    let info = Info::parse(MASTER).expect("a master");
    let old = Info::parse(&MASTER.replace("7.0.15", "3.2.12")).expect("a master");
    let text = |info, database| flush_commands(info, database).iter().map(|c| c.join(" ")).collect::<Vec<_>>();
    assert_eq!(text(&info, None), ["INFO", "FLUSHALL ASYNC", "INFO"]);
    assert_eq!(text(&info, Some(5)), ["SELECT 5", "INFO", "FLUSHDB ASYNC", "INFO"]);
    assert_eq!(text(&old, None), ["INFO", "FLUSHALL", "INFO"]);
}

#[test]
fn a_replica_has_followed_only_when_it_applied_the_flush() {
    let at_flush = Info::parse(&flushed(1200, 1122, "")).expect("a master");
    for (offset, state, late) in [(1199, "online", 1), (1200, "online", 0), (1300, "online", 0), (1200, "send_bulk", 1)]
    {
        let now = flushed(1300, offset, "").replace("state=online", &format!("state={state}"));
        let now = Info::parse(&now).expect("a master");
        assert_eq!(late_replicas(&at_flush, &now).len(), late, "{offset} {state}");
    }
    let alone = flushed(1300, 1300, "").replace("slave0:ip", "gone:ip");
    let said = late_replicas(&at_flush, &Info::parse(&alone).expect("a master"));
    assert_eq!(said, ["1 replicas that have lost their connection"]);
    let caught_up = REPLICA.replace("1122", "1200");
    for (own, followed) in [
        (caught_up.clone(), true),
        (caught_up.replace("slave_repl_offset:1200", "slave_repl_offset:1199"), false),
        (caught_up.replace("master_link_status:up", "master_link_status:down"), false),
        (caught_up.replace("master_replid:72b6", "master_replid:0000"), false),
        (flushed(1200, 1200, ""), false),
    ] {
        assert_eq!(has_followed(&Info::parse(&own).expect("a server"), &at_flush), followed, "{own}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    for (message, kind, hint) in [
        ("NOAUTH Authentication required.", FailureKind::Refused, "password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", FailureKind::Refused, "wrong"),
        ("NOPERM User x has no permissions to run the 'flushall' command", FailureKind::Refused, "ACL"),
        ("LOADING Redis is loading the dataset in memory", FailureKind::Busy, "again"),
        ("ERR unknown command 'FLUSHALL', with args beginning with: 'ASYNC' ", FailureKind::Refused, "renamed"),
        ("ERR DB index is out of range", FailureKind::Invalid, "database"),
    ] {
        let failure = refused("flush", message);
        assert_eq!(failure.kind, kind, "{message}");
        assert!(failure.hint.is_some_and(|said| said.as_str().contains(hint)), "{message}");
    }
    assert_eq!(refused("flush", "ERR something new").hint, None);
}

#[tokio::test(start_paused = true)]
async fn a_replica_asked_to_flush_leads_to_its_master() {
    let mut bench = prepared();
    bench
        .reach
        .on("> INFO; FLUSHALL ASYNC; INFO", Answer::redis(&[info(MASTER), ok(), info(&flushed(1200, 1122, ""))]));
    bench.reach.on("10.0.2.30:6380> INFO", Answer::redis(&[info(&flushed(1200, 1122, ""))]));
    bench
        .reach
        .always("10.0.2.30:6380> INFO", Answer::redis(&[info(&flushed(1300, 1200, "db0:keys=2,expires=0\r\n"))]));
    let done = works(&bench).await;
    assert_eq!(done.captures["keys_removed"], 203);
    assert_eq!(done.captures["keys_now"], 2);
    assert_eq!(done.captures["leader"], "10.0.2.30:6380");
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    let sent: Vec<String> = bench.reach.texts().into_iter().filter(|text| text.contains("FLUSH")).collect();
    assert_eq!(sent, ["10.0.2.30:6380> INFO; FLUSHALL ASYNC; INFO"]);
    let heard = bench.heard();
    assert!(heard.contains("10.0.2.31:6379 is a replica; its master is 10.0.2.30:6380"), "{heard}");
    assert!(heard.contains("203 keys removed") && heard.contains("2 keys were written since"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn roles_that_change_at_the_last_moment_are_looked_at_again() {
    let bench = bench(CACHE);
    let configured = "10.0.2.31:6379> INFO";
    bench.reach.on(configured, Answer::redis(&[info(&MASTER.replace("slave0", "gone"))]));
    bench.reach.on(
        "10.0.2.31:6379> INFO; FLUSHALL ASYNC",
        Answer::redis(&[info(REPLICA), error("READONLY You can't write against a read only replica.")]),
    );
    bench.reach.always(configured, Answer::redis(&[info(REPLICA)]));
    bench.reach.on(
        "10.0.2.30:6380> INFO; FLUSHALL ASYNC",
        Answer::redis(&[info(MASTER), ok(), info(&flushed(1122, 1122, ""))]),
    );
    bench.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(&flushed(1122, 1122, ""))]));
    // The rule for a plain `INFO` comes first and would also fit the flush: it is used up by then.
    assert_eq!(works(&bench).await.captures["keys_removed"], 203);
    assert_eq!(bench.reach.count("FLUSHALL"), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_flushed_behind_a_refused_select() {
    let refusal = || Answer::redis(&[error("ERR DB index is out of range")]);
    let services = CACHE.replace("kind", "database = 5\nkind");
    let absent = bench(&services);
    absent.reach.on("> INFO", Answer::redis(&[info(MASTER)])).on("> SELECT 5", refusal());
    let failure = fails(&absent).await;
    assert_eq!((failure.kind, absent.reach.count("FLUSH")), (FailureKind::Invalid, 0));
    // Between the look and the flush another server has taken the address.
    let swapped = bench(&services);
    swapped.reach.on("> INFO", Answer::redis(&[info(MASTER)])).on("> SELECT 5", Answer::redis(&[ok()]));
    swapped.reach.on("> SELECT 5; INFO; FLUSHDB ASYNC; INFO", refusal());
    let failure = fails(&swapped).await;
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.tried.as_str().contains("SELECT 5"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn only_the_configured_database_is_flushed_and_counted() {
    let bench = bench(&CACHE.replace("kind", "database = 5\nkind"));
    let after = flushed(1200, 1200, "db0:keys=200,expires=0,avg_ttl=0\r\n");
    bench.reach.on("> INFO", Answer::redis(&[info(MASTER)])).on("> SELECT 5", Answer::redis(&[ok()]));
    bench.reach.on("FLUSHDB ASYNC", Answer::redis(&[ok(), info(MASTER), ok(), info(&after)]));
    bench.reach.always("> INFO", Answer::redis(&[info(&after)]));
    let done = works(&bench).await;
    assert_eq!((&done.captures["keys_removed"], &done.captures["keys_now"]), (&json!(3), &json!(0)));
    assert_eq!(bench.reach.count("FLUSHALL"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_again_and_then_unknown() {
    let bench = prepared();
    bench.reach.always("FLUSHALL", Answer::lost());
    bench.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(MASTER)]));
    assert_eq!(fails(&bench).await.kind, FailureKind::Unknown);
    assert_eq!(bench.reach.count("FLUSHALL"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_left_the_keys_is_not_done() {
    let bench = prepared();
    bench.reach.on("FLUSHALL", Answer::redis(&[info(MASTER), ok(), info(MASTER)]));
    let failure = fails(&bench).await;
    assert_eq!(failure.kind, FailureKind::Mismatch);
    assert!(failure.got.as_str().contains("203 keys before"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_follow_is_named() {
    let bench = prepared();
    bench.reach.on("FLUSHALL", Answer::redis(&[info(MASTER), ok(), info(&flushed(1200, 1122, ""))]));
    bench.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(&flushed(1300, 1150, ""))]));
    let before = tokio::time::Instant::now();
    let failure = fails(&bench).await;
    assert_eq!(failure.kind, FailureKind::Mismatch);
    assert!(failure.got.as_str().contains("127.0.0.1:6379 (online, at offset 1150 of 1200)"), "{failure}");
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn memory_that_is_freed_in_the_background_is_waited_for() {
    let mut bench = prepared();
    let pending =
        |objects: u64| flushed(1200, 1200, "").replace("pending_objects:0", &format!("pending_objects:{objects}"));
    bench.reach.on("FLUSHALL", Answer::redis(&[info(MASTER), ok(), info(&pending(900))]));
    for objects in [900, 400, 0, 0] {
        bench.reach.on("10.0.2.30:6380> INFO", Answer::redis(&[info(&pending(objects))]));
    }
    assert!(works(&bench).await.warnings.is_empty());
    assert!(bench.heard().contains("500/900 objects"));
    assert!(bench.reach.unused().is_empty());
}

#[tokio::test]
async fn another_server_at_the_masters_address_is_not_touched() {
    for (link, kind) in [("up", FailureKind::Refused), ("down", FailureKind::Busy)] {
        let bench = bench(CACHE);
        let replica = REPLICA.replace("link_status:up", &format!("link_status:{link}"));
        bench.reach.always("10.0.2.31:6379> INFO", Answer::redis(&[info(&replica)]));
        bench.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(&MASTER.replace("72b6", "ffff"))]));
        assert_eq!(fails(&bench).await.kind, kind);
        assert_eq!(bench.reach.count("FLUSH"), 0);
    }
}

#[tokio::test]
async fn endless_chains_clusters_and_dead_masters_are_refused() {
    let circle = bench(CACHE);
    circle.reach.always("10.0.2.31:6379> INFO", Answer::redis(&[info(REPLICA)]));
    let back = REPLICA.replace("host:10.0.2.30", "host:10.0.2.31").replace("port:6380", "port:6379");
    circle.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(&back)]));
    let failure = fails(&circle).await;
    assert!(failure.got.as_str().contains("no end"), "{failure}");
    let cluster = bench(CACHE);
    cluster.reach.on("INFO", Answer::redis(&[info(&MASTER.replace("standalone", "cluster"))]));
    assert!(fails(&cluster).await.got.as_str().contains("cluster mode"));
    let dead = bench(CACHE);
    dead.reach.on("10.0.2.31:6379> INFO", Answer::redis(&[info(REPLICA)]));
    dead.reach.on("10.0.2.30:6380> INFO", Answer::error(ReachErrorKind::Unreachable, "connection refused"));
    let failure = fails(&dead).await;
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.hint.is_some_and(|hint| hint.as_str().contains("names 10.0.2.30:6380 as its master")));
}

#[tokio::test]
async fn a_check_names_what_will_be_lost_and_sends_only_info() {
    let bench = prepared();
    bench.reach.always("10.0.2.30:6380> INFO", Answer::redis(&[info(MASTER)]));
    let report = flush().check(&bench.cx).await.expect("a report");
    let losses: Vec<&str> = report.losses.iter().map(crate::model::SafeText::as_str).collect();
    assert_eq!(losses, ["cache cache at bcp: 203 keys in all databases of 10.0.2.30:6380"]);
    let preview = flush().preview(&bench.cx).await.expect("a preview");
    assert_eq!(preview[1].as_str(), "10.0.2.30:6380> FLUSHALL ASYNC");
    assert!(bench.reach.texts().iter().all(|text| text.ends_with("> INFO")), "{:?}", bench.reach.texts());
}

#[tokio::test]
async fn the_light_reports_master_and_configured_replica() {
    let bench = prepared();
    let done = decode(&kinds(), "redis.check", &json!({})).run(&bench.cx).await.expect("a good ending");
    assert_eq!(done.captures["role"], "replica");
    assert_eq!(done.captures["leader"], "10.0.2.30:6380");
    assert_eq!((&done.captures["keys"], &done.captures["replicas"]), (&json!(203), &json!(1)));
}

#[tokio::test]
async fn a_check_warns_of_a_server_that_loads_or_could_not_save() {
    for (line, said) in [
        ("loading:1\r\nloading_eta_seconds:7", "loading its data set, about 7s more"),
        ("rdb_last_bgsave_status:err", "the last save to disk failed"),
        ("aof_last_write_status:err", "append-only file failed"),
    ] {
        let bench = bench(CACHE);
        let master = MASTER.replace("# Memory\r\n", &format!("# Persistence\r\n{line}\r\n\r\n# Memory\r\n"));
        bench.reach.always("> INFO", Answer::redis(&[info(&master)]));
        let done = decode(&kinds(), "redis.check", &json!({})).run(&bench.cx).await.expect("a good ending");
        assert!(done.warnings.len() == 1 && done.warnings[0].as_str().contains(said), "{line}: {:?}", done.warnings);
    }
}

#[tokio::test]
async fn sessions_go_through_ssh_and_carry_the_password() {
    let services = CACHE.replace("kind", "via = \"ssh\"\npassword = { file = \"/run/secret\" }\nkind");
    let bench = bench(&services);
    bench.reach.on("secret", Answer::secret("s3cret"));
    bench.reach.on("INFO", Answer::redis(&[info(MASTER)]));
    drop(decode(&kinds(), "redis.check", &json!({})).run(&bench.cx).await.expect("a good ending"));
    let calls = format!("{:?}", bench.reach.calls());
    assert!(calls.contains(r#"through: Some((SiteName("bcp"), HostName("app1")))"#), "{calls}");
    assert!(!calls.contains("s3cret"));
    let wrong = Bench::new(&CACHE.replace("kind", "host = \"app1\"\nkind")).service("cache");
    assert_eq!(fails(&wrong).await.kind, FailureKind::Invalid);
}
