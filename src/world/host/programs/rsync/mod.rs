//! `rsync`, within a host, between two mounts, and to the host of the other site through the network.
//!
//! It never writes into a file that is there: what is new is made under a name of its own and renamed, so that other
//! names of the old one keep what they had. What ends it on the way leaves what was copied until then.

mod args;
mod copy;
mod end;
mod list;
mod remove;
mod there;
mod words;

use super::{Broken, Call, MOMENT, once};
use crate::world::host::{Machine, Process, Slice};

/// What `rsync --version` prints, as far as anybody reads it.
const VERSION: &str = "rsync  version 3.5.0  protocol version 32
Copyright (C) 1996-2026 by Andrew Tridgell, Wayne Davison, and others.
Web site: https://rsync.samba.org/
Capabilities:
    64-bit files, 64-bit inums, 64-bit timestamps, 64-bit long ints,
    socketpairs, symlinks, symtimes, hardlinks, hardlink-specials,
    hardlink-symlinks, IPv6, atimes, batchfiles, inplace, append, ACLs,
    ACL-at, xattrs, optional secluded-args, iconv, prealloc, stop-at,
    no crtimes
";

pub(super) fn rsync(on: &Machine<'_>, call: &Call) -> Box<dyn Process> {
    if call.words() == ["--version"] {
        return once(|_, io| {
            io.say(VERSION);
            Slice::Ended(0, MOMENT)
        });
    }
    match args::Options::read(on, call) {
        Ok(options) => Box::new(copy::Rsync::new(options)),
        Err(problem) => {
            let error = "rsync error: syntax or usage error (code 1) at main.c(1795) [client=3.5.0]";
            Broken::boxed(format!("rsync: {problem}\n{error}"), 1)
        }
    }
}
