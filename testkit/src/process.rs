//! Child processes that end with the test process, also when that is killed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Becomes the server, and leaves behind a watcher that waits on the pipe the test process holds the other end of.
///
/// The pipe closes when the test process drops it or ends in whatever way. The watcher then ends the process group
/// (the server and its children), removes the files that the list `leftovers` names, and removes the folder, unless it
/// was told `keep`. It ignores the signal that it sends to its own group. `$$` is the server's id also inside the watcher, and cannot be another's process by then:
/// the watcher is a member of the group of that name.
const WRAPPER: &str = r#"
folder=$1
shift
exec 3<&0 </dev/null
(
    trap '' TERM HUP INT
    IFS= read -r word <&3
    kill -TERM 0
    kill -KILL $$
    [ -e "$folder/leftovers" ] && xargs rm -f <"$folder/leftovers"
    [ "$word" = keep ] && exit
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf "$folder" && exit
        sleep 0.1
    done
) &
exec "$@" 3<&-
"#;

/// The environment for a program that needs none beyond the test's own.
pub const NO_VARIABLES: [(&str, &str); 0] = [];

/// A server that runs as a child process, with a folder of its own that is removed after it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Closing it ends the server.
    pipe: Option<ChildStdin>,
    folder: PathBuf,
    name: String,
}

impl Process {
    /// Starts `program` with its output going to a log in `folder`, which is removed when the process is dropped or
    /// the test process ends. Files elsewhere that are to be removed too stand in the file `leftovers` there.
    pub fn start<A, K, V>(
        folder: &Path,
        program: &Path,
        arguments: A,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_file(folder))
            .expect("the server's log can be created");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(WRAPPER)
            .arg("testkit")
            .arg(folder)
            .arg(program)
            .args(arguments.into_iter().map(Into::into))
            .envs(environment)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log can be opened twice"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("`sh` can be started");
        Self {
            pipe: child.stdin.take(),
            child,
            folder: folder.to_path_buf(),
            name: program
                .file_name()
                .unwrap_or(OsStr::new("server"))
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it ended by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child process can be asked for its state")
    }

    /// Kills the process and keeps its folder, for another start.
    pub fn kill_and_keep_folder(mut self) {
        if let Some(pipe) = &mut self.pipe {
            // The watcher is there as long as the pipe is.
            writeln!(pipe, "keep").expect("the watcher reads the pipe");
        }
        self.end();
    }

    /// Waits until `is_ready`, which is given the log, says so.
    ///
    /// # Errors
    ///
    /// Tells what happened, with the end of the log, when the process ended or `limit` passed before.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut is_ready: impl FnMut(&str) -> bool,
    ) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return Err(format!(
                    "`{}` ended with {status} before it was ready; its log ends with:\n{}",
                    self.name,
                    self.log_tail()
                ));
            }
            if is_ready(&self.log()) {
                return Ok(());
            }
            if start.elapsed() > limit {
                return Err(format!(
                    "`{}` was not ready after {limit:?}; its log ends with:\n{}",
                    self.name,
                    self.log_tail()
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that the process wrote so far.
    pub fn log(&self) -> String {
        let log = fs::read(log_file(&self.folder)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The last lines that the process wrote.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn end(&mut self) {
        drop(self.pipe.take());
        // A process that cannot be waited for is gone already.
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A new folder for a [`Process`], which removes it; not removed otherwise.
pub fn new_folder() -> PathBuf {
    TempDir::with_prefix("imago-test-")
        .expect("a folder for temporary files can be created")
        .keep()
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}
