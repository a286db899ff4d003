//! What must hold of an estate beyond its shape. Works on the tree, so that one wrong part hides no other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::document::{Entry, INLINE_SECRET_HINT, Node, NodeValue, is_secret_key, locate};
use crate::model::{Diagnostic, Span, did_you_mean};

/// What a host that is alive may need for an answer.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);

/// Every broken rule.
pub(super) fn check_rules(file: &str, root: &Node) -> Vec<Diagnostic> {
    let mut rules = Rules { file, root, problems: Vec::new() };
    rules.two_sites();
    rules.active();
    for site in rules.sites() {
        rules.site(site);
    }
    rules.transfer();
    rules.policy();
    rules.health();
    rules.secrets();
    rules.problems
}

struct Rules<'a> {
    file: &'a str,
    root: &'a Node,
    problems: Vec<Diagnostic>,
}

impl<'a> Rules<'a> {
    fn sites(&self) -> &'a [Entry] {
        self.root.get("sites").map_or(&[][..], Node::entries)
    }

    fn error(&mut self, path: &str, message: impl Into<String>, hint: &str) {
        let span = locate(self.root, path);
        self.error_at(path, span, message, hint);
    }

    fn error_at(&mut self, path: &str, span: Option<Range<usize>>, message: impl Into<String>, hint: &str) {
        let mut problem = Diagnostic::error(self.file, path, message).at(span);
        if !hint.is_empty() {
            problem = problem.hint(hint);
        }
        self.problems.push(problem);
    }

    fn two_sites(&mut self) {
        let names: Vec<&str> = self.sites().iter().map(|site| site.key.as_str()).collect();
        if self.root.get("sites").is_some_and(Node::is_table) && names.len() != 2 {
            let found = match names[..] {
                [] => "there is none".to_owned(),
                [only] => format!("there is only {only}"),
                _ => format!("these are {}: {}", names.len(), names.join(", ")),
            };
            let hint = "one site is active and the other stands by; use one estate file per pair of sites";
            self.error("sites", format!("an estate has exactly two sites; {found}"), hint);
        }
    }

    fn active(&mut self) {
        let Some(active) = self.root.get("active").and_then(Node::text) else { return };
        let names: Vec<&str> = self.sites().iter().map(|site| site.key.as_str()).collect();
        if names.is_empty() || names.contains(&active) {
            return;
        }
        let known = format!("the sites are {}", names.join(", "));
        let hint = did_you_mean(active, names).map_or(known.clone(), |near| format!("did you mean `{near}`? {known}"));
        self.error("active", format!("there is no site `{}`", active.escape_debug()), &hint);
    }

    fn site(&mut self, site: &'a Entry) {
        let path = format!("sites.{}", site.key);
        if let Some(exchange) = site.node.get("exchange").and_then(Node::text) {
            let below = exchange.strip_prefix('/').map(|rest| rest.trim_matches('/'));
            match below {
                None => self.error(
                    &format!("{path}.exchange"),
                    "must be an absolute path",
                    "write the mount point as the hosts of this site see it, for example \"/mnt/exchange\"",
                ),
                Some("") => self.error(
                    &format!("{path}.exchange"),
                    "must not be the root of the file system",
                    "name the mount point of the shared storage",
                ),
                Some(rest) if rest.split('/').any(|part| part == "..") => {
                    self.error(&format!("{path}.exchange"), "must not go up with `..`", "write the path it leads to");
                }
                Some(_) => {}
            }
        }
        self.hosts(&path, site.node.get("hosts").map_or(&[][..], Node::entries));
    }

    fn hosts(&mut self, site: &str, hosts: &'a [Entry]) {
        let mut taken: BTreeMap<(String, i64), &str> = BTreeMap::new();
        for host in hosts.iter().filter(|host| host.node.is_table()) {
            let path = format!("{site}.hosts.{}", host.key);
            let is_local = matches!(host.node.get("local").map(|node| &node.value), Some(NodeValue::Bool(true)));
            let address = host.node.get("address").and_then(Node::text);
            if host.node.get("address").is_none() && !is_local {
                let hint = match did_you_mean_key(&host.node, "address") {
                    // The misspelt key is reported as such; once is enough.
                    Some(_) => continue,
                    None => "give it `address = \"…\"`, or `local = true` when it is the machine the program runs on",
                };
                self.error_at(&path, Some(host.key_span.clone()), format!("host {} has no address", host.key), hint);
            }
            if let Some(address) = address {
                self.address(&path, address);
                let port = match host.node.get("port").map(|node| &node.value) {
                    Some(NodeValue::Integer(port)) => *port,
                    _ => 0,
                };
                if let Some(other) = taken.insert((address.to_ascii_lowercase(), port), &host.key) {
                    let message = format!("{other} of this site has the same address");
                    self.error(
                        &format!("{path}.address"),
                        message,
                        "every host is listed once; give one host several roles",
                    );
                }
            }
            for (index, role) in host.node.get("roles").map_or(&[][..], Node::items).iter().enumerate() {
                let bad = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '.');
                if role.text().is_some_and(bad) {
                    let hint = "runbooks write a role as `target.app`: use one word without dots";
                    self.error(&format!("{path}.roles[{index}]"), "is not a role", hint);
                }
            }
        }
    }

    /// An address reaches ssh's command line.
    fn address(&mut self, host: &str, address: &str) {
        let path = format!("{host}.address");
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '\'' | '"' | '`' | '$' | ';');
        if address.is_empty() || address.starts_with('-') || address.contains(odd) {
            let hint = "write a host name or an address alone; user and port have keys of their own";
            self.error(&path, "is not an address", hint);
        }
    }

    fn transfer(&mut self) {
        let Some(transfer) = self.root.get("transfer") else { return };
        if matches!(transfer.get("streams").map(|node| &node.value), Some(NodeValue::Integer(0))) {
            self.error("transfer.streams", "must be at least 1", "");
        }
        if let Some(bandwidth) = transfer.get("bandwidth").and_then(Node::text) {
            let number = bandwidth.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = bandwidth[number.len()..].to_ascii_lowercase();
            let fits = number.parse::<f64>().is_ok_and(|number| number > 0.0)
                && matches!(unit.as_str(), "" | "k" | "m" | "g" | "kb" | "mb" | "gb" | "kib" | "mib" | "gib");
            if !fits {
                self.error(
                    "transfer.bandwidth",
                    "is not a rate that rsync understands",
                    "write for example \"20m\" for 20 MiB a second",
                );
            }
        }
    }

    fn policy(&mut self) {
        let percent = self.root.get("policy").and_then(|policy| policy.get("min_free_percent"));
        if let Some(NodeValue::Integer(percent @ 100..=255)) = percent.map(|node| &node.value) {
            let message = format!("{percent} percent of a disk can never stay free while something is written to it");
            self.error("policy.min_free_percent", message, "write a number below 100");
        }
        let patience = self.root.get("policy").and_then(|policy| policy.get("patience")).and_then(Node::text);
        if patience.is_some_and(|text| Span::parse(text).is_ok_and(|span| span.0 < LEAST_PATIENCE)) {
            let message = "a host that works hard may take longer to answer";
            self.error("policy.patience", message, "write at least `30s`");
        }
    }

    fn health(&mut self) {
        let Some(health) = self.root.get("health") else { return };
        self.pace("health", health);
        let known: Vec<&str> =
            self.root.get("services").map_or(&[][..], Node::entries).iter().map(|entry| entry.key.as_str()).collect();
        for entry in health.get("services").map_or(&[][..], Node::entries) {
            let path = format!("health.services.{}", entry.key);
            if !known.contains(&entry.key.as_str()) {
                let hint = did_you_mean(&entry.key, known.iter().copied()).map_or_else(
                    || format!("the services are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("there is no service `{}`", entry.key.escape_debug());
                self.error_at(&path, Some(entry.key_span.clone()), message, &hint);
            }
            self.pace(&path, &entry.node);
        }
    }

    fn pace(&mut self, path: &str, pace: &'a Node) {
        for name in ["interval", "deadline"] {
            let written = pace.get(name).and_then(Node::text).and_then(|text| Span::parse(text).ok());
            if written.is_some_and(|span| span < Span::seconds(1)) {
                self.error(&format!("{path}.{name}"), "is too short", "write at least \"1s\"");
            }
        }
    }

    fn secrets(&mut self) {
        for service in self.root.get("services").map_or(&[][..], Node::entries) {
            self.secrets_in(&format!("services.{}", service.key), &service.node);
        }
    }

    fn secrets_in(&mut self, path: &str, node: &'a Node) {
        for entry in node.entries() {
            let path = format!("{path}.{}", entry.key);
            if is_secret_key(&entry.key) && !entry.node.is_table() {
                self.error(&path, "a secret must not stand in this file", INLINE_SECRET_HINT);
            } else {
                self.secrets_in(&path, &entry.node);
            }
        }
    }
}

/// A key of the table that is most likely a misspelling of `wanted`.
fn did_you_mean_key<'a>(node: &'a Node, wanted: &str) -> Option<&'a str> {
    node.entries().iter().map(|entry| entry.key.as_str()).find(|key| did_you_mean(key, [wanted]).is_some())
}
