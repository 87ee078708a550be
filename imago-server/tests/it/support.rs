//! A server in this process on a port of its own, a client for it, and actions that do what their `infile` says.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use imago_core::{Error, ErrorKind, Format, Identity, Pipeline, Progress};
use imago_server::App;
use imago_server::config::Config;
use imago_server::job::runner::{Planned, Runner, Upload};
use imago_server::job::{
    ActionResult, ActionSpec, Ending, JobId, Milliseconds, Snapshot, Submission, Success,
};
use imago_server::store::{
    Claim, Claimed, Counts, DueWebhook, Feed, Filter, JobStore, Noted, Page, Removed, SqliteStore,
    StoreError, Submitted,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes, unless it hangs.
const HANG: Duration = Duration::from_secs(30);

/// Waits for what must come. It fails rather than hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(HANG, future).await else {
        panic!("{what} did not come within {HANG:?}");
    };
    value
}

/// A server in this process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stage: Arc<Stage>,
    pub(crate) store: Arc<Observed>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body as it came: it may be an image.
    pub(crate) bytes: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header that must be there, once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value.to_str().unwrap()
    }

    /// Fails unless it is a problem document with this status, as the contract has it; gives its sentence.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, context: &str) -> String {
        assert_eq!(self.status, status, "{context}: {self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{context}"
        );
        let body = self.json();
        let members: Vec<_> = body
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for member in ["type", "title", "status", "detail", "error"] {
            assert!(
                members.contains(&member),
                "{context}: no {member} in {body}"
            );
        }
        assert_eq!(body["type"], "about:blank", "{context}");
        assert_eq!(body["status"], status, "{context}");
        assert_eq!(body["error"], body["detail"], "{context}");
        let detail = body["detail"].as_str().unwrap();
        assert!(!detail.ends_with('.'), "{context}: {detail}");
        detail.to_owned()
    }

    /// The entries of `errors` as pointer and sentence.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.json()["errors"]
            .as_array()
            .map(|errors| {
                errors
                    .iter()
                    .map(|e| (text(&e["pointer"]), text(&e["detail"])))
                    .collect()
            })
            .unwrap_or_default()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose configuration is changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at([127, 0, 0, 1], change).await
    }

    /// The same at another address of this machine.
    pub(crate) async fn at(address: [u8; 4], change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.shutdown.grace = Duration::from_secs(20);
        change(&mut config);
        let stage = Arc::new(Stage::default());
        let store = Arc::new(Observed::new(config.limits.queue));
        let app = App::new(
            config,
            Arc::<Observed>::clone(&store),
            Arc::<Stage>::clone(&stage),
        );
        let app = Arc::new(app.unwrap());
        let listener = TcpListener::bind((IpAddr::from(address), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let shutdown = stop.clone().cancelled_owned();
        let task = tokio::spawn(imago_server::run(listener, shutdown, app));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            stage,
            store,
            stop,
            task,
            client,
        }
    }

    /// Asks the server to end, and does not wait for it.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) async fn stopped(self) {
        self.stop();
        soon("the end", self.task).await.unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        let response = soon("an answer", self.client.request(request))
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = soon("a body", body.collect()).await.unwrap().to_bytes();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        }
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body.into())).unwrap())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Reply {
        let headers = [("content-type", "application/json")];
        self.request("POST", "/api/v1/work", &headers, body).await
    }

    /// Submits a job of one action for each `infile`, and gives its path.
    pub(crate) async fn submit(&self, infiles: &[&str]) -> String {
        let reply = self.post(work(infiles)).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.header("location").to_owned()
    }

    /// The job's document when it has finished.
    pub(crate) async fn finished(&self, path: &str) -> Value {
        let reply = self.get(&format!("{path}?timeout=25")).await;
        let document = reply.json();
        assert!(
            document["finished"].is_string(),
            "it has not finished: {document}"
        );
        document
    }
}

/// A submission's body: one action for each `infile`.
pub(crate) fn work(infiles: &[&str]) -> String {
    let actions: Vec<_> = infiles
        .iter()
        .map(|infile| json!({"infile": infile, "outfile": "s3://bucket/out.jpg"}))
        .collect();
    json!({ "actions": actions }).to_string()
}

/// Runs actions by what their `infile` says:
/// `done:…` succeeds, `fail:…` fails, `panic:…` panics, `wait:NAME` succeeds once `NAME` is let go, `down:…` finds its
/// store out of order, `flaky:…` does so the first time, `crash:…` crashes.
/// In planning, `bad:…` is refused, `broken:` is a fault of the server's own, `plan-panic:` panics, and so does an
/// operation that begins with `resze`.
#[derive(Default)]
pub(crate) struct Stage {
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// What has started, in order, and with what.
    pub(crate) started: watch::Sender<Vec<Started>>,
    /// How many ended without a result.
    pub(crate) canceled: watch::Sender<usize>,
    /// What came to be converted at once, in order.
    pub(crate) uploads: Mutex<Vec<Upload>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) spec: ActionSpec,
    pub(crate) accepted: Instant,
}

impl Stage {
    fn gate(&self, name: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap();
        Arc::clone(
            gates
                .entry(name.to_owned())
                .or_insert_with(|| Arc::new(Semaphore::new(0))),
        )
    }

    /// Lets one action go that waits for this name.
    pub(crate) fn let_go(&self, name: &str) {
        self.gate(name).add_permits(1);
    }

    /// Waits until so many actions have started, and gives their sources.
    pub(crate) async fn started(&self, count: usize) -> Vec<String> {
        let mut started = self.started.subscribe();
        let started = soon("a start", started.wait_for(|s| s.len() >= count)).await;
        started
            .unwrap()
            .iter()
            .map(|s| s.spec.infile.clone())
            .collect()
    }
}

#[async_trait]
impl Runner for Stage {
    fn plan(&self, action: &ActionSpec) -> Result<Planned, Vec<Error>> {
        let mut errors = Vec::new();
        assert!(!action.infile.starts_with("plan-panic:"), "as asked");
        if action.infile.starts_with("bad:") {
            let message = format!("`{}` is bad", action.infile);
            errors.push(Error::new(ErrorKind::InvalidUrl, message).at("/infile"));
        }
        if action.infile.starts_with("broken:") {
            errors.push(Error::new(ErrorKind::Internal, "it is broken"));
        }
        for (index, operation) in action.operations.iter().enumerate() {
            if operation.starts_with("resze") {
                let message = "there is no operation `resze`; did you mean `resize`?";
                let error = Error::new(ErrorKind::InvalidOperation, message);
                errors.push(error.at(&format!("/operations/{index}")));
            }
        }
        if errors.is_empty() {
            Ok(Planned {
                steps: action.operations.clone(),
                ..Planned::default()
            })
        } else {
            Err(errors)
        }
    }

    async fn run(
        &self,
        action: &ActionSpec,
        accepted: Instant,
        _: &Progress,
    ) -> Result<Success, Error> {
        let started = Started {
            spec: action.clone(),
            accepted,
        };
        let mut before = 0;
        self.started.send_modify(|all| {
            before = all.iter().filter(|s| s.spec == *action).count();
            all.push(started);
        });
        let canceled = OnDrop(&self.canceled);
        let (what, name) = action.infile.split_once(':').unwrap();
        match what {
            "wait" => self.gate(name).acquire().await.unwrap().forget(),
            "fail" => {
                let message = format!("there is no object `{name}`");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            "panic" => panic!("as asked"),
            "down" => return Err(Error::new(ErrorKind::StoreUnavailable, "it is down")),
            "flaky" if before == 0 => {
                return Err(Error::new(ErrorKind::StoreUnavailable, "it is down"));
            }
            "crash" => return Err(Error::new(ErrorKind::Crashed, "its process crashed")),
            _ => {}
        }
        std::mem::forget(canceled);
        Ok(Success {
            result: ActionResult {
                format: "JPEG".to_owned(),
                width: 200,
                height: 134,
                frames: 1,
                bytes: 18_233,
                etag: Some("\"9b2c\"".to_owned()),
                files: vec![action.outfile.clone()],
                cache: "hit".to_owned(),
                engine: "magick".to_owned(),
                attempts: 1,
                milliseconds: Milliseconds {
                    fetch: 3,
                    convert: 21,
                    store: 6,
                },
            },
            output: "a warning".to_owned(),
            mimetype: "image/jpeg".to_owned(),
        })
    }

    async fn identify(&self, image: Bytes) -> Result<Identity, Error> {
        let converter = imago_core::Converter::builder().build().await?;
        converter.identify(image).await
    }

    fn parse(&self, operations: &[String]) -> Result<Pipeline, Vec<Error>> {
        Pipeline::from_operations(operations)
    }

    /// Converts an image; `wait:NAME` is one that is kept until `NAME` is let go.
    async fn convert(&self, upload: Upload) -> Result<(Bytes, Format), Error> {
        self.uploads.lock().unwrap().push(upload.clone());
        if let Some(name) = upload.image.strip_prefix(b"wait:") {
            let name = String::from_utf8_lossy(name);
            self.gate(&name).acquire().await.unwrap().forget();
            return Ok((upload.image, Format::Png));
        }
        let converter = imago_core::Converter::builder().build().await?;
        Runner::convert(&converter, upload).await
    }

    /// So that four actions run at once.
    fn threads(&self) -> usize {
        1
    }

    fn is_isolated(&self) -> bool {
        true
    }
}

/// Counts actions that end in the middle.
struct OnDrop<'a>(&'a watch::Sender<usize>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// The default store, which can be watched and put out of order.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) inner: SqliteStore,
    /// How often a job was read.
    pub(crate) reads: watch::Sender<usize>,
    /// Whether it can be reached.
    pub(crate) broken: watch::Sender<bool>,
    _folder: TempDir,
}

impl Observed {
    fn new(limit: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            inner: SqliteStore::open(&folder.path().join("jobs.sqlite"), limit).unwrap(),
            reads: watch::Sender::default(),
            broken: watch::Sender::default(),
            _folder: folder,
        }
    }

    fn reach(&self) -> Result<(), StoreError> {
        if *self.broken.borrow() {
            return Err(StoreError::Unavailable("as asked".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl JobStore for Observed {
    async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError> {
        self.reach()?;
        self.inner.submit(submission).await
    }
    async fn claim(&self, most: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.reach()?;
        self.inner.claim(most, lease).await
    }
    async fn ready(&self) {
        self.inner.ready().await;
    }
    async fn renew(
        &self,
        claims: &[(Claim, f64)],
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        self.reach()?;
        self.inner.renew(claims, lease).await
    }
    async fn finish(&self, claim: Claim, ending: Ending) -> Result<Noted, StoreError> {
        self.reach()?;
        self.inner.finish(claim, ending).await
    }
    async fn get(&self, job: JobId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        self.reach()?;
        let snapshot = self.inner.get(job).await;
        self.reads.send_modify(|reads| *reads += 1);
        snapshot
    }
    fn watch(&self, job: JobId) -> Feed {
        self.inner.watch(job)
    }
    async fn list(&self, filter: Filter) -> Result<Page, StoreError> {
        self.reach()?;
        self.inner.list(filter).await
    }
    async fn remove(&self, job: JobId) -> Result<Removed, StoreError> {
        self.reach()?;
        self.inner.remove(job).await
    }
    async fn retry(&self, job: JobId) -> Result<bool, StoreError> {
        self.reach()?;
        self.inner.retry(job).await
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.reach()?;
        self.inner.check().await
    }
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.reach()?;
        self.inner.counts().await
    }
    async fn expire(&self, before: SystemTime) -> Result<usize, StoreError> {
        self.inner.expire(before).await
    }
    async fn due_webhooks(
        &self,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<DueWebhook>, StoreError> {
        self.inner.due_webhooks(most, lease).await
    }
    async fn settle(&self, webhook: i64, again: Option<SystemTime>) -> Result<(), StoreError> {
        self.inner.settle(webhook, again).await
    }
    async fn webhook_ready(&self) {
        self.inner.webhook_ready().await;
    }
}

/// A document with what differs from run to run replaced: the id and the times.
pub(crate) fn redacted(mut document: Value) -> Value {
    let object = document.as_object_mut().unwrap();
    let times: BTreeMap<_, _> = ["created", "started", "finished"]
        .into_iter()
        .filter_map(|name| Some((name, object.get(name)?.as_str()?.to_owned())))
        .collect();
    for (name, time) in times {
        let parsed = humantime::parse_rfc3339(&time).unwrap();
        let age = SystemTime::now().duration_since(parsed).unwrap_or_default();
        assert!(age < HANG, "{name}: {time}");
        assert!(time.len() == 24 && time.ends_with('Z'), "{name}: {time}");
        object[name] = json!("TIME");
    }
    let id = object["id"].as_str().unwrap();
    assert!(id.parse::<JobId>().is_ok(), "{id}");
    object["id"] = json!("ID");
    document
}
