//! The house stays what `ARCHITECTURE.md` says: folders are layers, and arrows go down only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. The same table is in `ARCHITECTURE.md`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("document", &["model"]),
    ("estate", &["model", "document"]),
    ("runbook", &["model", "document", "estate"]),
    ("run", &["model", "runbook"]),
    ("port", &["model", "run"]),
    ("points", &["model", "port"]),
    ("guard", &["model", "estate", "runbook", "run", "port"]),
    ("systems", &["model", "estate", "runbook", "port", "points", "guard"]),
    ("health", &["model", "estate", "port", "systems"]),
    ("engine", &["model", "estate", "runbook", "run", "port", "guard", "systems"]),
    ("journal", &["model", "runbook", "run", "port"]),
    ("session", &["model", "run", "port", "journal"]),
    ("transport", &["model", "estate", "port"]),
    ("world", &["model", "estate", "port"]),
    ("scenario", &["model", "document", "run", "world"]),
    ("style", &["model", "document"]),
    ("report", &["model", "runbook", "run", "style"]),
    ("console", &["model", "estate", "runbook", "run", "health", "style"]),
    ("check", &["model", "document", "estate", "runbook", "systems"]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    assert!(folder.is_dir(), "there is no layer {}", folder.display());
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The layers that a file imports: every `crate::<layer>` in it, comments and test files left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect())
        .collect()
}

#[test]
fn arrows_go_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (layer, allowed) in MAY_IMPORT {
        for file in rust_files(&source.join(layer)) {
            let is_test = file.file_name().is_some_and(|name| name == "tests.rs" || name == "fake.rs")
                || file.components().any(|part| part.as_os_str() == "tests");
            if is_test {
                continue;
            }
            seen += 1;
            for import in imports(&fs::read_to_string(&file).expect("a readable file")) {
                let known = MAY_IMPORT.iter().any(|(layer, _)| *layer == import) || import == "cli";
                if known && import != *layer && !allowed.contains(&import.as_str()) {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(seen > 40, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "arrows that go up:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_layer() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(source).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            let known = name == "cli" || MAY_IMPORT.iter().any(|(layer, _)| *layer == name);
            assert!(known, "src/{name} is not in the table of layers");
        }
    }
}

#[test]
fn every_file_says_what_it_is_responsible_for() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let silent: Vec<PathBuf> = rust_files(&source)
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name != "tests.rs"))
        .filter(|file| !fs::read_to_string(file).expect("a readable file").starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "files without a head comment: {silent:?}");
}

/// A room of `systems` knows nothing of other rooms.
#[test]
fn rooms_do_not_know_each_other() {
    let systems = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/systems");
    let rooms: Vec<String> = fs::read_dir(&systems)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.join("mod.rs").is_file())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert!(rooms.len() >= 7, "{rooms:?}");
    for room in &rooms {
        for file in rust_files(&systems.join(room)) {
            let text = fs::read_to_string(&file).expect("a readable file");
            for other in rooms.iter().filter(|other| *other != room) {
                assert!(!text.contains(&format!("systems::{other}")), "{} knows {other}", file.display());
            }
        }
    }
}
