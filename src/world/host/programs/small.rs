//! The smallest programs: `echo`, `sleep`, `id`, `date`.

use std::time::Duration;

use super::{Broken, Call, MOMENT, once, unknown};
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
