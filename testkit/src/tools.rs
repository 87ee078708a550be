//! Where the installed servers are.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The file `path` below the folder that `scripts/install-test-tools.sh` filled.
pub(crate) fn installed(path: &str) -> PathBuf {
    let tools = env::var_os("IMAGO_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools"),
        PathBuf::from,
    );
    let file = tools.join(path);
    assert!(
        file.is_file(),
        "`{}` is missing: run scripts/install-test-tools.sh",
        file.display()
    );
    file
}

/// The program `name` of the system; also looked for where Debian puts servers, which not every user's `PATH` holds.
pub(crate) fn program(name: &str) -> PathBuf {
    find_program(name)
        .unwrap_or_else(|| panic!("program `{name}` is missing: run scripts/install-test-tools.sh"))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/bin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(OsStr::new(name)))
        .find(|file| file.is_file())
}
