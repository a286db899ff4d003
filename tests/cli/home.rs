//! The home that each test gives the binary, and the files that it finds there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

/// An empty home, and the binary in it with an empty environment.
pub struct Home(TempDir);

/// What one start of the binary did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("changeover");
        command.env_clear().env("HOME", self.path()).current_dir(self.path()).args(arguments);
        command.envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: status.code().expect("a code"), out: text(stdout), err: text(stderr) }
    }

    /// An estate as `init` writes it, and a runbook that fits it.
    pub fn with_estate() -> Self {
        let home = Self::new();
        let ran = home.run(INIT);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        home.write("runbooks/collect.toml", &collect());
        home
    }
}

/// The answers to everything that `init` asks.
pub const INIT: &[&str] = &[
    "init",
    "--name",
    "shop",
    "--site",
    "prod",
    "--site",
    "bcp",
    "--exchange",
    "/mnt/exchange",
    "--host",
    "prod/app1=10.0.1.11",
    "--host",
    "prod/app2=10.0.1.12",
    "--host",
    "bcp/app1=local",
    "--search",
    "prod=http://10.0.1.11:9200",
    "--search",
    "bcp=http://10.0.2.11:9200",
    "--database",
    "shop",
    "--files",
    "/var/lib/shop/storage",
];

/// A runbook of one stage, which begins with this step.
pub fn runbook(name: &str, title: &str, stage: &str, steps: &str) -> String {
    format!(
        "
name = \"{name}\"
title = \"{title}\"
mode = \"maintenance\"

[[stages]]
id = \"{stage}\"
title = \"{stage}\"

[[stages.steps]]
{steps}"
    )
}

/// A runbook that fits the estate which [`INIT`] makes.
pub fn collect() -> String {
    let step = "id = \"collect\"\nuses = \"files.collect\"\non = \"source\"\nservice = \"assets\"\n";
    runbook("collect", "Collect the files of {{ source }}", "files", step)
}
