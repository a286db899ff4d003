//! What five hundred probes every five seconds cost: the console of a large estate, of which everything answers. Twenty
//! hosts are asked over SSH, 230 applications of each site over HTTP.

#![expect(clippy::print_stdout, reason = "the figures are what a bench is for")]

#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/terminal.rs"]
mod terminal;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hosts::{Hosts, hang_up};
use terminal::Terminal;

const HOSTS: u8 = 20;
const APPLICATIONS: usize = 230;
const WARM: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);

fn main() {
    let answers = Arc::new(AtomicU64::new(0));
    let address = serve(&answers);
    let mut more = "[health]\ninterval = \"5s\"\n".to_owned();
    for number in 0..APPLICATIONS {
        let host = number % usize::from(HOSTS) + 1;
        write!(
            more,
            "[services.app{number}]\nkind = \"app\"\nrole = \"app\"\na.role = \"h{host}\"\n\
             health = {{ url = \"http://{address}/app{number}/health\", field = \"/status\", value = \"UP\" }}\n"
        )
        .expect("text");
    }
    let hosts = Hosts::start(HOSTS);
    let estate = hosts.estate(&more);
    let console = Terminal::open(&estate, &hosts.path(""));
    let first = console.first_frame();
    std::thread::sleep(WARM);
    let before = answers.load(Ordering::SeqCst);
    let (share, bytes) = console.cost(MEASURED);
    let asked = answers.load(Ordering::SeqCst) - before;
    let wanted = 2 * APPLICATIONS as u64 * MEASURED.as_secs() / 5;
    assert!(asked.abs_diff(wanted) < wanted / 20, "{asked} questions to applications, not {wanted}");
    println!(
        "{} probes every 5 s: {share:.2} % of a core, {bytes:.0} bytes a second to the terminal, first frame after {first:?}",
        2 * usize::from(HOSTS) + 2 * APPLICATIONS + 6
    );
    drop(console);
    hang_up(&hosts.path("state").join("run"));
}

/// Answers every question of HTTP well, with as much as an application's health says, and counts them.
fn serve(answers: &Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answers = Arc::clone(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || answer(stream.expect("a connection"), &answers));
        }
    });
    address
}

fn answer(mut stream: TcpStream, answers: &AtomicU64) {
    let part = "{\"name\":\"disk\",\"status\":\"UP\",\"free\":123456789}";
    let body = format!("{{\"status\":\"UP\",\"version\":\"1.4\",\"parts\":[{}]}}", [part; 20].join(","));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let asked = BufReader::new(stream.try_clone().expect("a connection"));
    // The head of a question ends with an empty line, and it has no body.
    for line in asked.lines() {
        let Ok(line) = line else { return };
        if line.is_empty() {
            answers.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
                return;
            }
        }
    }
}
