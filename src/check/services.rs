//! The settings of services, as they are at each site, against the kinds that will read them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::decode::culprit;
use crate::document::{Entry, Node, NodeValue, ShapeRules, check_shape};
use crate::model::{Diagnostic, did_you_mean};
use crate::systems::{Catalogue, ServiceKind};

/// Every problem of every service of the estate.
pub(super) fn check_services(file: &str, root: &Node, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let sites: Vec<&Entry> = root.get("sites").map_or(&[][..], Node::entries).iter().collect();
    let mut problems = Vec::new();
    for service in root.get("services").map_or(&[][..], Node::entries) {
        let path = format!("services.{}", service.key);
        let Some(name) = service.node.get("kind").filter(|kind| kind.text().is_some()) else { continue };
        let kind_name = name.text().unwrap_or_default();
        let Some(kind) = catalogue.service(kind_name) else {
            let names: Vec<&str> = catalogue.services().iter().map(|kind| kind.name).collect();
            let listed = format!("known are {}", names.join(", "));
            let near = did_you_mean(kind_name, names);
            problems.push(
                Diagnostic::error(
                    file,
                    format!("{path}.kind"),
                    format!("there is no service kind `{}`", kind_name.escape_debug()),
                )
                .at(Some(name.span.clone()))
                .hint(near.map_or(listed.clone(), |near| format!("did you mean `{near}`? {listed}"))),
            );
            continue;
        };
        let schema = Value::from(kind.schema());
        let mut checker =
            ServiceChecker { file, root, path, service, kind, schema, sites: &sites, problems: Vec::new() };
        checker.check();
        problems.append(&mut checker.problems);
    }
    problems
}

/// The definition that the schema gives for a setting, if it is one.
fn reference<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    let property = schema.get("properties")?.get(key)?;
    let alternatives = property.get("anyOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    std::iter::once(property)
        .chain(alternatives)
        .find_map(|schema| schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/"))
}

fn keys(table: Option<&Node>) -> Vec<&str> {
    table.map_or(&[][..], Node::entries).iter().map(|entry| entry.key.as_str()).collect()
}

struct ServiceChecker<'a> {
    file: &'a str,
    root: &'a Node,
    path: String,
    service: &'a Entry,
    kind: &'a ServiceKind,
    schema: Value,
    sites: &'a [&'a Entry],
    problems: Vec<Diagnostic>,
}

/// The settings at one site: the common ones, overlaid by the site's own.
struct Merged<'a> {
    site: &'a str,
    node: Node,
    own: BTreeSet<&'a str>,
    label: &'a Range<usize>,
}

impl<'a> ServiceChecker<'a> {
    fn check(&mut self) {
        self.site_names();
        let merged: Vec<Merged<'_>> = self.sites.iter().map(|site| self.merge(&site.key)).collect();
        let mut missing: BTreeMap<String, Vec<(&str, Diagnostic)>> = BTreeMap::new();
        for at_site in &merged {
            let shape = check_shape(self.file, &at_site.node, "", at_site.label, &self.schema, ShapeRules::default());
            let is_clean = shape.problems.is_empty();
            for problem in shape.problems {
                if !problem.path.contains('.') && problem.message.ends_with("is missing") {
                    missing.entry(problem.path.clone()).or_default().push((at_site.site, problem));
                } else {
                    self.report(at_site, problem);
                }
            }
            if is_clean {
                self.decode(at_site);
            }
            self.references(at_site);
        }
        for (key, at_sites) in missing {
            self.missing(&key, at_sites);
        }
        self.search_urls(&merged);
    }

    fn merge(&self, site: &'a str) -> Merged<'a> {
        let service: &'a Entry = self.service;
        let own_table = service.node.entry(site).filter(|entry| entry.node.is_table());
        let own: &'a [Entry] = own_table.map_or(&[][..], |entry| entry.node.entries());
        let names: BTreeSet<&str> = own.iter().map(|entry| entry.key.as_str()).collect();
        let is_common = |entry: &&Entry| {
            entry.key != "kind"
                && !names.contains(entry.key.as_str())
                && !self.sites.iter().any(|site| site.key == entry.key)
        };
        let entries = service.node.entries().iter().filter(is_common).chain(own).cloned().collect();
        let node = Node { span: service.node.span.clone(), value: NodeValue::Table(entries) };
        Merged { site, node, own: names, label: own_table.map_or(&service.key_span, |entry| &entry.key_span) }
    }

    /// Gives a problem of merged settings its place in the file.
    fn report(&mut self, at_site: &Merged<'_>, mut problem: Diagnostic) {
        let key = at_site
            .node
            .entries()
            .iter()
            .filter(|entry| problem.path.starts_with(&entry.key))
            .max_by_key(|entry| entry.key.len());
        let is_own = key.is_some_and(|entry| at_site.own.contains(entry.key.as_str()));
        if let Some(entry) = key
            && !is_own
            && entry.node.is_table()
            && problem.message.starts_with("unknown key")
            && problem.path == entry.key
        {
            let names = self.sites.iter().map(|site| site.key.as_str());
            let near = did_you_mean(&entry.key, names.clone()).map(|near| format!("did you mean `{near}`? "));
            let listed =
                format!("the sites are {}; {}", names.collect::<Vec<_>>().join(", "), problem.hint.unwrap_or_default());
            problem.message =
                format!("`{}` is neither a site nor a setting of {}", entry.key.escape_debug(), self.kind.name);
            problem.hint = Some(near.unwrap_or_default() + &listed);
        }
        problem.path = match (is_own, problem.path.is_empty()) {
            (_, true) => self.path.clone(),
            (true, false) => format!("{}.{}.{}", self.path, at_site.site, problem.path),
            (false, false) => format!("{}.{}", self.path, problem.path),
        };
        self.problems.push(problem);
    }

    fn missing(&mut self, key: &str, at_sites: Vec<(&str, Diagnostic)>) {
        let everywhere = at_sites.len() == self.sites.len();
        let lone = self.sites.iter().filter(|site| self.service.node.get(&site.key).is_some()).count() == 1;
        for (site, problem) in at_sites {
            let absent = self.service.node.get(site).is_none();
            if absent && self.has_misspelt(site) {
                continue;
            }
            let described = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            let (path, message, span) = if everywhere {
                (format!("{}.{key}", self.path), format!("`{key}` is missing"), self.service.key_span.clone())
            } else if lone && absent {
                let message = format!("the service has settings for one site only: `{key}` is missing at {site}");
                (format!("{}.{site}", self.path), message, self.service.key_span.clone())
            } else {
                let span = problem.span.unwrap_or_else(|| self.service.key_span.clone());
                (format!("{}.{site}.{key}", self.path), format!("`{key}` is missing at {site}"), span)
            };
            let hint = if everywhere {
                described.trim_start_matches("; ").to_owned()
            } else {
                format!("a service exists at both sites: add `{site}.{key} = …`{described}")
            };
            let mut problem = Diagnostic::error(self.file, path, message).at(Some(span));
            if !hint.is_empty() {
                problem = problem.hint(hint);
            }
            self.problems.push(problem);
        }
    }

    /// True when a table of the service is most likely meant for this site; it is reported as what it is.
    fn has_misspelt(&self, site: &str) -> bool {
        let tables = self.service.node.entries().iter().filter(|entry| entry.node.is_table());
        tables
            .filter(|entry| self.sites.iter().all(|site| site.key != entry.key))
            .any(|entry| did_you_mean(&entry.key, [site]).is_some())
    }

    /// What the shape cannot say: the kind's own decoder has the last word.
    fn decode(&mut self, at_site: &Merged<'_>) {
        let Value::Object(settings) = at_site.node.to_json(&BTreeSet::new()) else { return };
        let Err(message) = self.kind.check(&settings) else { return };
        let key = culprit(&settings, &message, |settings| self.kind.check(settings));
        let entry = key.and_then(|key| at_site.node.entry(key));
        let span = entry.map_or(at_site.label.clone(), |entry| {
            if entry.node.is_table() { entry.key_span.clone() } else { entry.node.span.clone() }
        });
        let problem = Diagnostic::error(self.file, key.unwrap_or_default(), message).at(Some(span));
        self.report(at_site, problem);
    }

    /// Settings that name a host must name one of the site, and those that name a service one of the estate.
    fn references(&mut self, at_site: &Merged<'_>) {
        let site = self.sites.iter().find(|site| site.key == at_site.site);
        for entry in at_site.node.entries() {
            let Some(name) = entry.node.text() else { continue };
            let (what, known): (&str, Vec<&str>) = match reference(&self.schema, &entry.key) {
                Some("HostName") => ("host", keys(site.and_then(|site| site.node.get("hosts")))),
                Some("ServiceName") => ("service", keys(self.root.get("services"))),
                _ => continue,
            };
            if known.contains(&name) {
                continue;
            }
            let owner =
                if what == "host" { format!("{} has no host", at_site.site) } else { "there is no service".to_owned() };
            let near = did_you_mean(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let hint = format!("{}there are {}", near.unwrap_or_default(), known.join(", "));
            let problem = Diagnostic::error(self.file, &entry.key, format!("{owner} `{}`", name.escape_debug()))
                .at(Some(entry.node.span.clone()))
                .hint(hint);
            self.report(at_site, problem);
        }
    }

    /// Tables named after a site that does not exist, where the kind itself does not object, and sites whose name hides
    /// a setting.
    fn site_names(&mut self) {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        let is_setting = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
        let mut found = Vec::new();
        for site in self.sites.iter().filter(|site| is_setting(&site.key) || site.key == "kind") {
            let message = format!("the site's name is also a setting of {}", self.kind.name);
            found.push(
                Diagnostic::error(self.file, format!("sites.{}", site.key), message)
                    .at(Some(site.key_span.clone()))
                    .hint("give the site another name"),
            );
        }
        let is_closed = self.schema.get("additionalProperties") == Some(&Value::Bool(false));
        for entry in self.service.node.entries().iter().filter(|entry| entry.node.is_table() && !is_closed) {
            let names = self.sites.iter().map(|site| site.key.as_str());
            if is_setting(&entry.key) || names.clone().any(|name| name == entry.key) {
                continue;
            }
            if let Some(near) = did_you_mean(&entry.key, names) {
                let message = format!("there is no site `{}`", entry.key.escape_debug());
                found.push(
                    Diagnostic::error(self.file, format!("{}.{}", self.path, entry.key), message)
                        .at(Some(entry.key_span.clone()))
                        .hint(format!("did you mean `{near}`?")),
                );
            }
        }
        self.problems.append(&mut found);
    }

    fn search_urls(&mut self, merged: &[Merged<'_>]) {
        if self.kind.name != "elasticsearch" {
            return;
        }
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for at_site in merged {
            let Some(urls) = at_site.node.get("urls") else { continue };
            let path = if at_site.own.contains("urls") {
                format!("{}.{}.urls", self.path, at_site.site)
            } else {
                format!("{}.urls", self.path)
            };
            let count = urls.items().len();
            if count > 0 && count.is_multiple_of(2) {
                let message = format!("{count} search nodes tolerate no more failures than {}", count - 1);
                self.problems.push(
                    Diagnostic::warning(self.file, &path, message).at(Some(urls.span.clone())).hint(
                        "a majority of the master-eligible nodes must be left: an even one adds no tolerance; list all nodes, and use an odd number of them",
                    ),
                );
            }
            for url in urls.items().iter().filter_map(|url| Some((url.text()?, url))) {
                let (text, node) = url;
                if let Some(other) = seen.insert(text.trim_end_matches('/'), at_site.site)
                    && other != at_site.site
                {
                    let message = format!("the same address serves {other} and {}", at_site.site);
                    self.problems.push(
                        Diagnostic::error(self.file, &path, message)
                            .at(Some(node.span.clone()))
                            .hint("the two sites have a cluster each; a copy onto itself would destroy what it copies"),
                    );
                }
            }
        }
    }
}
