//! Peers that are commands: a process for each picture, as their users run them, so that its start is counted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory;
use crate::parallel;
use crate::peer::{Peer, Places, Request, Timing};
use crate::task::{Output, Task};

/// As many as there are cores: a process does nothing but its picture.
const IN_FLIGHT: usize = 2;

/// A command that reads a file and writes a file.
pub(crate) struct Program {
    name: &'static str,
    version: String,
    folder: PathBuf,
    /// How each of Imago's operations is written for it, where not as `magick` has it.
    words: HashMap<&'static str, Vec<&'static str>>,
}

impl Program {
    pub(crate) fn magick(places: &Places) -> Result<Self, String> {
        Self::start("magick", &["-version"], places, HashMap::new())
    }

    /// It knows no `annotate`, and no font by itself.
    pub(crate) fn graphics(places: &Places) -> Result<Self, String> {
        let words = HashMap::from([(
            "annotate",
            vec![
                "-font",
                "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
                "-draw",
                "text 0,20 Imago",
            ],
        )]);
        Self::start("gm", &["version"], places, words)
    }

    fn start(
        name: &'static str,
        ask: &[&str],
        places: &Places,
        words: HashMap<&'static str, Vec<&'static str>>,
    ) -> Result<Self, String> {
        let output = Command::new(name)
            .args(ask)
            .output()
            .map_err(|error| format!("`{name}` can't be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        let words_of_line = line.trim_start_matches("Version: ").split(' ').take(3);
        Ok(Self {
            name,
            version: words_of_line.collect::<Vec<_>>().join(" "),
            folder: places.folder.join(name),
            words,
        })
    }

    /// What turns a source into all outputs.
    ///
    /// `magick` reads the source once and works on clones of it. `gm` can't; it is run for each output.
    fn commands(&self, task: &Task, source: &Path, targets: &[PathBuf]) -> Vec<Command> {
        if self.name == "magick" && targets.len() > 1 {
            let mut command = self.command(task, source);
            for (output, target) in task.outputs.iter().zip(targets) {
                command.args(["(", "+clone"]);
                self.operations(&mut command, task, output);
                command.arg("-write").arg(target).args(["+delete", ")"]);
            }
            command.arg("null:");
            return vec![command];
        }
        let outputs = task.outputs.iter().zip(targets);
        outputs
            .map(|(output, target)| {
                let mut command = self.command(task, source);
                self.operations(&mut command, task, output);
                command.arg(target);
                command
            })
            .collect()
    }

    fn command(&self, task: &Task, source: &Path) -> Command {
        let mut command = Command::new(self.name);
        if self.name == "gm" {
            command.arg("convert");
        }
        command.arg(source);
        if task.animated {
            command.arg("-coalesce");
        }
        // One thread for a picture, as for every peer.
        command
            .env("MAGICK_THREAD_LIMIT", "1")
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::null());
        command
    }

    fn operations(&self, command: &mut Command, task: &Task, output: &Output) {
        for operation in task.operations(output) {
            let mut words = operation.split(' ');
            let name = words.next().unwrap_or_default();
            match self.words.get(name) {
                Some(other) => command.args(other),
                None => command.arg(format!("-{name}")).args(words),
            };
        }
        // `gm` can't.
        if task.animated && self.name == "magick" {
            command.args(["-layers", "optimize"]);
        }
    }

    /// Runs one command; the most that it had resident, if that is to be `watched`.
    fn call(mut command: Command, watched: bool) -> Result<u64, String> {
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let peak = if watched {
            memory::watch(&mut child)
        } else {
            0
        };
        let status = child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(peak)
        } else {
            Err(format!("{command:?}: {status}"))
        }
    }
}

impl Peer for Program {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn run(&mut self, request: Request<'_>) -> Result<Timing, String> {
        let task = request.task;
        std::fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        let peak = AtomicU64::new(0);
        let in_flight = if request.parallel { IN_FLIGHT } else { 1 };
        let calls = request.units * task.sources.len();
        let (total_ms, bytes) = parallel::run(calls, in_flight, |call| {
            let source = call % task.sources.len();
            let outputs = task.outputs.iter().enumerate();
            let targets: Vec<_> = outputs
                .map(|(index, output)| match request.keep {
                    Some(keep) => crate::kept(keep, source, index, output.format),
                    None => self
                        .folder
                        .join(format!("{call}-{index}.{}", output.format)),
                })
                .collect();
            for command in self.commands(task, &task.sources[source], &targets) {
                // Looking at it takes time, so that is done in the run for it only.
                let used = Self::call(command, request.keep.is_some())?;
                peak.fetch_max(used, Ordering::Relaxed);
            }
            let sizes = targets
                .iter()
                .map(|file| file.metadata().map(|file| file.len()));
            sizes
                .sum::<Result<u64, _>>()
                .map_err(|error| error.to_string())
        })?;
        let peak = peak.into_inner();
        Ok(Timing {
            total_ms,
            bytes: bytes / u64::try_from(request.units).unwrap_or(1),
            peak: (peak > 0).then_some(peak),
        })
    }

    fn process(&self) -> Option<u32> {
        None
    }
}
