//! What an estate says about a search service at one site.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::pattern::Pattern;
use crate::model::SecretSource;

/// An Elasticsearch (6 to 9) or OpenSearch (1 to 3) cluster at one site.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP addresses of the cluster's nodes, for example `["http://10.0.1.11:9200"]`. Tried in order; the one that
    /// answers is kept. A check asks every one of them who the master is, so list the nodes and not a load balancer.
    #[serde(deserialize_with = "addresses")]
    pub urls: Vec<String>,
    /// The login user. Left out on a cluster without security.
    #[serde(default)]
    pub user: Option<String>,
    /// The password of `user`.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// An API key in place of user and password, in the encoded form that the server returned it in (Elasticsearch).
    #[serde(default)]
    pub api_key: Option<SecretSource>,
    /// PEM certificates of the authority that signed the cluster's certificates, when it is one of your own.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// The indices to copy: names and `*` patterns, separated by commas; `-name` leaves out. `*` when left out. Indices
    /// that begin with a dot, hidden ones and system indices belong to the server itself and are never touched.
    #[serde(default)]
    pub indices: Pattern,
    /// The replicas of restored indices. Left out or `"auto"`: as many as the source has, but not more than this
    /// cluster's data nodes can hold (one less than there are).
    #[serde(default)]
    pub replicas: Replicas,
    /// The exchange mount as the search nodes see it, when they see it at another path than the site's hosts do. The
    /// repository of a direction is the folder `<source>-to-<target>/search-<service>` below it.
    #[serde(default)]
    pub repository_path: Option<PathBuf>,
    /// The most that each node may write into a snapshot in one second, for example `40mb`. The server's own default
    /// when left out.
    #[serde(default)]
    pub snapshot_rate: Option<String>,
    /// The most that each node may read from a snapshot in one second, for example `100mb`.
    #[serde(default)]
    pub restore_rate: Option<String>,
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let urls = Vec::<String>::deserialize(from)?;
    if urls.is_empty() {
        return Err(serde::de::Error::custom("`urls` is empty: name at least one node, as `http://10.0.1.11:9200`"));
    }
    urls.into_iter()
        .map(|url| {
            let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            match host.map(|host| host.trim_end_matches('/')) {
                Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => {
                    Ok(url.trim_end_matches('/').to_owned())
                }
                _ => Err(serde::de::Error::custom(format!(
                    "`{}` is not an address of a node: write `http://10.0.1.11:9200`, without user or query",
                    url.escape_debug()
                ))),
            }
        })
        .collect()
}

/// How many replicas restored indices get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Replicas {
    /// `"auto"`: as at the source, but not more than the data nodes can hold.
    #[default]
    #[serde(with = "auto")]
    #[schemars(with = "String")]
    Auto,
    /// Exactly so many.
    Number(u32),
}

mod auto {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("auto")
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
        let text = String::deserialize(from)?;
        if text == "auto" { Ok(()) } else { Err(D::Error::custom("write `\"auto\"` or a number")) }
    }
}

impl Replicas {
    /// The replicas for an index that had `at_source`, on a cluster with `data_nodes`. A replica never lies on the node
    /// of its primary: with more replicas than that the index would be yellow for ever.
    #[must_use]
    pub fn wanted(self, at_source: u32, data_nodes: u32) -> u32 {
        match self {
            Self::Auto => at_source.min(data_nodes.saturating_sub(1)),
            Self::Number(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_read_and_slips_are_named() {
        let read = |value| serde_json::from_value::<Settings>(value).map_err(|error| error.to_string());
        let plain = read(json!({"urls": ["http://10.0.1.11:9200/"]})).expect("valid settings");
        assert_eq!(plain.urls, ["http://10.0.1.11:9200"]);
        assert_eq!((plain.replicas, plain.indices.to_string().as_str()), (Replicas::Auto, "*"));
        let more = read(json!({"urls": ["https://a:1"], "replicas": 2, "indices": "a,-b*"})).expect("valid settings");
        assert_eq!(more.replicas, Replicas::Number(2));
        assert_eq!(read(json!({"urls": ["https://a"], "replicas": "auto"})).map(|s| s.replicas), Ok(Replicas::Auto));
        for (bad, said) in [
            (json!({"urls": []}), "empty"),
            (json!({"urls": ["10.0.1.11:9200"]}), "not an address"),
            (json!({"urls": ["http://me:secret@a:9200"]}), "not an address"),
            (json!({"urls": ["http://a"], "indexes": "*"}), "unknown field `indexes`"),
            (json!({"urls": ["http://a"], "indices": ".kibana"}), "dot"),
            (json!({"urls": ["http://a"], "replicas": "many"}), "did not match"),
        ] {
            let error = read(bad.clone()).expect_err("invalid settings");
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn replicas_fit_the_data_nodes() {
        for (setting, source, nodes, wanted) in [
            (Replicas::Auto, 1, 1, 0),
            (Replicas::Auto, 2, 3, 2),
            (Replicas::Auto, 2, 2, 1),
            (Replicas::Auto, 0, 5, 0),
            (Replicas::Auto, 1, 0, 0),
            (Replicas::Number(3), 1, 1, 3),
        ] {
            assert_eq!(setting.wanted(source, nodes), wanted, "{setting:?} {source} {nodes}");
        }
    }
}
