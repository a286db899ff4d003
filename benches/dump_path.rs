//! The dump path beside `mysqldump | gzip`, on a real MariaDB server of our own: the very pipeline that `changeover plan`
//! shows (dump, compress, checksum in one pass), and all of `mysql.dump`, which also reads the file back and counts it.

#![expect(clippy::print_stdout, reason = "tells the sizes")]

#[path = "support/figures.rs"]
mod figures;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use figures::{Line, Runner, print, take_turns};
use hosts::{Hosts, done};
use program::Program;

/// About 250 bytes of dump each.
const ROWS: u32 = 1_000_000;

fn main() {
    let hosts = Hosts::start(1);
    if Command::new("mariadbd").arg("--version").output().is_err() {
        println!("  not measured, because it is not installed: mariadbd");
        return;
    }
    let server = Server::start(&hosts);
    server.fill();
    let socket = hosts.text("sql.sock");
    let services = format!(
        "[services.db]\nkind = \"mysql\"\na = {{ databases = [\"shop\"], user = \"root\", socket = \"{socket}\" }}\n\
         b = {{ databases = [\"shop\"], user = \"root\", socket = \"{socket}\" }}\n"
    );
    let program = Program::new(hosts.estate(&services), hosts.path("state"));
    program.prepare();
    let runbook = hosts.path("dump.toml");
    let text = "name = \"dump\"\ntitle = \"Dump\"\nmode = \"maintenance\"\n[[stages]]\nid = \"s\"\ntitle = \"Stage\"\n\
                [[stages.steps]]\nid = \"d\"\nuses = \"mysql.dump\"\non = \"source\"\nservice = \"db\"\n\
                with = { count_source = false }\n";
    fs::write(&runbook, text).expect("written");
    let ours = hosts.text("ours.sql.zst");
    let pipeline = shown_pipeline(&program, &runbook, &hosts, &ours);
    println!("  the program's pipeline: {pipeline}");
    let theirs = hosts.text("theirs.sql.gz");
    let peer = format!(
        "mysqldump --no-defaults --user=root --socket={socket} --single-transaction --routines --events --triggers \
         --databases shop | gzip > {theirs}"
    );
    let shell = |script: &str| {
        let begun = Instant::now();
        done(Command::new("bash").args(["-o", "pipefail", "-c", script]));
        begun.elapsed()
    };
    let times = take_turns(vec![
        Runner::new("pipeline", 5, || shell(&pipeline)),
        Runner::new("mysqldump | gzip", 5, || shell(&peer)),
        Runner::new("step", 3, || program.run(&runbook)),
    ]);
    let of = |name: &str| times.iter().find(|(have, _)| have == name).map(|(_, time)| *time).expect("measured");
    let line = |what: &str, program: &str, aim| Line {
        what: what.to_owned(),
        program: of(program),
        peer: ("mysqldump | gzip".to_owned(), of("mysqldump | gzip")),
        aim,
    };
    let pair = [
        line("dump, compress, checksum", "pipeline", Some(3.0)),
        line("all of `mysql.dump`: also read back, unpacked, counted", "step", None),
    ];
    print("A dump", &pair);
    let size = |path: &str| fs::metadata(path).expect("a dump").len();
    let (small, large) = (size(&ours), size(&theirs));
    let met = if small <= large { "no larger" } else { "**larger**" };
    println!("size: {small} bytes, beside {large} of gzip: {met}\n");
}

/// The pipeline that the program would run, as it shows it, with the one thing filled in that it hides: the file with the
/// password, which this server does not need.
fn shown_pipeline(program: &Program, runbook: &Path, hosts: &Hosts, to: &str) -> String {
    let output = program.command(&["plan", runbook.to_str().expect("UTF-8")]).output().expect("it starts");
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = plan.lines().find(|line| line.contains("| tee ") && line.contains("| sha256sum"));
    let line = line.unwrap_or_else(|| panic!("the plan shows no dump:\n{plan}")).trim().trim_start_matches("$ ");
    let (before, after) = line.split_once("| tee ").expect("found");
    let (_, after) = after.split_once(' ').expect("more follows");
    fs::write(hosts.path("none.cnf"), "").expect("written");
    format!("{before}| tee {to} {after}").replace("<secret file>", &hosts.text("none.cnf"))
}

/// A MariaDB server without a network.
struct Server {
    process: Child,
    socket: String,
}

impl Server {
    fn start(hosts: &Hosts) -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("we have a name").name;
        let (data, socket) = (hosts.text("sql"), hosts.text("sql.sock"));
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        done(install.arg(format!("--datadir={data}")).arg(format!("--user={user}")));
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--skip-networking", "--innodb-buffer-pool-size=512M", "--skip-log-bin"])
            .args([format!("--datadir={data}"), format!("--socket={socket}"), format!("--user={user}")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_mins(2), "mariadbd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, socket }
    }

    fn fill(&self) {
        let rows = format!(
            "CREATE DATABASE shop; USE shop; CREATE TABLE orders (id INT PRIMARY KEY, customer INT, state VARCHAR(20), \
             token CHAR(32), note VARCHAR(255), placed DATETIME, total DECIMAL(10,2)); \
             INSERT INTO orders SELECT seq, seq * 7919 % 50021, ELT(seq % 4 + 1, 'new', 'paid', 'sent', 'returned'), \
             MD5(seq), CONCAT('customer asked for delivery at the back door, parcel ', seq * 31 % 99991, ', driver ', \
             seq % 613, ', signed by neighbour number ', seq % 47, ', reference ', SHA1(seq)), \
             '2026-03-01' + INTERVAL seq SECOND, seq % 90001 / 100 FROM seq_1_to_{ROWS};"
        );
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root"]).arg(format!("--socket={}", self.socket));
        done(client.args(["--execute", &rows]));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
