//! The state belongs to one user: folders have the mode 0700 and files 0600, whatever the umask that the host was
//! started with.

use std::path::Path;

use anyhow::{Context, Result};

/// Makes all files and folders that this process and its children create private to their user.
pub fn restrict_new_files() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Creates a private folder with its parents. A folder that exists becomes private, unless its sticky bit says that it
/// is shared, as `/tmp` is.
/// Errors: the folder cannot be created, or is another user's.
pub fn create_folder(path: &Path) -> Result<()> {
    let create = || {
        std::fs::create_dir_all(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            let mode = path.metadata()?.permissions().mode();
            let is_shared = mode & 0o1000 != 0;
            if mode & 0o77 != 0 && !is_shared {
                std::fs::set_permissions(path, PermissionsExt::from_mode(0o700))?;
            }
        }
        std::io::Result::Ok(())
    };
    create().with_context(|| format!("cannot create {} for this user alone", path.display()))
}
