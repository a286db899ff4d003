//! The server and its client programs, driven as steps drive them.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use super::{TALLY_MARK, Trouble, tally};
use crate::model::{HostName, Secret, SiteName};
use crate::port::{
    Arg, Command, ExecOutput, Exit, JobId, JobState, Pipeline, Place, Reach, ReachError, ReachErrorKind, SqlAddress,
    SqlEndpoint, SqlRows, SqlStatement,
};
use crate::world::{Fault, SECRET, SimulatedWorld, Spec};

fn sites() -> [SiteName; 2] {
    Spec::sites()
}

fn place(site: &SiteName) -> Place {
    Place::Host(site.clone(), HostName::new("app1").expect("a name"))
}

fn address(site: &SiteName) -> &'static str {
    if *site == sites()[0] { "10.0.1.31" } else { "10.0.2.31" }
}

fn quiet() -> SimulatedWorld {
    SimulatedWorld::new(&Spec { write_every: None, ..Spec::small(1) })
}

fn client(program: &str, site: &SiteName, args: &[&str]) -> Pipeline {
    let command = Command::new(program)
        .arg(Arg::SecretFile { before: "--defaults-file=".to_owned(), index: 0 })
        .args(["--user=changeover", &format!("--host={}", address(site)), "--port=3306", "--protocol=TCP"])
        .args(args.iter().copied());
    Pipeline::from(command).secret_file(Secret::new(format!("[client]\npassword=\"{SECRET}\"\n")))
}

const DUMP: [&str; 9] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--databases",
    "shop",
];

async fn exec(world: &SimulatedWorld, site: &SiteName, pipeline: &Pipeline) -> ExecOutput {
    world.exec(&place(site), pipeline, Duration::from_mins(5)).await.expect("it ran")
}

async fn dump(world: &SimulatedWorld, site: &SiteName) -> Vec<u8> {
    let output = exec(world, site, &client("mariadb-dump", site, &DUMP)).await;
    assert_eq!(output.exits, [Exit::Code(0)], "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

async fn load(world: &SimulatedWorld, site: &SiteName, text: &[u8]) -> ExecOutput {
    exec(world, site, &client("mariadb", site, &["--binary-mode"]).stdin(text)).await
}

async fn execute(world: &SimulatedWorld, site: &SiteName, text: &str) -> (Exit, String) {
    let args = ["--batch", "--skip-column-names", "--execute", text];
    let output = exec(world, site, &client("mariadb", site, &args)).await;
    (output.exits[0], format!("{}{}", output.text(), String::from_utf8_lossy(&output.stderr)))
}

fn endpoint(site: &SiteName, password: &str) -> SqlEndpoint {
    SqlEndpoint {
        address: SqlAddress::Tcp(address(site).to_owned(), 3306),
        through: Some((site.clone(), HostName::new("app1").expect("a name"))),
        user: "changeover".to_owned(),
        password: Some(Secret::new(password.to_owned())),
        database: None,
        ca_pem: None,
    }
}

async fn ask(world: &SimulatedWorld, site: &SiteName, password: &str, text: &str) -> Result<Vec<SqlRows>, ReachError> {
    world.sql(&endpoint(site, password), &[SqlStatement::new(text)]).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_encrypted_here_and_whoever_wants_it_is_told() {
    let [first, _] = sites();
    let wanted = SqlEndpoint { ca_pem: Some("OURS".to_owned()), ..endpoint(&first, SECRET) };
    let error = quiet().sql(&wanted, &[SqlStatement::new("SELECT 1")]).await.expect_err("no such session");
    assert_eq!((error.kind, error.got.as_str()), (ReachErrorKind::Denied, "the server takes no encrypted sessions"));
}

/// What a site holds of SQL, content included.
fn truth(world: &SimulatedWorld, site: &SiteName) -> Vec<(String, String)> {
    let truth = world.with(|state| state.truth(site));
    truth.items.into_iter().filter(|(name, _)| name.starts_with("sql/")).collect()
}

fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8(text.to_vec()).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_is_what_was_dumped() {
    let world = quiet();
    let [first, second] = sites();
    assert!(truth(&world, &second).is_empty(), "the standby begins without the database");
    let text = dump(&world, &first).await;
    let output = load(&world, &second, &text).await;
    assert!(output.is_success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (there, here) = (truth(&world, &first), truth(&world, &second));
    assert_eq!(there, here);
    assert_eq!(here.iter().filter(|(name, _)| name.matches('/').count() == 2 && name.contains("shop.")).count(), 80);
    for name in
        ["sql/shop/view big_orders", "sql/shop/code orders_audit", "sql/shop/code total_of", "sql/shop/code tidy"]
    {
        assert!(here.iter().any(|(have, _)| have == name), "{name} is missing");
    }
    let again = dump(&world, &second).await;
    let without_times = |text: &[u8]| {
        let lines = lines(text).into_iter();
        lines.filter(|line| !line.starts_with("-- Host") && !line.starts_with("-- Dump")).collect::<Vec<_>>()
    };
    assert_eq!(without_times(&text), without_times(&again), "a dump of what was loaded is the same dump");
}

/// What `mariadb-dump` 10.11.19 wrote of such a database, with the options of the program.
const REAL_DUMP: &[u8] = include_bytes!("real_dump.sql");

#[tokio::test(start_paused = true)]
async fn a_dump_of_the_real_program_is_loaded_and_written_alike() {
    let world = quiet();
    let [_, second] = sites();
    let output = load(&world, &second, REAL_DUMP).await;
    assert!(output.is_success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = lines(&dump(&world, &second).await);
    let theirs = lines(REAL_DUMP);
    // Of what surrounds code and views, the simulated program leaves out some settings; it adds none of its own.
    let extra: Vec<&String> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert!(extra.iter().all(|line| line.starts_with("-- ") || line.contains("SET sql_mode")), "{extra:#?}");
    let data = |lines: &[String]| -> Vec<String> {
        let kept = |line: &&String| line.starts_with('(') || line.starts_with("  ") || line.starts_with("INSERT");
        lines.iter().filter(kept).cloned().collect()
    };
    assert_eq!(data(&ours), data(&theirs));
    assert!(data(&ours).len() > 20);
}

#[tokio::test(start_paused = true)]
async fn a_dump_holds_what_was_there_when_it_began() {
    let world = SimulatedWorld::new(&Spec { write_every: None, rows: 400, ..Spec::small(1) });
    let [first, second] = sites();
    let before = truth(&world, &first);
    let job = JobId::new(&["dump"]);
    let pipeline = client("mariadb-dump", &first, &DUMP).to_file("/mnt/exchange/dump.sql");
    world.job_start(&place(&first), &job, &pipeline).await.expect("it starts");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(world.with(|state| super::write(state, &first, 1)), "a user's order is taken meanwhile");
    let read = |world: &SimulatedWorld| {
        world.with(|state| state.disks[state.sites[&first].exchange.0].read("/dump.sql").expect("a file"))
    };
    let half = read(&world);
    assert!(!half.is_empty() && !lines(&half).last().expect("a line").starts_with("-- Dump completed"));
    loop {
        let poll = world.job_poll(&place(&first), &job, 0, Duration::from_secs(5)).await.expect("an answer");
        if let JobState::Ended(exits) = poll.state {
            assert_eq!(exits, [Exit::Code(0)]);
            break;
        }
    }
    assert!(load(&world, &second, &read(&world)).await.is_success());
    assert_eq!(truth(&world, &second), before);
    assert_eq!(truth(&world, &first).len(), before.len() + 2, "the order and what its trigger noted");
}

#[tokio::test(start_paused = true)]
async fn what_ends_a_load_half_way_leaves_half_a_database() {
    let [first, second] = sites();
    let world = quiet();
    let text = dump(&world, &first).await;
    let whole = truth(&world, &first).len();
    let cases: [(&[Fault], &str); 3] = [
        (&[Fault::Sql { site: second.clone(), trouble: Trouble::EndsSessions }], "ERROR 2006 (HY000) at line "),
        (&[Fault::SqlDown { site: second.clone() }], "Server has gone away"),
        (&[Fault::HostDown { site: second.clone(), host: HostName::new("app1").expect("a name") }], ""),
    ];
    for (faults, said) in cases {
        let world = quiet();
        let job = JobId::new(&["load"]);
        let pipeline = client("mariadb", &second, &["--binary-mode"]).stdin(text.clone());
        world.job_start(&place(&second), &job, &pipeline).await.expect("it starts");
        tokio::time::sleep(Duration::from_millis(500)).await;
        for fault in faults {
            world.strike(fault);
        }
        world.strike_at(Duration::from_secs(20), Fault::Heal);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let poll = world.job_poll(&place(&second), &job, 0, Duration::ZERO).await.expect("an answer");
        if said.is_empty() {
            assert_eq!(poll.state, JobState::Vanished);
        } else {
            assert_eq!(poll.state, JobState::Ended(vec![Exit::Code(1)]), "{said}");
            assert!(String::from_utf8_lossy(&poll.output).contains(said), "{said}");
        }
        let half = truth(&world, &second).len();
        assert!(half > 0 && half < whole, "{half} of {whole}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dump_whose_session_ends_is_cut_and_says_where() {
    let [first, _] = sites();
    for (fault, said) in [
        (
            Trouble::EndsSessions,
            "mariadb-dump: Error 2013: Lost connection to server during query when dumping table `orders`",
        ),
        (Trouble::ReadOnly, ""),
    ] {
        let world = quiet();
        world.strike_at(Duration::from_millis(700), Fault::Sql { site: first.clone(), trouble: fault });
        let job = JobId::new(&["dump"]);
        world.job_start(&place(&first), &job, &client("mariadb-dump", &first, &DUMP)).await.expect("it starts");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let poll = world.job_poll(&place(&first), &job, 0, Duration::ZERO).await.expect("an answer");
        let code = if said.is_empty() { 0 } else { 3 };
        let output = String::from_utf8_lossy(&poll.output).into_owned();
        assert_eq!(poll.state, JobState::Ended(vec![Exit::Code(code)]), "{output}");
        assert!(output.contains(said) && output.contains("-- Dump completed") == said.is_empty(), "{output}");
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_text_is_refused_at_its_line() {
    let world = quiet();
    let [first, second] = sites();
    let text = String::from_utf8(dump(&world, &first).await).expect("text");
    let line = |part: &str| text.lines().position(|line| line.contains(part)).expect("a line") + 1;
    let number = line("INSERT INTO `customers`");
    let cases = [
        (
            text.replace("INSERT INTO `customers`", "INSXRT INTO `customers`"),
            format!("ERROR 1064 (42000) at line {number}: You have an error"),
        ),
        (text.replace("(1,'O\\'Neil", "(1,'O'Neil"), format!("ERROR 1064 (42000) at line {number}: ")),
        (text.replace("(2,'日本", "(1,'日本"), format!("ERROR 1062 (23000) at line {number}: Duplicate entry '1'")),
        (text.replace("(2,'日本 商店 2',", "("), format!("ERROR 1136 (21S01) at line {number}: ")),
        (text.replace("CREATE TABLE `customers`", "CREATE TABLE `gone`"), "ERROR 1146 (42S02) at line".to_owned()),
        (text.replace("`cents` int(11)", "`cents` ont(11)"), "ERROR 1064 (42000) at line".to_owned()),
        (text.replace("SQL_MODE='NO", "SQL_MADE='NO"), "ERROR 1193 (HY000) at line".to_owned()),
    ];
    for (damaged, said) in cases {
        assert_ne!(damaged, text, "{said}");
        let output = load(&world, &second, damaged.as_bytes()).await;
        assert_eq!(output.exits, [Exit::Code(1)], "{said}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains(&said), "{said} is not in {complaint}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_held_is_not_dropped() {
    let world = quiet();
    let [first, second] = sites();
    let text = "SET SESSION lock_wait_timeout = 60, foreign_key_checks = 0; DROP DATABASE IF EXISTS `shop`";
    assert_eq!(execute(&world, &second, text).await.0, Exit::Code(0), "what is not there need not be dropped");
    let held = |trouble| Fault::Sql { site: first.clone(), trouble };
    world.strike(&held(Trouble::Locks));
    let began = tokio::time::Instant::now();
    let (exit, said) = execute(&world, &first, text).await;
    assert_eq!(exit, Exit::Code(1));
    assert!(said.contains("ERROR 1205 (HY000) at line 1: Lock wait timeout exceeded"), "{said}");
    assert!(began.elapsed() >= Duration::from_mins(1), "{:?}", began.elapsed());
    assert!(!truth(&world, &first).is_empty());
    world.strike(&held(Trouble::Unlocks));
    assert_eq!(execute(&world, &first, text).await.0, Exit::Code(0));
    assert!(truth(&world, &first).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_is_told_so() {
    let world = quiet();
    let [first, second] = sites();
    let refused = ask(&world, &first, "wrong", "SHOW GRANTS").await.expect_err("a wrong password");
    assert_eq!(refused.kind, ReachErrorKind::Denied);
    assert_eq!(
        refused.got,
        "ERROR 1045 (28000): Access denied for user 'changeover'@'10.0.1.11' (using password: YES)"
    );
    let unknown = ask(&world, &first, SECRET, "SELECT 1 + 1").await.expect_err("it is no SQL engine");
    assert_eq!(unknown.kind, ReachErrorKind::Refused);
    assert!(unknown.got.starts_with("ERROR 1064 (42000): ") && unknown.got.contains("'SELECT 1 + 1'"), "{unknown}");
    world.strike(&Fault::Sql { site: first.clone(), trouble: Trouble::LocksOut });
    let (exit, said) = execute(&world, &first, "SELECT 1").await;
    assert_eq!(exit, Exit::Code(1));
    assert!(said.contains("ERROR 1045 (28000): Access denied"), "{said}");
    let output = exec(&world, &second, &client("mariadb-dump", &second, &DUMP)).await;
    assert_eq!(output.exits, [Exit::Code(2)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "mariadb-dump: Got error: 1049: \"Unknown database 'shop'\" when selecting the database\n");
    world.strike(&Fault::SqlDown { site: second.clone() });
    let (exit, said) = execute(&world, &second, "SELECT 1").await;
    assert_eq!(
        (exit, said.as_str()),
        (Exit::Code(1), "ERROR 2002 (HY000): Can't connect to server on '10.0.2.31' (115)\n")
    );
}

#[test]
fn users_cannot_write_where_the_server_takes_no_writes() {
    let [first, second] = sites();
    let mut state = Spec::small(1).build();
    assert!(super::write(&mut state, &first, 1));
    assert!(!super::write(&mut state, &first, 1), "the same order twice");
    assert!(!super::write(&mut state, &second, 2), "there is no database");
    state.strike(&Fault::Sql { site: first.clone(), trouble: Trouble::ReadOnly });
    assert!(!super::write(&mut state, &first, 3));
    state.strike(&Fault::Heal);
    assert!(super::write(&mut state, &first, 4));
    state.strike(&Fault::SqlDown { site: first.clone() });
    assert!(!super::write(&mut state, &first, 5));
    assert_eq!(state.count(&first).rows.get("shop.orders"), Some(&42));
}

const COUNTER: &str = include_str!("../../systems/mysql/tally.awk");

/// What the real counter says of a dump, run by the awk of this machine.
fn counted_by_awk(text: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(COUNTER.as_bytes()).expect("written");
    let mut child = std::process::Command::new("awk")
        .arg("-f")
        .arg(file.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("an awk on this machine");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = text.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().expect("an ending");
    writer.join().expect("joined").expect("written");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(start_paused = true)]
async fn dumps_are_counted_as_the_real_counter_does() {
    assert!(COUNTER.starts_with(TALLY_MARK));
    let [first, _] = sites();
    let text = dump(&quiet(), &first).await;
    let counted = tally(&text);
    assert!(
        counted.starts_with("rows\t20\tshop\taudit\nrows\t20\tshop\tcustomers\nrows\t40\tshop\torders\nodd\t0\n"),
        "{counted}"
    );
    let other = "USE `s`;\nCREATE TABLE `we``ird` (\nINSERT INTO `we``ird` (`a`,`b`) VALUES (1,'x),(y'),(2,'it\\'s');\n\
                 INSERT INTO `we``ird` VALUES (1,'open);\nINSERT INTO `unknown` VALUES (1);\nDELIMITER ;;\nINSERT\n";
    let cut = &text[..text.len() / 2];
    for text in [text.as_slice(), cut, other.as_bytes(), b"", b"\n\n"] {
        assert_eq!(tally(text), counted_by_awk(text), "{}", String::from_utf8_lossy(text));
    }
}
