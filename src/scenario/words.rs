//! What breaks, and what an operator does, in words for people.

use super::Act;
use crate::model::Span;
use crate::world::{Channel, Fault, Mishap, Zone, cache, sql};

/// What breaks or is mended, as a sentence without its full stop.
#[must_use]
pub fn fault_words(fault: &Fault) -> String {
    match fault {
        Fault::HostDown { site, host } => format!("host {host} of {site} loses its power"),
        Fault::HostUp { site, host } => format!("host {host} of {site} is there again"),
        Fault::HostFreezes { site, host } => format!("host {host} of {site} freezes"),
        Fault::HostThaws { site, host } => format!("host {host} of {site} goes on"),
        Fault::SiteDown { site } => format!("site {site} goes dark: every host and every server of it"),
        Fault::SiteUp { site } => format!("site {site} is there again"),
        Fault::NodeDown { site, node } => format!("search node {node} of {site} ends"),
        Fault::NodeUp { site, node } => format!("search node {node} of {site} joins again"),
        Fault::SnapshotPartial { site } => format!("the next snapshot at {site} misses a shard"),
        Fault::SqlDown { site } => format!("the SQL server of {site} ends"),
        Fault::SqlUp { site } => format!("the SQL server of {site} is there again"),
        Fault::AppBreaks { site, host } => format!("the application on {host} of {site} does not get well any more"),
        Fault::AppMends { site, host } => format!("the application on {host} of {site} gets well again"),
        Fault::Sql { site, trouble } => format!("the SQL server of {site} {}", sql_words(*trouble)),
        Fault::Cache { site, trouble } => format!("the cache of {site} {}", cache_words(*trouble)),
        Fault::ExchangeFull { site } => format!("the exchange tree of {site} is full"),
        Fault::ExchangeFreed { site } => format!("the exchange tree of {site} has room again"),
        Fault::DisksFull { site } => format!("the disks of the hosts of {site} are full"),
        Fault::DisksFreed { site } => format!("the disks of the hosts of {site} have room again"),
        Fault::DisksSlow { site, times } => format!("the disks of {site} are {times} times as slow"),
        Fault::ShareStalls { site } => format!("the share of {site} stalls: what touches it hangs"),
        Fault::ShareAnswers { site } => format!("the share of {site} answers again"),
        Fault::Rots { site, like } => format!("a byte turns on the exchange tree of {site}, in a file like {like}"),
        Fault::Cut { from, to } => format!("nothing gets from {} to {} any more", zone(from), zone(to)),
        Fault::Mend { a, b } => format!("{} and {} reach each other again", zone(a), zone(b)),
        Fault::ClockJumps { site, host, seconds } => format!("the clock of {host} of {site} jumps by {seconds}s"),
        Fault::DirectionTurns => "somebody else turns the direction".to_owned(),
        Fault::Mishap { site, channel, mishap } => {
            let channel = match channel {
                Channel::Exec => "short command",
                Channel::JobStart => "start of a job",
                Channel::JobPoll => "look at a job",
                Channel::Http => "HTTP request",
                Channel::Sql => "SQL session",
                Channel::Redis => "Redis session",
            };
            let what = match mishap {
                Mishap::NotSent => "does not arrive",
                Mishap::ReplyLost => "has its effect, and its answer is lost",
                Mishap::Twice => "arrives twice",
            };
            format!("the next {channel} at {site} {what}")
        }
        Fault::Heal => "everything that is broken is mended".to_owned(),
    }
}

fn sql_words(trouble: sql::Trouble) -> &'static str {
    match trouble {
        sql::Trouble::ReadOnly => "takes no writes any more",
        sql::Trouble::Writable => "takes writes again",
        sql::Trouble::Locks => "has tables that a session holds",
        sql::Trouble::Unlocks => "has no held tables any more",
        sql::Trouble::EndsSessions => "ends every session",
        sql::Trouble::LocksOut => "does not let the copying account in any more",
        sql::Trouble::LetsIn => "lets the copying account in again",
    }
}

fn cache_words(trouble: cache::Trouble) -> &'static str {
    match trouble {
        cache::Trouble::Down => "ends",
        cache::Trouble::Up => "is there again",
        cache::Trouble::FailsOver => "is taken over by its follower",
        cache::Trouble::Stalls => "has a follower that gets no further",
        cache::Trouble::Unlinks => "has lost its follower",
        cache::Trouble::Follows => "has its follower again",
    }
}

fn zone(zone: &Zone) -> String {
    match zone {
        Zone::Console => "this machine".to_owned(),
        Zone::Site(site) => site.to_string(),
    }
}

/// What an operator does.
#[must_use]
pub fn act_words(act: &Act) -> String {
    match act {
        Act::Answer(line) => format!("answers `{line}`"),
        Act::Run(runbook) => format!("runs {runbook}"),
        Act::Resume => "resumes the run".to_owned(),
        Act::Cancel => "asks the run to stop".to_owned(),
        Act::StopNow => "stops the run at once".to_owned(),
        Act::Pause => "lets the run begin nothing new".to_owned(),
        Act::Continue => "lets the run go on".to_owned(),
        Act::Note(text) => format!("notes: {text}"),
    }
}

/// A time since the first thing broke.
pub(super) fn after(span: Span) -> String {
    if span.0.is_zero() { "at once".to_owned() } else { format!("after {span}") }
}
