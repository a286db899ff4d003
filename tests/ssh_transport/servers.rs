//! Databases and caches behind the SSH server: real ones, started by the test.
//!
//! Needs `mariadb-install-db`, `mariadbd` (Debian: mariadb-server) and `redis-server`.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use changeover::model::{HostName, Secret, SiteName};
use changeover::port::{
    Reach, ReachErrorKind, RedisEndpoint, RedisReply, SqlAddress, SqlEndpoint, SqlStatement, SqlValue,
};

use crate::lab::{ADDRESS, LIMIT, Lab, done, free_port};

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The ways to a server: from this machine, and through the SSH host.
fn ways() -> [Option<(SiteName, HostName)>; 2] {
    [None, Some((SiteName::new("a").expect("a name"), HostName::new("app1").expect("a name")))]
}

fn wait_until(mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < LIMIT, "the server does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn redis_answers_directly_and_through_ssh() {
    let lab = Lab::start();
    let port = free_port();
    let mut redis = Process::new("redis-server");
    redis.args(["--bind", ADDRESS, "--port", &port.to_string(), "--save", "", "--requirepass", "s3cret", "--dir"]);
    let _server = Server(redis.arg(lab.path("")).stdout(Stdio::null()).spawn().expect("redis-server is installed"));
    wait_until(|| TcpStream::connect((ADDRESS, port)).is_ok());
    let endpoint = |through, password: &str| RedisEndpoint {
        address: ADDRESS.into(),
        port,
        through,
        user: None,
        password: Some(Secret::new(password.into())),
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let world = lab.world();
    for way in ways() {
        let commands = [words("SET k v"), words("GET k"), words("GET none"), words("INCR k"), words("FLUSHALL")];
        let replies = world.redis(&endpoint(way.clone(), "s3cret"), &commands).await.expect("replies");
        assert_eq!(replies[..3], [RedisReply::Status("OK".into()), RedisReply::Bytes("v".into()), RedisReply::Nil]);
        assert!(matches!(&replies[3], RedisReply::Error(text) if text.starts_with("ERR value is not an integer")));
        assert_eq!(replies.len(), 4, "nothing is sent behind a refusal");
        let error = world.redis(&endpoint(way.clone(), "wrong"), &commands).await.expect_err("a wrong password");
        assert_eq!(error.kind, ReachErrorKind::Denied, "{error}");
        let nobody = RedisEndpoint { port: free_port(), ..endpoint(way, "s3cret") };
        let error = world.redis(&nobody, &commands).await.expect_err("nobody there");
        assert_eq!(error.kind, ReachErrorKind::Unreachable, "{error}");
    }
    lab.cut();
    let [_, through] = ways();
    let ping = [words("PING")];
    let begun = Instant::now();
    // Until our side has noticed that the connection is gone, the server is out of reach; then a new one is made.
    let replies = loop {
        match world.redis(&endpoint(through.clone(), "s3cret"), &ping).await {
            Err(error) if error.kind == ReachErrorKind::Unreachable && begun.elapsed() < LIMIT => {}
            answer => break answer.expect("a new way was made"),
        }
    };
    assert_eq!(replies, [RedisReply::Status("PONG".into())]);
}

#[tokio::test]
async fn sql_answers_the_same_by_every_way_and_protocol() {
    let lab = Lab::start();
    let (data, socket, port) = (lab.text_path("db"), lab.text_path("sock"), free_port());
    // Both programs take values only behind `=`.
    let data = format!("--datadir={data}");
    let mut install = Process::new("mariadb-install-db");
    install.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    done(install.arg(&data));
    let mut server = Process::new("mariadbd");
    server.args(["--no-defaults", "--user=root", "--skip-name-resolve", "--innodb-buffer-pool-size=8M", &data]);
    server.args([&format!("--socket={socket}"), &format!("--bind-address={ADDRESS}"), &format!("--port={port}")]);
    let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("mariadbd is installed");
    let _server = Server(server);
    wait_until(|| UnixStream::connect(&socket).is_ok());
    let endpoint = |address: &SqlAddress, through, user: &str| SqlEndpoint {
        address: address.clone(),
        through,
        user: user.into(),
        password: (user != "root").then(|| Secret::new("pa'ss".into())),
        database: None,
    };
    let world = lab.world();
    let by_socket = SqlAddress::Socket(socket.clone());
    let by_port = SqlAddress::Tcp(ADDRESS.into(), port);
    let setup =
        ["CREATE DATABASE d", "CREATE USER u IDENTIFIED BY 'pa''ss'", "GRANT ALL ON d.* TO u"].map(SqlStatement::new);
    world.sql(&endpoint(&by_socket, None, "root"), &setup).await.expect("set up");
    let columns = "CAST(-7 AS INT) i, CAST(18446744073709551615 AS UNSIGNED) u, 1.10 d, CAST(0.25 AS DOUBLE) f, \
                   CAST('2026-01-02' AS DATE) day, CAST('2026-01-02 03:04:05.5' AS DATETIME(3)) moment, \
                   CAST('-49:00:09' AS TIME) span, NULL n, 'é' t";
    let all = ways().into_iter().flat_map(|way| [(&by_socket, way.clone()), (&by_port, way)]);
    for (address, way) in all {
        let to = endpoint(address, way, "u");
        let text = SqlStatement::new(format!("SELECT {columns}"));
        let bound = SqlStatement::new(format!("SELECT {columns} FROM DUAL WHERE 'x'' y' = ?")).bind("x' y");
        let answers = world.sql(&to, &[SqlStatement::new("SET @a = 1"), text, bound]).await.expect("answers");
        let texts: Vec<_> = answers[1].rows[0].iter().map(|value| value.text().unwrap_or("NULL".into())).collect();
        let wanted = [
            "-7",
            "18446744073709551615",
            "1.10",
            "0.25",
            "2026-01-02",
            "2026-01-02 03:04:05.500",
            "-49:00:09",
            "NULL",
            "é",
        ];
        assert_eq!(texts, wanted, "{to}");
        assert_eq!(answers[1], answers[2], "the prepared protocol differs, {to}");
        assert_eq!(answers[1].get(0, "I"), Some(&SqlValue::Integer(-7)));
        let change = ["CREATE TABLE d.t (a INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1), (2)", "DROP TABLE d.t"];
        let answers = world.sql(&to, &change.map(SqlStatement::new)).await.expect("answers");
        assert_eq!(answers[1].affected, 2);
        let bad = ["SELECT 1", "SELECT * FROM d.none", "CREATE TABLE d.never (a INT)"].map(SqlStatement::new);
        let error = world.sql(&to, &bad).await.expect_err("no such table");
        assert_eq!(error.kind, ReachErrorKind::Refused);
        assert!(error.got.starts_with("ERROR 1146 (42S02): ") && error.got.ends_with("(statement 2 of 3)"), "{error}");
        let slow = SqlStatement::new("SELECT SLEEP(20)").timeout(Duration::from_secs(2));
        assert_eq!(world.sql(&to, &[slow]).await.expect_err("too slow").kind, ReachErrorKind::Lost);
        let never =
            SqlStatement::new("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = ?").bind("never");
        assert_eq!(world.sql(&to, &[never]).await.expect("a count")[0].rows[0][0].number(), Some(0));
        let wrong = SqlEndpoint { password: Some(Secret::new("no".into())), ..to.clone() };
        let error = world.sql(&wrong, &[]).await.expect_err("a wrong password");
        assert_eq!(error.kind, ReachErrorKind::Denied, "{error}");
        assert!(error.got.contains("ERROR 1045"), "{error}");
    }
    for way in ways() {
        let nobody = SqlAddress::Tcp(ADDRESS.into(), free_port());
        let error = world.sql(&endpoint(&nobody, way, "u"), &[]).await.expect_err("nobody there");
        assert_eq!(error.kind, ReachErrorKind::Unreachable, "{error}");
    }
}
