//! Folders that end with the tests, however these end.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// Deletes the folder "$1" when the shell's standard input ends, which the operating system sees to when the tests'
/// process ends. It repeats that, because hosts that are being killed may still write.
const SCRIPT: &str = r#"read -r _; for _ in 1 2 3 4 5; do rm -rf "$1"; sleep 0.5; done"#;

/// A new temporary folder. Statics are never dropped, and neither is anything of a process that is killed, so all of
/// these folders are in one that a process of its own deletes.
pub fn temporary_folder() -> TempDir {
    struct Folders {
        root: TempDir,
        // Its standard input is open for as long as this process lives.
        _janitor: Child,
    }
    static FOLDERS: LazyLock<Folders> = LazyLock::new(|| {
        let root = TempDir::new().expect("a temporary folder");
        let janitor = start_janitor(root.path());
        Folders { root, _janitor: janitor }
    });
    TempDir::new_in(&FOLDERS.root).expect("a temporary folder")
}

fn start_janitor(folder: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "sh"]).arg(folder);
    // Not of the group that an interrupt of the tests ends.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}
