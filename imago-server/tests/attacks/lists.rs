//! Lists of jobs that are asked for with words that want to be more: cursors that no page gave, labels that are SQL.

use serde_json::{Value, json};

use crate::service::Service;
use crate::submissions::{failing, serve};
use crate::wire::{address, exchange, statuses};

/// The ids of the jobs that a page has.
fn ids(page: &Value) -> Vec<&str> {
    let jobs = page["work"].as_array();
    let jobs = jobs.unwrap_or_else(|| panic!("no page: {page}"));
    jobs.iter().map(|job| job["id"].as_str().unwrap()).collect()
}

/// A server with three jobs that have these labels, and their ids, the newest first.
async fn with_jobs() -> (Service, Vec<String>) {
    let service = serve();
    let mut made = Vec::new();
    for labels in [
        json!({"album": "rome", "n": "1"}),
        json!({"album": "rome", "n": "2"}),
        json!({"a\u{0}b": "c\u{0}d", "' OR 1=1 --": "x", "100%": "_"}),
    ] {
        let body = json!({"actions": [failing()], "labels": labels});
        let (status, answer) = service
            .request("POST", "/api/v1/work", body.to_string())
            .await;
        assert_eq!(status, 202, "{answer}");
        let id = answer["id"].as_str().unwrap().to_owned();
        service.finished(&format!("/api/v1/work/{id}")).await;
        made.insert(0, id);
    }
    (service, made)
}

/// Fails unless each query has its answer, as a status and the jobs by their place, and all jobs are there afterwards.
async fn assert_answers(service: &Service, made: &[String], table: &[(String, u16, &[usize])]) {
    let mut wrong = Vec::new();
    for (query, status, jobs) in table {
        let path = format!("/api/v1/work?{query}");
        let (came, answer) = service.request("GET", &path, "").await;
        let expected: Vec<_> = jobs.iter().map(|job| made[*job].as_str()).collect();
        let is_right = came == *status && (came != 200 || ids(&answer) == expected);
        let length = answer.to_string().len();
        if !is_right || (came != 200 && length > 2000) {
            wrong.push(format!(
                "{query:.200}: expected {status} and {jobs:?}, got {came} with {length} bytes: {:.300}",
                answer.to_string()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (_, all) = service.request("GET", "/api/v1/work", "").await;
    assert_eq!(ids(&all), made);
    assert!(service.resident_bytes() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cursor_leads_elsewhere() {
    let (service, made) = with_jobs().await;
    let (_, page) = service.request("GET", "/api/v1/work?limit=1", "").await;
    let cursor = page["next"].as_str().unwrap();
    let all: &[usize] = &[0, 1, 2];
    let mut table: Vec<(String, u16, &[usize])> = vec![
        (format!("cursor={cursor}"), 200, &[1, 2]),
        (format!("cursor={cursor}&label=n:1"), 200, &[2]),
        (format!("cursor={cursor}&label=n:3"), 200, &[]),
        (format!("cursor={cursor}&status=done"), 200, &[]),
        // A cursor is a place in the list of all jobs: whoever guesses one sees what the list shows anyway.
        ("cursor=0000000000000000".to_owned(), 200, &[]),
        ("cursor=0000000000000001".to_owned(), 200, &[]),
        ("cursor=7fffffffffffffff".to_owned(), 200, all),
        (format!("cursor={cursor}&cursor={cursor}"), 400, &[]),
        (format!("cursor={cursor}&cursor="), 400, &[]),
    ];
    for bad in [
        "",
        "0",
        "1",
        "-1",
        "-000000000000001",
        "%2B000000000000001",
        "+000000000000001",
        "8000000000000000",
        "ffffffffffffffff",
        "00000000000000000",
        "0x00000000000001",
        "9223372036854775807",
        "99999999999999999999999999999999",
        "000000000000000g",
        "00000000%0000000",
        "000000000000000%00",
        "%00000000000000000",
        "%ff%fe",
        "%ff00000000000000",
        "%C0%AF00000000000",
        "%EF%BC%90000000000000000",
        "%D9%A0%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7",
        "'%20OR%201=1%20--",
        "0)%20UNION%20SELECT%201--",
        "0;DROP%20TABLE%20jobs",
        "null",
        "NaN",
        "1e15",
        "[]",
        "cursor%3D0000000000000000",
        "0000000000000000%0d%0aX-Evil:%201",
        &made[0],
        &"0".repeat(50_000),
    ] {
        table.push((format!("cursor={bad}"), 400, &[]));
    }
    for (name, value) in [
        ("limit", "18446744073709551616"),
        ("limit", "-1"),
        ("limit", "1e3"),
        ("limit", "0x10"),
        ("limit", "%D9%A5"),
        ("limit", "1;DROP%20TABLE%20jobs"),
        ("status", "done'--"),
        ("status", "done%00"),
        ("status", "DONE"),
        ("status", "%64one%20"),
        ("created_after", "0000-00-00T00:00:00Z"),
        ("created_after", "2026-02-30T00:00:00Z"),
        ("created_after", "99999999999999-01-01T00:00:00Z"),
        ("created_after", "'||(SELECT%201)||'"),
        ("cursor[]", "0000000000000000"),
        ("Cursor", "0000000000000000"),
        ("%00cursor", "0000000000000000"),
    ] {
        table.push((format!("{name}={value}"), 400, &[]));
    }
    for (time, jobs) in [
        ("0000-01-01T00:00:00Z", all),
        ("9999-12-31T23:59:60Z", &[]),
        ("9999-12-31T23:59:59.999999999Z", &[]),
        ("1969-12-31T23:59:59-23:59", all),
    ] {
        table.push((format!("created_after={time}"), 200, jobs));
    }
    assert_answers(&service, &made, &table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_is_more_than_a_word() {
    let (service, made) = with_jobs().await;
    let long = "x".repeat(50_000);
    let repeated = |label: &str, count: usize| vec![format!("label={label}"); count].join("&");
    let mut table: Vec<(String, u16, &[usize])> = vec![
        ("label=album:rome".to_owned(), 200, &[1, 2]),
        ("label=%61lbum%3Arome".to_owned(), 200, &[1, 2]),
        ("label=a%00b:c%00d".to_owned(), 200, &[0]),
        ("label='+OR+1%3D1+--:x".to_owned(), 200, &[0]),
        ("label=100%25:_".to_owned(), 200, &[0]),
        // What is no whole escape stands for itself.
        ("label=100%:_".to_owned(), 200, &[0]),
        (repeated("album:rome", 64), 200, &[1, 2]),
        (
            format!("{}&label=n:1", repeated("album:rome", 63)),
            200,
            &[2],
        ),
        // A job has 64 at most: none has all of these.
        (repeated("album:rome", 65), 400, &[]),
        (repeated("album:rome", 1000), 400, &[]),
        (repeated("a:", 5000), 400, &[]),
    ];
    for harmless in [
        "album:'+OR+'1'%3D'1",
        "album:rome'--",
        "album:rome'%3BDROP+TABLE+jobs%3B--",
        "album'+OR+1%3D1+--:rome",
        "album:rome%22)+OR+1%3D1+--",
        "album:%25",
        "%25:%25",
        "_____:____",
        "album:r*",
        "album:ROME",
        "album:rome%20",
        "album:rome%00",
        "album%00:rome",
        "%00:%00",
        "a%2500b:c%2500d",
        "%2561lbum:rome",
        "album%253Arome:",
        "album:%ff%fe",
        "%ff:%fe",
        "album:%C1%B2ome",
        ":",
        ":rome",
        "::::",
        "album:",
        "album:rome%0d%0aX-Evil:%201",
        "?1:?2",
        ":name:@value",
        "$1:$2",
        &format!("album:{long}"),
        &format!("{long}:rome"),
    ] {
        table.push((format!("label={harmless}"), 200, &[]));
    }
    for bad in [
        "",
        "album",
        "album%EF%BC%9Arome",
        "album%253Arome",
        "album=rome",
        "%00",
        "'--",
        &long,
    ] {
        table.push((format!("label={bad}"), 400, &[]));
    }
    table.push(("label".to_owned(), 400, &[]));
    table.push(("label[]=album:rome".to_owned(), 400, &[]));
    assert_answers(&service, &made, &table).await;

    // What a client of HTTP would not send.
    for (query, expected) in [
        (&b"label=album:r\xf6me"[..], &[200, 400][..]),
        (b"label=album:\xff\xfe", &[200, 400]),
        (b"label=album:\xe2\x80\xa8", &[200, 400]),
        (b"label=album:<\"'{}|^`\\>", &[200, 400]),
        (b"label=album:rome#fragment", &[200, 400]),
        (b"label=album:\0", &[400]),
        (b"label=album:\x7f", &[400]),
        (b"label=album: rome", &[400]),
    ] {
        let head = [
            b"GET /api/v1/work?",
            query,
            b" HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        ];
        let answer = exchange(address(&service), &head.concat()).await;
        let came = statuses(&answer);
        let shown = query.escape_ascii();
        assert!(
            came.len() == 1 && expected.contains(&came[0]),
            "{shown}: expected one of {expected:?}, got {came:?}: {answer}"
        );
        for id in &made {
            let is_there = answer.contains(id.as_str());
            assert!(
                !is_there || query.ends_with(b"#fragment"),
                "{shown}: {answer}"
            );
        }
    }
    let (_, all) = service.request("GET", "/api/v1/work", "").await;
    assert_eq!(ids(&all), made);
}
