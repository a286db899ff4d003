//! Which node is asked, how often, and what a cluster is taken for.

use super::super::fake::{SERVICE, error, root};
use super::*;
use crate::model::End;
use crate::port::fake::{Answer, FakeReach};
use crate::systems::fake::{Bench, site};
use serde_json::json;

const TWO: &str = r#"
[services.search]
kind = "elasticsearch"
prod.urls = ["http://one:9200", "http://two:9200/"]
bcp.urls = ["http://bcp:9200"]
"#;

async fn client(services: &str) -> (Bench, Result<Client, Failure>) {
    let bench = Bench::new(services).end(Some(End::Source)).service("search");
    bench.reach.always("secret", Answer::secret("c2VjcmV0"));
    let service = ServiceName::new("search").expect("a name");
    let client = Client::new(&bench.cx, &service, &site("prod")).await;
    (bench, client)
}

async fn ready() -> (Bench, Client) {
    let (bench, client) = client(TWO).await;
    (bench, client.expect("a client"))
}

fn asked(reach: &FakeReach) -> Vec<String> {
    reach.texts()
}

#[tokio::test]
async fn reads_go_on_to_the_next_node_and_stay_there() {
    for first in [
        Answer::error(ReachErrorKind::Unreachable, "connection refused"),
        Answer::error(ReachErrorKind::Lost, "connection reset"),
        error(503, "master_not_discovered_exception", ""),
        Answer::http(502, "bad gateway"),
    ] {
        let (bench, client) = ready().await;
        bench.reach.on("http://one:9200/_cluster/health", first);
        bench.reach.always("http://two:9200/_cluster/health", Answer::json(200, json!({})));
        for _ in 0..2 {
            let answer = client.read(&Ask::health(), "look").await.expect("an answer");
            assert!(answer.is_success());
        }
        let (one, two) = ("GET http://one:9200/_cluster/health", "GET http://two:9200/_cluster/health");
        assert_eq!(asked(&bench.reach), [one, two, two]);
    }
}

#[tokio::test]
async fn when_no_node_answers_that_is_said_with_all_of_them() {
    let (bench, client) = ready().await;
    bench.reach.always("http://", Answer::error(ReachErrorKind::Unreachable, "no route to host"));
    let failure = client.read(&Ask::health(), "look").await.expect_err("nobody answers");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.hint.expect("a hint").as_str().contains("http://one:9200, http://two:9200"));

    let (bench, client) = ready().await;
    bench.reach.always("http://", error(503, "master_not_discovered_exception", ""));
    let answer = client.read(&Ask::health(), "look").await.expect("an answer all the same");
    assert_eq!(answer.refusal("look").kind, FailureKind::Busy);
}

#[tokio::test]
async fn a_change_is_asked_for_once() {
    let ask = Ask::verify_repository("r");
    for (first, kind) in [
        (Answer::lost(), FailureKind::Unknown),
        (Answer::http(504, "<html>gateway timeout</html>"), FailureKind::Unknown),
        (Answer::error(ReachErrorKind::Denied, "certificate is not trusted"), FailureKind::Refused),
    ] {
        let (bench, client) = ready().await;
        bench.reach.on("http://one:9200", first);
        let failure = client.change(&ask, "change").await.expect_err("no answer");
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(asked(&bench.reach).len(), 1);
    }
    // Where nothing was sent, the next node may be asked.
    let (bench, client) = ready().await;
    bench.reach.on("http://one:9200", Answer::error(ReachErrorKind::Unreachable, "connection refused"));
    bench.reach.on("http://two:9200", Answer::json(200, json!({})));
    assert!(client.change(&ask, "change").await.expect("an answer").is_success());
}

#[tokio::test]
async fn a_cluster_is_known_by_what_it_says_of_itself() {
    let opensearch = Some("opensearch");
    for (first, node, shown) in [
        (root("2.19.4", opensearch), None, "OpenSearch 2.19.4"),
        // Told to answer so for the sake of old clients.
        (root("7.10.2", opensearch), Some("1.3.14"), "OpenSearch 1.3.14"),
        (root("7.17.29", None), None, "Elasticsearch 7.17.29"),
        (Answer::http(405, "{}"), Some("8.19.16"), "Elasticsearch 8.19.16"),
        (Answer::http(403, "{}"), Some("2.19.4"), "OpenSearch 2.19.4"),
    ] {
        let (bench, client) = ready().await;
        bench.reach.on("GET http://one:9200/", first);
        if let Some(version) = node {
            let nodes = json!({"nodes": {"n1": {"version": version}}});
            bench.reach.on("GET http://one:9200/_nodes/_local", Answer::json(200, nodes));
        }
        let master = json!({"cluster_name": "c", "cluster_uuid": "U", "master_node": "m1"});
        bench.reach.on("/_cluster/state/master_node", Answer::json(200, master));
        let identity = client.identify().await.expect("an identity");
        assert_eq!(identity.dialect.to_string(), shown);
        assert_eq!((identity.cluster_uuid.as_str(), identity.master.as_deref()), ("U", Some("m1")));
    }
}

#[tokio::test]
async fn a_proxy_in_between_is_not_taken_for_a_server() {
    let (bench, client) = ready().await;
    bench.reach.on("GET http://one:9200/", Answer::http(200, "<html>welcome</html>"));
    let failure = client.identify().await.expect_err("no server");
    assert!(failure.got.as_str().contains("welcome"), "{failure}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let with = |keys: &str| SERVICE.replace("prod.urls", &format!("{keys}\nprod.urls"));
    let password = r#"user = "ops"
password = { credential = "search" }"#;
    let (_, basic) = client(&with(password)).await;
    let basic = basic.expect("a client");
    assert_eq!(basic.auth, Some(HttpAuth::Basic("ops".into(), crate::model::Secret::new("c2VjcmV0".into()))));
    assert!(!basic.shown(&Ask::health()).contains("c2VjcmV0"));
    let (_, key) = client(&with(r#"api_key = { credential = "key" }"#)).await;
    let header = HttpAuth::Header(crate::model::Secret::new("ApiKey c2VjcmV0".into()));
    assert_eq!(key.expect("a client").auth, Some(header));
    for keys in [r#"user = "ops""#, r#"password = { credential = "x" }"#] {
        let failure = client(&with(keys)).await.1.err().expect("half of the credentials");
        assert_eq!(failure.kind, FailureKind::Invalid);
    }
}
