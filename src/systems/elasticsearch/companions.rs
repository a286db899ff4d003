//! What indices need beside themselves to go on living at the other site: the templates that new indices of the same
//! names are made from, and the ingest pipelines that writes go through. A snapshot of indices does not hold them.
//!
//! Not carried: lifecycle and snapshot policies, roles, scripts, and pipelines that other pipelines call.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Ask;
use super::client::Client;
use super::dialect::Dialect;
use super::indices::Index;
use super::pattern::glob;
use crate::model::Failure;

/// Definitions by name, as the server that had them answered.
pub type Definitions = BTreeMap<String, Value>;

/// Where each sort lives, in the order in which they must be made.
const PIPELINES: &str = "_ingest/pipeline";
const COMPONENTS: &str = "_component_template";
const COMPOSED: &str = "_index_template";
const LEGACY: &str = "_template";

/// Templates and pipelines that belong to some indices.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Companions {
    /// Ingest pipelines.
    #[serde(default)]
    pub pipelines: Definitions,
    /// Parts of index templates.
    #[serde(default)]
    pub components: Definitions,
    /// Index templates.
    #[serde(default)]
    pub templates: Definitions,
    /// Index templates of the old sort.
    #[serde(default)]
    pub legacy_templates: Definitions,
}

impl Companions {
    /// Everything of these sorts that a cluster has.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn all(client: &Client, dialect: Dialect) -> Result<Self, Failure> {
        let composable = dialect.composable_templates();
        Ok(Self {
            pipelines: listed(client, PIPELINES).await?,
            components: if composable { listed(client, COMPONENTS).await? } else { Definitions::new() },
            templates: if composable { listed(client, COMPOSED).await? } else { Definitions::new() },
            legacy_templates: listed(client, LEGACY).await?,
        })
    }

    /// Those that belong to these indices. What the product brings itself is left out: the other cluster has its own.
    #[must_use]
    pub fn of(self, indices: &BTreeMap<&String, &Index>) -> Self {
        let used = |template: &Value| {
            let patterns = template.get("index_patterns").and_then(Value::as_array).into_iter().flatten();
            let mut patterns = patterns.filter_map(Value::as_str);
            patterns.any(|pattern| indices.keys().any(|name| glob(pattern, name)))
        };
        let keep = |all: Definitions, used: &dyn Fn(&str, &Value) -> bool| -> Definitions {
            all.into_iter().filter(|(name, body)| !is_builtin(name, body) && used(name, body)).collect()
        };
        let templates = keep(self.templates, &|_, body| used(body));
        let legacy_templates = keep(self.legacy_templates, &|_, body| used(body));
        let parts: BTreeSet<&str> = templates
            .values()
            .filter_map(|body| body.get("composed_of")?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let components = keep(self.components, &|name, _| parts.contains(name));
        let called: BTreeSet<&str> =
            indices.values().flat_map(|index| index.pipelines.iter().map(String::as_str)).collect();
        let pipelines = keep(self.pipelines, &|name, _| called.contains(name));
        Self { pipelines, components, templates, legacy_templates }
    }

    /// The requests that give a cluster what it lacks or has otherwise, in an order that works.
    #[must_use]
    pub fn missing_at(&self, there: &Self, dialect: Dialect) -> Vec<Ask> {
        let sorts = [
            (PIPELINES, &self.pipelines, &there.pipelines),
            (COMPONENTS, &self.components, &there.components),
            (COMPOSED, &self.templates, &there.templates),
            (LEGACY, &self.legacy_templates, &there.legacy_templates),
        ];
        sorts
            .into_iter()
            .flat_map(|(folder, wanted, there)| {
                wanted
                    .iter()
                    .filter(|(name, body)| there.get(*name) != Some(*body))
                    .map(move |(name, body)| Ask::define(dialect, folder, name, body.clone()))
            })
            .collect()
    }
}

fn is_builtin(name: &str, body: &Value) -> bool {
    name.starts_with('.') || body.pointer("/_meta/managed") == Some(&Value::Bool(true))
}

async fn listed(client: &Client, folder: &str) -> Result<Definitions, Failure> {
    let tried = format!("list {folder}");
    let answer = client.read(&Ask::definitions(folder), &tried).await?;
    // Pipelines: 404 and `{}` when there are none.
    let value: Value = if answer.error().is_missing() && answer.error().kind.is_empty() {
        answer.decode_any(&tried)?
    } else {
        answer.decode(&tried)?
    };
    Ok(definitions(value))
}

/// Reads both shapes: `{name: body}`, and `{"index_templates": [{"name": …, "index_template": body}]}`.
fn definitions(value: Value) -> Definitions {
    let Value::Object(object) = value else { return Definitions::new() };
    let mut found = Definitions::new();
    for (list, inner) in [("index_templates", "index_template"), ("component_templates", "component_template")] {
        let Some(Value::Array(entries)) = object.get(list) else { continue };
        for entry in entries {
            if let (Some(name), Some(body)) = (entry.get("name").and_then(Value::as_str), entry.get(inner)) {
                found.insert(name.to_owned(), timeless(body.clone()));
            }
        }
        return found;
    }
    found.extend(object.into_iter().map(|(name, body)| (name, timeless(body))));
    found
}

/// Without the dates that newer servers add and refuse to be given.
fn timeless(mut body: Value) -> Value {
    if let Value::Object(body) = &mut body {
        for name in ["created_date", "created_date_millis", "modified_date", "modified_date_millis"] {
            body.shift_remove(name);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::dialect::{Flavour, Version};
    use super::*;
    use serde_json::json;

    const DIALECT: Dialect = Dialect { flavour: Flavour::OpenSearch, version: Version(2, 19, 4) };

    fn index(pipelines: &[&str]) -> Index {
        Index {
            open: true,
            own: false,
            shards: 1,
            replicas: 0,
            auto_expand: false,
            created: None,
            aliases: Vec::new(),
            pipelines: pipelines.iter().map(|name| (*name).to_owned()).collect(),
            filters: Vec::new(),
        }
    }

    #[test]
    fn what_belongs_to_the_indices_goes_with_them_and_nothing_else() {
        let all = Companions {
            pipelines: definitions(json!({"clean": {"processors": []}, "other": {"processors": []}})),
            components: definitions(json!({"component_templates": [
                {"name": "base", "component_template": {"template": {}}},
                {"name": "unused", "component_template": {"template": {}}},
            ]})),
            templates: definitions(json!({"index_templates": [
                {"name": "orders", "index_template": {"index_patterns": ["ord*"], "composed_of": ["base"], "created_date": "x"}},
                {"name": "logs", "index_template": {"index_patterns": ["logs-*-*"], "_meta": {"managed": true}}},
                {"name": "users", "index_template": {"index_patterns": ["users"]}},
            ]})),
            legacy_templates: definitions(json!({
                "old": {"order": 0, "index_patterns": ["*"]},
                ".monitoring": {"order": 0, "index_patterns": ["*"]},
            })),
        };
        let (orders, logs) = ("orders".to_owned(), "logs-a-b".to_owned());
        let (with, without) = (index(&["clean"]), index(&[]));
        let kept = all.of(&BTreeMap::from([(&orders, &with), (&logs, &without)]));
        let names = |all: &Definitions| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&kept.pipelines), ["clean"]);
        assert_eq!(names(&kept.components), ["base"]);
        assert_eq!(names(&kept.templates), ["orders"]);
        assert_eq!(names(&kept.legacy_templates), ["old"]);
        assert_eq!(kept.templates["orders"].get("created_date"), None);

        let there = Companions { components: kept.components.clone(), ..Companions::default() };
        let asked: Vec<String> = kept.missing_at(&there, DIALECT).iter().map(|ask| ask.path.clone()).collect();
        assert_eq!(
            asked,
            [
                "/_ingest/pipeline/clean?cluster_manager_timeout=60s",
                "/_index_template/orders?cluster_manager_timeout=60s",
                "/_template/old?cluster_manager_timeout=60s"
            ]
        );
        assert_eq!(kept.missing_at(&kept, DIALECT), []);
    }
}
