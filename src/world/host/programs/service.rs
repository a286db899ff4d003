//! `sv` and the script that restarts the application. What they do and say is the application's affair.

use super::{Call, once, unknown};
use crate::world::app;
use crate::world::host::{Process, Slice};

fn ask(verb: &'static str) -> Box<dyn Process> {
    once(move |on, io| {
        let (site, host) = (on.site.clone(), on.host.clone());
        let said = app::service(on.state, &site, &host, verb);
        io.say(said.out);
        if !said.err.is_empty() {
            io.complain(said.err);
        }
        Slice::Ended(said.code, said.took)
    })
}

/// `sv status SERVICE` and `sv -w SECONDS VERB SERVICE`.
pub(super) fn sv(call: &Call) -> Box<dyn Process> {
    let (verb, service) = match call.words()[..] {
        [verb, service] | ["-w", _, verb, service] => (verb, service.to_owned()),
        _ => return unknown(call, &call.words.join(" ")),
    };
    if service != "/etc/service/shop" {
        let gone = format!("fail: {service}: unable to change to service directory: file does not exist\n");
        return once(move |_, io| {
            io.say(gone);
            Slice::ended(1)
        });
    }
    match verb {
        "status" => ask("status"),
        "start" | "up" => ask("start"),
        "stop" | "down" => ask("stop"),
        "restart" => ask("restart"),
        other => unknown(call, other),
    }
}

/// `/usr/local/sbin/restart-shop`.
pub(super) fn restart() -> Box<dyn Process> {
    ask("restart")
}
