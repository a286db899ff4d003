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

/// The host whose SSH connection carries a session.
type Way = Option<(SiteName, HostName)>;

/// The ways to a server: from this machine, and through the SSH host.
fn ways() -> [Way; 2] {
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

/// A SQL server of the test's own, with these options more: its socket and its port.
fn mariadb(lab: &Lab, more: &[String]) -> (Server, String, u16) {
    let (data, socket, port) = (lab.text_path("db"), lab.text_path("sock"), free_port());
    // Both programs take values only behind `=`.
    let data = format!("--datadir={data}");
    let mut install = Process::new("mariadb-install-db");
    install.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    done(install.arg(&data));
    let mut server = Process::new("mariadbd");
    server.args(["--no-defaults", "--user=root", "--skip-name-resolve", "--innodb-buffer-pool-size=8M", &data]);
    server.args([&format!("--socket={socket}"), &format!("--bind-address={ADDRESS}"), &format!("--port={port}")]);
    let server = server.args(more).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let server = Server(server.expect("mariadbd is installed"));
    wait_until(|| UnixStream::connect(&socket).is_ok());
    (server, socket, port)
}

#[tokio::test]
async fn sql_answers_the_same_by_every_way_and_protocol() {
    let lab = Lab::start();
    let (_server, socket, port) = mariadb(&lab, &[]);
    let endpoint = |address: &SqlAddress, through, user: &str| SqlEndpoint {
        address: address.clone(),
        through,
        user: user.into(),
        password: (user != "root").then(|| Secret::new("pa'ss".into())),
        database: None,
        ca_pem: None,
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
        let encrypted =
            SqlEndpoint { ca_pem: Some(certificates(&lab, &[ADDRESS])), ..endpoint(&by_port, way.clone(), "u") };
        let error = world.sql(&encrypted, &[]).await.expect_err("it has no certificate");
        assert_eq!(
            (error.kind, error.got.as_str()),
            (ReachErrorKind::Denied, "the server takes no encrypted sessions")
        );
        let nobody = SqlAddress::Tcp(ADDRESS.into(), free_port());
        let error = world.sql(&endpoint(&nobody, way, "u"), &[]).await.expect_err("nobody there");
        assert_eq!(error.kind, ReachErrorKind::Unreachable, "{error}");
    }
}

/// An authority, and what a server shows that it has signed for these names: the files are the test's.
fn certificates(lab: &Lab, names: &[&str]) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Others are told apart from it by their names.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let issuer_key = key();
    let ca_pem = authority.self_signed(&issuer_key).expect("a certificate").pem();
    let own = key();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let shown = CertificateParams::new(names).expect("names");
    let shown = shown.signed_by(&own, &Issuer::new(authority, issuer_key)).expect("a certificate");
    std::fs::write(lab.path("server.pem"), shown.pem()).expect("written");
    std::fs::write(lab.path("server.key"), own.serialize_pem()).expect("written");
    ca_pem
}

/// Where the server listens as well, and its certificate does not say so.
const UNNAMED: &str = "127.9.7.2";

/// A SQL server that takes encrypted sessions only: the server, its authority, and how it is reached.
fn encrypted(lab: &Lab, more: &[&str]) -> (Server, String, impl Fn(&str, Way, &str) -> SqlEndpoint + use<>) {
    let ca_pem = certificates(lab, &[ADDRESS]);
    let [shown, key] = ["server.pem", "server.key"].map(|file| lab.text_path(file));
    let mut options = vec![format!("--ssl-cert={shown}"), format!("--ssl-key={key}")];
    options.extend(["--require-secure-transport=ON".to_owned(), format!("--bind-address={ADDRESS},{UNNAMED}")]);
    options.extend(more.iter().map(|option| (*option).to_owned()));
    let (server, socket, port) = mariadb(lab, &options);
    let endpoint = move |address: &str, through, ca_pem: &str| SqlEndpoint {
        address: if address.is_empty() {
            SqlAddress::Socket(socket.clone())
        } else {
            SqlAddress::Tcp(address.into(), port)
        },
        through,
        user: "root".into(),
        password: None,
        database: None,
        ca_pem: (!ca_pem.is_empty()).then(|| ca_pem.to_owned()),
    };
    (server, ca_pem, endpoint)
}

#[tokio::test]
async fn sql_is_encrypted_only_with_a_server_that_proves_its_name() {
    let lab = Lab::start();
    let (_server, ca_pem, endpoint) = encrypted(&lab, &[]);
    let world = lab.world();
    let setup = ["CREATE USER u", "GRANT ALL ON *.* TO u"].map(SqlStatement::new);
    world.sql(&endpoint("", None, ""), &setup).await.expect("set up");
    let endpoint =
        |address: &str, way, ca_pem: &str| SqlEndpoint { user: "u".into(), ..endpoint(address, way, ca_pem) };
    let cipher = [SqlStatement::new("SHOW SESSION STATUS LIKE 'Ssl_cipher'")];
    let stranger = rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate").cert.pem();
    for way in ways() {
        let answers = world.sql(&endpoint(ADDRESS, way.clone(), &ca_pem), &cipher).await.expect("answers");
        let used = answers[0].rows[0][1].text().expect("a name");
        assert!(used.starts_with("TLS_"), "{used}");
        for (address, authority, words) in [
            (ADDRESS, "", "ERROR 1045"),
            (ADDRESS, stranger.as_str(), "UnknownIssuer"),
            (UNNAMED, ca_pem.as_str(), "not valid for name"),
        ] {
            let error = world.sql(&endpoint(address, way.clone(), authority), &cipher).await.expect_err(words);
            assert_eq!(error.kind, ReachErrorKind::Denied, "{error}");
            assert!(error.got.contains(words), "{error}");
            assert!(error.hint.is_some_and(|hint| hint.contains("`ca_pem`")), "{words}");
        }
    }
}

#[tokio::test]
async fn a_sql_server_that_encrypts_in_no_way_that_is_known_here_is_said() {
    let lab = Lab::start();
    // A way that no certificate of this kind can be used with.
    let (_server, ca_pem, endpoint) = encrypted(&lab, &["--tls-version=TLSv1.2", "--ssl-cipher=AES128-SHA"]);
    let error = lab.world().sql(&endpoint(ADDRESS, None, &ca_pem), &[]).await.expect_err("no session");
    assert_eq!(error.kind, ReachErrorKind::Denied, "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("elliptic curves")), "{}", error.got);
}
