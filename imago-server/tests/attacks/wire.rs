//! Bytes on the wire that are no good request: smuggled, malformed, too large, too slow, too many.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::Service;

/// Longer than anything here takes, unless it hangs.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A server that is soon tired of waiting.
fn impatient() -> Service {
    let arguments = [
        "--limits-header-timeout",
        "2s",
        "--limits-body-timeout",
        "2s",
    ];
    Service::start(&[], &arguments)
}

pub(crate) fn address(service: &Service) -> SocketAddr {
    service.address.parse().unwrap()
}

/// What comes back until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let (mut read, mut write) = stream.split();
    // A server that has seen enough does not read the rest.
    let all = async { tokio::join!(write.write_all(sent), read.read_to_end(&mut answer)) };
    let ended = tokio::time::timeout(HANG, all).await;
    assert!(ended.is_ok(), "no end to {:?}", start_of(sent));
    String::from_utf8_lossy(&answer).into_owned()
}

fn start_of(sent: &[u8]) -> String {
    sent[..sent.len().min(200)].escape_ascii().to_string()
}

/// The status of each answer.
pub(crate) fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.split("HTTP/1.").skip(1);
    lines.map(|line| line[2..5].parse().unwrap()).collect()
}

const NEXT: &str = "GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_in_another() {
    let service = impatient();
    let post = |headers: &str, body: &str| {
        format!("POST /api/v1/work HTTP/1.1\r\nhost: h\r\n{headers}\r\n\r\n{body}{NEXT}")
    };
    // The status of each answer that must come: one of a request that hides in another would be one more.
    let table: Vec<(String, &[u16])> = vec![
        (post("content-length: 2", "{}"), &[400, 200]),
        (post("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"), &[400, 200]),
        (post("content-length: 2\r\ncontent-length: 2", "{}"), &[400, 200]),
        (post("content-length: 2\r\ncontent-length: 3", "{}"), &[400]),
        (post("content-length: 2, 3", "{}"), &[400]),
        (post("content-length: +2", "{}"), &[400]),
        (post("content-length: -2", "{}"), &[400]),
        (post("content-length: 0x2", "{}"), &[400]),
        (post("content-length: 2 2", "{}"), &[400]),
        (post("content-length: 18446744073709551616", "{}"), &[400]),
        (post("content-length : 2", "{}"), &[400]),
        (post("content-length\t: 2", "{}"), &[400]),
        (post(" content-length: 2", "{}"), &[400]),
        (post("x: 1\r\n content-length: 2", "{}"), &[400]),
        (post("content-length:\u{b}2", "{}"), &[400]),
        (post("content-length: 2\r\ntransfer-encoding: chunked", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked\r\ncontent-length: 2", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding: xchunked", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked, identity", "0\r\n\r\n"), &[400]),
        // The last coding says where the body ends.
        (post("transfer-encoding: identity\r\ntransfer-encoding: chunked", "0\r\n\r\n"), &[400, 200]),
        (post("transfer-encoding: gzip, chunked", "0\r\n\r\n"), &[400, 200]),
        (post("transfer-encoding: chunked\u{b}", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding : chunked", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding:\r\n chunked", "0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked", "-2\r\n{}\r\n0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked", "2\n{}\n0\n\n"), &[400]),
        (post("transfer-encoding: chunked", "2;a=\"\r\n{}\r\n0\r\n\r\n"), &[400, 200]),
        (post("transfer-encoding: chunked", "2\r\n{}x0\r\n\r\n"), &[400]),
        (post("transfer-encoding: chunked", "2\r\n{}\r\n0\r\nx: 1\r\ncontent-length: 9\r\n\r\n"), &[400, 200]),
        ("GET /healthz HTTP/1.1\nhost: h\nconnection: close\n\n".to_owned(), &[200]),
        ("GET /healthz HTTP/1.1\rhost: h\r\r".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nx: a\0b\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nx: a\rb\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nx\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\n: 1\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nx y: 1\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/1.2\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz HTTP/9.9\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        ("GET  /healthz HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        ("GET /health z HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz\0 HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        ("GET /healthz%00 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("GET healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("GET http://evil.example/healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[200]),
        ("GET //evil.example/healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("GET /api/v1/../../healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("GET /api/v1/work/..%2f..%2fhealthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("GET /%68ealthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("TRACE /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[405]),
        ("OPTIONS * HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[404]),
        ("G\u{1}T /healthz HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), &[400]),
        (format!("{} /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "M".repeat(5000)), &[405]),
        ("\r\n\r\nGET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(), &[200]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(), &[400]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n".to_owned(), &[200]),
        ("GET /healthz HTTP/1.1\r\nhost: h\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade, http2-settings, close\r\n\r\n".to_owned(), &[200]),
    ];
    let address = address(&service);
    let answers = table.iter().map(|(sent, expected)| async move {
        let answers = exchange(address, sent.as_bytes()).await;
        let came = statuses(&answers);
        (came != *expected).then(|| {
            format!(
                "{:?}: expected {expected:?}, got {came:?}",
                start_of(sent.as_bytes())
            )
        })
    });
    let wrong: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(service.resident_bytes() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_too_large() {
    let service = impatient();
    let address = address(&service);
    let before = service.resident_bytes();
    let get = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: h\r\n{headers}connection: close\r\n\r\n")
    };
    let mut many = String::new();
    for index in 0..5000 {
        write!(many, "x-{index}: 1\r\n").unwrap();
    }
    let table = [
        (
            get("/healthz", &format!("x: {}\r\n", "y".repeat(10 << 20))),
            431,
        ),
        (
            get("/healthz", &format!("{}: y\r\n", "x".repeat(200_000))),
            431,
        ),
        (get("/healthz", &many), 431),
        (get("/healthz", &many[..3000]), 431),
        (get(&format!("/{}", "a".repeat(200_000)), ""), 431),
        (get(&format!("/{}", "a".repeat(60_000)), ""), 404),
        (get(&format!("/healthz?{}", "a=b&".repeat(10_000)), ""), 200),
        (
            get(&format!("/api/v1/work/{}", "a".repeat(60_000)), ""),
            404,
        ),
        (
            get(
                &format!("/api/v1/work/{0}?timeout=1e308", "a".repeat(32)),
                "",
            ),
            400,
        ),
    ];
    let answers = table.iter().map(|(sent, expected)| async move {
        let came = statuses(&exchange(address, sent.as_bytes()).await);
        (came != [*expected]).then(|| {
            format!(
                "{:?}: expected {expected}, got {came:?}",
                start_of(sent.as_bytes())
            )
        })
    });
    let wrong: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        service.resident_bytes() < before + (200 << 20),
        "memory was kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_document_is_too_odd() {
    let service = Service::start(&[], &[]);
    let work = |action: &str| format!(r#"{{"actions": [{action}]}}"#).into_bytes();
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let tiny = format!(
        r#"{{"actions": [{}]}}"#,
        vec![r#"{"infile":"","outfile":""}"#; 200_000].join(",")
    );
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("nothing", vec![], 400),
        ("NUL", vec![0], 400),
        ("deep arrays", nested("[", "]", 1_000_000), 400),
        ("deep objects", nested("{\"a\":", "}", 500_000), 400),
        (
            "deep in what is not supported",
            format!(
                r#"{{"labels": {}}}"#,
                String::from_utf8(nested("[", "]", 100_000)).unwrap()
            )
            .into_bytes(),
            400,
        ),
        (
            "deep in an action",
            work(&format!(r#"{{"operations": {}}}"#, "[".repeat(100_000))),
            400,
        ),
        ("open arrays", b"[".repeat(4 << 20), 400),
        ("too large", vec![b' '; 9 << 20], 413),
        ("blanks", vec![b' '; 8 << 20], 400),
        ("more actions than there may be", tiny.into_bytes(), 422),
        (
            "no UTF-8",
            b"{\"actions\": [{\"infile\": \"\xff\xfe\", \"outfile\": \"x\"}]}".to_vec(),
            400,
        ),
        (
            "an overlong slash",
            b"{\"actions\": [{\"infile\": \"\xc0\xaf\", \"outfile\": \"x\"}]}".to_vec(),
            400,
        ),
        (
            "a surrogate in UTF-8",
            b"{\"actions\": [{\"infile\": \"\xed\xa0\x80\", \"outfile\": \"x\"}]}".to_vec(),
            400,
        ),
        (
            "half a surrogate pair",
            work(r#"{"infile": "\ud800", "outfile": "x"}"#),
            400,
        ),
        (
            "a bare control character",
            b"{\"actions\": [{\"infile\": \"\x01\", \"outfile\": \"x\"}]}".to_vec(),
            400,
        ),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec(), 400),
        (
            "UTF-16",
            "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(),
            400,
        ),
        (
            "NUL in a string",
            work(r#"{"infile": "s3://b/\u0000.png", "outfile": "s3://b/a.png"}"#),
            422,
        ),
        (
            "a member twice",
            work(
                r#"{"infile": "s3://b/a.png", "infile": "file:///etc/passwd", "outfile": "s3://b/a.png"}"#,
            ),
            400,
        ),
        (
            "an unknown member",
            work(r#"{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "__proto__": {}}"#),
            400,
        ),
        (
            "a number too large",
            work(r#"{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "timeout": 1e999}"#),
            400,
        ),
        (
            "a number of many digits",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "timeout": {}}}"#,
                "9".repeat(1_000_000)
            )),
            400,
        ),
        (
            "a time before now",
            work(r#"{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "timeout": -1}"#),
            422,
        ),
        (
            "a time without end",
            work(r#"{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "timeout": 1e300}"#),
            422,
        ),
        (
            "no number",
            work(r#"{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "timeout": NaN}"#),
            400,
        ),
        (
            "two documents",
            b"{\"actions\": []}{\"actions\": []}".to_vec(),
            400,
        ),
        ("a comment", b"/**/{}".to_vec(), 400),
        ("XML", b"<actions/>".to_vec(), 400),
        (
            "an array for an object",
            b"[[],null,null,null]".to_vec(),
            400,
        ),
        (
            "a long URL",
            work(&format!(
                r#"{{"infile": "s3://b/{}", "outfile": "s3://b/a.png"}}"#,
                "a".repeat(1 << 20)
            )),
            422,
        ),
        (
            "a long operation",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "operations": ["{}"]}}"#,
                "strip ".repeat(200_000)
            )),
            422,
        ),
        (
            "many operations",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "operations": [{}]}}"#,
                vec![r#""strip""#; 200_000].join(",")
            )),
            422,
        ),
        (
            "many wrong operations",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "operations": [{}]}}"#,
                vec![r#""x""#; 200_000].join(",")
            )),
            422,
        ),
        (
            "parentheses",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "operations": ["{}"]}}"#,
                "( ".repeat(500_000)
            )),
            422,
        ),
        (
            "many headers",
            work(&format!(
                r#"{{"infile": "s3://b/a.png", "outfile": "s3://b/a.png", "headers": {{{}}}}}"#,
                (0..50_000)
                    .map(|n| format!(r#""x-amz-meta-a{n}": "x""#))
                    .collect::<Vec<_>>()
                    .join(",")
            )),
            422,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, body, expected) in table {
        let (status, answer): (u16, Value) = service.request("POST", "/api/v1/work", body).await;
        let length = answer.to_string().len();
        if status != expected || length > 100_000 {
            wrong.push(format!(
                "{name}: expected {expected}, got {status} with {length} bytes: {:.300}",
                answer.to_string()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (status, _) = service
        .request(
            "POST",
            "/api/v1/work?dry_run=true",
            json!({"actions": []}).to_string(),
        )
        .await;
    assert_eq!(status, 422);
    assert!(service.resident_bytes() > 0);
}

/// Clients that are slow, silent or gone keep nobody else from being answered.
#[tokio::test(flavor = "multi_thread")]
async fn no_slow_client_holds_the_server() {
    let service = impatient();
    let address = address(&service);
    let begun = [
        "",
        "G",
        "GET /healthz HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nhost: h\r\nx: ",
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n",
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n{\"",
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        "POST /api/v1/identify HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n\u{1}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
    ];
    let slow = (0..200).map(|index| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun = begun[index % begun.len()];
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset, as the kernel likes it.
        let ended = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{begun:?} is still waited for");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            !answer.contains(" 200 ") && !answer.contains(" 202 "),
            "{begun:?}: {answer}"
        );
    });
    let others = async {
        for _ in 0..20 {
            let (status, _) = service.request("GET", "/healthz", "").await;
            assert_eq!(status, 200);
        }
    };
    tokio::join!(join_all(slow), others);
    assert!(service.resident_bytes() > 0);
}

/// Many requests at once on a connection whose answers nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn no_unread_answers_pile_up() {
    let service = impatient();
    let address = address(&service);
    let pipelined = NEXT.replace("connection: close\r\n", "").repeat(1000) + NEXT;
    let answers = exchange(address, pipelined.as_bytes()).await;
    assert_eq!(statuses(&answers), vec![200; 1001]);
    let before = service.resident_bytes();
    let large = "GET /api/v1/operations HTTP/1.1\r\nhost: h\r\n\r\n".repeat(2000);
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // As far as it goes: the server stops to read when its answers are not.
        let sent = tokio::time::timeout(
            Duration::from_millis(100),
            stream.write_all(large.as_bytes()),
        );
        drop(sent.await);
        streams.push(stream);
    }
    let (status, _) = service.request("GET", "/healthz", "").await;
    assert_eq!(status, 200);
    // An answer and what the kernel takes for each connection, and not thousands of answers.
    let grown = service.resident_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes for 20 connections");
}
