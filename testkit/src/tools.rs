//! Where the installed servers are.

use std::env;
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
