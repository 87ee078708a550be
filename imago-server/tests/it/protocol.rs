//! What all requests have in common, and clients that are slow, silent, or send too much.

use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, soon, work};

/// A raw connection to the server.
struct Raw(TcpStream);

impl Raw {
    async fn open(server: &Server) -> Self {
        Self(TcpStream::connect(server.address).await.unwrap())
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All that comes until the server closes the connection.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        soon("the connection's end", self.0.read_to_end(&mut bytes))
            .await
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// All that comes until the text is there.
    async fn until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let read = soon(text, self.0.read_buf(&mut bytes)).await.unwrap();
            assert!(
                read > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
        String::from_utf8(bytes).unwrap()
    }
}

#[tokio::test]
async fn unknown_paths_are_404() {
    let server = Server::start().await;
    for path in [
        "/console",
        "/api",
        "/api/v1/work/",
        "/api/v1/work/x/y",
        "/api/v2/work",
        "/healthz/",
        "//healthz",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = server.request(method, path, &[], "").await;
            assert_eq!(
                reply.problem(404, path),
                format!("there is nothing at `{path}`")
            );
        }
    }
}

#[tokio::test]
async fn other_methods_are_405_with_allow() {
    let server = Server::start().await;
    let job = "/api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0";
    for (path, allow, methods) in [
        (
            "/api/v1/work",
            "GET, HEAD, POST",
            &["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"][..],
        ),
        (
            job,
            "GET, HEAD, DELETE",
            &["POST", "PUT", "PATCH", "OPTIONS"],
        ),
        ("/healthz", "GET, HEAD", &["POST", "DELETE"]),
        ("/readyz", "GET, HEAD", &["POST", "DELETE"]),
    ] {
        for method in methods {
            let reply = server.request(method, path, &[], "").await;
            assert_eq!(reply.header("allow"), allow, "{method} {path}");
            if *method == "HEAD" {
                assert_eq!((reply.status, reply.body.as_str()), (405, ""));
                continue;
            }
            let detail = reply.problem(405, path);
            assert_eq!(
                detail,
                format!("`{path}` has no method `{method}`; it has {allow}")
            );
        }
    }
}

#[tokio::test]
async fn health() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        let reply = server.get(path).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, r#"{"status":"ok"}"#)
        );
        let head = server.request("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), reply.body.len().to_string());
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = Server::start().await;
    let path = server.submit(&["done:"]).await;
    let mut fresh = std::collections::HashSet::new();
    for (method, path, body) in [
        ("GET", path.as_str(), String::new()),
        ("HEAD", &path, String::new()),
        ("GET", "/healthz", String::new()),
        ("GET", "/nowhere", String::new()),
        ("DELETE", "/healthz", String::new()),
        ("POST", "/api/v1/work", "{".to_owned()),
        ("POST", "/api/v1/work", work(&["done:"])),
        ("POST", "/api/v1/work", work(&["bad:"])),
        ("POST", "/api/v1/work", work(&["plan-panic:"])),
    ] {
        let given = [("x-request-id", "my-Id_1.2")];
        let reply = server.request(method, path, &given, body.clone()).await;
        assert_eq!(reply.header("x-request-id"), "my-Id_1.2", "{method} {path}");
        for headers in [&[][..], &[("x-request-id", "not sane")]] {
            let reply = server.request(method, path, headers, body.clone()).await;
            let id = reply.header("x-request-id").to_owned();
            assert!(uuid::Uuid::try_parse(&id).is_ok(), "{method} {path}: {id}");
            assert!(fresh.insert(id), "{method} {path}: the same id again");
        }
    }
}

#[tokio::test]
async fn a_body_too_large_is_413_by_its_length_at_once() {
    let server = Server::with(|config| config.limits.body = ByteSize::kib(1)).await;
    let mut raw = Raw::open(&server).await;
    // Nothing of the body is sent: the length says enough.
    raw.send("POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 1025\r\n\r\n")
        .await;
    let answer = raw.until("\"error\"").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(
        answer.contains(
            "the body is larger than 1.0 KiB (`limits.body`); send fewer actions at once"
        ),
        "{answer}"
    );

    let mut raw = Raw::open(&server).await;
    let head = "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999\r\nexpect: 100-continue\r\n\r\n";
    raw.send(head).await;
    let answer = raw.until("\"error\"").await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "it is not told to go on: {answer}"
    );
}

#[tokio::test]
async fn a_body_too_large_is_413_while_it_comes() {
    let server = Server::with(|config| config.limits.body = ByteSize::kib(1)).await;
    let mut raw = Raw::open(&server).await;
    raw.send("POST /api/v1/work HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("200\r\n{}\r\n", " ".repeat(512));
    raw.send(format!("{chunk}{chunk}1\r\n \r\n")).await;
    let answer = raw.until("\"error\"").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Who goes on sending for a while has not lost the connection.
    raw.send(format!(
        "{chunk}{chunk}0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"
    ))
    .await;
    let answer = raw.until("\"ok\"").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_sends_all_of_a_body_too_large_reads_its_answer() {
    let server = Server::with(|config| config.limits.body = ByteSize::kib(1)).await;
    let reply = server.post(vec![b' '; 4 << 20]).await;
    reply.problem(413, "4 MiB");
    let fits = format!("{:1$}", work(&["done:"]), 1024);
    assert_eq!(
        server.post(fits.clone()).await.status,
        202,
        "exactly the limit"
    );
    assert_eq!(server.post(fits + " ").await.status, 413, "one byte more");
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let server =
        Server::with(|config| config.limits.body_timeout = Duration::from_millis(50)).await;
    let mut raw = Raw::open(&server).await;
    raw.send("POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n{")
        .await;
    let answer = raw.until("\"error\"").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(
        answer.contains("the body did not arrive within 50ms (`limits.body-timeout`)"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_job() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    raw.send("POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n")
        .await;
    raw.send(work(&["done:"])).await;
    raw.0.shutdown().await.unwrap();
    drop(raw.rest().await);
    assert!(server.stage.started.borrow().is_empty());
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn connections_that_send_no_request_are_closed() {
    let server =
        Server::with(|config| config.limits.header_timeout = Duration::from_millis(100)).await;
    for sent in [
        "",
        "G",
        "GET /healthz HTTP/1.1\r\nhost: h\r\nx:",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut raw = Raw::open(&server).await;
        raw.send(sent).await;
        let mut bytes = Vec::new();
        // Closed or reset, as the kernel likes it.
        let end = soon(sent, raw.0.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes);
        assert!(end.is_err() || !text.contains(" 200 "), "{sent:?}: {text}");
    }
    let mut raw = Raw::open(&server).await;
    raw.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let answer = raw.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "answered, and closed when idle: {answer}"
    );
}

#[tokio::test]
async fn a_poll_outlives_the_header_timeout() {
    let server =
        Server::with(|config| config.limits.header_timeout = Duration::from_millis(50)).await;
    let path = server.submit(&["wait:a"]).await;
    let reply = server.get(&format!("{path}?timeout=0.3")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let server = Server::with(|config| config.limits.connections = 1).await;
    let mut first = Raw::open(&server).await;
    first.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    first.until("\"ok\"").await;
    let mut second = Raw::open(&server).await;
    second
        .send("GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        .await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.0.readable()).await;
    assert!(early.is_err(), "answered beside the first");
    drop(first);
    let answer = second.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    raw.send(head).await;
    let answer = raw.until("\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_poll() {
    let server = Server::with(|config| config.limits.connections = 1).await;
    let mut raw = Raw::open(&server).await;
    let body = work(&["wait:a"]);
    let length = body.len();
    raw.send(format!(
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await;
    let answer = raw.until("\"ok\"").await;
    let path = answer
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap();
    let mut reads = server.store.reads.subscribe();
    raw.send(format!(
        "GET {path}?timeout=3600 HTTP/1.1\r\nhost: h\r\n\r\n"
    ))
    .await;
    soon("the poll", reads.wait_for(|reads| *reads == 1))
        .await
        .unwrap();
    drop(raw);
    assert_eq!(
        server.get("/healthz").await.status,
        200,
        "its place is free again"
    );
}

#[tokio::test]
async fn http_2_without_tls() {
    let server = Server::start().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = |method: &str, path: &str, body: String| {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", server.address))
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    let accepted = client
        .send_request(request("POST", "/api/v1/work", work(&["done:"])))
        .await
        .unwrap();
    assert_eq!(accepted.status(), 202);
    let path = accepted.headers()["location"].to_str().unwrap().to_owned();
    let poll = format!("{path}?timeout=25");
    let document = client
        .send_request(request("GET", &poll, String::new()))
        .await
        .unwrap();
    assert!(document.headers().contains_key("x-request-id"));
    let body = document.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains(r#""status":"done""#));
    let head = client
        .send_request(request("HEAD", &poll, String::new()))
        .await
        .unwrap();
    assert_eq!(head.headers()["content-length"], body.len().to_string());
    assert!(
        head.into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    let large = client
        .send_request(request("POST", "/api/v1/work", " ".repeat(9 << 20)))
        .await
        .unwrap();
    assert_eq!(large.status(), 413);
}
