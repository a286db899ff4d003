//! The MySQL room against two real servers, of any flavour and version, through the real transport.
//!
//! Not run by default. `CHANGEOVER_TEST_SQL` names a TOML file with the settings of the service: `user`, `password` and,
//! per site (`prod`, `bcp`), where its server is. The account must be able to do everything. The databases `co_shop` and
//! `co-extra` of both servers are replaced.
//!
//! ```sh
//! CHANGEOVER_TEST_SQL=pair.toml cargo test --test mysql -- --ignored --test-threads=1
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use changeover::estate::Estate;
use changeover::model::{
    Direction, End, Failure, FailureKind, HostName, PointId, RunId, Secret, SecretSource, ServiceName, SiteName,
    UnitKey,
};
use changeover::points::{Measure, Part};
use changeover::port::{Reach, SqlAddress, SqlEndpoint, SqlRows, SqlStatement};
use changeover::systems::{Step, StepContext, StepDone, Voice, VoiceMessage, catalogue};
use changeover::transport::{SystemClock, World, WorldOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct Pair {
    folder: tempfile::TempDir,
    estate: Arc<Estate>,
    reach: Arc<World>,
    ears: Vec<tokio::sync::mpsc::UnboundedReceiver<VoiceMessage>>,
    steps: u32,
}

impl Pair {
    fn new() -> Self {
        let file = std::env::var("CHANGEOVER_TEST_SQL").expect("CHANGEOVER_TEST_SQL names a file");
        let service = std::fs::read_to_string(file).expect("the file of the service");
        Self::with(&service)
    }

    fn with(service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display();
        let text = format!(
            "name = \"shop\"\nactive = \"prod\"\npolicy.min_free_percent = 1\n\
             [sites.prod]\nexchange = \"{root}/prod\"\nhosts.here = {{ local = true }}\n\
             [sites.bcp]\nexchange = \"{root}/bcp\"\nhosts.here = {{ local = true }}\n\
             [services.db]\nkind = \"mysql\"\ndatabases = [\"co_shop\", \"co-extra\"]\n{service}"
        );
        let estate: Arc<Estate> = Arc::new(toml::from_str(&text).expect("an estate"));
        for site in ["prod", "bcp"] {
            std::fs::create_dir_all(folder.path().join(site)).expect("an exchange");
        }
        let options = WorldOptions::new(folder.path().join("run"), folder.path().join("state"));
        let reach = Arc::new(World::new(estate.clone(), options).expect("a world"));
        Self { folder, estate, reach, ears: Vec::new(), steps: 0 }
    }

    fn cx(&mut self, run: &str, end: End) -> StepContext {
        self.steps += 1;
        let direction = Direction { source: name("prod"), target: name("bcp") };
        let (voice, ear) = Voice::new();
        self.ears.push(ear);
        StepContext {
            reach: self.reach.clone(),
            clock: Arc::new(SystemClock::new()),
            estate: self.estate.clone(),
            unit: UnitKey::try_from(format!("stage/step{}@{}", self.steps, direction.site(end))).expect("a unit"),
            direction,
            run: RunId::new(run).expect("a run"),
            point: PointId::new("p-20260301-020000-0001").expect("a point"),
            attempt: 1,
            end: Some(end),
            host: None,
            first: true,
            service: Some(ServiceName::new("db").expect("a service")),
            voice,
            cancel: CancellationToken::new(),
            jobs: changeover::systems::JobLog::default(),
        }
    }

    async fn run(&mut self, kind: &str, end: End, params: Value) -> Result<StepDone, Failure> {
        let cx = self.cx("r1", end);
        self.enter(&cx, kind, params).await
    }

    async fn enter(&mut self, cx: &StepContext, kind: &str, params: Value) -> Result<StepDone, Failure> {
        let step = step(kind, &params);
        for line in step.preview(cx).await? {
            assert!(!line.as_str().contains("s3cr"), "{line}");
        }
        step.run(cx).await
    }

    fn tree(&self, site: &str) -> PathBuf {
        self.folder.path().join(site).join("prod-to-bcp")
    }

    fn point(&self, site: &str) -> PathBuf {
        self.tree(site).join("points/p-20260301-020000-0001")
    }

    /// What storage or rsync would do.
    fn transfer(&self) {
        let to = self.tree("bcp");
        drop(std::fs::remove_dir_all(&to));
        shell(&format!("cp -a '{}' '{}'", self.tree("prod").display(), to.display()));
    }

    fn part(&self, site: &str) -> Part {
        let text = std::fs::read(self.point(site).join("parts/db.json")).expect("a part");
        serde_json::from_slice(&text).expect("a part")
    }

    async fn sql(&self, site: &str, statements: &[&str]) -> Vec<SqlRows> {
        let service = ServiceName::new("db").expect("a service");
        let settings = self.estate.settings_at(&service, &name(site)).expect("settings");
        let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
        let password: Option<Secret> = match settings.get("password") {
            Some(source) => {
                let source: SecretSource = serde_json::from_value(source.clone()).expect("a source");
                Some(self.reach.secret(&source).await.expect("a password"))
            }
            None => None,
        };
        let address = match text("socket") {
            Some(path) => SqlAddress::Socket(path),
            None => SqlAddress::Tcp(text("address").expect("an address"), 3306),
        };
        let through = Some((name(site), HostName::new("here").expect("a host")));
        let endpoint = SqlEndpoint {
            address,
            through,
            user: text("user").expect("a user"),
            password,
            database: None,
            ca_pem: None,
        };
        let statements: Vec<SqlStatement> = statements.iter().map(|text| SqlStatement::new(*text)).collect();
        self.reach.sql(&endpoint, &statements).await.expect("answers")
    }

    async fn number(&self, site: &str, statement: &str) -> u64 {
        self.sql(site, &[statement]).await[0].rows[0][0].number().expect("a number")
    }

    /// Fills the source with everything that could confuse a counter, and the target with something older.
    async fn seed(&self) {
        self.sql(
            "prod",
            &[
                "DROP DATABASE IF EXISTS co_shop",
                "DROP DATABASE IF EXISTS `co-extra`",
                "CREATE DATABASE co_shop CHARACTER SET utf8mb4",
                "CREATE DATABASE `co-extra` CHARACTER SET utf8mb4",
                "USE co_shop",
                "CREATE TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200), note TEXT, pic BLOB, price \
                 DECIMAL(10,2), twice DECIMAL(12,2) GENERATED ALWAYS AS (price * 2) STORED, `odd`` ) VALUES (` INT)",
                r"INSERT INTO users (name, note, pic, price) VALUES ('a','x),(y',x'00275c29',1.5),
                  ('b','it''s \\ a'';\n(1),\n(2);\nINSERT INTO `users` VALUES (1);',NULL,2),('c\\','',x'2c28',NULL),
                  ('Жук','\\\\'' ),(','',0),('DELIMITER ;;','\r\nDELIMITER ;;\r\n\0',NULL,-1)",
                "CREATE TABLE `we``ird 'na,me` (a INT, b VARCHAR(20))",
                "INSERT INTO `we``ird 'na,me` VALUES (1,'),('),(2,NULL)",
                "CREATE TABLE nothing (id INT)",
                "CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(300))",
                "INSERT INTO many (t) VALUES (REPEAT('it''s \\\\ ),( ', 20)), (''), (NULL)",
                "INSERT INTO many (t) SELECT a.t FROM many a, many b, many c, many d",
                "INSERT INTO many (t) SELECT a.t FROM many a, many b",
                "CREATE VIEW v AS SELECT id, name, 'x\nINSERT INTO `many` VALUES (1);' AS lit FROM users",
                "CREATE PROCEDURE p() BEGIN\n-- don't count this:\nINSERT INTO `many` VALUES (1,'x'),(2,'x');\nEND",
                "CREATE TRIGGER tr BEFORE INSERT ON nothing FOR EACH ROW BEGIN\nSET NEW.id = NEW.id;\nEND",
                "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO INSERT INTO `nothing` VALUES (1)",
                "CREATE TABLE `co-extra`.many (id INT PRIMARY KEY)",
                "INSERT INTO `co-extra`.many VALUES (1)",
            ],
        )
        .await;
        self.sql(
            "bcp",
            &[
                "DROP DATABASE IF EXISTS co_shop",
                "DROP DATABASE IF EXISTS `co-extra`",
                "CREATE DATABASE co_shop CHARACTER SET utf8mb4",
                "CREATE TABLE co_shop.users (id INT)",
                "INSERT INTO co_shop.users VALUES (1),(2),(3)",
                "CREATE TABLE co_shop.left_over (id INT)",
            ],
        )
        .await;
    }
}

fn name(text: &str) -> SiteName {
    SiteName::new(text).expect("a name")
}

fn step(kind: &str, params: &Value) -> Box<dyn Step> {
    let catalogue = catalogue();
    let entry = catalogue.kind(kind).expect("a kind");
    entry.decode(params.as_object().expect("an object")).expect("parameters that fit")
}

fn shell(script: &str) {
    let status = Command::new("bash").args(["-o", "pipefail", "-c", script]).status().expect("a shell");
    assert!(status.success(), "{script}");
}

/// Puts a statement that fails before the last line of a dump, and makes the part fit.
fn spoil(pair: &Pair, statement: &str) {
    let mut part = pair.part("bcp");
    let path = pair.tree("bcp").join(&part.artifacts[0].path);
    let shown = path.display();
    shell(&format!(
        "zstd -qdc '{shown}' | sed '$i {statement}' | zstd -q -o '{shown}.new' && mv '{shown}.new' '{shown}'"
    ));
    let sum = Command::new("sha256sum").arg(&path).output().expect("a sum").stdout;
    part.artifacts[0].sha256 = String::from_utf8_lossy(&sum[..64]).into_owned();
    part.artifacts[0].bytes = std::fs::metadata(&path).expect("a size").len();
    let text = serde_json::to_vec(&part).expect("JSON");
    std::fs::write(pair.point("bcp").join("parts/db.json"), text).expect("written");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const MANY: u64 = 3 + 81 + 84 * 84;

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn databases_are_copied_counted_and_brought_back() {
    let mut pair = Pair::new();
    pair.seed().await;
    drop(pair.run("mysql.check", End::Source, json!({})).await.expect("a good source"));
    drop(pair.run("mysql.check", End::Target, json!({})).await.expect("a good target"));

    let dumped = pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump");
    assert_eq!(dumped.captures["rows"], 5 + 2 + MANY + 1);
    assert!(dumped.warnings.is_empty(), "{:?}", dumped.warnings);
    let part = pair.part("prod");
    for (table, rows) in [("users", 5), ("we`ird 'na,me", 2), ("nothing", 0), ("many", MANY)] {
        assert_eq!(part.counts[&format!("table co_shop.{table}")]["rows"], Measure::Exactly(rows), "{table}");
    }
    let schema = &part.counts["schema co_shop"];
    for (what, number) in [("tables", 4), ("views", 1), ("routines", 1), ("triggers", 1), ("events", 1)] {
        assert_eq!(schema[what], Measure::Exactly(number), "{what}");
    }
    assert_eq!(files(&pair.point("prod")), ["db.sql.zst", "parts"]);
    pair.transfer();

    let cx = pair.cx("r1", End::Target);
    let check = step("mysql.restore", &json!({})).check(&cx).await.expect("a check");
    let losses: Vec<&str> = check.losses.iter().map(changeover::model::SafeText::as_str).collect();
    assert!(losses.iter().any(|loss| loss.contains("co_shop at bcp is dropped")), "{losses:?}");
    assert!(losses.iter().any(|loss| loss.contains("left_over")), "{losses:?}");

    drop(pair.enter(&cx, "mysql.restore", json!({})).await.expect("a restore"));
    let verified = pair.run("mysql.verify", End::Target, json!({})).await.expect("all there");
    assert_eq!(verified.captures["rows"], 5 + 2 + MANY + 1);
    for statement in [
        "SELECT name, note, HEX(pic), price, twice FROM co_shop.users ORDER BY id",
        "SELECT * FROM co_shop.v ORDER BY id",
        "SELECT COUNT(*), SUM(CRC32(t)) FROM co_shop.many",
    ] {
        let there = pair.sql("bcp", &[statement]).await;
        assert_eq!(pair.sql("prod", &[statement]).await[0].rows, there[0].rows, "{statement}");
    }

    // Entering the same attempt again attaches to what was done and changes nothing.
    pair.sql("bcp", &["INSERT INTO co_shop.nothing VALUES (7)"]).await;
    let again = pair.enter(&cx, "mysql.restore", json!({})).await.expect_err("a row too many");
    assert_eq!(again.kind, FailureKind::Mismatch, "{again}");
    let found = pair.run("mysql.verify", End::Target, json!({})).await.expect_err("a row too many");
    assert_eq!(found.kind, FailureKind::Mismatch);
    assert_eq!(found.got.as_str(), "table co_shop.nothing, rows: expected 0, found 1");
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn undo_brings_back_what_was_there() {
    let mut pair = Pair::new();
    pair.seed().await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    let cx = pair.cx("r1", End::Target);
    drop(pair.enter(&cx, "mysql.restore", json!({})).await.expect("a restore"));
    drop(step("mysql.restore", &json!({})).undo(&cx).await.expect("an undo"));
    assert_eq!(pair.number("bcp", "SELECT COUNT(*) FROM co_shop.users").await, 3);
    let databases = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'co-extra'";
    assert_eq!(pair.number("bcp", databases).await, 0);
    assert_eq!(pair.number("bcp", "SELECT COUNT(*) FROM co_shop.left_over").await, 0);
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn a_load_that_fails_leaves_what_was_there() {
    let mut pair = Pair::new();
    pair.seed().await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    spoil(&pair, "SELECT * FROM co_shop.no_such_table;");
    let failure = pair.run("mysql.restore", End::Target, json!({})).await.expect_err("a bad dump");
    assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
    assert!(failure.got.as_str().contains("no_such_table"), "{failure}");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.as_str().contains("put back and counted")), "{failure}");
    assert_eq!(pair.number("bcp", "SELECT COUNT(*) FROM co_shop.users").await, 3);

    // Without a copy of what was there, half of the new one stays, and the record of the next run is not fooled.
    let failure = pair.run("mysql.restore", End::Target, json!({ "keep_previous": false })).await.expect_err("bad");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.as_str().contains("was not kept")), "{failure}");
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn the_only_whole_copy_is_never_replaced() {
    let mut pair = Pair::new();
    pair.seed().await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    // A run that is stopped after it dropped: as if the program had been killed.
    let record = pair.folder.path().join("bcp/previous/bcp-db.json");
    let stopped = pair.cx("r1", End::Target);
    drop(pair.enter(&stopped, "mysql.restore", json!({})).await.expect("a restore"));
    let mut previous: Value = serde_json::from_slice(&std::fs::read(&record).expect("a record")).expect("JSON");
    assert_eq!(previous["settled"], true);
    previous["settled"] = json!(false);
    std::fs::write(&record, previous.to_string()).expect("written");
    pair.sql("bcp", &["DROP TABLE co_shop.users"]).await;
    let next = pair.cx("r2", End::Target);
    drop(pair.enter(&next, "mysql.restore", json!({})).await.expect("a restore"));
    drop(step("mysql.restore", &json!({})).undo(&next).await.expect("an undo"));
    assert_eq!(pair.number("bcp", "SELECT COUNT(*) FROM co_shop.users").await, 3, "the copy of before run r1");
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn nothing_is_touched_when_the_dump_is_not_whole() {
    let mut pair = Pair::new();
    pair.seed().await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    let path = pair.point("bcp").join("db.sql.zst");
    let whole = std::fs::read(&path).expect("a dump");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bad in [&whole[..whole.len() - 1], &flipped[..]] {
        std::fs::write(&path, bad).expect("written");
        let failure = pair.run("mysql.restore", End::Target, json!({})).await.expect_err("a bad file");
        assert_eq!(failure.kind, FailureKind::Mismatch, "{failure}");
        assert!(failure.hint.as_ref().is_some_and(|hint| hint.as_str().contains("nothing was touched")), "{failure}");
    }
    std::fs::remove_file(&path).expect("removed");
    let failure = pair.run("mysql.restore", End::Target, json!({})).await.expect_err("no file");
    assert!(failure.got.as_str().contains("is not there"), "{failure}");
    assert_eq!(pair.number("bcp", "SELECT COUNT(*) FROM co_shop.users").await, 3);
    let at_the_source = pair.run("mysql.restore", End::Source, json!({})).await.expect_err("the source");
    assert_eq!(at_the_source.kind, FailureKind::Rule);
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn definers_that_are_missing_and_fenced_targets_are_refused_before() {
    let mut pair = Pair::new();
    pair.seed().await;
    pair.sql("prod", &["DROP USER IF EXISTS co_ghost@localhost", "CREATE USER co_ghost@localhost"]).await;
    pair.sql("prod", &["CREATE DEFINER = co_ghost@localhost VIEW co_shop.haunted AS SELECT 1 AS one"]).await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    for kind in ["mysql.check", "mysql.restore"] {
        let failure = pair.run(kind, End::Target, json!({})).await.expect_err("no such account");
        assert_eq!(failure.kind, FailureKind::Rule, "{failure}");
        assert!(failure.got.as_str().contains("co_ghost@localhost"), "{failure}");
    }
    let waived = json!({ "allow_missing_definers": true });
    let done = pair.run("mysql.restore", End::Target, waived).await.expect("a restore");
    assert!(done.warnings.iter().any(|warning| warning.as_str().contains("co_ghost")), "{:?}", done.warnings);
    pair.sql("bcp", &["SET GLOBAL read_only = 1"]).await;
    let failure = pair.run("mysql.restore", End::Target, json!({})).await;
    pair.sql("bcp", &["SET GLOBAL read_only = 0"]).await;
    let failure = failure.expect_err("a fenced target");
    assert!(failure.got.as_str().contains("read-only"), "{failure}");
    pair.sql("prod", &["DROP USER co_ghost@localhost"]).await;
}

#[tokio::test]
#[ignore = "needs two SQL servers"]
async fn a_server_is_never_its_own_standby() {
    let file = std::env::var("CHANGEOVER_TEST_SQL").expect("CHANGEOVER_TEST_SQL names a file");
    let service = std::fs::read_to_string(file).expect("the file of the service");
    let prod = service.lines().find(|line| line.starts_with("prod =")).expect("a line `prod = …`");
    let both: Vec<String> = service
        .lines()
        .map(|line| if line.starts_with("bcp =") { prod.replacen("prod", "bcp", 1) } else { line.into() })
        .collect();
    let mut pair = Pair::with(&both.join("\n"));
    pair.sql("prod", &["CREATE DATABASE IF NOT EXISTS co_shop", "CREATE DATABASE IF NOT EXISTS `co-extra`"]).await;
    drop(pair.run("mysql.dump", End::Source, json!({})).await.expect("a dump"));
    pair.transfer();
    for kind in ["mysql.check", "mysql.restore"] {
        let failure = pair.run(kind, End::Target, json!({})).await.expect_err("one server");
        assert_eq!(failure.kind, FailureKind::Rule);
        assert!(failure.got.as_str().contains("same server"), "{failure}");
    }
}
