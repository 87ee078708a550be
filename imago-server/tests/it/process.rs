//! The program as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imago-server"));
    command.current_dir(folder).env_clear();
    command
}

/// The server as a process of its own, in a folder of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: String,
    lines: mpsc::Receiver<String>,
    pub(crate) folder: Arc<TempDir>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(folder, arguments, environment)
    }

    /// Another process in the folder of this one, which is killed if it has not ended.
    pub(crate) fn again(self, arguments: &[&str]) -> Self {
        self.again_with(arguments, &[])
    }

    pub(crate) fn again_with(self, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::start_in(folder, arguments, environment)
    }

    fn start_in(folder: Arc<TempDir>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut process = Self {
            child,
            address: String::new(),
            lines,
            folder,
        };
        let line = process.line("listening on http://");
        let address = line.split("http://").nth(1).unwrap();
        process.address.push_str(address.split(' ').next().unwrap());
        assert!(
            line.contains(concat!("version=", env!("CARGO_PKG_VERSION"))),
            "{line}"
        );
        assert!(
            line.contains("data=./imago-data") && line.contains("threads="),
            "{line}"
        );
        process
    }

    /// The next line of the log that contains the text.
    pub(crate) fn line(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|error| panic!("no {text:?} in the log: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// An answer over a raw connection, head and body.
    pub(crate) fn request(&self, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// An answer's status and its JSON.
    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let answer = self.request(&format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Submits a job and gives its path.
    pub(crate) fn submit(&self, actions: &Value) -> String {
        let (status, accepted) = self.json(
            "POST",
            "/api/v1/work",
            &json!({ "actions": actions }).to_string(),
        );
        assert_eq!(status, 202, "{accepted}");
        format!("/api/v1/work/{}", accepted["id"].as_str().unwrap())
    }

    /// The job's document when it has finished.
    pub(crate) fn finished(&self, path: &str) -> Value {
        let (status, document) = self.json("GET", &format!("{path}?timeout=60"), "");
        assert_eq!(status, 200, "{document}");
        assert!(document["finished"].is_string(), "{document}");
        document
    }

    /// The exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    command(folder.path())
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}
