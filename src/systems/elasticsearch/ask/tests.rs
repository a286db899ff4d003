//! Requests as each version understands them.

use super::super::dialect::{Flavour, Version};
use super::*;

const OPENSEARCH: Dialect = Dialect { flavour: Flavour::OpenSearch, version: Version(2, 19, 4) };
const ELASTIC_8: Dialect = Dialect { flavour: Flavour::Elasticsearch, version: Version(8, 19, 16) };
const ELASTIC_6: Dialect = Dialect { flavour: Flavour::Elasticsearch, version: Version(6, 8, 23) };

#[test]
fn snapshots_say_what_the_version_understands_and_nothing_else() {
    let metadata = Map::from_iter([("run".to_owned(), json!("r-1"))]);
    for (dialect, shown) in [
        (
            OPENSEARCH,
            r#"PUT /_snapshot/r/p-1?wait_for_completion=false&cluster_manager_timeout=60s {"indices":"a,b","ignore_unavailable":false,"include_global_state":false,"partial":false,"metadata":{"run":"r-1"}}"#,
        ),
        (
            ELASTIC_8,
            r#"PUT /_snapshot/r/p-1?wait_for_completion=false&master_timeout=60s {"indices":"a,b","ignore_unavailable":false,"include_global_state":false,"partial":false,"feature_states":["none"],"metadata":{"run":"r-1"}}"#,
        ),
        (
            ELASTIC_6,
            r#"PUT /_snapshot/r/p-1?wait_for_completion=false&master_timeout=60s {"indices":"a,b","ignore_unavailable":false,"include_global_state":false,"partial":false}"#,
        ),
    ] {
        assert_eq!(Ask::create_snapshot(dialect, "r", "p-1", &["a", "b"], &metadata).to_string(), shown);
    }
}

#[test]
fn restores_leave_blocks_and_host_filters_behind() {
    let filters = ["index.routing.allocation.require._name".to_owned()];
    assert_eq!(
        Ask::restore(ELASTIC_6, "r", "p-1", &["a"], Some(0), &filters).to_string(),
        r#"POST /_snapshot/r/p-1/_restore?wait_for_completion=false&master_timeout=60s {"indices":"a","ignore_unavailable":false,"include_global_state":false,"include_aliases":true,"partial":false,"ignore_index_settings":["index.blocks.*","index.routing.allocation.require._name"],"index_settings":{"index.number_of_replicas":0}}"#
    );
    let plain = Ask::restore(ELASTIC_8, "r", "p-1", &["a"], None, &[]).to_string();
    assert!(plain.contains(r#""feature_states":["none"]"#) && !plain.contains("index_settings\":{"), "{plain}");
}

#[test]
fn names_are_encoded_and_portioned() {
    assert_eq!(encode("a/../b?c#d e,é"), "a%2F..%2Fb%3Fc%23d%20e%2C%C3%A9");
    assert_eq!(portions(["a", "b.c"]), ["a,b.c"]);
    let names: Vec<String> = (0..500).map(|n| format!("logs-{n:0>20}")).collect();
    let portions = portions(names.iter().map(String::as_str));
    assert!(portions.len() > 1 && portions.iter().all(|portion| portion.len() <= NAMES_PER_ASK));
    assert_eq!(portions.join(",").split(',').collect::<Vec<_>>(), names);
}

#[test]
fn our_patience_outlasts_the_servers() {
    let server = Duration::from_mins(1);
    for ask in [
        Ask::register(OPENSEARCH, "r", &json!({})),
        Ask::delete_snapshot(OPENSEARCH, "r", "s"),
        Ask::close(OPENSEARCH, "a"),
        Ask::delete(OPENSEARCH, "a"),
        Ask::define(OPENSEARCH, "_template", "t", json!({})),
    ] {
        assert!(ask.path.contains("=60s") && ask.timeout > server, "{ask}");
    }
}
