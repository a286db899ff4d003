//! The exchange trees of a scripted world, for the tests of leases: files that short commands read and write, one shelf for
//! all sites and hosts. It knows nothing but `cat`, `find`, `mkdir` and `rm`, as leases use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::port::fake::{Answer, Call, FakeReach};
use crate::port::{Arg, Command, Pipeline};

/// Files by path. Copies are the same shelf.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<BTreeMap<String, String>>>);

impl Shelf {
    /// A shelf whose sites agree that prod is active, in epoch 3; the mount is `exchange`.
    pub(crate) fn agreed(exchange: &str) -> Self {
        let shelf = Self::default();
        let record = r#"{ "epoch": 3, "active": "prod", "since": "2026-03-01T00:00:00Z", "run": "r0" }"#;
        shelf.put(&format!("{exchange}/direction.json"), record);
        shelf
    }

    /// Answers the commands of a scripted world that are about leases or the direction.
    pub(crate) fn serve(&self, reach: &FakeReach) {
        for words in ["leases/", "direction.json"] {
            let shelf = self.clone();
            reach.compute(words, move |call| match call {
                Call::Exec(_, pipeline, _) => shelf.answer(pipeline),
                other => panic!("nobody asks a shelf for this: {other}"),
            });
        }
    }

    pub(crate) fn put(&self, path: &str, content: &str) {
        self.files().insert(path.to_owned(), content.to_owned());
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.files().get(path).cloned()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.files().keys().cloned().collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, pipeline: &Pipeline) -> Answer {
        let command = &pipeline.members[0];
        let operands: Vec<&str> = words(command).into_iter().filter(|word| word.starts_with('/')).collect();
        match (command.program.as_str(), &pipeline.output_file) {
            ("cat", Some(path)) => {
                let content = pipeline.stdin.clone().unwrap_or_default();
                self.put(path, &String::from_utf8(content).expect("text"));
                Answer::stdout("")
            }
            ("cat", None) => self.read(&operands),
            ("find", _) => self.list(operands[0]),
            ("mkdir", _) => {
                let mut files = self.files();
                let folder = format!("{}/", operands[0]);
                if files.keys().any(|path| path.starts_with(&folder)) && !words(command).contains(&"-p") {
                    let said = format!("mkdir: cannot create directory '{}': File exists", operands[0]);
                    return Answer::exec(&[1], "", &said);
                }
                files.insert(folder, String::new());
                Answer::stdout("")
            }
            ("rm", _) => {
                let gone = |path: &String| operands.iter().any(|folder| path.starts_with(&format!("{folder}/")));
                self.files().retain(|path, _| !gone(path));
                Answer::stdout("")
            }
            _ => panic!("a shelf does not know {pipeline}"),
        }
    }

    fn read(&self, paths: &[&str]) -> Answer {
        let (mut text, mut complaints) = (String::new(), String::new());
        for path in paths {
            match self.get(path) {
                Some(content) => text += &content,
                None => writeln!(complaints, "cat: {path}: No such file or directory").expect("text can be written"),
            }
        }
        Answer::exec(&[i32::from(!complaints.is_empty())], &text, &complaints)
    }

    fn list(&self, folder: &str) -> Answer {
        let below = format!("{folder}/");
        let files = self.files();
        let names: BTreeSet<&str> = files
            .keys()
            .filter_map(|path| path.strip_prefix(&below)?.split('/').next())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() {
            return Answer::exec(&[1], "", &format!("find: '{folder}': No such file or directory"));
        }
        Answer::stdout(&names.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

fn words(command: &Command) -> Vec<&str> {
    let mut words = Vec::new();
    for arg in &command.args {
        match arg {
            Arg::Text(text) => words.push(text.as_str()),
            Arg::SecretFile { .. } => panic!("no secrets on a shelf"),
        }
    }
    words
}
