//! What is said over the runtime socket: `show stat`, and telling servers what is wanted of them.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Balancer, FALL, RISE, Seen, Server, Wanted};
use crate::model::{HostName, SiteName};

/// The columns of `show stat`, in their order.
const COLUMNS: &str = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,\
    status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,\
    rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,\
    req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,\
    ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,\
    agent_rise,agent_fall,agent_health,addr";
/// What users connect to.
const FRONTEND: &str = "users";

impl Server {
    fn status(&self) -> String {
        match (self.wanted, self.is_up()) {
            (Wanted::Maint, _) => "MAINT".to_owned(),
            (_, false) if self.health == 0 => "DOWN".to_owned(),
            (_, false) => format!("DOWN {}/{RISE}", self.health),
            (Wanted::Drain, true) => "DRAIN".to_owned(),
            (Wanted::Ready, true) if self.health == RISE + FALL - 1 => "UP".to_owned(),
            (Wanted::Ready, true) => format!("UP {}/{FALL}", self.health - RISE + 1),
        }
    }

    fn check(&self) -> (&'static str, String) {
        match self.seen {
            None => ("", String::new()),
            Some(Seen::Status(status @ 200..=399)) => ("L7OK", status.to_string()),
            Some(Seen::Status(status)) => ("L7STS", status.to_string()),
            Some(Seen::Refused) => ("L4CON", String::new()),
            Some(Seen::Silent) => ("L4TOUT", String::new()),
        }
    }
}

fn row(cells: &[(&str, String)]) -> String {
    let mut line = String::new();
    for column in COLUMNS.split(',') {
        let cell = cells.iter().find(|(name, _)| *name == column).map_or("", |(_, cell)| cell);
        // Writing to a `String` cannot fail.
        let _ = write!(line, "{cell},");
    }
    line + "\n"
}

impl Balancer {
    /// Carries out one line: commands with semicolons between them, each answered by what it says and an empty line.
    pub(super) fn line(&mut self, line: &str, now: Duration) -> String {
        line.trim_end().split(';').map(|command| self.command(command.trim(), now) + "\n").collect()
    }

    fn command(&mut self, command: &str, now: Duration) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["show", "stat"] => self.stat(now),
            ["set", "server", server, "state", state] => {
                let wanted = match *state {
                    "ready" => Wanted::Ready,
                    "drain" => Wanted::Drain,
                    "maint" => Wanted::Maint,
                    _ => return "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n".to_owned(),
                };
                self.with(server, |server| server.tell(wanted, now))
            }
            ["set", "server", server, "weight", weight] => match weight.parse() {
                Ok(weight @ 0..=256) => self.with(server, |server| server.weight = weight),
                _ => "Absolute weight can only be between 0 and 256 inclusive.\n".to_owned(),
            },
            _ => format!("Unknown command: '{command}', but maybe one of the following ones is a better match:\n"),
        }
    }

    fn with(&mut self, named: &str, act: impl FnOnce(&mut Server)) -> String {
        let Some((backend, server)) = named.split_once('/') else { return "Require 'backend/server'.\n".to_owned() };
        let (Ok(site), Ok(host)) = (SiteName::new(backend), HostName::new(server)) else {
            return "No such server.\n".to_owned();
        };
        if !self.servers.keys().any(|(at, _)| *at == site) {
            return "No such backend.\n".to_owned();
        }
        let Some(server) = self.servers.get_mut(&(site, host)) else { return "No such server.\n".to_owned() };
        act(server);
        self.settle();
        String::new()
    }

    fn stat(&self, now: Duration) -> String {
        let total: u64 = self.servers.values().map(|server| server.served + server.failed).sum();
        let mut text = format!("# {COLUMNS},\n");
        text += &row(&[
            ("pxname", FRONTEND.to_owned()),
            ("svname", "FRONTEND".to_owned()),
            ("status", "OPEN".to_owned()),
            ("stot", (total + self.refused).to_string()),
            ("dresp", self.refused.to_string()),
            ("type", "0".to_owned()),
        ]);
        let mut sites: Vec<&SiteName> = self.servers.keys().map(|(site, _)| site).collect();
        sites.dedup();
        for site in sites {
            let of_site = || self.servers.iter().filter(|((at, _), _)| at == site);
            for ((_, host), server) in of_site() {
                let (check, code) = server.check();
                text += &row(&[
                    ("pxname", site.to_string()),
                    ("svname", host.to_string()),
                    ("scur", "0".to_owned()),
                    ("stot", (server.served + server.failed).to_string()),
                    ("econ", server.failed.to_string()),
                    ("status", server.status()),
                    ("weight", server.weight.to_string()),
                    ("act", "1".to_owned()),
                    ("bck", "0".to_owned()),
                    ("lastchg", now.saturating_sub(server.since).as_secs().to_string()),
                    ("type", "2".to_owned()),
                    ("check_status", check.to_owned()),
                    ("check_code", code),
                    ("check_rise", RISE.to_string()),
                    ("check_fall", FALL.to_string()),
                    ("check_health", server.health.to_string()),
                ]);
            }
            let up = of_site().filter(|(_, server)| server.is_usable()).count();
            text += &row(&[
                ("pxname", site.to_string()),
                ("svname", "BACKEND".to_owned()),
                ("scur", "0".to_owned()),
                ("stot", (self.served(site) + self.failed(site)).to_string()),
                ("status", if up > 0 { "UP" } else { "DOWN" }.to_owned()),
                ("act", up.to_string()),
                ("type", "1".to_owned()),
            ]);
        }
        text
    }
}
