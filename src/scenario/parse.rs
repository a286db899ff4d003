//! Scenario text to scenario, or to everything that is wrong with it, each problem at its place.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Scenario;
use crate::document::{Entry, Node, Parsed, ShapeRules, check_shape, parse_toml, tidy};
use crate::model::{Diagnostic, SiteName, SourceText, Span, did_you_mean};
use crate::world::Spec;

/// Reads a scenario and finds everything that is wrong with it. `runbooks` are those that can be started.
#[must_use]
pub fn examine(source: &SourceText, runbooks: &[&str]) -> Parsed<Scenario> {
    let mut parsed: Parsed<Scenario> = decode(source, &Value::from(schemars::schema_for!(Scenario)));
    let root = &parsed.root;
    let file = source.name.as_str();
    let mut found = Vec::new();
    if let Some(runs) = root.get("runs") {
        found.extend(check_runbook(file, "runs", runs, runbooks));
    }
    for (index, before) in root.get("before").map_or(&[][..], Node::items).iter().enumerate() {
        found.extend(check_runbook(file, &format!("before[{index}]"), before, runbooks));
    }
    found.extend(check_happenings(file, root));
    if let Some(scenario) = &parsed.value {
        found.extend(check_world(file, root, scenario));
    }
    parsed.problems.extend(found);
    tidy(&mut parsed.problems);
    parsed
}

/// Reads a file into a type whose schema this is.
pub(super) fn decode<T: DeserializeOwned>(source: &SourceText, schema: &Value) -> Parsed<T> {
    let root = match parse_toml(source) {
        Ok(root) => root,
        Err(problems) => return Parsed { source: source.clone(), root: Node::empty(), value: None, problems },
    };
    let mut shape = check_shape(&source.name, &root, "", &(0..0), schema, ShapeRules::default());
    let value = match serde_json::from_value(root.to_json(&shape.wrong)) {
        Ok(value) => Some(value),
        Err(error) => {
            if shape.problems.is_empty() {
                shape.problems.push(Diagnostic::error(&source.name, "", error.to_string()).at(Some(0..0)));
            }
            None
        }
    };
    tidy(&mut shape.problems);
    Parsed { source: source.clone(), root, value, problems: shape.problems }
}

/// A runbook that is named but not there.
pub(super) fn check_runbook(file: &str, path: &str, node: &Node, runbooks: &[&str]) -> Option<Diagnostic> {
    let name = node.text()?;
    if runbooks.contains(&name) {
        return None;
    }
    let near = did_you_mean(name, runbooks.iter().copied());
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Some(
        Diagnostic::error(file, path, format!("there is no runbook `{}`", name.escape_debug()))
            .at(Some(node.span.clone()))
            .hint(format!("{near}there are {}", runbooks.join(", "))),
    )
}

/// What happens: at least one thing, at sites that there are, before the story is over.
fn check_happenings(file: &str, root: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let span = |node: &Node| node.text().and_then(|text| Span::parse(text).ok());
    let end = root.get("ends_after").and_then(span);
    let happens = root.get("happens").map(Node::items);
    if let (Some([]), Some(node)) = (happens, root.get("happens")) {
        let message = "nothing happens: a scenario breaks at least one thing";
        found.push(Diagnostic::error(file, "happens", message).at(Some(node.span.clone())));
    }
    for (index, happening) in happens.unwrap_or_default().iter().enumerate() {
        let path = format!("happens[{index}]");
        if let (Some(node), Some(end)) = (happening.get("at"), end)
            && span(node).is_some_and(|at| at > end)
        {
            let message = format!("this is after the end of the story ({end})");
            found.push(Diagnostic::error(file, format!("{path}.at"), message).at(Some(node.span.clone())));
        }
        for entry in happening.get("strikes").map_or(&[][..], Node::entries) {
            found.extend(check_site(file, &format!("{path}.strikes"), entry));
            for inner in entry.node.entries() {
                found.extend(check_site(file, &format!("{path}.strikes.{}", entry.key), inner));
            }
        }
    }
    found
}

/// A site of the world is named by what stands at `site`.
fn check_site(file: &str, path: &str, entry: &Entry) -> Option<Diagnostic> {
    let name = entry.node.text().filter(|_| entry.key == "site")?;
    let sites = Spec::sites();
    let known: Vec<&str> = sites.iter().map(SiteName::as_str).collect();
    if known.contains(&name) {
        return None;
    }
    Some(
        Diagnostic::error(
            file,
            format!("{path}.site"),
            format!("the simulated world has no site `{}`", name.escape_debug()),
        )
        .at(Some(entry.node.span.clone()))
        .hint(format!("it has {}; {} has the users at first", known.join(" and "), known[0])),
    )
}

/// Hosts and nodes that this world does not have; numbers that make no world.
fn check_world(file: &str, root: &Node, scenario: &Scenario) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let spec = scenario.spec(0);
    let shape = root.get("world");
    for (key, counts) in [("hosts", spec.hosts), ("nodes", spec.nodes)] {
        let Some(node) = shape.and_then(|shape| shape.get(key)) else { continue };
        if counts.iter().any(|count| !(1..=5).contains(count)) {
            let message = format!("each site has 1 to 5 {key}");
            found.push(Diagnostic::error(file, format!("world.{key}"), message).at(Some(node.span.clone())));
        }
    }
    let sites = Spec::sites();
    for (index, happening) in root.get("happens").map_or(&[][..], Node::items).iter().enumerate() {
        let Some(strikes) = happening.get("strikes") else { continue };
        let site = strikes.get("site").and_then(Node::text);
        let Some(number) = sites.iter().position(|known| Some(known.as_str()) == site) else { continue };
        if let Some(node) = strikes.get("host") {
            let hosts: Vec<String> = (1..=spec.hosts[number]).map(|host| format!("app{host}")).collect();
            let name = node.text().unwrap_or_default();
            if !hosts.iter().any(|host| host == name) {
                let message = format!("{} has no host `{}`", sites[number], name.escape_debug());
                found.push(
                    Diagnostic::error(file, format!("happens[{index}].strikes.host"), message)
                        .at(Some(node.span.clone()))
                        .hint(format!("it has {}", hosts.join(", "))),
                );
            }
        }
        if let Some(node) = strikes.get("node") {
            let there = spec.nodes[number];
            let known = matches!(node.value, crate::document::NodeValue::Integer(wanted)
                if usize::try_from(wanted).is_ok_and(|wanted| wanted < there));
            if !known {
                let message = format!("{} has {there} search nodes, counted from 0", sites[number]);
                found.push(
                    Diagnostic::error(file, format!("happens[{index}].strikes.node"), message)
                        .at(Some(node.span.clone())),
                );
            }
        }
    }
    found
}
