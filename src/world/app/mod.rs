//! The application: a process per host under a service manager, its health address, the service that names the leader,
//! and the writing it does at the site that has the users.

use std::time::Duration;

use crate::model::{HostName, SiteName};
use crate::port::{HttpRequest, HttpResponse};
use crate::world::State;

/// The application of a site.
#[derive(Debug, Default)]
pub struct App {
    off: std::collections::BTreeSet<HostName>,
}

impl App {
    /// Tells that a host has power again, or none any more.
    pub fn host_power(&mut self, host: &HostName, up: bool) {
        if up {
            self.off.remove(host);
        } else {
            self.off.insert(host.clone());
        }
    }
}

/// Answers a request to the application on a host.
pub fn answer(
    _state: &mut State,
    _site: &SiteName,
    _host: &HostName,
    _request: &HttpRequest,
) -> (HttpResponse, Duration) {
    (HttpResponse { status: 501, body: b"{}".to_vec() }, Duration::ZERO)
}

/// Answers a request to the service that names the leader.
pub fn leader(_state: &mut State, _site: &SiteName, _request: &HttpRequest) -> (HttpResponse, Duration) {
    (HttpResponse { status: 501, body: b"{}".to_vec() }, Duration::ZERO)
}

/// Lets the application of a site write what its users gave it since the last time.
pub fn writes(_state: &mut State, _site: &SiteName) {}

/// What a service manager says, or the script that restarts the application.
#[derive(Debug, Default)]
pub struct Said {
    /// On stdout.
    pub out: String,
    /// On stderr, one line; empty for nothing.
    pub err: String,
    /// The exit code.
    pub code: i32,
    /// How long it took.
    pub took: Duration,
}

/// Does what `sv status`, `start`, `stop` and `restart` do, and what the restart script does, on a host.
pub fn service(_state: &mut State, _site: &SiteName, _host: &HostName, verb: &str) -> Said {
    let out = if verb == "status" { "run: /etc/service/shop: (pid 100) 60s\n" } else { "" };
    Said { out: out.to_owned(), ..Said::default() }
}
