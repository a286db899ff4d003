//! The program as an operator starts it, with a state folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::hosts::hang_up;

/// The program with an estate and a folder for its state.
pub struct Program {
    estate: PathBuf,
    state: PathBuf,
}

impl Program {
    pub fn new(estate: PathBuf, state: PathBuf) -> Self {
        Self { estate, state }
    }

    /// Ends its connections, which would stay for the next run.
    pub fn hang_up(&self) {
        hang_up(&self.state.join("run"));
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_changeover"));
        command.env_clear();
        for name in ["PATH", "HOME", "USER"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.arg("--estate").arg(&self.estate).arg("--state-dir").arg(&self.state).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Carries a runbook out, which must end well, and says how long all of it took.
    pub fn run(&self, runbook: &Path) -> Duration {
        let runbook = runbook.to_str().expect("UTF-8");
        let begun = Instant::now();
        let output = self.command(&["run", runbook]).output().expect("it starts");
        let took = begun.elapsed();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        took
    }

    /// Writes the direction records that every changing step looks for, and makes all connections.
    pub fn prepare(&self) {
        let runbook = self.estate.with_file_name("prepare.toml");
        let text = "name = \"prepare\"\ntitle = \"Prepare\"\nmode = \"maintenance\"\n[[stages]]\nid = \"trees\"\n\
                    title = \"Trees\"\n[[stages.steps]]\nid = \"prepare\"\nuses = \"exchange.prepare\"\non = \"both\"\n";
        fs::write(&runbook, text).expect("written");
        self.run(&runbook);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.hang_up();
    }
}
