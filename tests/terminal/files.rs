//! Saving what steps have printed, in a real terminal: the bytes are those on disk.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::opened;

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The bytes of files, by name.
fn contents(files: &[PathBuf]) -> Vec<(String, Vec<u8>)> {
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).expect("a file"))).collect()
}

/// The output folder of the only run that there is.
fn printed(folder: &Path) -> PathBuf {
    let runs = folder.join("state/demo/shop/runs");
    let [run] = &files(&runs)[..] else { panic!("one run: {:?}", files(&runs)) };
    run.join("output")
}

#[test]
fn what_was_printed_is_saved_as_it_is_on_disk() {
    let mut demo = opened(200, 40);
    let (screen, folder) = (&mut demo.screen, demo.folder.path());
    // What a host may print, and no screen may get: it is put there as the run would have kept it.
    let file = printed(folder).join("sql-dump~dump~prod.1.log");
    let mut wild = std::fs::read(&file).expect("what the dump has printed");
    wild.extend_from_slice(b"\x1b]0;title\x07 caf\xe9\r\n\0 no newline");
    std::fs::write(&file, &wild).expect("written");
    screen.send("5");
    screen.sees("[5 Runs]");
    screen.send("\r");
    screen.sees("\u{25b8} SQL dump");
    screen.send("jj\r");
    screen.sees("\u{25be} SQL dump");
    screen.send("j4oA");
    screen.sees("printed by dump@prod");
    for number in ["", "-2"] {
        screen.send("S");
        screen.sees(&format!("sql-dump~dump~prod.1{number}.log"));
        assert!(screen.shown().contains(&format!("{} bytes, as on disk, in", wild.len())), "{}", screen.shown());
    }
    let saved: Vec<PathBuf> = files(folder).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(saved.len(), 2, "{saved:?}");
    for file in &saved {
        assert_eq!(std::fs::read(file).expect("a file"), wild);
        assert_eq!(std::fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    screen.send(":");
    screen.sees(" Palette");
    screen.send("save-all");
    screen.press_until(&["\r"], "what was saved", |shown| shown.contains("-printed"));
    let all = files(folder).into_iter().find(|path| path.to_string_lossy().ends_with("-printed")).expect("a folder");
    let kept = contents(&files(&printed(folder)));
    assert!(kept.len() > 5 && contents(&files(&all)) == kept, "{} files", kept.len());
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}

#[test]
fn what_is_copied_is_kept_in_the_state_folder_and_nowhere_else() {
    let mut demo = opened(160, 40);
    let (screen, folder) = (&mut demo.screen, demo.folder.path());
    let precious = folder.join("copied.txt");
    std::fs::write(&precious, "precious").expect("written");
    screen.send("2");
    screen.sees("[2 Runbooks]");
    screen.send("y");
    screen.sees("sent to the terminal's clipboard, and in ");
    assert_eq!(std::fs::read_to_string(&precious).expect("a file"), "precious");
    let kept = folder.join("state/demo/shop/copied.txt");
    let text = std::fs::read_to_string(&kept).expect("a file");
    assert_eq!(std::fs::metadata(&kept).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(screen.shown().contains(text.trim_end()), "{text}");
    let raw = String::from_utf8_lossy(&screen.raw()).into_owned();
    assert!(raw.contains("\u{1b}]52;c;") && !raw.contains("\u{1b}Ptmux;"), "it is sent as it is");
    screen.send("q");
    assert_eq!(screen.ended(), 0);
}
