//! Another program in a sandbox: this one is started again, takes its rights from itself, and becomes the other.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::confine;
use crate::error::Result;

/// The first argument of a process that is to become another program; the program and its arguments follow.
pub(super) const MARKER: &str = "--imago-sandbox-program";

/// A command that runs a program confined to the directory that it is started in. Its arguments are to be added.
pub(crate) fn command(program: &Path) -> Result<Command> {
    let mut command = Command::new(super::program()?);
    command.arg0("imago-sandbox").arg(MARKER).arg(program);
    Ok(command)
}

/// Becomes the program, and gives the code to exit with if that fails.
pub(super) fn run(words: impl IntoIterator<Item = OsString>) -> i32 {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let shut = confine::alone()
        .map_err(Into::into)
        .and_then(|()| confine::shut_around(Path::new(&program)));
    let error = match shut {
        Ok(()) => Command::new(&program).args(words).exec().to_string(),
        Err(error) => error.to_string(),
    };
    drop(writeln!(
        io::stderr(),
        "Error: the sandbox can't run it: {error}"
    ));
    126
}
