//! The program on two complete real sites, started by `tests/lab/lab`: everything here is counted by the lab, not by the
//! program. One lab runs at a time, because two cores carry no more.

mod bad_days;
mod bare;
mod console;
mod keeping;
mod kills;
mod replicate;
#[expect(dead_code, reason = "the tests of the terminal use the rest")]
#[path = "../terminal/screen.rs"]
mod screen;
mod setups;
mod support;
mod tls;
mod vanished;
mod watch;
