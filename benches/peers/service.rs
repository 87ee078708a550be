//! Peers that are servers: asked over loopback, as their clients ask them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use testkit::process::{self, Process};
use testkit::s3::{self, S3};
use tokio::runtime::Runtime;

use crate::library::url;
use crate::parallel;
use crate::peer::{Peer, Places, Request, Timing};
use crate::worker::present;

/// How many pictures a server is asked for at once where both cores are to be busy: so many that it has some to work on while
/// others are on their way to it and back.
const IN_FLIGHT: usize = 16;

/// How long a server may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that has been started.
pub(crate) struct Service {
    process: Process,
    version: String,
    address: String,
    client: Client,
    runtime: Runtime,
    folder: PathBuf,
    protocol: Protocol,
    /// The copies of sources that have been put where the server reads them.
    provided: HashSet<String>,
}

/// How pictures are asked for.
enum Protocol {
    /// A job, which reads from and writes to a store.
    Jobs { s3: Option<&'static S3> },
    /// A GET for each result, of a file that the server can read.
    Thumbor,
}

impl Service {
    pub(crate) fn imago(places: &Places, s3: bool) -> Result<Self, String> {
        let s3 = s3.then(s3::server);
        // No sources of an earlier request.
        let arguments = "serve --listen 127.0.0.1:0 --cache-size 0 --file-root / --data imago-data";
        let environment = s3.map(S3::environment).unwrap_or_default();
        let process = Process::start(
            &process::new_folder(),
            present(&places.server)?,
            arguments.split(' '),
            environment,
        );
        let version = match s3 {
            Some(_) => "imago-server, SeaweedFS",
            None => "imago-server",
        };
        let version = format!("{version} {}", env!("CARGO_PKG_VERSION"));
        Self::start(process, version, places, Protocol::Jobs { s3 }, |log| {
            let address = log.split_once("listening on ")?.1;
            Some(address.split_whitespace().next()?.to_owned())
        })
    }

    /// Two processes, since one works on one picture at a time.
    pub(crate) fn thumbor(places: &Places) -> Result<Self, String> {
        let program = places.tools.join("thumbor/env/bin/thumbor");
        let program = present(&program)?.to_path_buf();
        let folder = process::new_folder();
        let configuration = format!(
            "LOADER = 'thumbor.loaders.file_loader'\n\
             FILE_LOADER_ROOT_PATH = '{}'\n\
             STORAGE = 'thumbor.storages.no_storage'\n\
             RESULT_STORAGE = None\n\
             QUALITY = 80\n\
             ALLOW_UNSAFE_URL = True\n",
            places.folder.display()
        );
        let file = folder.join("thumbor.conf");
        std::fs::write(&file, configuration).map_err(|error| error.to_string())?;
        let port = free_port()?;
        let arguments = [
            "--ip",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--processes",
            "2",
            "--conf",
            "thumbor.conf",
        ];
        let process = Process::start(&folder, &program, arguments, process::NO_VARIABLES);
        let address = format!("http://127.0.0.1:{port}");
        let mut service = Self::start(process, String::new(), places, Protocol::Thumbor, |_| {
            Some(address.clone())
        })?;
        service.version = pins(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/tools/thumbor.txt"
        ));
        service.wait()?;
        Ok(service)
    }

    fn start(
        mut process: Process,
        version: String,
        places: &Places,
        protocol: Protocol,
        find: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut address = None;
        process.wait_until(PATIENCE, |log| {
            address = find(log);
            address.is_some()
        })?;
        Ok(Self {
            process,
            version,
            address: address.ok_or("it has no address")?,
            client: Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .map_err(|error| error.to_string())?,
            runtime: Runtime::new().map_err(|error| error.to_string())?,
            folder: places.folder.clone(),
            protocol,
            provided: HashSet::new(),
        })
    }

    /// Until it answers, where its log does not say when it does.
    fn wait(&mut self) -> Result<(), String> {
        let url = format!("{}/healthcheck", self.address);
        let (client, runtime) = (&self.client, &self.runtime);
        self.process.wait_until(PATIENCE, |_| {
            runtime.block_on(async { client.get(&url).send().await.is_ok() })
        })
    }

    /// Submits a job for one source and follows it to its end; the bytes of its results.
    async fn job(&self, request: Request<'_>, call: usize) -> Result<u64, String> {
        let Protocol::Jobs { s3 } = self.protocol else {
            return Err("it takes no jobs".to_owned());
        };
        let task = request.task;
        let source = call % task.sources.len();
        let copy = copy(&task.sources[source], call / task.sources.len());
        let infile = s3.map_or_else(|| url(&self.folder.join(&copy)), |s3| s3.url(&copy));
        let target = |index: usize, format: &str| match (request.keep, s3) {
            (Some(keep), _) => url(&crate::kept(keep, source, index, format)),
            (None, Some(s3)) => s3.url(&format!("out/{call}-{index}.{format}")),
            (None, None) => url(&self.folder.join(format!("out-{call}-{index}.{format}"))),
        };
        let outputs = task.outputs.iter().enumerate();
        let actions: Vec<_> = outputs
            .map(|(index, output)| {
                json!({
                    "infile": infile,
                    "outfile": target(index, output.format),
                    "operations": task.operations(output),
                })
            })
            .collect();
        let submitted: Value = self
            .client
            .post(format!("{}/api/v1/work", self.address))
            .json(&json!({"actions": actions}))
            .send()
            .await
            .map_err(|error| error.to_string())?
            .json()
            .await
            .map_err(|error| error.to_string())?;
        let id = submitted["id"]
            .as_str()
            .ok_or_else(|| format!("the job was refused: {submitted}"))?;
        let done: Value = self
            .client
            .get(format!("{}/api/v1/work/{id}?timeout=60", self.address))
            .send()
            .await
            .map_err(|error| error.to_string())?
            .json()
            .await
            .map_err(|error| error.to_string())?;
        if done["status"] != "done" {
            return Err(format!("the job failed: {done}"));
        }
        let actions = done["actions"].as_array().into_iter().flatten();
        Ok(actions
            .filter_map(|action| action["result"]["bytes"].as_u64())
            .sum())
    }

    /// Asks for each output of one source; the bytes of the answers.
    async fn pictures(&self, request: Request<'_>, call: usize) -> Result<u64, String> {
        let task = request.task;
        let source = call % task.sources.len();
        let mut bytes = 0;
        for (index, output) in task.outputs.iter().enumerate() {
            let quality = output
                .quality
                .map(|quality| format!(":quality({quality})"))
                .unwrap_or_default();
            // Without a height it is the width that counts, which is not a size to fit into.
            let size = match output.height {
                Some(height) => format!("fit-in/{}x{height}", output.width),
                None => format!("{}x0", output.width),
            };
            let url = format!(
                "{}/unsafe/{size}/filters:format({}){quality}/{}",
                self.address,
                output.format,
                name(&task.sources[source])
            );
            let answer = self
                .client
                .get(&url)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            let (status, body) = (answer.status(), answer.bytes().await);
            let body = body.map_err(|error| error.to_string())?;
            if !status.is_success() {
                return Err(format!("`{url}`: {status}"));
            }
            if let Some(keep) = request.keep {
                let file = crate::kept(keep, source, index, output.format);
                std::fs::write(file, &body).map_err(|error| error.to_string())?;
            }
            bytes += u64::try_from(body.len()).unwrap_or(0);
        }
        Ok(bytes)
    }

    /// Puts the sources where the server reads them, unless they are there. Each job that is in flight has its own, or the
    /// server would decode once for all of them.
    fn provide(&mut self, request: Request<'_>) -> Result<(), String> {
        let Protocol::Jobs { s3 } = self.protocol else {
            return Ok(());
        };
        for file in &request.task.sources {
            for number in 0..IN_FLIGHT {
                let copy = copy(file, number);
                if self.provided.contains(&copy) {
                    continue;
                }
                let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
                match s3 {
                    Some(s3) => s3.put(&copy, bytes),
                    None => std::fs::write(self.folder.join(&copy), bytes)
                        .map_err(|error| error.to_string())?,
                }
                self.provided.insert(copy);
            }
        }
        Ok(())
    }
}

impl Peer for Service {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn run(&mut self, request: Request<'_>) -> Result<Timing, String> {
        self.provide(request)?;
        let calls = request.units * request.task.sources.len();
        let in_flight = if request.parallel { IN_FLIGHT } else { 1 };
        let this = &*self;
        let (total_ms, bytes) = parallel::run(calls, in_flight, |call| {
            this.runtime.block_on(async {
                match this.protocol {
                    Protocol::Jobs { .. } => this.job(request, call).await,
                    Protocol::Thumbor => this.pictures(request, call).await,
                }
            })
        })?;
        Ok(Timing {
            total_ms,
            bytes: bytes / u64::try_from(request.units).unwrap_or(1),
            peak: None,
        })
    }

    fn process(&self) -> Option<u32> {
        Some(self.process.id())
    }
}

/// The name of a source's copy for a job.
fn copy(file: &Path, job: usize) -> String {
    format!("{}-{}", job % IN_FLIGHT, name(file))
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn pins(file: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names = ["thumbor==", "pillow=="];
    let lines = text
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    let lines: Vec<_> = lines.map(|line| line.replace("==", " ")).collect();
    lines.join(", ")
}

/// Free a moment ago: the program can't be told to take any.
fn free_port() -> Result<u16, String> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(|error| error.to_string())
}
