//! This library as a worker: the same lines of JSON as the other libraries' workers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use futures_util::StreamExt;
use imago_core::sandbox::Sandbox;
use imago_core::storage::Stores;
use imago_core::{Action, Converter, Fidelity, Format, Pipeline};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::parallel;
use crate::task;

/// The argument that makes this program the worker.
pub(crate) const ARGUMENT: &str = "worker";

/// The one behind it, for a decoder that may shrink.
pub(crate) const FAST: &str = "fast";

/// The one behind it, for conversions in confined processes.
pub(crate) const SANDBOX: &str = "sandbox";

#[derive(Deserialize)]
struct Request {
    task: Task,
    units: usize,
    in_flight: usize,
    keep: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Task {
    sources: Vec<PathBuf>,
    outputs: Vec<Output>,
    finish: bool,
}

#[derive(Deserialize)]
struct Output {
    width: u32,
    height: Option<u32>,
    format: String,
    quality: Option<u32>,
}

impl Output {
    fn operations(&self, finish: bool) -> Vec<String> {
        task::operations((self.width, self.height), self.quality, finish)
    }
}

/// Answers requests until there are no more.
pub(crate) fn serve() -> Result<(), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut converters = HashMap::new();
    let mut output = io::stdout().lock();
    let mut answer =
        |line: serde_json::Value| writeln!(output, "{line}").map_err(|error| error.to_string());
    answer(json!({"version": format!("imago {}", env!("CARGO_PKG_VERSION"))}))?;
    for line in io::stdin().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let request: Request = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let done = done(&runtime, &mut converters, folder.path(), &request);
        let units = u64::try_from(request.units).unwrap_or(1);
        answer(match done {
            Ok((total_ms, bytes)) => json!({"total_ms": total_ms, "bytes": bytes / units}),
            Err(error) => json!({"error": error}),
        })?;
    }
    Ok(())
}

fn done(
    runtime: &Runtime,
    converters: &mut HashMap<usize, Converter>,
    folder: &Path,
    request: &Request,
) -> Result<(f64, u64), String> {
    // None is as many as there are cores.
    let threads = usize::from(request.in_flight == 1);
    let converter = match converters.entry(threads) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(runtime.block_on(build(threads))?),
    };
    if request.task.outputs.len() > 1 {
        jobs(runtime, converter, folder, request)
    } else {
        pictures(runtime, converter, request)
    }
}

/// A converter as the arguments of this process have it.
async fn build(threads: usize) -> Result<Converter, String> {
    let is_asked = |word: &str| env::args().any(|argument| argument == word);
    let fidelity = if is_asked(FAST) {
        Fidelity::Fast
    } else {
        Fidelity::Exact
    };
    let sandbox = if is_asked(SANDBOX) {
        Sandbox::processes()
    } else {
        Sandbox::in_process()
    };
    let stores = Stores::builder().file_root("/").build();
    let builder = Converter::builder()
        .stores(stores.map_err(|error| error.to_string())?)
        .sandbox(sandbox)
        .fidelity(fidelity)
        .threads(threads);
    builder.build().await.map_err(|error| error.to_string())
}

/// From memory to memory.
fn pictures(
    runtime: &Runtime,
    converter: &Converter,
    request: &Request,
) -> Result<(f64, u64), String> {
    let task = &request.task;
    let sources = task.sources.iter().map(std::fs::read);
    let sources: Vec<_> = sources
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let output = task.outputs.first().ok_or("there is no output")?;
    let pipeline = Pipeline::from_operations(&output.operations(task.finish));
    let pipeline = pipeline.map_err(|errors| format!("{errors:?}"))?;
    let format = Format::from_str(&output.format).map_err(|error| error.to_string())?;
    parallel::run(request.units * sources.len(), request.in_flight, |call| {
        let index = call % sources.len();
        let conversion = converter.convert_bytes(&sources[index], &pipeline, format.clone());
        let result: Bytes = runtime
            .block_on(conversion)
            .map_err(|error| error.to_string())?;
        if let Some(keep) = &request.keep {
            let file = crate::kept(keep, index, 0, &output.format);
            std::fs::write(file, &result).map_err(|error| error.to_string())?;
        }
        Ok(size(result.len()))
    })
}

/// Several outputs of each source, as one job: from files to files, since only actions can share what they read.
fn jobs(
    runtime: &Runtime,
    converter: &Converter,
    folder: &Path,
    request: &Request,
) -> Result<(f64, u64), String> {
    let task = &request.task;
    let calls = request.units * task.sources.len();
    parallel::run(calls, request.in_flight, |call| {
        let source = call % task.sources.len();
        let outputs = task.outputs.iter().enumerate();
        let actions: Vec<_> = outputs
            .map(|(index, output)| {
                let name = format!("{call}");
                let keep = request.keep.clone().unwrap_or_else(|| folder.join(name));
                let target = crate::kept(&keep, source, index, &output.format);
                Action::new(url(&task.sources[source]), url(&target))
                    .operations(output.operations(task.finish))
            })
            .collect();
        runtime.block_on(async {
            let mut outcomes = std::pin::pin!(converter.convert_all(&actions));
            let mut bytes = 0;
            while let Some((_, outcome)) = outcomes.next().await {
                bytes += outcome.map_err(|error| error.to_string())?.bytes;
            }
            Ok(bytes)
        })
    })
}

/// No file of ours has a character that a URL would have to escape.
pub(crate) fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
