//! The server that a test starts for itself, and what tests do to it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use changeover::estate::Estate;
use changeover::transport::{World, WorldOptions};

/// Far more than anything here takes, also on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(1);
/// Where the servers of these tests listen.
pub const ADDRESS: &str = "127.9.7.1";

/// A site with one host, `app1`, that is an SSH server of our own.
pub struct Lab {
    folder: tempfile::TempDir,
    pub port: u16,
    pub server: Option<Child>,
    estate: Arc<Estate>,
}

pub fn free_port() -> u16 {
    // Tests of one process must not take the same port between finding and using it.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 20_000).expect("below 20,000");
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind((ADDRESS, port)).is_ok() {
            return port;
        }
    }
}

pub fn done(command: &mut Process) {
    let output = command.stdin(Stdio::null()).output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn make_key(path: &Path) {
    done(Process::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
}

impl Lab {
    pub fn start() -> Self {
        Self::with_server_options("")
    }

    pub fn with_server_options(options: &str) -> Self {
        Self::with_server(options, "")
    }

    /// A host on which the programs are looked for in these folders.
    pub fn with_programs(path: &str) -> Self {
        Self::with_server("", &format!("PATH={path}"))
    }

    fn with_server(options: &str, environment: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("co").tempdir_in("/tmp").expect("a folder");
        let path = |name: &str| folder.path().join(name);
        make_key(&path("host_key"));
        make_key(&path("user_key"));
        fs::copy(path("user_key.pub"), path("authorized_keys")).expect("copied");
        let port = free_port();
        let key = fs::read_to_string(path("host_key.pub")).expect("a key");
        fs::write(path("known_hosts"), format!("[{ADDRESS}]:{port} {key}")).expect("written");
        fs::write(path("ssh_config"), "").expect("written");
        let mut config = String::new();
        writeln!(config, "ListenAddress {ADDRESS}\nPort {port}\nHostKey {}", path("host_key").display()).expect("text");
        writeln!(config, "AuthorizedKeysFile {}\nStrictModes no\nUsePAM no", path("authorized_keys").display())
            .expect("text");
        writeln!(config, "PidFile {}\nPasswordAuthentication no", path("sshd.pid").display()).expect("text");
        writeln!(config, "SetEnv XDG_STATE_HOME={} {environment}\n{options}", path("state").display()).expect("text");
        fs::write(path("sshd_config"), config).expect("written");
        let text = format!(
            "name = \"t\"\nactive = \"a\"\n[ssh]\nconfig = '{0}'\nknown_hosts = '{1}'\n\
             [sites.a]\nexchange = \"/x\"\nhosts.app1 = {{ address = \"{ADDRESS}\", port = {port}, identity = '{2}' }}\n\
             [sites.b]\nexchange = \"/x\"\n",
            path("ssh_config").display(),
            path("known_hosts").display(),
            path("user_key").display(),
        );
        fs::write(path("estate.toml"), &text).expect("written");
        let estate = Arc::new(toml::from_str(&text).expect("an estate"));
        let mut lab = Self { folder, port, server: None, estate };
        lab.start_server();
        lab
    }

    pub fn start_server(&mut self) {
        // The server drops its privileges in this folder; packages make it at boot only.
        drop(fs::create_dir_all("/run/sshd"));
        let server = Process::new("/usr/sbin/sshd")
            .args(["-D", "-E"])
            .arg(self.path("sshd.log"))
            .arg("-f")
            .arg(self.path("sshd_config"))
            .spawn()
            .expect("openssh-server is installed");
        self.server = Some(server);
        let begun = Instant::now();
        while std::net::TcpStream::connect((ADDRESS, self.port)).is_err() {
            assert!(begun.elapsed() < LIMIT, "{}", fs::read_to_string(self.path("sshd.log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes that serve logins, one or two for each connection.
    pub fn logins(&self) -> Vec<String> {
        let server = self.server.as_ref().expect("it runs").id();
        let children = |pid: &str| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children(&server.to_string()).split_whitespace().map(str::to_owned).collect()
    }

    /// Cuts all connections as a dead network would, without a goodbye.
    pub fn cut(&self) {
        let logins = self.logins();
        assert!(!logins.is_empty(), "nobody is logged in");
        for pid in logins {
            done(Process::new("kill").args(["-9", &pid]));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// A world of its own, as another process of the program would have it.
    pub fn world(&self) -> World {
        let options = WorldOptions::new(self.path("r"), self.path("console-state"));
        World::new(Arc::clone(&self.estate), options).expect("a world")
    }

    /// A world in which the host has another address.
    pub fn world_at(&self, address: &str) -> World {
        let mut estate = Estate::clone(&self.estate);
        let hosts = estate.sites.values_mut().flat_map(|site| site.hosts.values_mut());
        hosts.for_each(|host| host.address = Some(address.to_owned()));
        let options = WorldOptions::new(self.path("r"), self.path("console-state"));
        World::new(Arc::new(estate), options).expect("a world")
    }

    /// A world that shares nothing with the others, not even connections.
    pub fn separate_world(&self, name: &str) -> World {
        let options = WorldOptions::new(self.path(name), self.path("console-state"));
        World::new(Arc::clone(&self.estate), options).expect("a world")
    }

    /// Waits until a file has a line, and returns it.
    pub async fn line_of(&self, name: &str) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "nobody wrote {name}");
            if let Ok(text) = fs::read_to_string(self.path(name))
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The masters, by their control sockets.
        for folder in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with("c-") && !name.contains('.') {
                    let mut end = Process::new("ssh");
                    end.arg("-S").arg(entry.path()).args(["-O", "exit", "x"]).stderr(Stdio::null());
                    drop(end.status());
                }
            }
        }
        if let Some(mut server) = self.server.take() {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

/// True unless a process is gone, or dead and only waiting for its parent to notice.
pub fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}
