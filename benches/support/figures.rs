//! Rounds in turn, medians, and the table that a bench prints. Measures nothing by itself.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

use std::fmt::Write as _;
use std::time::Duration;

/// What is measured one after the other in every round; the program is the first.
pub struct Runner<'a> {
    /// Its name in the table.
    pub name: String,
    /// Takes part in so many rounds at most: some peers take minutes.
    pub rounds: usize,
    /// Does the work once and says how long it took.
    pub work: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Runner<'a> {
    pub fn new(name: impl Into<String>, rounds: usize, work: impl FnMut() -> Duration + 'a) -> Self {
        Self { name: name.into(), rounds, work: Box::new(work) }
    }
}

/// Lets all take their turns, A B C A B C …, and returns the median of each. `BENCH_ROUNDS` makes it fewer rounds.
pub fn take_turns(mut runners: Vec<Runner<'_>>) -> Vec<(String, Duration)> {
    let mut taken: Vec<Vec<Duration>> = vec![Vec::new(); runners.len()];
    let most = std::env::var("BENCH_ROUNDS").map_or(usize::MAX, |text| text.parse().expect("a number"));
    let rounds = runners.iter().map(|runner| runner.rounds).max().unwrap_or(0).min(most);
    for round in 0..rounds {
        for (runner, times) in runners.iter_mut().zip(&mut taken).filter(|(runner, _)| round < runner.rounds) {
            let time = (runner.work)();
            println!("  round {}: {} {:.3} s", round + 1, runner.name, time.as_secs_f64());
            times.push(time);
        }
    }
    runners.into_iter().zip(taken).map(|(runner, times)| (runner.name, median(times))).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 }
}

/// One line of the table: how many times as fast as the peer the program is.
pub struct Line {
    pub what: String,
    pub program: Duration,
    pub peer: (String, Duration),
    /// The least that is aimed at; nothing for a line that is only told.
    pub aim: Option<f64>,
}

/// Prints the table.
pub fn print(title: &str, lines: &[Line]) {
    let mut text = format!(
        "\n{title}\n\n| what | program | peer | | times as fast | aim | met |\n|---|---|---|---|---|---|---|\n"
    );
    for Line { what, program, peer: (name, peer), aim } in lines {
        let ratio = peer.as_secs_f64() / program.as_secs_f64();
        let (aim, met) = match aim {
            None => (String::new(), ""),
            Some(aim) if ratio >= *aim => (format!("≥ {aim}"), "yes"),
            Some(aim) => (format!("≥ {aim}"), "**no**"),
        };
        writeln!(
            text,
            "| {what} | {:.3} s | {name} | {:.3} s | {ratio:.2} | {aim} | {met} |",
            program.as_secs_f64(),
            peer.as_secs_f64()
        )
        .expect("text");
    }
    println!("{text}");
}
