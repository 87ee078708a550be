//! A server that is given file after file, each as a job of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use http::{Method, Request, StatusCode};
use object_store::client::HttpClient;
use serde_json::{Value, json};

use super::Format;
use crate::client::Answer;
use crate::{block_on, client};

/// How long a job may take to be answered: many times what its conversion may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the chains are: each file gets one in turn, with the format of its result.
const CHAINS: &[(&[&str], &str)] = &[
    (&[], "png"),
    (&["auto-orient", "resize 32x32"], "jpg"),
    (&["-verbose identify"], "miff"),
    (&["coalesce", "colorspace sRGB", "strip"], "gif"),
    (&["flatten", "blur 0x2"], "webp"),
    (&["crop 10x10+2+2", "+repage", "-depth 8"], "tiff"),
];

/// A running Imago server.
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    client: HttpClient,
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were converted.
    pub done: usize,
    /// How often each sort of error came.
    pub errors: BTreeMap<String, usize>,
    /// The files whose conversion ended its process.
    pub crashed: Vec<PathBuf>,
    /// The files whose job was not answered, and why.
    pub unanswered: Vec<(PathBuf, String)>,
}

impl Report {
    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.done + self.errors.values().sum::<usize>()
    }
}

impl Server {
    /// The server at an address.
    pub fn at(address: SocketAddr) -> Self {
        let client = client::new();
        Self { address, client }
    }

    /// The formats that it writes.
    pub fn formats(&self) -> Vec<Format> {
        let (_, formats) = block_on(self.ask(Method::GET, "/api/v1/formats", None))
            .expect("the server lists its formats");
        let formats = formats["formats"]
            .as_array()
            .or(formats.as_array())
            .cloned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        formats
            .unwrap_or_default()
            .iter()
            .filter(|format| format["write"] == true)
            .map(|format| Format {
                extension: match text(&format["extensions"][0]) {
                    none if none.is_empty() => text(&format["name"]).to_lowercase(),
                    extension => extension,
                },
                name: text(&format["name"]),
            })
            .collect()
    }

    /// Submits each file as a job, so many at once, with its results in a folder, and waits for all.
    pub fn convert(&self, files: &[PathBuf], results: &Path, at_once: usize) -> Report {
        let mut report = Report::default();
        let results = Arc::<Path>::from(results);
        let server = self.clone();
        let files: Vec<_> = files.iter().cloned().enumerate().collect();
        let ends = block_on(async move {
            stream::iter(files)
                .map(|(index, file)| {
                    let (server, results) = (server.clone(), Arc::clone(&results));
                    async move {
                        let end = server.job(index, &file, &results).await;
                        (file, end)
                    }
                })
                .buffer_unordered(at_once)
                .collect::<Vec<_>>()
                .await
        });
        for (file, end) in ends {
            match end {
                Ok(None) => report.done += 1,
                Ok(Some(error)) => {
                    let sort = sort_of(&error);
                    if sort == CRASH {
                        report.crashed.push(file);
                    }
                    *report.errors.entry(sort).or_default() += 1;
                }
                Err(why) => report.unanswered.push((file, why)),
            }
        }
        report
    }

    /// Runs one job; gives the error of its action, if it has one.
    async fn job(
        &self,
        index: usize,
        file: &Path,
        results: &Path,
    ) -> Result<Option<String>, String> {
        let (operations, format) = CHAINS[index % CHAINS.len()];
        let result = results.join(format!("{index}.{format}"));
        let body = json!({"actions": [{
            "infile": format!("file://{}", file.display()),
            "outfile": format!("file://{}", result.display()),
            "operations": operations,
            "timeout": 10,
        }]});
        let (status, answer) = self.ask(Method::POST, "/api/v1/work", Some(body)).await?;
        if status != StatusCode::ACCEPTED {
            return Err(format!("it was answered {status}: {answer}"));
        }
        let id = answer["id"].as_str().unwrap_or_default().to_owned();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let path = format!("/api/v1/work/{id}?timeout=15");
            let (_, document) = self.ask(Method::GET, &path, None).await?;
            let action = &document["actions"][0];
            match action["status"].as_str() {
                Some("done") => {
                    // Several images have several.
                    let files = action["result"]["files"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default();
                    for file in files.iter().filter_map(Value::as_str) {
                        fs::remove_file(file.trim_start_matches("file://"))
                            .map_err(|error| format!("`{file}` is not there: {error}"))?;
                    }
                    return Ok(None);
                }
                Some("error") => {
                    return Ok(Some(
                        action["error"].as_str().unwrap_or_default().to_owned(),
                    ));
                }
                Some("queued" | "working") => {}
                _ => return Err(format!("the job's document is {document}")),
            }
        }
        Err(format!("it was not answered in {PATIENCE:?}"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), String> {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .body(body.into())
            .map_err(|error| error.to_string())?;
        let Answer { status, object } = client::send_async(&self.client, request).await?;
        let value = serde_json::from_slice(&object.bytes).map_err(|error| error.to_string())?;
        Ok((status, value))
    }
}

const CRASH: &str = "crash";

/// An error's sort: what is the same in the errors of many files.
fn sort_of(error: &str) -> String {
    const SORTS: &[(&str, &[&str])] = &[
        (CRASH, &["crash", "signal", "ended unexpectedly"]),
        ("time", &["took longer"]),
        ("limit", &["limit", "exhausted", "memory", "budget"]),
        ("empty", &["it is empty"]),
        ("unknown format", &["no image of a known format"]),
        ("format not read", &["not read here"]),
        ("damaged", &["damaged", "can't be read", "selects nothing"]),
        ("operation", &["` failed"]),
        ("result", &["can't be written"]),
    ];
    let sort = SORTS
        .iter()
        .find(|(_, words)| words.iter().any(|word| error.contains(word)));
    sort.map_or_else(
        || error.chars().take(120).collect(),
        |(sort, _)| (*sort).to_owned(),
    )
}

/// The resident memory of a process, in bytes; none if there is no such process any more.
///
/// # Errors
///
/// Tells what is missing where the system says nothing of it.
pub fn resident_bytes(process: u32) -> Result<u64, String> {
    let file = format!("/proc/{process}/status");
    let status = fs::read_to_string(&file).map_err(|error| format!("`{file}`: {error}"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .ok_or_else(|| format!("process {process} has ended"))?;
    Ok(kilobytes * 1024)
}
