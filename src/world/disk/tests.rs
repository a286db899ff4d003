//! What a disk keeps, loses and refuses.

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn disk() -> Disk {
    let mut disk = Disk::new(100, NOW);
    disk.make_folders("/a/b", 0o755, NOW).expect("folders");
    disk.write("/a/b/f", "12345", 0o644, NOW).expect("a file");
    disk
}

#[test]
fn bytes_are_counted_once_for_all_names() {
    let mut disk = disk();
    disk.hard_link("/a/b/f", "/a/g", NOW).expect("a second name");
    assert_eq!((disk.used(), disk.stat("/a/g").expect("it").links), (5, 2));
    disk.write("/a/g", "1234567", 0o644, NOW).expect("written through");
    assert_eq!((disk.read("/a/b/f").expect("it").len(), disk.used()), (7, 7));
    disk.remove("/a/b/f", NOW).expect("removed");
    assert_eq!(disk.used(), 7);
    disk.remove_all("/a", NOW).expect("removed");
    assert_eq!((disk.used(), disk.list("/").expect("the root")), (0, vec![]));
}

#[test]
fn a_full_disk_keeps_what_fitted_of_an_append_and_nothing_of_a_write() {
    let mut disk = disk();
    assert_eq!(disk.write("/big", vec![0; 96], 0o644, NOW), Err(DiskError::Full));
    assert_eq!(disk.append("/a/b/f", &[0; 96], 0o644, NOW), Err(DiskError::Full));
    assert_eq!((disk.free(), disk.stat("/a/b/f").expect("it").size()), (0, 100));
}

#[test]
fn renames_replace_files_and_never_full_folders() {
    let mut disk = disk();
    disk.write("/x", "new", 0o600, NOW).expect("a file");
    disk.rename("/x", "/a/b/f", NOW).expect("renamed");
    assert_eq!((disk.read("/a/b/f").expect("it"), disk.exists("/x")), (Bytes::from("new"), false));
    assert_eq!(disk.used(), 3);
    disk.make_folder("/c", 0o755, NOW).expect("a folder");
    assert_eq!(disk.rename("/c", "/a", NOW), Err(DiskError::NotEmpty));
    disk.rename("/a", "/c", NOW).expect("onto an empty one");
    assert!(disk.exists("/c/b/f") && !disk.exists("/a"));
}

#[test]
fn a_power_cut_takes_what_was_not_synced() {
    let mut disk = disk();
    disk.sync("/a/b/f").expect("synced");
    disk.append("/a/b/f", b"678", 0o644, NOW).expect("appended");
    disk.write("/loose", "xyz", 0o644, NOW).expect("a file");
    assert_eq!(disk.lose_unsynced(), 2);
    assert_eq!((disk.read("/a/b/f").expect("it"), disk.read("/loose").expect("it").len()), (Bytes::from("12345"), 0));
    assert_eq!(disk.used(), 5);
}

#[test]
fn what_is_changed_is_seen_even_when_its_time_is_set_back() {
    let mut disk = disk();
    let later = |seconds| Timestamp::from_second(seconds).expect("a time");
    let seen = |disk: &Disk| {
        let inode = disk.stat("/a/b/f").expect("a file");
        (inode.number, inode.modified.as_second(), inode.changed.as_second())
    };
    let (number, ..) = seen(&disk);
    disk.write("/a/b/f", "54321", 0o644, later(5)).expect("written");
    disk.set_modified("/a/b/f", NOW, later(6)).expect("set back");
    assert_eq!(seen(&disk), (number, 0, 6));
    disk.rot("/a/b/f", 2).expect("rotten");
    assert_eq!((seen(&disk), disk.read("/a/b/f").expect("it")), ((number, 0, 6), Bytes::from("54221")));
    disk.write("/a/new", "54321", 0o644, NOW).expect("written");
    disk.rename("/a/new", "/a/b/f", later(9)).expect("replaced");
    let (other, modified, changed) = seen(&disk);
    assert!(other != number && (modified, changed) == (0, 9));
}

#[test]
fn a_walk_has_parents_first() {
    let names: Vec<String> = disk().walk("/").expect("the root").into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["a", "a/b", "a/b/f"]);
}
