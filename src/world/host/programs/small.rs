//! The smallest programs: `echo`, `sleep`, `id`, `date`, and `socat` as far as it talks to the load balancer.

use std::time::Duration;

use super::{Broken, Call, MOMENT, gathered, once, unknown};
use crate::world::balancer;
use crate::world::host::{Io, Machine, Process, Slice};

/// The number of the user that programs run as: not root, as the estate restarts the application through `sudo`.
const USER: &str = "1000";

pub(super) fn echo(call: Call) -> Box<dyn Process> {
    once(move |_, io| {
        io.say(format!("{}\n", call.words.join(" ")));
        Slice::ended(0)
    })
}

const HELP: &str = "Try 'sleep --help' for more information.";

pub(super) fn sleep(call: &Call) -> Box<dyn Process> {
    let seconds = call.words.first().map(|word| (word, word.parse::<f64>()));
    match seconds {
        Some((_, Ok(seconds))) if seconds >= 0.0 && seconds.is_finite() => {
            Box::new(Sleep(Duration::from_secs_f64(seconds)))
        }
        Some((word, _)) => Broken::boxed(format!("sleep: invalid time interval '{word}'\n{HELP}"), 1),
        None => Broken::boxed(format!("sleep: missing operand\n{HELP}"), 1),
    }
}

/// Sleeps a second at a time, so that it can be ended on the way.
struct Sleep(Duration);

impl Process for Sleep {
    fn slice(&mut self, _on: &mut Machine<'_>, _io: &mut Io<'_>) -> Slice {
        let now = self.0.min(Duration::from_secs(1));
        self.0 -= now;
        if self.0.is_zero() { Slice::Ended(0, now) } else { Slice::Busy(now) }
    }
}

/// Where the load balancer takes commands: the same one, from every host.
const SOCKET: &str = "/run/haproxy/admin.sock";

/// `socat - UNIX-CONNECT:<socket>`: what it reads goes there, what comes back is printed.
pub(super) fn socat(call: &Call) -> Box<dyn Process> {
    let path = match call.words()[..] {
        ["-" | "stdio" | "STDIO", there] => there.strip_prefix("UNIX-CONNECT:").map(str::to_owned),
        _ => None,
    };
    let Some(path) = path else { return unknown(call, &call.words.join(" ")) };
    gathered(move |on, io| {
        if path != SOCKET || on.state.balancer.is_none() {
            io.complain(format!(
                "socat[1] E connect(, AF=1 \"{path}\", {}): No such file or directory",
                path.len() + 3
            ));
            return Slice::ended(1);
        }
        let line = String::from_utf8_lossy(&std::mem::take(io.input)).into_owned();
        io.say(balancer::command(on.state, line.lines().next().unwrap_or_default()));
        Slice::Ended(0, MOMENT)
    })
}

pub(super) fn id(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        ["-u"] => once(|_, io| {
            io.say(format!("{USER}\n"));
            Slice::Ended(0, MOMENT)
        }),
        _ => unknown(call, &call.words.join(" ")),
    }
}

pub(super) fn date(call: &Call) -> Box<dyn Process> {
    match call.words()[..] {
        ["-u", "+%s"] => once(|on, io| {
            io.say(format!("{}\n", on.now().as_second()));
            Slice::Ended(0, MOMENT)
        }),
        _ => unknown(call, &call.words.join(" ")),
    }
}
