//! What is done to two sites before, during and after a scene, in words that mean the same on the world and on the lab.

use std::sync::Arc;

use async_trait::async_trait;
use changeover::estate::Estate;
use changeover::model::{HostName, SecretSource, ServiceName, SiteName};
use changeover::port::{Clock, HttpRequest, Method, Reach, SqlAddress, SqlEndpoint, SqlRows, SqlStatement};

/// The three hosts of each site.
pub const HOSTS: [&str; 3] = ["app1", "app2", "app3"];

/// Something that is done to the sites. A path begins with its tree: `exchange`, or `storage` and `config`, which every
/// host of a site has; `{point}` in it is the folder of the scene's point.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// A request to a site's search cluster, which must be granted.
    Search(&'static str, Method, &'static str, &'static str),
    /// Statements at a site's SQL server.
    Sql(&'static str, &'static [&'static str]),
    /// A site's server or, as `app@host`, application ends, or is there again.
    Ends(&'static str, &'static str),
    Begins(&'static str, &'static str),
    /// One shard at the source answers, but cannot be copied any more; or it can again.
    ShardRots,
    ShardMends,
    /// Writes a file.
    Write(&'static str, &'static str, &'static str),
    /// Removes files: those whose path begins so.
    Remove(&'static str, &'static str),
    /// Removes the first file of the exchange tree whose path holds this.
    Lose(&'static str, &'static str),
    /// Turns a byte in the middle of the first file of the exchange tree whose path holds this.
    Turn(&'static str, &'static str),
    /// The same of every file whose path holds this.
    TurnAll(&'static str, &'static str),
    /// Cuts a file to half its length.
    Halve(&'static str, &'static str),
    /// Brings what the source has below a path of its exchange tree to the target, and nothing else of it.
    Carry(&'static str),
    /// From now on the estate says something else.
    Estate(&'static str, &'static str),
    /// The estate says what it said at first.
    EstateAsItWas,
}

/// A pair of sites and how a test changes them.
#[async_trait]
pub trait Hands: Sync {
    /// The way there for steps.
    fn reach(&self, estate: &Arc<Estate>) -> Arc<dyn Reach>;
    /// The time there.
    fn clock(&self) -> Arc<dyn Clock>;
    /// The estate file.
    fn estate(&self) -> String;
    /// What all addresses begin with, and what stands here for what a record calls otherwise.
    fn net(&self) -> String;
    fn names(&self) -> Vec<(String, String)>;
    /// The files of a tree of a site, with their paths below the tree, in their order.
    fn list(&self, site: &str, tree: &str) -> Vec<String>;
    fn read(&self, site: &str, path: &str) -> Vec<u8>;
    fn write(&self, site: &str, path: &str, content: &[u8]);
    fn remove(&self, site: &str, path: &str);
    async fn server(&self, site: &str, name: &str, up: bool);
    async fn shard(&self, is_well: bool);
}

/// An address of a site.
pub fn address(hands: &dyn Hands, site: &str, last: u8) -> String {
    format!("{}.{}.{last}", hands.net(), if site == "prod" { 1 } else { 2 })
}

/// A request to a site's search cluster; returns the answer.
pub async fn search(
    hands: &dyn Hands,
    estate: &Arc<Estate>,
    site: &str,
    method: Method,
    path: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let url = format!("http://{}:9200/{path}", address(hands, site, 21));
    let mut request = HttpRequest::new(method, url);
    if !body.is_empty() {
        request = request.json(serde_json::from_str(body).expect("JSON"));
    }
    let answer = hands.reach(estate).http(&request).await.expect("the cluster answers");
    (answer.status, answer.json().unwrap_or_default())
}

/// Statements at a site's SQL server, in one session.
pub async fn sql(
    hands: &dyn Hands,
    estate: &Arc<Estate>,
    site: &str,
    statements: &[&str],
) -> Vec<Result<SqlRows, String>> {
    let service = ServiceName::new("db").expect("a name");
    let site = SiteName::new(site).expect("a name");
    let settings = estate.settings_at(&service, &site).expect("settings");
    let source: SecretSource = serde_json::from_value(settings["password"].clone()).expect("a source");
    let reach = hands.reach(estate);
    let password = Some(reach.secret(&source).await.expect("a password"));
    let endpoint = SqlEndpoint {
        address: SqlAddress::Tcp(address(hands, site.as_str(), 31), 3306),
        through: Some((site, HostName::new("app1").expect("a name"))),
        user: "changeover".into(),
        password,
        database: None,
        ca_pem: None,
    };
    let all: Vec<SqlStatement> = statements.iter().map(|text| SqlStatement::new(*text)).collect();
    match reach.sql(&endpoint, &all).await {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error.got)],
    }
}

/// Does something to the sites.
pub async fn act(hands: &dyn Hands, estate: &Arc<Estate>, point: &str, act: Act) {
    let path = |path: &str| path.replace("{point}", &format!("exchange/prod-to-bcp/points/{point}"));
    let found = |site: &str, part: &str| {
        let part = part.replace("{point}", &format!("prod-to-bcp/points/{point}"));
        let found = hands.list(site, "exchange").into_iter().find(|path| path.contains(&part));
        format!("exchange/{}", found.unwrap_or_else(|| panic!("{site} has no file like {part}")))
    };
    match act {
        Act::Search(site, method, to, body) => {
            let body = body.replace("{exchange}", exchange(estate, site));
            let (status, answer) = search(hands, estate, site, method, to, &body).await;
            assert!((200..300).contains(&status), "{method} {to} at {site}: {status} {answer}");
        }
        Act::Sql(site, statements) => {
            for answer in sql(hands, estate, site, statements).await {
                answer.unwrap_or_else(|error| panic!("{statements:?} at {site}: {error}"));
            }
        }
        Act::Ends(site, name) => hands.server(site, name, false).await,
        Act::Begins(site, name) => hands.server(site, name, true).await,
        Act::ShardRots => hands.shard(false).await,
        Act::ShardMends => hands.shard(true).await,
        Act::Write(site, to, content) => hands.write(site, &path(to), content.as_bytes()),
        Act::Remove(site, begins) => {
            let begins = path(begins);
            let (tree, begins) = begins.split_once('/').expect("a tree");
            let going: Vec<String> =
                hands.list(site, tree).into_iter().filter(|path| path.starts_with(begins)).collect();
            assert!(!going.is_empty(), "{site} has no {tree} file that begins with {begins}");
            for gone in going {
                hands.remove(site, &format!("{tree}/{gone}"));
            }
        }
        Act::Lose(site, part) => hands.remove(site, &found(site, part)),
        Act::Turn(site, part) => {
            let path = found(site, part);
            let mut content = hands.read(site, &path);
            let middle = content.len() / 2;
            content[middle] ^= 1;
            hands.write(site, &path, &content);
        }
        Act::TurnAll(site, part) => {
            let all: Vec<String> =
                hands.list(site, "exchange").into_iter().filter(|path| path.contains(part)).collect();
            assert!(!all.is_empty(), "{site} has no file like {part}");
            for path in all {
                let path = format!("exchange/{path}");
                let mut content = hands.read(site, &path);
                let middle = content.len() / 2;
                content[middle] ^= 1;
                hands.write(site, &path, &content);
            }
        }
        Act::Halve(site, part) => {
            let path = found(site, part);
            let content = hands.read(site, &path);
            hands.write(site, &path, &content[..content.len() / 2]);
        }
        Act::Carry(below) => {
            let below = path(below);
            let (tree, below) = below.split_once('/').expect("a tree");
            for path in hands.list("prod", tree).into_iter().filter(|path| path.starts_with(below)) {
                let path = format!("{tree}/{path}");
                hands.write("bcp", &path, &hands.read("prod", &path));
            }
        }
        Act::Estate(..) | Act::EstateAsItWas => unreachable!("the player changes the estate"),
    }
}

fn exchange<'a>(estate: &'a Arc<Estate>, site: &str) -> &'a str {
    let site = estate.sites.get(&SiteName::new(site).expect("a name")).expect("a site");
    site.exchange.to_str().expect("text")
}
