//! A command line that an operator wrote as a list: a program and its arguments, never text for a shell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::port::Command;

/// A program and its arguments, for example `["sudo", "-n", "/opt/bin/restart-shop"]`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct Argv(Vec<String>);

impl Argv {
    /// The command.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut words = self.0.iter();
        Command::new(words.next().cloned().unwrap_or_default()).args(words)
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            return Err("a command needs a program: write for example `[\"/opt/bin/export\", \"--all\"]`".to_owned());
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err("a command cannot hold a NUL character".to_owned());
        }
        Ok(Self(words))
    }
}

impl From<Argv> for Vec<String> {
    fn from(argv: Argv) -> Self {
        argv.0
    }
}

#[cfg(test)]
mod tests {
    use super::Argv;
    use serde_json::json;

    #[test]
    fn a_command_has_a_program() {
        let argv: Argv = serde_json::from_value(json!(["sv", "status", "a b"])).expect("a command");
        assert_eq!(argv.command().to_string(), "sv status 'a b'");
        for bad in [json!([]), json!([""]), json!([" "]), json!("sv status"), json!(["a", "\0"])] {
            assert!(serde_json::from_value::<Argv>(bad.clone()).is_err(), "{bad} was accepted");
        }
    }
}
