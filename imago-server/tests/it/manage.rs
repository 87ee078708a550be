//! Jobs are listed, canceled, deleted, run once more, watched, and taken in once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, redacted, soon, work};

/// Submits a job with more members, and gives its path.
async fn submit(server: &Server, infile: &str, members: Value) -> String {
    let mut body: Value = serde_json::from_str(&work(&[infile])).unwrap();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let reply = server.post(body.to_string()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.header("location").to_owned()
}

fn path_of(document: &Value) -> String {
    format!("/api/v1/work/{}", document["id"].as_str().unwrap())
}

#[tokio::test]
async fn jobs_are_listed_without_their_actions() {
    let server = Server::start().await;
    let empty = server.get("/api/v1/work").await;
    assert_eq!(empty.body, r#"{"work":[],"next":null}"#);
    let mut paths = Vec::new();
    for (infile, album) in [("done:1", "rome"), ("fail:2", "rome:2"), ("done:3", "oslo")] {
        let members = json!({"labels": {"album": album, "n": infile}, "priority": -3});
        let path = submit(&server, infile, members).await;
        server.finished(&path).await;
        paths.push(path);
    }
    let reply = server.get("/api/v1/work?label=album:rome").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    let page = reply.json();
    assert_eq!(page["next"], Value::Null);
    assert_eq!(
        redacted(page["work"][0].clone()),
        json!({
            "id": "ID", "status": "done", "progress": 1.0, "priority": -3,
            "labels": {"album": "rome", "n": "done:1"},
            "created": "TIME", "started": "TIME", "finished": "TIME",
        })
    );
    let second = &server.get(&paths[1]).await.json()["created"];
    let after = format!("created_after={}", second.as_str().unwrap());
    for (query, expected) in [
        ("", &[2, 1, 0][..]),
        ("status=done", &[2, 0]),
        ("status=error", &[1]),
        ("status=working", &[]),
        ("label=album:rome%3A2", &[1]),
        ("label=album:rome&label=n:done%3A1", &[0]),
        ("label=album:rome&label=n:done%3A3", &[]),
        (&after, &[2]),
        ("created_after=2026-01-01T00:00:00Z&status=done", &[2, 0]),
    ] {
        for limit in ["", "&limit=1", "&limit=2"] {
            let mut found = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = server
                    .get(&format!("/api/v1/work?{query}{limit}{cursor}"))
                    .await
                    .json();
                found.extend(page["work"].as_array().unwrap().iter().map(path_of));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            let expected: Vec<_> = expected.iter().map(|index| paths[*index].clone()).collect();
            assert_eq!(found, expected, "{query}{limit}");
        }
    }
}

#[tokio::test]
async fn a_bad_listing_is_400() {
    let server = Server::start().await;
    for (query, detail) in [
        (
            "status=finished",
            "`status` must be `queued`, `working`, `done`, `error` or `canceled`, got `finished`",
        ),
        (
            "label=rome",
            "`label` must be a name and a value such as `album:rome`, got `rome`",
        ),
        (
            "created_after=today",
            "`created_after` must be a time such as `2026-11-23T01:26:42Z`, got `today`",
        ),
        (
            "limit=0",
            "`limit` must be an integer from 1 to 1000, got `0`",
        ),
        (
            "cursor=1",
            "`cursor` must be what `next` of a page says, got `1`",
        ),
        ("limit=1&limit=1", "`limit` is given more than once"),
        (
            "page=2",
            "there is no query parameter `page`; there are `status`, `label`, `created_after`, `limit`, `cursor`",
        ),
    ] {
        let reply = server.get(&format!("/api/v1/work?{query}")).await;
        assert_eq!(reply.problem(400, query), detail);
    }
}

#[tokio::test]
async fn a_canceled_job_ends_what_runs_and_is_deleted_then() {
    let server = Server::start().await;
    let path = server
        .submit(&["done:a", "wait:b", "wait:c", "wait:d", "wait:e", "done:f"])
        .await;
    server.stage.started(5).await;
    let begun = Instant::now();
    let reply = server.request("DELETE", &path, &[], "").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    let document = reply.json();
    assert_eq!(
        (&document["status"], &document["progress"]),
        (&json!("canceled"), &json!(1.0))
    );
    assert!(document["finished"].is_string());
    for (index, status) in [
        "done", "canceled", "canceled", "canceled", "canceled", "canceled",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(document["actions"][index]["status"], *status, "{index}");
    }
    let mut canceled = server.stage.canceled.subscribe();
    soon(
        "the end of what ran",
        canceled.wait_for(|count| *count == 4),
    )
    .await
    .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // Their places are free.
    let next = server.submit(&["done:"; 4]).await;
    assert_eq!(server.finished(&next).await["status"], "done");

    let reply = server.request("DELETE", &path, &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert!(reply.headers.get("content-length").is_none());
    for method in ["DELETE", "GET"] {
        let reply = server.request(method, &path, &[], "").await;
        assert!(reply.problem(404, method).starts_with("there is no job"));
    }
    let bad = server
        .request("DELETE", &format!("{next}?force=1"), &[], "")
        .await;
    assert_eq!(
        bad.problem(400, "query"),
        "there is no query parameter `force`; this request has none"
    );
}

#[tokio::test]
async fn a_poll_ends_with_the_cancel() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=3600");
    let poll = async { server.get(&poll).await.json() };
    let cancel = async {
        soon("the poll", reads.wait_for(|reads| *reads == 1))
            .await
            .unwrap();
        server.request("DELETE", &path, &[], "").await
    };
    let (document, _) = tokio::join!(poll, cancel);
    assert_eq!(document["status"], "canceled");
}

#[tokio::test]
async fn what_failed_runs_once_more() {
    let server = Server::with(|config| config.jobs.attempts = 1).await;
    let path = server.submit(&["done:a", "flaky:b"]).await;
    let first = server.finished(&path).await;
    assert_eq!(
        (&first["status"], &first["actions"][1]["status"]),
        (&json!("error"), &json!("error"))
    );
    let reply = server
        .request("POST", &format!("{path}/retry"), &[], "")
        .await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (202, path.as_str())
    );
    assert_eq!(reply.json()["id"], first["id"]);
    let second = server.finished(&path).await;
    assert_eq!(second["status"], "done", "{second}");
    assert_eq!(
        second["actions"][0], first["actions"][0],
        "what was done stays"
    );
    assert_eq!(second["actions"][1]["result"]["attempts"], 2);
    assert_eq!(server.stage.started.borrow().len(), 3);
    let again = server
        .request("POST", &format!("{path}/retry"), &[], "")
        .await;
    assert_eq!((again.status, &again.json()), (202, &second));
    let unknown = "/api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0/retry";
    assert_eq!(server.request("POST", unknown, &[], "").await.status, 404);
    assert_eq!(
        server
            .request("GET", unknown, &[], "")
            .await
            .header("allow"),
        "POST"
    );
}

#[tokio::test]
async fn a_key_takes_a_job_in_once() {
    let server = Server::start().await;
    let key = "k".repeat(255);
    let headers = [("idempotency-key", key.as_str())];
    let body = work(&["done:a"]);
    let first = server
        .request("POST", "/api/v1/work", &headers, body.clone())
        .await;
    server.submit(&["wait:b"]).await;
    let second = server
        .request("POST", "/api/v1/work", &headers, body.clone())
        .await;
    assert_eq!((second.status, &second.body), (202, &first.body));
    assert_eq!(second.header("location"), first.header("location"));
    server.finished(first.header("location")).await;
    assert_eq!(
        server.get("/api/v1/work").await.json()["work"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let other = server
        .request("POST", "/api/v1/work", &headers, work(&["done:c"]))
        .await;
    let detail = other.problem(422, "another body");
    assert!(
        detail.starts_with("this `Idempotency-Key` came with another body"),
        "{detail}"
    );
    let long = "k".repeat(256);
    let headers = [("idempotency-key", long.as_str())];
    let reply = server.request("POST", "/api/v1/work", &headers, body).await;
    assert!(reply.problem(400, "long").ends_with("got 256 bytes"));
}

/// A stream of events, read as it comes.
struct Events {
    stream: TcpStream,
    seen: String,
}

impl Events {
    async fn open(server: &Server, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path}/events HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            stream,
            seen: String::new(),
        }
    }

    /// The documents so far, once `enough` says so or the stream has ended.
    async fn until(&mut self, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        loop {
            let documents: Vec<Value> = self
                .seen
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            let mut bytes = [0; 4096];
            if enough(&documents) {
                return documents;
            }
            let count = soon("an event", self.stream.read(&mut bytes))
                .await
                .unwrap();
            if count == 0 {
                return documents;
            }
            self.seen
                .push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }
}

#[tokio::test]
async fn events_tell_every_change_until_the_end() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a", "wait:b"]).await;
    server.stage.started(2).await;
    let mut events = Events::open(&server, &path).await;
    let first = events.until(|documents| documents.len() == 1).await;
    assert_eq!(first[0]["status"], "working");
    let head = events.seen.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-request-id: ",
    ] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    server.stage.let_go("a");
    let half = |documents: &[Value]| documents.iter().any(|document| document["progress"] == 0.5);
    assert!(half(&events.until(half).await));
    server.stage.let_go("b");
    let all = events.until(|_| false).await;
    let last = all.last().unwrap();
    assert_eq!(
        (&last["status"], last),
        (&json!("done"), &server.get(&path).await.json())
    );
    assert_eq!(events.seen.matches("event: job\n").count(), all.len());

    let finished = Events::open(&server, &path).await.until(|_| false).await;
    assert_eq!(finished.len(), 1, "of a finished job there is one");
    let unknown = server
        .get("/api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0/events")
        .await;
    unknown.problem(404, "unknown");
    let head = server
        .request("HEAD", &format!("{path}/events"), &[], "")
        .await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "text/event-stream")
    );
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let server = Server::with(|config| config.shutdown.grace = Duration::from_millis(100)).await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    let mut events = Events::open(&server, &path).await;
    events.until(|documents| documents.len() == 1).await;
    server.stop();
    let all = events.until(|_| false).await;
    assert_eq!(all.last().unwrap()["status"], "working");
    server.stopped().await;
}
