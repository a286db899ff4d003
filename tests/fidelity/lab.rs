//! A lab of real servers as a pair of sites, filled with what the simulated world begins with.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use changeover::estate::Estate;
use changeover::model::{HostName, Secret};
use changeover::port::{Arg, Clock, HttpRequest, Method, Pipeline, Place, Reach, RedisEndpoint};
use changeover::transport::{SystemClock, World, WorldOptions};
use changeover::world::disk::Node;
use changeover::world::{SECRET, SimulatedWorld, Spec, Truth};
use serde_json::{Value, json};

use super::hands::{HOSTS, Hands, address, search};
use super::simulated::{POLICY, folder, spec};
use super::support::Lab;

/// The lab.
pub struct RealLab {
    lab: Lab,
    net: String,
    estate: String,
    runtime: tempfile::TempDir,
    clock: Arc<SystemClock>,
}

impl RealLab {
    /// A fresh lab that holds what the simulated world holds.
    pub async fn filled() -> Self {
        let lab = Lab::fresh("fidelity", &[]);
        let estate =
            fs::read_to_string(lab.estate_file()).expect("an estate").replace("name = \"lab\"", "name = \"shop\"");
        let (_, rest) = estate.split_once("address = \"127.").expect("an address");
        let net = format!("127.{}", rest.split('.').next().expect("its number"));
        let runtime = tempfile::tempdir().expect("a folder");
        let this = Self { lab, net, estate: estate + POLICY, runtime, clock: Arc::new(SystemClock::new()) };
        this.fill().await;
        this
    }

    async fn fill(&self) {
        let world = SimulatedWorld::new(&spec());
        let truth = world.with(|state| state.truth(&Spec::sites()[0]));
        self.fill_files(&world);
        self.fill_sql(&world).await;
        self.fill_search(&world, &truth).await;
        self.fill_redis(&world).await;
    }

    async fn fill_redis(&self, world: &SimulatedWorld) {
        let estate: Arc<Estate> = Arc::new(toml::from_str(&self.estate).expect("an estate"));
        for (number, site) in Spec::sites().iter().enumerate() {
            let keys = world.with(|state| state.count(site).keys);
            let of = |address: String| RedisEndpoint { address, port: 6379, through: None, user: None, password: None };
            let words = |words: [&str; 3]| words.map(str::to_owned).to_vec();
            let mut commands: Vec<_> = (1..keys).map(|key| words(["SET", &format!("page:{key}"), "<p>"])).collect();
            commands.push(["SELECT", "1"].map(str::to_owned).to_vec());
            commands.push(words(["SET", "counters", "1"]));
            let master = of(format!("{}.{}.41", self.net, number + 1));
            let replies = self.reach(&estate).redis(&master, &commands).await.expect("it answers");
            assert!(replies.iter().all(|reply| reply.text().as_deref() == Some("OK")), "{replies:?}");
        }
    }

    fn fill_files(&self, world: &SimulatedWorld) {
        world.with(|state| {
            for (site, found) in &state.sites {
                for (host, about) in &found.hosts {
                    let disk = &state.disks[about.mounts.iter().find(|(mount, _)| mount == "/").expect("a root").1.0];
                    for tree in ["storage", "config"] {
                        let root = self.lab.dir.join(site.as_str()).join(host.as_str()).join(tree);
                        for entry in fs::read_dir(&root).expect("the tree").flatten() {
                            let path = entry.path();
                            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                                .expect("emptied");
                        }
                        let mut linked: Vec<(u64, PathBuf)> = Vec::new();
                        for (below, inode) in disk.walk(folder(tree)).expect("the tree") {
                            let path = root.join(&below);
                            let number = disk.number(&format!("{}/{below}", folder(tree))).expect("a number");
                            match &inode.node {
                                Node::Folder(_) => fs::create_dir(&path).expect("a folder"),
                                Node::Link(target) => symlink(target, &path).expect("a link"),
                                Node::File(content) => {
                                    if let Some((_, first)) = linked.iter().find(|(other, _)| *other == number) {
                                        fs::hard_link(first, &path).expect("a second name");
                                    } else {
                                        fs::write(&path, content).expect("a file");
                                        let mode = fs::Permissions::from_mode(u32::from(inode.mode));
                                        fs::set_permissions(&path, mode).expect("a mode");
                                        let time = std::time::SystemTime::from(inode.modified);
                                        let file = fs::File::options().append(true).open(&path).expect("the file");
                                        file.set_modified(time).expect("a time");
                                        linked.push((number, path.clone()));
                                    }
                                }
                            }
                            belongs_as(&path, &root);
                        }
                    }
                }
            }
        });
    }

    /// The dump of the simulated server, loaded into the real one.
    async fn fill_sql(&self, world: &SimulatedWorld) {
        let [prod, _] = Spec::sites();
        let place = Place::Host(prod, HostName::new("app1").expect("a name"));
        let content = format!("[client]\npassword=\"{SECRET}\"\n");
        let options = Arg::SecretFile { before: "--defaults-file=".to_owned(), index: 0 };
        let dump = changeover::port::Command::new("mariadb-dump")
            .arg(options)
            .args(["--user=changeover", "--host=10.0.1.31", "--port=3306", "--protocol=tcp", "--single-transaction"])
            .args(["--routines", "--events", "--triggers", "--hex-blob", "--quick"])
            .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--databases", "shop"]);
        let dump = Pipeline::from(dump).secret_file(Secret::new(content));
        let dumped = world.exec(&place, &dump, std::time::Duration::from_mins(5)).await.expect("a dump");
        assert!(dumped.is_success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        self.mariadb("prod", b"DROP DATABASE IF EXISTS shop");
        self.mariadb("prod", &dumped.stdout);
        for site in ["prod", "bcp"] {
            // The servers of the lab run events unless told otherwise, those of the world do not.
            self.mariadb(site, b"SET GLOBAL event_scheduler = OFF");
        }
    }

    fn mariadb(&self, site: &str, statements: &[u8]) {
        let password = fs::read_to_string(self.lab.dir.join("secrets/sql")).expect("the password");
        let mut client = Command::new("mariadb")
            .args(["-h", &address(self, site, 31), "-u", "changeover"])
            .env("MYSQL_PWD", password.trim())
            .stdin(Stdio::piped())
            .spawn()
            .expect("the client");
        std::io::Write::write_all(&mut client.stdin.take().expect("its input"), statements).expect("it reads");
        assert!(client.wait().expect("it ends").success(), "the dump of the simulated server cannot be loaded");
    }

    async fn fill_search(&self, world: &SimulatedWorld, truth: &Truth) {
        let estate: Arc<Estate> = Arc::new(toml::from_str(&self.estate).expect("an estate"));
        let of_world = async |path: &str| -> Value {
            let request = HttpRequest::new(Method::Get, format!("http://10.0.1.21:9200/{path}"));
            world.http(&request).await.expect("it answers").json().expect("JSON")
        };
        let put = async |path: &str, body: &Value| {
            let (status, answer) = search(self, &estate, "prod", Method::Put, path, &body.to_string()).await;
            assert!(status < 300, "{path}: {status} {answer}");
        };
        let pipelines = of_world("_ingest/pipeline").await;
        for name in pipelines.as_object().expect("pipelines").keys() {
            // The servers of the lab come without processors.
            put(&format!("_ingest/pipeline/{name}"), &json!({"processors": []})).await;
        }
        for (folder, list, body) in [
            ("_component_template", "component_templates", "component_template"),
            ("_index_template", "index_templates", "index_template"),
        ] {
            for found in of_world(folder).await[list].as_array().expect("definitions") {
                put(&format!("{folder}/{}", found["name"].as_str().expect("a name")), &found[body]).await;
            }
        }
        let metadata = of_world("_cluster/state/metadata").await;
        for (name, index) in metadata["metadata"]["indices"].as_object().expect("indices") {
            let mut settings = index["settings"].clone();
            for own in ["provided_name", "uuid", "version"] {
                settings["index"].as_object_mut().expect("settings").remove(own);
            }
            let aliases: serde_json::Map<String, Value> = index["aliases"]
                .as_array()
                .expect("aliases")
                .iter()
                .map(|name| (name.as_str().expect("a name").to_owned(), json!({})))
                .collect();
            put(name, &json!({"settings": settings, "aliases": aliases})).await;
        }
        self.fill_index(&estate, truth, "").await;
    }

    /// Puts the documents of the world into the indices that begin with a name.
    async fn fill_index(&self, estate: &Arc<Estate>, truth: &Truth, begins: &str) {
        for (item, source) in &truth.items {
            let Some(document) = item.strip_prefix("search/").filter(|item| item.starts_with(begins)) else { continue };
            let (index, id) = document.split_once('/').expect("an index and an id");
            let path = format!("{index}/_doc/{id}");
            let (status, answer) = search(self, estate, "prod", Method::Put, &path, source).await;
            assert!(status < 300, "{path}: {status} {answer}");
        }
        search(self, estate, "prod", Method::Post, "_refresh", "").await;
        search(self, estate, "prod", Method::Post, "_flush", "").await;
    }

    /// Where a tree of a site is, seen from outside; one folder per host.
    fn trees(&self, site: &str, tree: &str) -> Vec<PathBuf> {
        let site = self.lab.dir.join(site);
        if tree == "exchange" {
            return vec![site.join("exchange")];
        }
        HOSTS.iter().map(|host| site.join(host).join(tree)).collect()
    }

    fn paths(&self, site: &str, path: &str) -> Vec<PathBuf> {
        let (tree, below) = path.split_once('/').expect("a tree");
        self.trees(site, tree).into_iter().map(|root| root.join(below)).collect()
    }
}

/// Gives a file to whoever its tree belongs to.
fn belongs_as(path: &Path, root: &Path) {
    let about = fs::metadata(root).expect("the tree");
    if !path.is_symlink() {
        chown(path, Some(about.uid()), Some(about.gid())).expect("given away");
    }
}

fn list_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let mut names: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let path = format!("{prefix}{}", entry.file_name().to_str().expect("text"));
        if entry.file_type().expect("a type").is_dir() {
            list_below(&entry.path(), &format!("{path}/"), found);
        } else if !entry.path().is_symlink() {
            found.push(path);
        }
    }
}

#[async_trait]
impl Hands for RealLab {
    fn reach(&self, estate: &Arc<Estate>) -> Arc<dyn Reach> {
        let options = WorldOptions::new(self.runtime.path().join("r"), self.runtime.path().join("s"));
        Arc::new(World::new(Arc::clone(estate), options).expect("a way"))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    fn estate(&self) -> String {
        self.estate.clone()
    }

    fn net(&self) -> String {
        self.net.clone()
    }

    fn names(&self) -> Vec<(String, String)> {
        let dir = self.lab.dir.display();
        [("mnt/exchange", "/mnt/exchange"), ("mnt/storage", "/var/lib/shop/storage"), ("mnt/config", "/etc/shop")]
            .into_iter()
            .chain([("mnt/service/shop", "/etc/service/shop"), ("bin/restart-shop", "/usr/local/sbin/restart-shop")])
            .map(|(here, there)| (format!("{dir}/{here}"), there.to_owned()))
            .chain([(".51:8500".to_owned(), ".9:8500".to_owned()), (format!("{}.", self.net), "10.0.".to_owned())])
            .collect()
    }

    fn list(&self, site: &str, tree: &str) -> Vec<String> {
        let mut found = Vec::new();
        list_below(&self.trees(site, tree)[0], "", &mut found);
        found
    }

    fn read(&self, site: &str, path: &str) -> Vec<u8> {
        fs::read(&self.paths(site, path)[0]).expect("a file")
    }

    fn write(&self, site: &str, path: &str, content: &[u8]) {
        let (tree, _) = path.split_once('/').expect("a tree");
        for (root, path) in self.trees(site, tree).iter().zip(self.paths(site, path)) {
            let mut missing = Vec::new();
            let mut folder = path.parent().expect("a folder");
            while !folder.exists() {
                missing.push(folder);
                folder = folder.parent().expect("the tree");
            }
            for folder in missing.into_iter().rev() {
                fs::create_dir(folder).expect("a folder");
                fs::set_permissions(folder, fs::Permissions::from_mode(0o2775)).expect("a mode");
                belongs_as(folder, root);
            }
            let is_new = !path.exists();
            fs::write(&path, content).expect("a file");
            if is_new {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).expect("a mode");
                belongs_as(&path, root);
            }
        }
    }

    fn remove(&self, site: &str, path: &str) {
        for path in self.paths(site, path) {
            fs::remove_file(path).expect("removed");
        }
    }

    async fn server(&self, site: &str, name: &str, up: bool) {
        self.lab.run(&["service", if up { "start" } else { "stop" }, site, name]);
    }

    /// Writes the index `events` anew, and turns a byte of each of its segments, so that it differs from what is in the repository already.
    async fn shard(&self, is_well: bool) {
        let estate: Arc<Estate> = Arc::new(toml::from_str(&self.estate).expect("an estate"));
        let settings = r#"{"settings":{"number_of_shards":1,"number_of_replicas":0}}"#;
        search(self, &estate, "prod", Method::Delete, "events", "").await;
        search(self, &estate, "prod", Method::Put, "events", settings).await;
        let world = SimulatedWorld::new(&spec());
        let truth = world.with(|state| state.truth(&Spec::sites()[0]));
        self.fill_index(&estate, &truth, "events/").await;
        if is_well {
            return;
        }
        search(self, &estate, "prod", Method::Post, "events/_forcemerge?max_num_segments=1&flush=true", "").await;
        let (_, shown) = search(self, &estate, "prod", Method::Get, "_cluster/state/metadata/events", "").await;
        let uuid = shown["metadata"]["indices"]["events"]["settings"]["index"]["uuid"]
            .as_str()
            .expect("its identity")
            .to_owned();
        let shard = self.lab.dir.join("prod/search/data/nodes/0/indices").join(uuid).join("0/index");
        let files = fs::read_dir(&shard).expect("the shard").flatten().map(|entry| entry.path());
        let segments = files.filter(|path| path.extension().is_some_and(|kind| kind == "cfs" || kind == "fdt"));
        // All of them: what was merged may be there for a while, and is not what is copied.
        for rotten in segments {
            let mut bytes = fs::read(&rotten).expect("a segment");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&rotten, &bytes).expect("damaged");
        }
    }
}
