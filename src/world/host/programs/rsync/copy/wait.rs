//! The way to the other host while a copy runs: what silence, a restart and a disk that does not answer lead to.

use std::time::Duration;

use super::super::end::{ALIVE, CONNECTING, Way};
use super::super::words;
use super::Rsync;
use crate::world::host::{Io, Machine, Slice};

impl Rsync {
    /// Waits while nothing comes back from the other host; says how it ends when that was too long.
    pub(super) fn wait(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Option<Slice> {
        const STEP: Duration = Duration::from_secs(5);
        let far = self.far()?;
        let (way, address) = (far.way(on), far.address().to_owned());
        let lost = |this: &mut Self, on: &mut Machine<'_>, io: &mut Io<'_>, said: String| {
            this.keep_partial(on);
            io.complain(said);
            io.complain(format!("rsync: connection unexpectedly closed (0 bytes received so far) [{}]", this.who()));
            io.complain(words::error(255, this.who()));
            Some(Slice::Ended(255, Duration::from_secs(3)))
        };
        match way {
            Way::Open if self.severed => {
                return lost(self, on, io, "client_loop: send disconnect: Broken pipe".to_owned());
            }
            Way::Open => {
                (self.connected, self.silence) = (true, Duration::ZERO);
                return None;
            }
            Way::Off if !self.connected => {
                return lost(self, on, io, format!("ssh: connect to host {address} port 22: No route to host"));
            }
            Way::Off => self.severed = true,
            Way::Stalled => self.connected = true,
            Way::Silent => {}
        }
        self.silence += STEP;
        let patience = self.options.timeout.map_or(Duration::MAX, Duration::from_secs);
        if way == Way::Stalled {
            if self.silence < patience {
                return Some(Slice::Busy(STEP));
            }
            io.complain(format!("[{}] io timeout after {} seconds -- exiting", self.who(), patience.as_secs()));
            io.complain(words::error(30, self.who()));
            return Some(Slice::Ended(30, STEP));
        }
        let limit = if self.connected { ALIVE } else { CONNECTING };
        if self.silence < limit {
            return Some(Slice::Busy(STEP));
        }
        let said = if self.connected {
            format!("Timeout, server {address} not responding.")
        } else {
            format!("ssh: connect to host {address} port 22: Connection timed out")
        };
        lost(self, on, io, said)
    }
}
