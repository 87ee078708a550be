//! Submissions whose labels and keys want to be more than words.

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::service::{Client, Service};
use crate::wire::{address, exchange, statuses};

/// A server, and beside it an action that fails at once.
pub(crate) fn serve() -> Service {
    Service::start(&[], &FOLDER)
}

/// The folder that such an action needs.
pub(crate) const FOLDER: [&str; 2] = ["--file-root", env!("CARGO_MANIFEST_DIR")];

/// An action that fails at once: there is no such file.
pub(crate) fn failing() -> Value {
    let file = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/none.png");
    json!({"infile": file, "outfile": file})
}

fn submission(labels: &Value) -> String {
    json!({"actions": [failing()], "labels": labels}).to_string()
}

fn labels(count: usize) -> Value {
    let labels: Map<_, _> = (0..count).map(|n| (n.to_string(), json!("x"))).collect();
    labels.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_is_too_odd() {
    let service = serve();
    let (long, longer) = ("x".repeat(255), "x".repeat(256));
    let table = [
        (json!({"n": "a\nb"}), 202),
        (json!({"n": "a\r\nX-Evil: 1\r\n\r\n"}), 202),
        (json!({"a\r\nX-Evil": "1"}), 202),
        (json!({"n": "\u{0}"}), 202),
        (json!({"\u{0}": "\u{0}\u{1}\u{1b}[2J\u{7f}"}), 202),
        (json!({"n": "</script><script>alert(1)</script>"}), 202),
        (json!({"n": "\u{202e}\u{2028}\u{85}\u{feff}\u{1F4A9}"}), 202),
        (json!({"n": "'; DROP TABLE labels; --"}), 202),
        (json!({"' OR 1=1 --": "?1"}), 202),
        (json!({"__proto__": "x", "constructor": "y"}), 202),
        (json!({"id": "0".repeat(32), "status": "done"}), 202),
        (
            json!({" ": " ", "N": "1", "n": "2", "é": "1", "e\u{301}": "2"}),
            202,
        ),
        (json!({&long: &long}), 202),
        (json!({&longer: "x"}), 422),
        (json!({"n": &longer}), 422),
        (json!({"n": "é".repeat(128)}), 422),
        (json!({"n": "x".repeat(4 << 20)}), 422),
        (json!({"x".repeat(4 << 20): "x"}), 422),
        (json!({"": "x"}), 422),
        (json!({"a:b": "x"}), 422),
        (labels(64), 202),
        (labels(65), 422),
        (labels(10_000), 422),
        (json!({"n": {"n": "x"}}), 400),
        (json!({"n": ["x"]}), 400),
        (json!({"n": true}), 400),
        (json!([["n", "x"]]), 400),
    ];
    let mut wrong = Vec::new();
    for (labels, expected) in &table {
        let body = submission(labels);
        let (status, answer) = service.request("POST", "/api/v1/work", body).await;
        let length = answer.to_string().len();
        if status != *expected || length > 2000 {
            wrong.push(format!(
                "{:.200}: expected {expected}, got {status} with {length} bytes: {:.300}",
                labels.to_string(),
                answer.to_string()
            ));
            continue;
        }
        if status != 202 {
            continue;
        }
        // Handed back as it came, in the document, in the list, and on the wire as one line.
        let id = answer["id"].as_str().unwrap();
        let path = format!("/api/v1/work/{id}");
        let (_, document) = service.request("GET", &path, "").await;
        let (_, page) = service.request("GET", "/api/v1/work?limit=1", "").await;
        for seen in [&document, &page["work"][0]] {
            if seen["id"] != id || seen["labels"] != *labels {
                wrong.push(format!("{:.200}: shown as {seen:.600}", labels.to_string()));
            }
        }
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let text = exchange(address(&service), request.as_bytes()).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        if head.contains("X-Evil") || body.contains(['\n', '\r', '\0', '\u{1b}']) {
            wrong.push(format!(
                "{:.200}: on the wire it is {text:.900}",
                labels.to_string()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let logged = service.log();
    assert!(
        !logged.lines().any(|line| line.starts_with("X-Evil")),
        "{logged}"
    );
    assert!(service.resident_bytes() > 0);
}

/// The statuses of a submission with these header lines.
async fn with_headers(service: &Service, headers: &[u8], body: &str) -> (Vec<u16>, String) {
    let length = body.len();
    let end = format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let head = b"POST /api/v1/work HTTP/1.1\r\nhost: h\r\n".as_slice();
    let request = [head, headers, end.as_bytes()].concat();
    let answer = exchange(address(service), &request).await;
    (statuses(&answer), answer)
}

async fn count_jobs(service: &Service) -> usize {
    let (_, page) = service.request("GET", "/api/v1/work?limit=1000", "").await;
    page["work"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_too_odd() {
    let service = serve();
    let line = |key: &[u8]| [b"idempotency-key: ", key, b"\r\n"].concat();
    let twice = |one: &[u8], other: &[u8]| [line(one), line(other)].concat();
    let table: Vec<(Vec<u8>, u16)> = vec![
        (line(&[b'k'; 255]), 202),
        (line(&[b'k'; 256]), 400),
        (line(&[b'k'; 60_000]), 400),
        (line(b""), 400),
        (line(b" \t "), 400),
        (line(b"a b"), 202),
        (line(b"a\tb"), 202),
        (line(b"a, b"), 202),
        (line(b"\"a\""), 202),
        (line(b"' OR 1=1 --"), 202),
        (line(b"'; DROP TABLE idempotency; --"), 202),
        (line(b"%00"), 202),
        (line(b"?1"), 202),
        (line(b"\xff"), 400),
        (line("é".as_bytes()), 400),
        (line("a\u{a0}".as_bytes()), 400),
        (line(b"a\0b"), 400),
        (line(b"\0"), 400),
        (line(b"a\x01b"), 400),
        (line(b"a\x7fb"), 400),
        (line(b"a\rb"), 400),
        (line(b"a\r\n b"), 400),
        (twice(b"a", b"a"), 400),
        (twice(b"a", b"b"), 400),
        (twice(b"", b"b"), 400),
        (b"IDEMPOTENCY-KEY: upper\r\n".to_vec(), 202),
        (b"idempotency-key : a\r\n".to_vec(), 400),
        (b"idempotency_key: a\r\n".to_vec(), 202),
    ];
    let mut wrong = Vec::new();
    let mut accepted = 0;
    for (headers, expected) in &table {
        let body = submission(&json!({"n": accepted.to_string()}));
        let (came, answer) = with_headers(&service, headers, &body).await;
        accepted += usize::from(*expected == 202);
        let count = count_jobs(&service).await;
        if came != [*expected] || count != accepted {
            let start = &headers[..headers.len().min(100)];
            wrong.push(format!(
                "{}: expected {expected} and {accepted} jobs, got {came:?} and {count}: {answer:.300}",
                start.escape_ascii()
            ));
            accepted = count;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(service.resident_bytes() > 0);
}

/// A key that was used stands for one body, byte for byte, and for one case of its letters.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_hands_out_anothers_job() {
    let service = serve();
    let body = submission(&json!({"n": "1"}));
    let (client, path) = (Client::new(), "/api/v1/work");
    let post = async |path: &str, key: &str, body: String| {
        let headers = [("idempotency-key", key)];
        let answer = client.request(&service.address, "POST", path, &headers, body);
        answer.await.unwrap()
    };
    let (status, first) = post(path, "key", body.clone()).await;
    assert_eq!(status, 202, "{first}");
    for (path, key, body, expected) in [
        (path, "key", body.clone(), 202),
        (path, "key", format!("{body} "), 422),
        (path, "key", body.replace('1', "2"), 422),
        (path, "key", String::new(), 400),
        (
            "/api/v1/work?dry_run=true",
            "key",
            body.replace('1', "3"),
            200,
        ),
        (path, "key", body.clone(), 202),
    ] {
        let (status, answer) = post(path, key, body.clone()).await;
        assert_eq!(status, expected, "{path} {key} {body}: {answer}");
        if status == 202 {
            assert_eq!(answer, first, "{path} {key} {body}");
        } else {
            let id = first["id"].as_str().unwrap();
            assert!(!answer.to_string().contains(id), "{body}: {answer}");
        }
    }
    assert_eq!(count_jobs(&service).await, 1);
    for key in ["Key", "KEY", "key2", "ke", "key%20", "\"key\""] {
        let (status, answer) = post(path, key, body.clone()).await;
        assert_eq!(status, 202, "{key}: {answer}");
        assert_ne!(answer["id"], first["id"], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_race_makes_two_jobs_of_one_key() {
    let service = serve();
    let post = |key: String, body: String| {
        let address = &service.address;
        async move {
            // A connection of its own for each.
            let client = Client::new();
            let headers = [("idempotency-key", key.as_str())];
            let answer = client.request(address, "POST", "/api/v1/work", &headers, body);
            answer.await.unwrap()
        }
    };
    for round in 1..=5 {
        let body = submission(&json!({"round": round.to_string()}));
        let same = (0..20).map(|_| post(format!("same {round}"), body.clone()));
        let answers = join_all(same).await;
        for (status, answer) in &answers {
            assert_eq!((*status, answer), (202, &answers[0].1), "round {round}");
        }
        let others = (0..20).map(|n| {
            let body = submission(&json!({"round": round.to_string(), "n": n.to_string()}));
            post(format!("other {round}"), body)
        });
        let mut statuses: Vec<_> = join_all(others)
            .await
            .iter()
            .map(|answer| answer.0)
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [&[202][..], &[422; 19]].concat(), "round {round}");
        assert_eq!(count_jobs(&service).await, 2 * round);
    }
}
