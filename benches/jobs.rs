//! How fast jobs are taken in, asked about and handed out, and what a waiting poll costs.
//!
//! The server is the one of this workspace, built as the bench is, in a process of its own; the clients share the
//! processors with it. Figures are printed, not compared: they are of sockets and disks, which criterion's statistics do
//! not fit.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use imago_server::job::{ActionSpec, Fidelity, Submission};
use imago_server::store::{JobStore, SqliteStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
const TIME: Duration = Duration::from_secs(5);
const POLLS: usize = 10_000;
const STREAMS: usize = 100;

fn main() {
    rlimit::increase_nofile_limit(u64::MAX)
        .expect("the limit of open files can be raised to the hard one");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        submits_and_reads().await;
        waiting_polls().await;
        waiting_polls_over_http2().await;
        claims().await;
    });
}

/// The server in a process of its own, whose jobs wait: nothing answers where their source is.
struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Beside the bench's own program, where cargo puts the workspace's binaries.
        let bench = std::env::current_exe().expect("a path");
        let profile = bench
            .parent()
            .and_then(Path::parent)
            .expect("a folder above");
        let mut child = Command::new(profile.join("imago-server"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--http-private",
                "--limits-queue=10000000",
                "--limits-connections=20000",
            ])
            .current_dir(folder.path())
            .env(
                "IMAGO_LOG",
                "info,imago_server::access=off,imago_server::http=off,imago_server::job=off",
            )
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server is built: cargo build --release -p imago-server");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            let rest = line.split("listening on http://").nth(1)?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        // Read on, or the server would wait for it.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: address.expect("it listens"),
            _folder: folder,
        }
    }

    fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        1024 * kilobytes
            .and_then(|n| n.parse::<usize>().ok())
            .expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One connection, request after request.
struct Client(TcpStream);

impl Client {
    async fn to(server: &str) -> Self {
        let stream = TcpStream::connect(server).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self(stream)
    }

    /// The answer, head and body.
    async fn exchange(&mut self, request: &str) -> String {
        self.0
            .write_all(request.as_bytes())
            .await
            .expect("it takes it");
        let mut answer = Vec::new();
        loop {
            let before = answer.len();
            answer.resize(before + 4096, 0);
            let count = self
                .0
                .read(&mut answer[before..])
                .await
                .expect("it answers");
            assert!(count > 0, "it closed the connection");
            answer.truncate(before + count);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .and_then(|length| length.parse::<usize>().ok());
                if length.is_some_and(|length| body.len() >= length) {
                    return text.into_owned();
                }
            }
        }
    }
}

fn submission(infile: &str) -> String {
    let body = format!(
        r#"{{"actions": [{{"infile": "{infile}", "outfile": "http://127.0.0.1:9/o.png", "operations": ["resize 50%"]}}]}}"#
    );
    format!(
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn id_of(answer: &str) -> &str {
    let from = answer.find(r#""id":""#).map(|at| at + 6).expect("an id");
    &answer[from..from + 32]
}

/// A listener that accepts nobody: what is fetched from it waits.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!(
        "http://{}/in.png",
        listener.local_addr().expect("an address")
    );
    (listener, url)
}

async fn rate(address: &str, request: Arc<str>, expected: &'static str) -> f64 {
    let count = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CLIENTS {
        let (address, request, count) =
            (address.to_owned(), Arc::clone(&request), Arc::clone(&count));
        clients.spawn(async move {
            let mut client = Client::to(&address).await;
            while begun.elapsed() < TIME {
                let answer = client.exchange(&request).await;
                assert!(answer.starts_with(expected), "{answer}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("a client does not panic");
    }
    let count = u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    f64::from(count) / begun.elapsed().as_secs_f64()
}

async fn submits_and_reads() {
    let server = Server::start();
    let (_listener, url) = silent();
    let submit = submission(&url);
    let mut client = Client::to(&server.address).await;
    let answer = client.exchange(&submit).await;
    let get = format!(
        "GET /api/v1/work/{} HTTP/1.1\r\nhost: h\r\n\r\n",
        id_of(&answer)
    );
    let reads = rate(&server.address, get.into(), "HTTP/1.1 200 ").await;
    println!("status reads from {CLIENTS} clients: {reads:.0}/s");
    let submits = rate(&server.address, submit.into(), "HTTP/1.1 202 ").await;
    println!("durable submits from {CLIENTS} clients: {submits:.0}/s");
}

/// Submits a job that waits for the listener as long as that is there, and gives the job's path.
async fn waiting_job(server: &Server) -> (std::net::TcpListener, String) {
    let (listener, url) = silent();
    let mut client = Client::to(&server.address).await;
    let answer = client.exchange(&submission(&url)).await;
    (listener, format!("/api/v1/work/{}", id_of(&answer)))
}

/// Polls that wait for one job's end, each on a connection of its own.
async fn waiting_polls() {
    let server = Server::start();
    let (_listener, path) = waiting_job(&server).await;
    let poll = format!("GET {path}?timeout=600 HTTP/1.1\r\nhost: h\r\n\r\n");
    let before = server.resident_bytes();
    let mut polls = Vec::with_capacity(POLLS);
    for _ in 0..POLLS {
        let mut client = Client::to(&server.address).await;
        client
            .0
            .write_all(poll.as_bytes())
            .await
            .expect("it takes it");
        polls.push(client);
    }
    let each = each(&server, before).await;
    println!("{POLLS} waiting polls, a connection each: {each} bytes of resident memory each");
}

/// The same over HTTP/2, where polls share connections.
async fn waiting_polls_over_http2() {
    let server = Server::start();
    let (_listener, path) = waiting_job(&server).await;
    let poll = format!("http://{}{path}?timeout=600", server.address);
    let before = server.resident_bytes();
    let mut polls = JoinSet::new();
    for _ in 0..POLLS / STREAMS {
        let client = reqwest::Client::builder().http2_prior_knowledge().build();
        let client = client.expect("a client");
        for _ in 0..STREAMS {
            polls.spawn(client.get(&poll).send());
        }
    }
    let each = each(&server, before).await;
    assert_eq!(polls.len(), POLLS);
    assert!(polls.try_join_next().is_none(), "a poll did not wait");
    println!(
        "{POLLS} waiting polls, {STREAMS} to a connection over HTTP/2: {each} bytes of resident memory each"
    );
}

/// How much larger the server is for each poll.
async fn each(server: &Server, before: usize) -> usize {
    // Answered behind all of them.
    let health = "GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n";
    Client::to(&server.address).await.exchange(health).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.resident_bytes().saturating_sub(before) / POLLS
}

async fn claims() {
    for queued in [10_u32, 10_000, 1_000_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let store =
            SqliteStore::open(&folder.path().join("jobs.sqlite"), usize::MAX).expect("a store");
        let store = Arc::new(store);
        let mut submits = JoinSet::new();
        for _ in 0..queued {
            if submits.len() >= 512 {
                submits.join_next().await;
            }
            let store = Arc::clone(&store);
            submits
                .spawn(async move { store.submit(job()).await.map(drop).expect("it is taken in") });
        }
        while submits.join_next().await.is_some() {}
        let rounds = 5;
        let begun = Instant::now();
        for _ in 0..rounds {
            let claimed = store
                .claim(2, Duration::from_secs(60))
                .await
                .expect("a claim");
            assert_eq!(claimed.len(), 2);
        }
        println!(
            "a claim of 2 actions with {queued} jobs queued: {:?}",
            begun.elapsed() / rounds
        );
    }
}

fn job() -> Submission {
    let spec = ActionSpec {
        infile: "s3://bucket/in.png".to_owned(),
        outfile: "s3://bucket/out.png".to_owned(),
        operations: vec!["resize 50%".to_owned()],
        mimetype: None,
        timeout: Duration::from_secs(60),
        fidelity: Some(Fidelity::Exact),
        headers: BTreeMap::new(),
        renditions: 1,
    };
    Submission {
        actions: vec![spec],
        ..Submission::default()
    }
}
