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
