//! The room on a scripted world: what is asked where, what is refused, and what is left alone when something goes wrong.

use serde_json::json;

use super::access::Access;
use super::findings::Findings;
use super::judge::{Scene, as_source};
use super::target::{Waived, as_target};
use super::*;
use crate::model::{End, FailureKind, HostName};
use crate::port::fake::{Answer, Call, FakeReach, rows};
use crate::port::{JobState, Place, ReachErrorKind, SqlRows};
use crate::systems::fake::{Bench, decode, site};

const SSH: &str = r#"
[services.db]
kind = "mysql"
databases = ["shop"]
user = "co"
password = { command = "pass db" }
leader = "app"
[services.app]
kind = "app"
restart = ["x"]
prod.leader_url = "http://10.0.1.1/leader"
bcp.leader_url = "http://10.0.2.1/leader"
"#;

fn bench(services: &str, end: End) -> Bench {
    let bench = Bench::new(services).end(Some(end)).service("db");
    bench.reach.always("secret", Answer::secret("s3cret"));
    bench
}

fn leads(reach: &FakeReach, host: &str) {
    reach.always("GET http", Answer::json(200, json!({ "leader": host })));
}

fn server(version: &str, host: &str) -> Answer {
    Answer::sql(&[
        rows(
            &["Variable_name", "Value"],
            &[
                &["version", version],
                &["hostname", host],
                &["port", "3306"],
                &["datadir", "/d/"],
                &["server_id", "1"],
                &["max_allowed_packet", "1000"],
            ],
        ),
        rows(&["Variable_name", "Value"], &[&["Uptime", "100"]]),
        rows(&["now_is"], &[&["1100"]]),
    ])
}

const TABLES: [&str; 8] =
    ["db", "item", "kind", "engine_used", "estimate", "data_bytes", "index_bytes", "collation_used"];

fn census(tables: &[&[&str]], generated: &str) -> Answer {
    let nobody = || rows(&["db", "defined_by", "number_of"], &[]);
    Answer::sql(&[
        rows(&["db", "collation_used"], &[&["shop", "utf8mb4_general_ci"]]),
        rows(&TABLES, tables),
        rows(&["collation_used"], &[]),
        nobody(),
        nobody(),
        nobody(),
        nobody(),
        rows(&["number_of"], &[&[generated]]),
    ])
}

const USERS: &[&str] = &["shop", "users", "BASE TABLE", "InnoDB", "3", "100", "0", "NULL"];
const HERE: &str = "hostname\tdb\nport\t3306\ndatadir\t/d/\nserver_id\t1\n";

/// A server and a host on which all is well; rules given before this win.
fn all_is_well(reach: &FakeReach, version: &str, tables: &[&[&str]]) {
    leads(reach, "app1");
    reach.always("UNIX_TIMESTAMP", server(version, "db"));
    reach.always("schemata", census(tables, "0"));
    reach.always("mariadb-dump --no-defaults", Answer::stdout("mariadb-dump from 10.11.2-MariaDB, client"));
    reach.always("mariadb --no-defaults", Answer::stdout("mariadb from 10.11.2-MariaDB, client\n --sandbox"));
    reach.always("mysql", Answer::exec(&[127], "", "not found")).always("pigz", Answer::exec(&[127], "", ""));
    reach.always("--version", Answer::stdout("1.5")).always("BEGIN", Answer::stdout("here"));
    reach.always("--execute 'SHOW", Answer::stdout(HERE));
    reach.always("SHOW GRANTS", grants("GRANT ALL PRIVILEGES ON *.* TO `co`@`%`"));
    reach.always("SLAVE", Answer::sql(&[SqlRows::default()]));
    reach.always("SHOW REPLICA", Answer::sql(&[SqlRows::default()]));
    reach.always("processlist", Answer::sql(&[SqlRows::default()]));
    reach.always(
        "engines",
        Answer::sql(&[rows(&["name_of"], &[&["utf8mb4_general_ci"]]), rows(&["name_of"], &[&["InnoDB"]])]),
    );
    reach.always("applicability", Answer::error(ReachErrorKind::Refused, "unknown column"));
}

fn grants(line: &str) -> Answer {
    Answer::sql(&[rows(&["Grants for co@%"], &[&[line]])])
}

async fn source_findings(bench: &Bench) -> String {
    let scene = Scene::survey(&bench.cx).await.expect("a scene");
    let findings: Findings = as_source(&bench.cx, &scene).await.expect("findings");
    findings.texts().join("\n")
}

#[tokio::test]
async fn the_leader_is_asked_for_and_everything_happens_there() {
    let bench = bench(SSH, End::Source);
    leads(&bench.reach, "app2");
    let access = Access::open(&bench.cx, &site("prod")).await.expect("access");
    let app2 = HostName::new("app2").expect("a name");
    assert_eq!(access.place, Place::Host(site("prod"), app2.clone()));
    assert_eq!(access.endpoint.through, Some((site("prod"), app2)));
    assert_eq!(access.endpoint.to_string(), "co@127.0.0.1:3306 through prod:app2");
    assert_eq!(bench.reach.texts()[0], "GET http://10.0.1.1/leader");
}

#[tokio::test]
async fn the_leader_is_asked_for_as_the_application_asks() {
    let settings = SSH
        .replace(
            "[services.app]",
            "ca_pem = \"SQL'S OWN\"\n[services.app]\nhealth = { url = \"x\", ca_pem = \"OURS\" }",
        )
        .replace("http://10.0.1.1/leader", "https://leader.{{ site }}.example/");
    let bench = bench(&settings, End::Source);
    leads(&bench.reach, "app2");
    let access = Access::open(&bench.cx, &site("prod")).await.expect("access");
    assert_eq!(access.endpoint.ca_pem.as_deref(), Some("SQL'S OWN"));
    let calls = bench.reach.calls();
    let asked = calls.iter().find_map(|call| match call {
        Call::Http(request) => Some((request.url.as_str(), request.ca_pem.as_deref())),
        _ => None,
    });
    assert_eq!(asked, Some(("https://leader.prod.example/", Some("OURS"))));
}

#[tokio::test]
async fn without_a_known_leader_nothing_is_guessed() {
    for (answer, kind) in [
        (Answer::http(503, "no quorum"), FailureKind::Busy),
        (Answer::http(404, ""), FailureKind::Refused),
        (Answer::json(200, json!({ "leader": null })), FailureKind::Refused),
        (Answer::json(200, json!({ "leader": "app9" })), FailureKind::Refused),
        (Answer::lost(), FailureKind::Unreachable),
    ] {
        let bench = bench(SSH, End::Source);
        bench.reach.always("GET", answer);
        let failure = Access::open(&bench.cx, &site("prod")).await.expect_err("no leader");
        assert_eq!(failure.kind, kind, "{failure}");
    }
}

#[tokio::test]
async fn a_restore_that_was_begun_goes_on_where_it_was_begun_while_nobody_leads() {
    let previous = |settled: bool, place: &str| {
        json!({ "run": "r", "place": place, "kept": "2026-03-01T02:03:04Z", "databases": [], "replaced": ["shop"],
                "file": null, "counts": {}, "settled": settled })
    };
    for (record, end, found) in [
        (previous(false, "bcp:app1"), End::Target, Some("app1")),
        (previous(true, "bcp:app1"), End::Target, None),
        (previous(false, "bcp:gone"), End::Target, None),
        (previous(false, "prod:app2"), End::Source, None),
    ] {
        let bench = bench(SSH, end);
        let name = bench.cx.site().expect("a site").clone();
        bench.reach.always("GET", Answer::json(503, json!({ "leader": null })));
        bench.reach.always(&format!("previous/{name}-db.json"), Answer::stdout(&record.to_string()));
        let access = Access::open(&bench.cx, &name).await;
        let host = access.as_ref().ok().and_then(|access| access.host.as_ref()).map(HostName::as_str);
        assert_eq!(host, found, "{record} {access:?}");
        assert!(found.is_some() || access.is_err_and(|failure| failure.kind == FailureKind::Busy));
    }
}

#[tokio::test]
async fn ports_and_tunnels_lead_elsewhere() {
    let port = SSH.replace("leader = \"app\"", "leader = \"app\"\nvia = \"port\"");
    let direct = bench(&port, End::Source);
    leads(&direct.reach, "app2");
    let access = Access::open(&direct.cx, &site("prod")).await.expect("access");
    assert_eq!(access.endpoint.to_string(), "co@10.0.1.12:3306");
    assert_eq!(access.place, Place::Host(site("prod"), HostName::new("app1").expect("a name")));

    let text = SSH.replace("leader = \"app\"", "leader = \"app\"\nvia = \"tunnel\"\ntunnel_port = 13306");
    let remote = bench(&text, End::Source);
    leads(&remote.reach, "app1");
    let failure = Access::open(&remote.cx, &site("prod")).await.expect_err("the tree is not here");
    assert_eq!(failure.kind, FailureKind::Invalid);
    let here = bench(&format!("[sites.prod.hosts.here]\nlocal = true\n{text}"), End::Source);
    leads(&here.reach, "app1");
    let access = Access::open(&here.cx, &site("prod")).await.expect("access");
    assert_eq!((access.place, access.address.to_string()), (Place::Console, "127.0.0.1:13306".to_owned()));
    assert_eq!(access.endpoint.to_string(), "co@127.0.0.1:3306 through prod:app1");
}

#[tokio::test]
async fn a_good_source_is_good() {
    let bench = bench(SSH, End::Source);
    all_is_well(&bench.reach, "10.11.2-MariaDB", &[USERS]);
    let found = source_findings(&bench).await;
    assert!(!found.contains("fatal") && !found.contains("warning"), "{found}");
}

#[tokio::test]
async fn what_spoils_a_dump_is_found() {
    type Prepare = fn(&FakeReach);
    let cases: [(Prepare, &str); 6] = [
        (
            |reach| {
                reach.on("SHOW GRANTS", grants("GRANT SELECT, SHOW VIEW ON `shop`.* TO `co`@`%`"));
            },
            "fatal: co@127.0.0.1:3306 through prod:app1 at prod lacks TRIGGER, EVENT on shop",
        ),
        (
            |reach| {
                reach.on("--execute 'SHOW", Answer::stdout(&HERE.replace("db", "other")));
            },
            "fatal: programs on prod:app1 reach another server",
        ),
        (
            |reach| {
                reach.on("--execute 'SHOW", Answer::exec(&[1], "", "ERROR 1045 (28000): Access denied"));
            },
            "fatal: mariadb on prod:app1 cannot log in",
        ),
        (
            |reach| {
                reach.on("UNIX_TIMESTAMP", server("8.0.36", "db"));
                reach.on("schemata", census(&[USERS], "2"));
            },
            "fatal: mariadb-dump (MariaDB 10.11.2) dumps values of the 2 generated columns",
        ),
        (
            |reach| {
                reach.on("schemata", census(&[&["shop", "log", "BASE TABLE", "MyISAM", "1", "1", "0", "NULL"]], "0"));
            },
            "warning: not transactional, so not consistent with the rest if it is written to meanwhile: shop.log (MyISAM)",
        ),
        (
            |reach| {
                reach.on("zstd --version", Answer::exec(&[127], "", ""));
            },
            "warning: prod:app1 has no zstd; gzip",
        ),
    ];
    for (prepare, expected) in cases {
        let bench = bench(SSH, End::Source);
        prepare(&bench.reach);
        all_is_well(&bench.reach, "10.11.2-MariaDB", &[USERS]);
        let found = source_findings(&bench).await;
        assert!(found.contains(expected), "{expected} is not in:\n{found}");
        assert!(bench.reach.unused().is_empty(), "{:?}", bench.reach.unused());
    }
}

fn source() -> details::Source {
    details::Source {
        flavour: server::Flavour::Mariadb,
        version: server::Version(10, 11, 2),
        identity: server::Identity { uuid: None, seat: "elsewhere".to_owned(), started: 5 },
        databases: vec!["shop".to_owned()],
        tables: ["shop.users".to_owned()].into(),
        bytes: 100,
        collations: ["utf8mb4_general_ci".to_owned()].into(),
        engines: ["InnoDB".to_owned()].into(),
        definers: ["co@%".to_owned()].into(),
        events: 0,
        routines: 0,
        lower_case: 0,
        max_packet: 1000,
        position: None,
    }
}

#[tokio::test]
async fn what_stops_a_load_is_found_before() {
    type Change = fn(&mut details::Source);
    let cases: [(Change, &str); 7] = [
        (|_| {}, "good: every definer exists"),
        (|source| source.flavour = server::Flavour::Mysql, "fatal: the dump comes from MySQL"),
        (|source| source.version = server::Version(11, 4, 0), "warning: the target is MariaDB 10.11.2, older"),
        (
            |source| source.databases.push("mail".into()),
            "fatal: the copy holds mail, shop, but the target is set up for shop",
        ),
        (
            |source| {
                source.collations.insert("utf8mb4_0900_ai_ci".into());
            },
            "fatal: the target does not know the collations utf8mb4_0900_ai_ci",
        ),
        (
            |source| {
                source.engines.insert("RocksDB".into());
            },
            "fatal: the target does not have the engines RocksDB",
        ),
        (
            |source| {
                source.definers.insert("ghost@%".into());
            },
            "fatal: the target has no account ghost@%",
        ),
    ];
    for (change, expected) in cases {
        let bench = bench(SSH, End::Target);
        all_is_well(&bench.reach, "10.11.2-MariaDB", &[USERS]);
        let accounts = rows(&["account_user", "account_host"], &[&["co", "%"], &["root", "localhost"]]);
        bench.reach.always("mysql.user", Answer::sql(&[accounts]));
        let scene = Scene::survey(&bench.cx).await.expect("a scene");
        let mut source = source();
        change(&mut source);
        let findings = as_target(&bench.cx, &scene, Some(&source), Waived::default()).await.expect("findings");
        let found = findings.texts().join("\n");
        assert!(found.contains(expected), "{expected} is not in:\n{found}");
        assert_eq!(expected.starts_with("fatal"), findings.failure("load").is_some(), "{found}");
    }
}

const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A target where all is well and a point that holds one table of three rows; the load is up to the test, and what is
/// `wrong` otherwise.
fn ready_to_restore(load: Answer, wrong: &[(&str, Answer)]) -> Bench {
    let bench = bench(SSH, End::Target);
    let reach = &bench.reach;
    for (words, answer) in wrong {
        reach.always(words, answer.clone());
    }
    let details = details::Details {
        source: source(),
        compressor: clients::Compressor::Zstd,
        program: "mariadb-dump".to_owned(),
        sandbox_line: false,
    };
    let part = json!({
        "service": "db", "kind": "mysql", "version": "10.11.2-MariaDB",
        "began": "2026-03-01T01:00:00Z", "ended": "2026-03-01T01:00:01Z",
        "artifacts": [{ "path": "points/p-20260301-020000-0001/db.sql.zst", "bytes": 10, "sha256": SUM }],
        "counts": { "table shop.users": { "rows": 3 } },
        "details": details,
    });
    reach.always("cat & parts/db.json", Answer::stdout(&part.to_string()));
    reach.always("previous/bcp-db.json & LC_ALL=C cat", Answer::exec(&[1], "", "cat: x: No such file or directory"));
    reach.always("df", Answer::stdout("h\n/dev/x 1000000 0 1000000 0% /\n"));
    reach.always("stat & .partial", Answer::stdout("10")).always("stat & db.sql.zst", Answer::stdout("10"));
    reach.always("--databases", Answer::job(&[0, 0, 0, 0], &format!("{SUM}  -\n")));
    reach.always("sha256sum /", Answer::job(&[0], &format!("{SUM}  /x\n")));
    reach.always("tail", Answer::job(&[0, 0], "-- Dump completed on 2026-03-01\n"));
    let tally = "rows\t3\tshop\tusers\nodd\t0\nfirst\t-- x\nlast\t-- Dump completed\n";
    reach.always("awk -f", Answer::job(&[0, 0], tally));
    reach.always("DROP DATABASE", Answer::job(&[0], ""));
    reach.on("binary-mode & points", load);
    for chore in ["mkdir", "cat >", "sync", "mv", "rm"] {
        reach.always(&format!("$ {chore}"), Answer::stdout(""));
    }
    reach.always("mysql.user", Answer::sql(&[rows(&["account_user", "account_host"], &[&["co", "%"]])]));
    all_is_well(reach, "10.11.2-MariaDB", &[USERS]);
    bench
}

async fn restore(bench: &Bench) -> crate::model::Failure {
    decode(&kinds(), "mysql.restore", &json!({})).run(&bench.cx).await.expect_err("no good ending")
}

#[tokio::test(start_paused = true)]
async fn stopping_a_load_starts_nothing_more_and_says_where_the_old_copy_is() {
    let mut bench = ready_to_restore(Answer::job_in(JobState::Running, ""), &[]);
    let cancel = bench.cx.cancel.clone();
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        cancel.cancel();
    };
    let (failure, ()) = tokio::join!(restore(&bench), stop);
    assert_eq!(failure.kind, FailureKind::Cancelled, "{failure}");
    let hint = failure.hint.expect("a hint");
    assert!(hint.as_str().contains("/mnt/exchange/previous/bcp-db-r1.sql.zst on bcp:app1"), "{hint}");
    assert!(bench.heard().contains("are not whole"), "an operator is told");
    assert_eq!(bench.reach.count("DROP DATABASE"), 1, "nothing was put back");
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_ending_is_not_known_is_not_followed_by_another() {
    let bench = ready_to_restore(Answer::job_in(JobState::Vanished, ""), &[]);
    let failure = restore(&bench).await;
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.as_str().contains("bcp-db-r1.sql.zst")));
    assert_eq!(bench.reach.count("DROP DATABASE"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_is_followed_by_putting_back() {
    let bench = ready_to_restore(Answer::job(&[0, 1], "ERROR 1064 (42000) at line 9: bad"), &[]);
    bench.reach.always("binary-mode & previous", Answer::job(&[0, 0], ""));
    let count = Answer::sql(&[SqlRows::default(), SqlRows::default(), rows(&["number_of"], &[&["3"]])]);
    bench.reach.always("COUNT(*) AS number_of FROM `shop`", count);
    let failure = restore(&bench).await;
    assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.as_str().contains("was put back and counted")));
    let texts = bench.reach.texts();
    let at = |words: &str| texts.iter().position(|text| text.contains(words)).expect(words);
    assert!(at("tail") < at("DROP DATABASE"), "the dump is proved before anything is dropped");
    assert!(at("--databases") < at("DROP DATABASE"), "what is there is kept before it is dropped");
    assert!(at("mv -f /mnt/exchange/previous/bcp-db.json") < at("DROP DATABASE"), "and recorded");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_dump_is_refused_before_anything_is_touched() {
    for (words, answer) in [
        ("stat & points", Answer::stdout("9")),
        ("stat & points", Answer::exec(&[1], "", "stat: x: No such file or directory")),
        ("sha256sum & points", Answer::job(&[0], &format!("{}  /x\n", "0".repeat(64)))),
        ("tail", Answer::job(&[0, 0], "INSERT INTO `users` VALUES (1")),
    ] {
        let bench = ready_to_restore(Answer::job(&[0, 0], ""), &[(words, answer)]);
        let failure = restore(&bench).await;
        assert_eq!(failure.kind, FailureKind::Mismatch, "{failure}");
        assert!(failure.hint.is_some_and(|hint| hint.as_str().contains("nothing was touched")));
        assert_eq!(bench.reach.count("DROP DATABASE"), 0);
    }
}
