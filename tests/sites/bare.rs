//! The lab on a machine that lacks what it needs, asked by somebody who may not install it.

use std::path::Path;
use std::process::Command;

/// The user `nobody` of every Debian.
const NOBODY: &str = "65534";

/// Starts the lab without rights, where `missing` is an empty folder.
fn without_rights(missing: Option<&str>) -> (Option<i32>, String) {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab");
    let hide = missing.map(|folder| format!("mount -t tmpfs none {folder} && ")).unwrap_or_default();
    let script = format!(
        "{hide}exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups env -i PATH=/usr/bin:/bin \"$0\" --dir /nowhere up"
    );
    let mut command = Command::new("unshare");
    let output = command.args(["--mount", "sh", "-c", &script]).arg(lab).output().expect("unshare can be started");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_user_without_rights_is_told_exactly_what_is_missing() {
    let (code, said) = without_rights(None);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("this is user nobody, and the lab needs root") && said.contains("run it as root"), "{said}");
    let (code, said) = without_rights(Some("/usr/sbin"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("apt-get install --no-install-recommends mariadb-server openssh-server\n"), "{said}");
}
