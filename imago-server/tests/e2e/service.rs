//! The program as a process of its own, and a client for it.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use testkit::process::{self, Process};
use testkit::s3;

/// Longer than anything here takes, unless it hangs.
const HANG: Duration = Duration::from_secs(120);

/// A client of any server.
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    /// Status and body; none where the connection broke.
    pub(crate) async fn request(
        &self,
        address: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let exchange = async {
            let answer = self.0.request(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok((status, serde_json::from_slice(&body)?))
        };
        tokio::time::timeout(HANG, exchange).await?
    }
}

pub(crate) struct Service {
    pub(crate) address: String,
    process: Process,
    client: Client,
}

impl Service {
    /// A server that reaches the shared S3 server.
    pub(crate) fn on_s3(arguments: &[&str]) -> Self {
        Self::start(&s3::server().environment(), arguments)
    }

    pub(crate) fn start(environment: &[(String, String)], arguments: &[&str]) -> Self {
        let folder = process::new_folder();
        let program = Path::new(env!("CARGO_BIN_EXE_imago-server"));
        let arguments = ["serve", "--listen", "127.0.0.1:0"]
            .into_iter()
            .chain(arguments.iter().copied());
        let variables = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let mut process = Process::start(&folder, program, arguments, variables);
        let mut address = None;
        process
            .wait_until(HANG, |log| {
                address = log
                    .split("listening on http://")
                    .nth(1)
                    .and_then(|rest| rest.split_whitespace().next())
                    .map(str::to_owned);
                address.is_some()
            })
            .unwrap();
        Self {
            address: address.unwrap(),
            process,
            client: Client::new(),
        }
    }

    /// Status and body.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let answer = self.client.request(&self.address, method, path, &[], body);
        answer
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {}", self.process.log_tail()))
    }

    /// Submits actions, and gives the job's path.
    pub(crate) async fn submit(&self, actions: &[Value]) -> String {
        let body = json!({ "actions": actions }).to_string();
        let (status, answer) = self.request("POST", "/api/v1/work", body).await;
        assert_eq!(status, 202, "{answer}");
        format!("/api/v1/work/{}", answer["id"].as_str().unwrap())
    }

    /// Submits actions that are to be refused, and gives the `errors`.
    pub(crate) async fn refused(&self, actions: &[Value]) -> Vec<(String, String)> {
        let body = json!({ "actions": actions }).to_string();
        let (status, answer) = self.request("POST", "/api/v1/work", body).await;
        assert_eq!(status, 422, "{actions:?}: {answer}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        answer["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (text(&error["pointer"]), text(&error["detail"])))
            .collect()
    }

    /// The document of a job when it has finished.
    pub(crate) async fn finished(&self, path: &str) -> Value {
        let (status, document) = self
            .request("GET", &format!("{path}?timeout=100"), "")
            .await;
        assert_eq!(status, 200, "{document}");
        assert!(document["finished"].is_string(), "{document}");
        document
    }

    /// The document of these actions when they have finished.
    pub(crate) async fn run(&self, actions: &[Value]) -> Value {
        let path = self.submit(actions).await;
        self.finished(&path).await
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills the server, and nothing else, as a fault or the kernel would.
    pub(crate) fn kill(&self) {
        let status = std::process::Command::new("kill")
            .args(["-KILL", &self.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits until this is in the log.
    pub(crate) async fn logged(&self, text: &str) {
        let seen = async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let seen = tokio::time::timeout(HANG, seen).await;
        seen.unwrap_or_else(|_| panic!("no {text:?} in {}", self.process.log_tail()));
    }

    /// The resident memory of the server, in bytes, as the kernel counts it.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// Everything that the server wrote to its log.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// An action with one operation string.
pub(crate) fn action(infile: &str, outfile: &str, operation: &str) -> Value {
    json!({"infile": infile, "outfile": outfile, "operations": [operation]})
}
