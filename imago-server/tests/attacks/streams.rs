//! Streams of events: text that wants to be an event of its own, streams by the hundred, ids that nobody gave out.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::http::{Reply, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::Service;
use crate::stage::Stage;
use crate::wire::{HANG, address, exchange, statuses};

/// The documents of a stream's events. Fails unless it has events of jobs and nothing else, line by line.
fn events(body: &str) -> Vec<Value> {
    assert!(!body.contains(['\r', '\0']), "{body:?}");
    let lines = body
        .strip_suffix("\n\n")
        .unwrap_or_else(|| panic!("{body:?}"));
    let events = lines.split("\n\n").map(|event| {
        let data = event.strip_prefix("event: job\ndata: ");
        let data = data.unwrap_or_else(|| panic!("{event:?} in {body:?}"));
        assert!(!data.contains('\n'), "{event:?} in {body:?}");
        serde_json::from_str(data).unwrap()
    });
    events.collect()
}

/// Labels, URLs, what operations print, and what failed: whatever stands in a document is one line of its event.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_an_event_of_its_own() {
    let stage = Stage::open(&[]);
    let evil = [
        "a\n\nevent: evil\ndata: {\"status\":\"done\"}\n\n",
        "a\r\revent: evil\rdata: x\r\r",
        "a\r\n\r\nid: 7\r\nretry: 1\r\n\r\n",
        "a\u{2028}\u{2029}\u{85}event: evil",
        "a\u{0}\n: comment",
        "\\n\\nevent: evil\\ndata: x\\n\\n",
    ];
    for text in evil {
        let printed = text.replace('\0', "");
        let actions = [
            json!({
                "infile": stage.fill("file://{root}/in.png"), "outfile": stage.fill("file://{root}/out/1.png"),
                "operations": [format!("set comment '{printed}'"), "print '%c'", format!("print '{printed}'")],
            }),
            json!({
                "infile": stage.fill("file://{root}/in.png"), "outfile": stage.fill("file://{root}/out/3.png"),
                "operations": [format!("fx '{printed}'")],
            }),
            json!({
                "infile": stage.fill("file://{root}/none event: evil data: x.png"),
                "outfile": stage.fill("file://{root}/out/2.png"),
            }),
        ];
        let body = json!({"actions": actions, "labels": {"text": text}});
        let (status, answer) = stage
            .service
            .request("POST", "/api/v1/work", body.to_string())
            .await;
        assert_eq!(status, 202, "{text:?}: {answer}");
        let path = format!("/api/v1/work/{}", answer["id"].as_str().unwrap());
        // HTTP/1.0 has no chunks: the body is the stream to the letter.
        let request = format!("GET {path}/events HTTP/1.0\r\nhost: h\r\n\r\n");
        let stream = exchange(address(&stage.service), request.as_bytes()).await;
        let (head, body) = stream.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("text/event-stream"), "{text:?}: {head}");
        let events = events(body);
        let last = events.last().unwrap();
        assert_eq!(last["status"], "error", "{text:?}: {last}");
        assert_eq!(last["labels"], json!({"text": text}), "{text:?}");
        for (action, member) in [(0, "output"), (1, "error")] {
            let shown = last["actions"][action][member].as_str().unwrap();
            let words = ["event: evil", "id: 7", ": comment"];
            let is_there = words.iter().any(|word| shown.contains(word));
            assert!(is_there, "{text:?}: {member}: {shown:?}");
        }
    }
    let logged = stage.service.log();
    let mut lines = logged.lines();
    let evil = lines.find(|line| line.starts_with("event:") || line.starts_with("data:"));
    assert_eq!(evil, None, "{logged}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_id_opens_a_stream() {
    let service = Service::start(&[], &[]);
    let id = "e2ffd1057f2d46a9a5d599d8379741e0";
    let long = "a".repeat(60_000);
    let upper = id.to_uppercase();
    let table = [
        (id, 404),
        (&upper, 404),
        (&id[1..], 404),
        (&format!("{id}0"), 404),
        (&format!("{id}%00"), 404),
        (&format!("{id}%2fevents"), 404),
        (&format!("..%2fwork%2f{id}"), 404),
        ("..", 404),
        ("%2e%2e", 404),
        ("", 404),
        ("*", 404),
        ("%", 404),
        ("%ff", 404),
        ("'%20OR%201=1%20--", 404),
        ("0", 404),
        ("-1", 404),
        ("null", 404),
        ("{id}", 404),
        ("x'00'", 404),
        (&long, 404),
    ];
    for (id, expected) in table {
        for (method, rest) in [
            ("GET", "/events"),
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/retry"),
        ] {
            let request = format!(
                "{method} /api/v1/work/{id}{rest} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
            );
            let answer = exchange(address(&service), request.as_bytes()).await;
            let came = statuses(&answer);
            assert_eq!(came, [expected], "{method} {id:.100}{rest}: {answer:.300}");
            assert!(
                answer.len() < 2000,
                "{method} {id:.100}{rest}: {} bytes",
                answer.len()
            );
        }
    }
    for query in ["?timeout=1", "?last-event-id=7", "?id=x"] {
        let request = format!(
            "GET /api/v1/work/{id}/events{query} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
        );
        let came = statuses(&exchange(address(&service), request.as_bytes()).await);
        assert_eq!(came, [400], "{query}");
    }
    assert!(service.resident_bytes() > 0);
}

/// How many files the server has open, sockets included.
fn open_files(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.id()))
        .unwrap()
        .count()
}

/// Streams that are open by the hundred, that nobody reads, or that are left: what they take is given back.
#[tokio::test(flavor = "multi_thread")]
async fn no_stream_is_kept() {
    const STREAMS: usize = 300;
    let source = Server::start();
    source.route("/slow.png", Reply::hang());
    let service = Service::start(&[], &["--http-private"]);
    let action = json!({"infile": source.url("/slow.png"), "outfile": source.url("/out.png")});
    let path = service.submit(&[action]).await;
    let (before, files) = (service.resident_bytes(), open_files(&service));
    let open = || async {
        let mut stream = TcpStream::connect(address(&service)).await.unwrap();
        let request = format!("GET {path}/events HTTP/1.0\r\nhost: h\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("event: job") {
            let count = tokio::time::timeout(HANG, stream.read_buf(&mut seen)).await;
            assert!(count.expect("an event comes").unwrap() > 0, "closed");
        }
        (stream, seen)
    };
    let left = join_all((0..STREAMS).map(|_| open())).await;
    assert!(open_files(&service) >= files + STREAMS);
    drop(left);
    let closed = async {
        while open_files(&service) > files + 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = tokio::time::timeout(HANG, closed).await;
    assert!(
        closed.is_ok(),
        "{} files of {files} are open",
        open_files(&service)
    );

    let followed = join_all((0..STREAMS).map(|_| open())).await;
    let (status, _) = service.request("GET", "/healthz", "").await;
    assert_eq!(status, 200);
    let (status, document) = service.request("DELETE", &path, "").await;
    assert_eq!(status, 200, "{document}");
    let ends = followed
        .into_iter()
        .map(|(mut stream, mut seen)| async move {
            let end = tokio::time::timeout(HANG, stream.read_to_end(&mut seen)).await;
            end.expect("the stream ends with its job").unwrap();
            String::from_utf8(seen).unwrap()
        });
    for stream in join_all(ends).await {
        let events = events(stream.split_once("\r\n\r\n").unwrap().1);
        assert_eq!(events.last().unwrap()["status"], "canceled", "{stream}");
    }
    let grown = service.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes for {STREAMS} streams");
}
