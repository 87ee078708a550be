//! The program itself: its command line, its log, its signals.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imago-server"));
    command.current_dir(folder).env_clear();
    command
}

/// The server as a process of its own, in a folder of its own.
struct Process {
    child: Child,
    address: String,
    lines: mpsc::Receiver<String>,
    folder: TempDir,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
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
    fn line(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|error| panic!("no {text:?} in the log: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// An answer over a raw connection, head and body.
    fn request(&self, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The exit code.
    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    command(folder.path())
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Process::start(&[]);
        let answer = server.request("GET /readyz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(server.folder.path().join("imago-data").is_dir());
        server.signal(signal);
        let line = server.line("a second one stops at once");
        assert!(line.contains(&format!("got SIG{signal};")), "{line}");
        server.line("stopped");
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn the_request_id_is_in_every_line_of_its_request() {
    let server = Process::start(&[]);
    let body = r#"{"actions": [{"infile": "s3://b/\u001b]evil\nline.png", "outfile": "nowhere"}]}"#;
    let length = body.len();
    server.request(&format!(
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\nx-request-id: my-id-1\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    let line = server.line("POST /api/v1/work");
    assert!(
        line.contains("status=422") && line.contains("duration_ms="),
        "{line}"
    );
    assert!(line.ends_with(" request.id=my-id-1"), "{line}");
    server.request(
        "GET /a%0Ab HTTP/1.1\r\nhost: h\r\nx-request-id: my-id-2\r\nconnection: close\r\n\r\n",
    );
    let line = server.line("GET /a%0Ab");
    assert!(
        line.contains("status=404") && line.ends_with(" request.id=my-id-2"),
        "{line}"
    );
}

#[test]
fn a_bad_command_line_or_configuration_is_told() {
    for (arguments, environment, code, expected) in [
        (
            &["--listen", "here"][..],
            &[][..],
            2,
            "invalid value 'here' for '--listen <ADDR>'",
        ),
        (&["--no-such-flag"], &[], 2, "--no-such-flag"),
        (
            &["--threads", "0"],
            &[],
            1,
            "imago-server: `threads` must be more than 0, got 0",
        ),
        (
            &[],
            &[("IMAGO_LIMITS_QUEUE", "0")],
            1,
            "imago-server: `limits.queue` must be more than 0, got 0",
        ),
        (&[], &[("IMAGO_THREADS", "many")], 2, "invalid value 'many'"),
        (
            &["--config", "/nowhere.toml"],
            &[],
            1,
            "imago-server: can't read the configuration file `/nowhere.toml`: ",
        ),
        (
            &["--data", "/dev/null/x", "--listen", "127.0.0.1:0"],
            &[],
            1,
            "can't create the data folder `/dev/null/x`",
        ),
        (
            &["--listen", "192.0.2.1:80"],
            &[],
            1,
            "can't listen on 192.0.2.1:80: ",
        ),
        (&["convert"], &[], 2, "<INFILE> <OUTFILE>"),
    ] {
        let output = run(arguments, environment);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn operations_are_listed() {
    let output = run(&["operations"], &[]);
    assert!(output.status.success());
    let stdout = text(&output.stdout);
    assert!(
        stdout.lines().any(|line| line.starts_with("-resize ")),
        "{stdout}"
    );
}
