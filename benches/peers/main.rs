//! `make bench-peers`: Imago beside the programs that do the same, in one run, each in turn.
//!
//! Writes `benches/REPORT.md`. `--smoke` does one round of two small tasks, which shows only that all works;
//! `--task NAME` and `--peer NAME`, both repeatable, choose; `--report FILE` writes elsewhere; `--seconds N` says how
//! long all of it may take, about; `--photograph FILE` gives a JPEG in the place of the computed one of 2725 × 2225
//! pixels. A peer that is not there is named in the report.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::measure::Effort;
use crate::peer::{Kind, Places};

mod command;
mod goal;
mod library;
mod measure;
mod memory;
mod parallel;
mod peer;
mod report;
mod service;
mod statistic;
mod task;
mod worker;

struct Arguments {
    smoke: bool,
    tasks: Vec<String>,
    peers: Vec<String>,
    report: PathBuf,
    seconds: u64,
    photograph: Option<PathBuf>,
}

fn main() -> ExitCode {
    imago_core::sandbox::enter_if_child();
    let result = match env::args().nth(1).as_deref() {
        Some(library::ARGUMENT) => library::serve(),
        _ => arguments().and_then(|arguments| run(&arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        smoke: false,
        tasks: Vec::new(),
        peers: Vec::new(),
        report: repository().join("benches/REPORT.md"),
        seconds: 420,
        photograph: None,
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        match word.as_str() {
            "--smoke" => arguments.smoke = true,
            "--task" => arguments.tasks.push(value()?),
            "--peer" => arguments.peers.push(value()?),
            "--report" => arguments.report = value()?.into(),
            "--photograph" => {
                let file = PathBuf::from(value()?);
                let file = file.canonicalize();
                arguments.photograph =
                    Some(file.map_err(|error| format!("`--photograph`: {error}"))?);
            }
            "--seconds" => {
                let text = value()?;
                arguments.seconds = text.parse().map_err(|_| {
                    format!("expected a number of seconds, such as 420, not `{text}`")
                })?;
            }
            _ => {
                return Err(format!(
                    "expected `--smoke`, `--task NAME`, `--peer NAME`, `--report FILE`, `--photograph FILE` or `--seconds N`, not `{word}`"
                ));
            }
        }
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let chosen = |names: &[String], name: &str| {
        names.is_empty() || names.iter().any(|chosen| chosen == name)
    };
    let here = env::current_exe().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let places = Places {
        folder: folder.path().to_path_buf(),
        tools: env::var_os("IMAGO_TOOLS")
            .map_or_else(|| repository().join("target/tools"), PathBuf::from),
        server: here.with_file_name("imago-server"),
    };
    let load = report::load();
    let photograph = arguments.photograph.as_deref();
    let mut tasks = task::all(&places.folder, arguments.smoke, photograph);
    tasks.retain(|task| chosen(&arguments.tasks, task.name));
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| chosen(&arguments.peers, kind.name()));
    let effort = if arguments.smoke {
        // An S3 server takes longer to start than the rest to be done.
        kinds.retain(|kind| !matches!(kind, Kind::ServiceS3 | Kind::Thumbor));
        Effort {
            turn: Duration::ZERO,
            task: Duration::ZERO,
            rounds: (1, 1),
        }
    } else {
        let count = u64::try_from(tasks.len().max(1)).unwrap_or(1);
        Effort {
            turn: Duration::from_millis(250),
            task: Duration::from_secs(arguments.seconds / count).mul_f64(0.8),
            rounds: (3, 9),
        }
    };
    let mut tables = Vec::new();
    for task in tasks {
        tables.push(measure::measure(task, &kinds, &places, effort, &mut say));
        // After each task: a run that is stopped has told what it knew.
        fs::write(&arguments.report, report::write(&tables, &load, photograph))
            .map_err(|error| format!("`{}`: {error}", arguments.report.display()))?;
    }
    say(&format!("wrote `{}`", arguments.report.display()));
    Ok(())
}

/// The file of one result that is kept.
fn kept(keep: &Path, source: usize, output: usize, format: &str) -> PathBuf {
    let mut file = keep.as_os_str().to_owned();
    file.push(format!("-{source}-{output}.{format}"));
    file.into()
}

fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    folder.unwrap_or(Path::new(".")).to_path_buf()
}

/// To standard error; nothing is lost when nobody reads it.
fn say(text: &str) {
    writeln!(io::stderr(), "bench-peers: {text}").ok();
}
