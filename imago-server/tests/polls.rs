//! Two thousand long polls on one job of the real program. Alone in its program, because it measures time and memory.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[expect(dead_code, reason = "a part of it is used here")]
#[path = "it/process.rs"]
mod process;

const POLLS: usize = 2000;

#[tokio::test]
async fn two_thousand_polls_are_answered_within_a_second_of_the_jobs_end() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let server = process::Process::start(&["--http-private"]);
    // The job runs until its source is answered.
    let source = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in.png", source.local_addr().unwrap());
    let path = server.submit(&json!([{"infile": url, "outfile": url}]));
    let (mut connection, _) = source.accept().unwrap();
    assert!(connection.read(&mut [0; 1024]).unwrap() > 0);

    let mut polls = Vec::with_capacity(POLLS);
    for _ in 0..POLLS {
        let mut poll = TcpStream::connect(&server.address).await.unwrap();
        let request =
            format!("GET {path}?timeout=300 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        poll.write_all(request.as_bytes()).await.unwrap();
        polls.push(poll);
    }
    // Answered after what came before it on other connections, so the polls are being waited for.
    assert_eq!(server.json("GET", "/healthz", "").0, 200);
    let memory = memory_bytes(server.child.id());

    connection
        .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    let ended = Instant::now();
    let answers = polls.into_iter().map(|mut poll| async move {
        let mut answer = String::new();
        poll.read_to_string(&mut answer).await.unwrap();
        (Instant::now(), answer)
    });
    let answers = futures_util::future::join_all(answers).await;
    for (_, answer) in &answers {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(r#""status":"error","actions""#), "{answer}");
    }
    let slowest = answers
        .iter()
        .map(|(answered, _)| answered.duration_since(ended));
    let slowest = slowest.max().unwrap();
    println!("slowest: {slowest:?}, memory: {} KiB", memory >> 10);
    // A build without optimisation is several times slower than what is promised of the program.
    let promised = if cfg!(debug_assertions) { 5 } else { 1 };
    assert!(slowest < Duration::from_secs(promised), "{slowest:?}");
    assert!(memory < 200 << 20, "{memory} bytes");
}

/// What a process holds in memory now.
fn memory_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}
