//! Peers that are libraries: each in a process of its own, asked by a line of JSON, so that its start is not counted.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use crate::peer::{Peer, Places, Request, Timing};

/// How many pictures a library is given at once where both cores are to be busy.
///
/// More than cores, so that none waits while a result is handed over.
pub(crate) const IN_FLIGHT: usize = 4;

/// A process that measures a library.
pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    version: String,
    /// Members to add to each task.
    flags: &'static [&'static str],
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Done { total_ms: f64, bytes: u64 },
    Hello { version: String },
    Failed { error: String },
}

impl Worker {
    /// This library, by this program.
    pub(crate) fn imago(how: &[&str]) -> Result<Self, String> {
        let this = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        command.arg(crate::library::ARGUMENT).args(how);
        Self::start(command, &[])
    }

    pub(crate) fn sharp(places: &Places, full: bool) -> Result<Self, String> {
        let folder = places.tools.join("sharp");
        let mut command = Command::new("node");
        command
            .arg(scripts().join("sharp.mjs"))
            .env("IMAGO_SHARP", present(&folder)?);
        Self::start(command, if full { &["full"] } else { &[] })
    }

    pub(crate) fn vips(places: &Places) -> Result<Self, String> {
        let python = places.tools.join("pyvips/env/bin/python");
        let mut command = Command::new(present(&python)?);
        command
            .arg(scripts().join("vips.py"))
            .env("VIPS_CONCURRENCY", "1");
        Self::start(command, &[])
    }

    fn start(mut command: Command, flags: &'static [&'static str]) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} can't be started: {error}"))?;
        let output = child.stdout.take().expect("it is piped");
        let mut worker = Self {
            input: child.stdin.take(),
            output: BufReader::new(output),
            child,
            version: String::new(),
            flags,
        };
        match worker.answer()? {
            Answer::Hello { version } => worker.version = version,
            _ => return Err(format!("{command:?} does not say its version first")),
        }
        Ok(worker)
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("`{}`: {error}", line.trim()))
    }
}

impl Peer for Worker {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn run(&mut self, request: Request<'_>) -> Result<Timing, String> {
        let mut task = json!(request.task);
        for &flag in self.flags {
            task[flag] = true.into();
        }
        let line = json!({
            "task": task,
            "units": request.units,
            "in_flight": if request.parallel { IN_FLIGHT } else { 1 },
            "keep": request.keep,
        });
        let input = self.input.as_mut().expect("it is there until the end");
        writeln!(input, "{line}").map_err(|error| error.to_string())?;
        match self.answer()? {
            Answer::Done { total_ms, bytes } => Ok(Timing {
                total_ms,
                bytes,
                peak: None,
            }),
            Answer::Failed { error } => Err(error),
            Answer::Hello { .. } => Err("it said its version twice".to_owned()),
        }
    }

    fn process(&self) -> Option<u32> {
        Some(self.child.id())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its loop ends with its input. What it was doing is of no use to anyone.
        self.input = None;
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Where the workers' scripts are.
fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

/// The path, if something is there.
pub(crate) fn present(path: &Path) -> Result<&Path, String> {
    match path.try_exists() {
        Ok(true) => Ok(path),
        _ => Err(format!(
            "`{}` is missing: run scripts/install-bench-peers.sh",
            path.file_name().unwrap_or_default().display()
        )),
    }
}
