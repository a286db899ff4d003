//! Hosts to measure against: real SSH servers of our own, each on an address of its own, and an estate that names them.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Servers that end when this is dropped, with all connections to them.
pub struct Hosts {
    folder: tempfile::TempDir,
    servers: Vec<Child>,
    addresses: Vec<String>,
    pub port: u16,
}

/// Runs a command to its end.
pub fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program is installed");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

impl Hosts {
    /// So many hosts, `h1`, `h2` and so on, in a folder below `BENCH_FOLDER`, or `/tmp`. Its path must be short: sockets
    /// are there.
    pub fn start(count: u8) -> Self {
        let parent = std::env::var_os("BENCH_FOLDER").unwrap_or_else(|| "/tmp".into());
        let folder = tempfile::Builder::new().prefix("cb").tempdir_in(parent).expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for key in ["host_key", "user_key"] {
            done(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)));
        }
        fs::copy(path("user_key.pub"), path("authorized_keys")).expect("copied");
        let port = 20_000 + u16::try_from(std::process::id() % 20_000).expect("below 20,000");
        let addresses: Vec<String> = (1..=count).map(|number| format!("127.9.8.{number}")).collect();
        let key = fs::read_to_string(path("host_key.pub")).expect("a key");
        let mut known = String::new();
        for address in &addresses {
            write!(known, "[{address}]:{port} {key}").expect("text");
        }
        fs::write(path("known_hosts"), known).expect("written");
        let mut hosts = Self { folder, servers: Vec::new(), addresses, port };
        fs::write(hosts.path("ssh_config"), hosts.ssh_config()).expect("written");
        // The server drops its privileges in this folder; packages make it at boot only.
        drop(fs::create_dir_all("/run/sshd"));
        for number in 0..hosts.addresses.len() {
            hosts.start_one(number);
        }
        hosts
    }

    fn start_one(&mut self, number: usize) {
        let address = &self.addresses[number];
        let mut config = format!("ListenAddress {address}\nPort {}\nHostKey {}\n", self.port, self.text("host_key"));
        writeln!(config, "AuthorizedKeysFile {}\nStrictModes no\nUsePAM no", self.text("authorized_keys"))
            .expect("text");
        writeln!(config, "PidFile none\nPasswordAuthentication no").expect("text");
        let state = format!("state-{}", number + 1);
        // A bash that believes to be started by another one does not read the start-up files of whoever measures.
        writeln!(config, "SetEnv XDG_STATE_HOME={} SHLVL=1", self.text(&state)).expect("text");
        let file = self.path(&format!("sshd_config-{}", number + 1));
        fs::write(&file, config).expect("written");
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-E"]).arg(self.path("sshd.log")).arg("-f").arg(&file);
        self.servers.push(server.spawn().expect("openssh-server is installed"));
        let begun = Instant::now();
        while TcpStream::connect((address.as_str(), self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen on {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What `ssh -F` needs to reach `h1`, `h2` and so on; without shared connections.
    fn ssh_config(&self) -> String {
        let mut text = String::new();
        for (number, address) in self.addresses.iter().enumerate() {
            writeln!(text, "Host h{}\n  HostName {address}", number + 1).expect("text");
        }
        write!(
            text,
            "Host *\n  Port {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  BatchMode yes\n",
            self.port,
            self.text("user_key"),
            self.text("known_hosts")
        )
        .expect("text");
        text
    }

    /// An estate: site `a` with these hosts, all of the role `app` and each of a role of its own name, and site `b`, which
    /// is this machine. `more` is put at its end.
    pub fn estate(&self, more: &str) -> PathBuf {
        fs::write(self.path("empty"), "").expect("written");
        let mut text = format!(
            "name = \"bench\"\nactive = \"a\"\n[ssh]\nconfig = '{}'\nknown_hosts = '{}'\n",
            self.text("empty"),
            self.text("known_hosts")
        );
        write!(text, "[sites.a]\nexchange = '{}'\n", self.text("exchange-a")).expect("text");
        for (name, address) in self.names().iter().zip(&self.addresses) {
            writeln!(
                text,
                "hosts.{name} = {{ address = \"{address}\", port = {}, identity = '{}', roles = [\"app\", \"{name}\"] }}",
                self.port,
                self.text("user_key")
            )
            .expect("text");
        }
        write!(
            text,
            "[sites.b]\nexchange = '{}'\nhosts.here = {{ local = true, roles = [\"app\"] }}\n{more}",
            self.text("exchange-b")
        )
        .expect("text");
        for tree in ["exchange-a", "exchange-b"] {
            fs::create_dir_all(self.path(tree)).expect("a folder");
            fs::write(self.path(tree).join(".changeover-exchange"), "").expect("written");
        }
        let file = self.path("estate.toml");
        fs::write(&file, text).expect("written");
        file
    }

    /// The names that the ssh configuration knows.
    pub fn names(&self) -> Vec<String> {
        (1..=self.addresses.len()).map(|number| format!("h{number}")).collect()
    }

    /// A path in the folder of these hosts.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }
}

/// Ends the shared connections whose control sockets lie in a folder.
pub fn hang_up(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("c-") && !name.contains('.') {
            let mut end = Command::new("ssh");
            end.arg("-S").arg(entry.path()).args(["-O", "exit", "x"]).stdin(Stdio::null()).stderr(Stdio::null());
            drop(end.status());
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for server in &mut self.servers {
            drop(server.kill());
            drop(server.wait());
        }
    }
}
