//! `api.md` from its top to its end: its documents as snapshots, and of its fields, codes and headers those that no other
//! file here asks for.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;
use imago_server::job::{Fidelity, JobId};
use insta::Settings;
use insta::internals::{Content, ContentPath};
use serde_json::{Value, json};
use testkit::{http, images};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::drain::draining;
use crate::process::Process;
use crate::support::{Reply, Server, soon, work};

/// Compares a document with its snapshot. What differs from run to run is looked at, and left out.
#[track_caller]
fn assert_snapshot(name: &str, document: &Value) {
    let mut settings = Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_sort_maps(true);
    settings.add_dynamic_redaction(".**.id", |id, _| {
        let text = id.as_str().unwrap();
        assert!(text.parse::<JobId>().is_ok(), "{text}");
        "[id]"
    });
    for name in ["created", "started", "finished"] {
        settings.add_dynamic_redaction(&format!(".**.{name}"), |value, path| time(value, &path));
    }
    for name in ["fetch", "convert", "store"] {
        settings.add_dynamic_redaction(&format!(".**.milliseconds.{name}"), |value, _| {
            assert!(value.as_u64().is_some(), "{value:?}");
            "[milliseconds]"
        });
    }
    settings.add_dynamic_redaction(".**.etag", |e_tag, _| {
        let text = e_tag.as_str().unwrap();
        assert!(text.len() > 2 && text.starts_with('"') && text.ends_with('"'));
        "[etag]"
    });
    settings.add_dynamic_redaction(".**.bytes", |value, _| {
        assert!(value.as_u64().is_some_and(|bytes| bytes > 0), "{value:?}");
        "[bytes]"
    });
    settings.add_dynamic_redaction(".next", |next, _| match next.as_str() {
        Some(cursor) => {
            assert!(!cursor.is_empty());
            Content::from("[cursor]")
        }
        None => next,
    });
    settings.bind(|| insta::assert_json_snapshot!(name, document));
}

/// A time of the contract's form, or none.
fn time(value: Content, path: &ContentPath<'_>) -> Content {
    let Some(text) = value.as_str() else {
        return value;
    };
    assert!(humantime::parse_rfc3339(text).is_ok(), "{path}: {text}");
    assert!(text.len() == 24 && text.ends_with('Z'), "{path}: {text}");
    Content::from("[time]")
}

/// A submission of one action, with this member beside or in it.
fn with(place: &str, value: Value) -> String {
    let mut body: Value = serde_json::from_str(&work(&["done:"])).unwrap();
    body[place] = value;
    body.to_string()
}

/// An object with these members too, or instead of its own.
fn and(mut object: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// A document with the folder of a test left out.
fn without(folder: &Path, document: &Value) -> Value {
    let text = document.to_string();
    serde_json::from_str(&text.replace(folder.to_str().unwrap(), "/FOLDER")).unwrap()
}

// Submit work

#[tokio::test]
async fn a_submission_is_answered_with_its_place() {
    let server = Server::start().await;
    let reply = server.post(work(&["done:"])).await;
    assert_eq!(reply.status, 202);
    assert_snapshot("accepted", &reply.json());
}

#[tokio::test]
async fn members_of_the_job_have_their_types() {
    let server = Server::start().await;
    let labels = "expected an object of strings such as `{\"album\": \"rome\"}`, got";
    let hook = |value: Value| json!({"url": "https://shop.example/", "events": value});
    for (member, value, pointer, detail) in [
        (
            "priority",
            json!("10"),
            "/priority",
            "expected an integer such as `10`, got string",
        ),
        (
            "priority",
            json!(1.5),
            "/priority",
            "expected an integer such as `10`, got floating point `1.5`",
        ),
        (
            "priority",
            json!([1]),
            "/priority",
            "expected an integer such as `10`, got sequence",
        ),
        ("labels", json!("rome"), "/labels", labels),
        ("labels", json!(["rome"]), "/labels", labels),
        (
            "labels",
            json!({"n": 1}),
            "/labels/n",
            "expected a string such as `rome`, got integer `1`",
        ),
        (
            "labels",
            json!({"n": null}),
            "/labels/n",
            "expected a string such as `rome`, got null",
        ),
        (
            "webhook",
            json!("https://shop.example/"),
            "/webhook",
            "expected an object such as `{\"url\":",
        ),
        ("webhook", json!({}), "/webhook", "missing field `url`"),
        (
            "webhook",
            json!({"url": 5}),
            "/webhook/url",
            "expected a URL such as `https://shop.example/hooks/imago`, got",
        ),
        (
            "webhook",
            hook(json!("job.finished")),
            "/webhook/events",
            "expected an array of events such as",
        ),
        (
            "webhook",
            hook(json!(["job.started"])),
            "/webhook/events/0",
            "unknown variant `job.started`, expected `job.finished`",
        ),
        (
            "webhook",
            json!({"url": "https://shop.example/", "secret": "x"}),
            "/webhook/secret",
            "unknown field `secret`",
        ),
    ] {
        let reply = server.post(with(member, value.clone())).await;
        let context = format!("{member}: {value}");
        reply.problem(400, &context);
        let errors = reply.errors();
        assert_eq!(errors.len(), 1, "{context}: {errors:?}");
        assert_eq!(errors[0].0, pointer, "{context}: {errors:?}");
        assert!(errors[0].1.contains(detail), "{context}: {errors:?}");
    }
    assert!(server.stage.started.borrow().is_empty(), "nothing ran");
}

#[tokio::test]
async fn members_of_the_job_have_their_bounds_and_defaults() {
    let server = Server::with(|config| {
        let secret = format!("whsec_{}", STANDARD.encode([1; 32]));
        config.webhook.secrets = vec![secret.parse().unwrap()];
    })
    .await;
    let name = "é".repeat(127);
    for (member, value, shown) in [
        ("priority", json!(-100), json!(-100)),
        ("priority", json!(100), json!(100)),
        ("priority", json!(7.0), json!(7)),
        ("priority", Value::Null, json!(0)),
        ("labels", Value::Null, json!({})),
        ("labels", json!({}), json!({})),
        ("labels", json!({"n": ""}), json!({"n": ""})),
        (
            "labels",
            json!({&name: "ü\n\u{0}\""}),
            json!({&name: "ü\n\u{0}\""}),
        ),
        ("webhook", Value::Null, Value::Null),
        (
            "webhook",
            json!({"url": "https://shop.invalid/"}),
            Value::Null,
        ),
        (
            "webhook",
            json!({"url": "https://shop.invalid/", "events": null}),
            Value::Null,
        ),
        (
            "webhook",
            json!({"url": "https://shop.invalid/", "events": ["job.finished"]}),
            Value::Null,
        ),
    ] {
        let body = with(member, value);
        let reply = server.post(body.clone()).await;
        assert_eq!(reply.status, 202, "{body}: {reply:?}");
        let document = server.get(reply.header("location")).await.json();
        // A webhook is not shown: its URL may hold a secret.
        assert_eq!(document[member], shown, "{body}: {document}");
    }
    let most = vec!["done:"; 1000];
    assert_eq!(server.post(work(&most)).await.status, 202);
    let reply = server.post(work(&[&most[..], &["done:"]].concat())).await;
    let detail = reply.problem(422, "1001 actions");
    assert_eq!(
        detail,
        "expected 1 to 1000 actions (`limits.actions`), got 1001"
    );
}

#[test]
fn a_dry_run_says_steps_formats_and_engine() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let server = Process::start(&["--file-root", root]);
    let infile = format!("file://{root}/not-there.png");
    let body = json!({"actions": [
        {
            "infile": infile, "outfile": format!("file://{root}/a.jpg"),
            "operations": ["resize 200X200", "-quality 90 -strip"],
        },
        {"infile": infile, "outfile": format!("file://{root}/b"), "mimetype": "image/tiff"},
        {"infile": infile, "outfile": format!("file://{root}/c.webp"), "operations": ["charcoal 2"]},
    ]});
    let (status, document) = server.json("POST", "/api/v1/work?dry_run=true", &body.to_string());
    assert_eq!(status, 200, "{document}");
    assert_snapshot("dry-run", &without(folder.path(), &document));
    let (_, listed) = server.json("GET", "/api/v1/work", "");
    assert_eq!(
        listed,
        json!({"work": [], "next": null}),
        "nothing is queued"
    );
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_job_is_and_takes_no_key() {
    let server = Server::start().await;
    let headers = [("idempotency-key", "once")];
    for body in [
        work(&["done:", "bad:1", "bad:2"]),
        with("actions", json!([])),
        with("priority", json!(101)),
        "{".to_owned(),
    ] {
        let mut replies = Vec::new();
        for path in ["/api/v1/work?dry_run=true", "/api/v1/work"] {
            replies.push(server.request("POST", path, &headers, body.clone()).await);
        }
        assert!([400, 422].contains(&replies[0].status), "{body}");
        assert_eq!(replies[0].status, replies[1].status, "{body}");
        assert_eq!(replies[0].body, replies[1].body, "{body}");
    }
    let path = "/api/v1/work?dry_run=true";
    let dry = server
        .request("POST", path, &headers, work(&["done:a"]))
        .await;
    assert_eq!(dry.status, 200, "{dry:?}");
    assert!(dry.headers.get("location").is_none(), "{dry:?}");
    for path in ["/api/v1/work", "/api/v1/work?dry_run=false"] {
        let reply = server
            .request("POST", path, &headers, work(&["done:b"]))
            .await;
        assert_eq!(reply.status, 202, "{path}: the key is free: {reply:?}");
    }
    let listed = server.get("/api/v1/work").await.json();
    assert_eq!(listed["work"].as_array().unwrap().len(), 1, "{listed}");
}

/// A day is long: the key is made older instead.
#[test]
fn a_key_is_kept_for_a_day() {
    let root = env!("CARGO_MANIFEST_DIR");
    let server = Process::start(&["--file-root", root]);
    let post = |name: &str| {
        let file = format!("file://{root}/{name}.png");
        let body = json!({"actions": [{"infile": file, "outfile": file}]}).to_string();
        let length = body.len();
        let answer = server.request(&format!(
            "POST /api/v1/work HTTP/1.1\r\nhost: h\r\nidempotency-key: k\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        (head[9..12].to_owned(), body["id"].clone())
    };
    let (status, first) = post("none");
    assert_eq!(status, "202");
    let jobs = server.folder.path().join("imago-data/jobs.sqlite");
    let jobs = rusqlite::Connection::open(jobs).unwrap();
    let age = |time: Duration| {
        let milliseconds = i64::try_from(time.as_millis()).unwrap();
        let sql = "UPDATE idempotency SET created = created - ? WHERE key = 'k'";
        assert_eq!(jobs.execute(sql, [milliseconds]).unwrap(), 1);
    };
    let minute = Duration::from_secs(60);
    age((24 * 60 - 1) * minute);
    assert_eq!(post("none"), ("202".to_owned(), first.clone()));
    assert_eq!(post("other").0, "422");
    age(minute);
    let (status, second) = post("other");
    assert_eq!(status, "202");
    assert!(second.is_string() && second != first, "{second}");
}

#[test]
fn all_that_is_wrong_is_named_before_anything_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let source = http::Server::start();
    let server = Process::start(&["--http-private", "--file-root", root, "--allow", "file:///"]);
    let infile = format!("file://{root}/in.png");
    let outfile = format!("file://{root}/out.png");
    let action = |members: Value| and(json!({"infile": infile, "outfile": outfile}), &members);
    let body = json!({"actions": [
        action(json!({"operations": ["resze 5x5"]})),
        action(json!({"operations": ["resize"]})),
        action(json!({"operations": ["strip 5"]})),
        action(json!({"operations": ["strip", "resize wide"]})),
        action(json!({"outfile": format!("file://{root}/out.nosuchformat")})),
        action(json!({"outfile": format!("file://{root}/out.cr2")})),
        action(json!({"infile": "in.png"})),
        action(json!({"infile": "nosuch://bucket/in.png"})),
        action(json!({"infile": "file:///elsewhere/in.png"})),
        action(json!({"infile": "http://shop.example/in.png"})),
        action(json!({"mimetype": "image"})),
        action(json!({"headers": {"Set-Cookie": "x"}})),
        action(json!({})),
    ]});
    let (status, document) = server.json("POST", "/api/v1/work", &body.to_string());
    assert_eq!(status, 422, "{document}");
    assert_snapshot(
        "problem-all-that-is-wrong",
        &without(folder.path(), &document),
    );
    assert!(source.requests().is_empty());
}

/// What is stored is stored with the type to the letter and with the headers, and only with those.
#[test]
fn results_are_stored_with_their_headers() {
    let store = http::Server::start();
    store.route("/in.png", http::Reply::ok(images::make("png", 6, 4)));
    let server = Process::start(&["--http-private"]);
    let headers = json!({
        "Cache-Control": "max-age=60", "Content-Disposition": "inline; filename=\"a b.jpg\"",
        "Content-Encoding": "identity", "Content-Language": "de", "x-amz-meta-owner": "me",
    });
    for (path, members, mimetype) in [
        (
            "/letter.jpg",
            json!({"mimetype": "image/jpg", "headers": headers}),
            "image/jpg",
        ),
        ("/plain.jpg", json!({}), "image/jpeg"),
        ("/plain.tif", json!({"headers": {}}), "image/tiff"),
        ("/named", json!({"mimetype": "image/webp"}), "image/webp"),
    ] {
        store.on("PUT", path, http::Reply::status(201));
        let action = json!({"infile": store.url("/in.png"), "outfile": store.url(path)});
        let action = and(action, &members);
        let document = server.finished(&server.submit(&json!([action])));
        assert_eq!(document["status"], "done", "{path}: {document:#}");
        assert_eq!(document["actions"][0]["mimetype"], mimetype, "{path}");
        let put = store.requests_for("PUT", path).pop().unwrap();
        assert_eq!(put.header("content-type"), Some(mimetype), "{path}");
        for (name, value) in headers.as_object().unwrap() {
            let expected = members["headers"].get(name).is_some().then_some(value);
            let expected = expected.map(|value| value.as_str().unwrap());
            assert_eq!(put.header(name), expected, "{path}: {name}");
        }
    }
}

#[test]
fn an_infile_selects_frames_and_regions() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("three.gif", images::make_frames("gif", 3, 30, 20)),
        ("one.png", images::make("png", 60, 40)),
        ("odd[1]", images::make("png", 8, 6)),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let root = folder.path().to_str().unwrap();
    let server = Process::start(&["--file-root", root]);
    for (infile, frames, width, height) in [
        ("three.gif", 3, 30, 20),
        ("three.gif[0]", 1, 30, 20),
        ("three.gif[0-1]", 2, 30, 20),
        ("three.gif[2,0]", 2, 30, 20),
        ("one.png[]", 1, 60, 40),
        ("one.png[20x10+5+5]", 1, 20, 10),
        ("odd[1][]", 1, 8, 6),
    ] {
        let action = json!({
            "infile": format!("file://{root}/{infile}"), "outfile": format!("file://{root}/out.gif"),
        });
        let document = server.finished(&server.submit(&json!([action])));
        let result = &document["actions"][0]["result"];
        assert_eq!(result["frames"], frames, "{infile}: {document:#}");
        let size = (&result["width"], &result["height"]);
        assert_eq!(size, (&json!(width), &json!(height)), "{infile}");
    }
}

// Follow work

#[test]
fn documents_of_what_was_converted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.png"), images::make("png", 60, 40)).unwrap();
    let root = folder.path().to_str().unwrap();
    let server = Process::start(&["--file-root", root]);
    let good = json!({
        "infile": format!("file://{root}/in.png"), "outfile": format!("file://{root}/out/a b.jpg"),
        "operations": ["resize 30X30", "quality 90"], "mimetype": "image/jpg",
    });
    let document = server.finished(&server.submit(&json!([good])));
    assert_snapshot("done", &without(folder.path(), &document));
    let id = document["id"].as_str().unwrap();
    let answer = server.request(&format!(
        "DELETE /api/v1/work/{id} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let result = folder.path().join("out/a b.jpg");
    assert!(result.is_file(), "the result stays where the record goes");
    let bad = json!({
        "infile": format!("file://{root}/missing.png"), "outfile": format!("file://{root}/out/b.png"),
    });
    let document = server.finished(&server.submit(&json!([good, bad])));
    assert_snapshot("error", &without(folder.path(), &document));
}

#[tokio::test]
async fn what_was_canceled_runs_once_more() {
    let server = Server::start().await;
    let blocker = server.submit(&["wait:a"; 4]).await;
    server.stage.started(4).await;
    let path = server.submit(&["done:b", "done:c"]).await;
    let canceled = server.request("DELETE", &path, &[], "").await;
    assert_eq!(canceled.status, 200);
    assert_snapshot("canceled", &canceled.json());
    let retry = format!("{path}/retry");
    let reply = server.request("POST", &retry, &[], "").await;
    assert_eq!((reply.status, reply.header("location")), (202, &*path));
    assert_snapshot("retried", &reply.json());
    let bad = server
        .request("POST", &format!("{retry}?all=true"), &[], "")
        .await;
    let detail = bad.problem(400, "a query");
    assert_eq!(
        detail,
        "there is no query parameter `all`; this request has none"
    );
    for _ in 0..4 {
        server.stage.let_go("a");
    }
    assert_eq!(server.finished(&path).await["status"], "done");
    server.finished(&blocker).await;
}

#[tokio::test]
async fn a_page_and_the_way_to_the_next() {
    let server = Server::start().await;
    for album in ["rome", "oslo"] {
        let reply = server.post(with("labels", json!({ "album": album }))).await;
        server.finished(reply.header("location")).await;
    }
    let page = server.get("/api/v1/work?limit=1").await.json();
    assert_snapshot("page", &page);
    let next = page["next"].as_str().unwrap();
    let page = server
        .get(&format!("/api/v1/work?limit=1&cursor={next}"))
        .await
        .json();
    assert_snapshot("last-page", &page);
}

#[tokio::test]
async fn an_event_is_the_jobs_document() {
    let server = Server::start().await;
    let path = server.submit(&["done:", "fail:s3://bucket/key"]).await;
    let document = server.finished(&path).await;
    let reply = server.get(&format!("{path}/events")).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/event-stream")
    );
    let data = reply.body.strip_prefix("event: job\ndata: ").unwrap();
    let data = data.strip_suffix("\n\n").unwrap();
    assert!(!data.contains(['\n', '\r']), "one line: {data}");
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event, document);
    assert_snapshot("event", &json!({"event": "job", "data": event}));
}

/// The clock is put forward: nobody waits 15 seconds here.
#[tokio::test]
async fn a_quiet_stream_shows_that_it_is_there() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {path}/events HTTP/1.1\r\nhost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for (text, ahead) in [
        ("event: job\n", 0),
        ("\n: still here\n\n", 16),
        (": still here\n\n", 16),
    ] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(ahead)).await;
        tokio::time::resume();
        seen.clear();
        while !seen.contains(text) {
            let mut bytes = [0; 4096];
            let count = soon(text, stream.read(&mut bytes)).await.unwrap();
            assert!(count > 0, "closed after {seen}");
            seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }
}

// Convert at once

#[tokio::test]
async fn a_conversion_is_as_near_and_as_long_as_asked() {
    let server = Server::start().await;
    let exact = Some(Fidelity::Exact);
    let fast = Some(Fidelity::Fast);
    for (query, fidelity, timeout) in [
        ("", None, 300.0),
        ("?fidelity=exact", exact, 300.0),
        ("?fidelity=fast", fast, 300.0),
        ("?timeout=1.5&fidelity=fast&format=png", fast, 1.5),
        ("?timeout=3600", None, 3600.0),
    ] {
        let path = format!("/api/v1/convert{query}");
        server.stage.let_go("at once");
        let headers = [("content-type", "image/png")];
        let reply = server
            .request("POST", &path, &headers, "wait:at once")
            .await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        let upload = server.stage.uploads.lock().unwrap().pop().unwrap();
        assert_eq!(upload.fidelity, fidelity, "{query}");
        assert_eq!(upload.timeout, Duration::from_secs_f64(timeout), "{query}");
    }
}

#[tokio::test]
async fn an_identity_has_every_member() {
    let server = Server::start().await;
    let profile = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../imago-core/profiles/srgb.icc"
    );
    let picture = images::magick_with(
        [
            "ppm:-",
            "-alpha",
            "set",
            "-depth",
            "16",
            "-orient",
            "RightTop",
            "-units",
            "PixelsPerCentimeter",
            "-density",
            "40x50",
            "-profile",
            profile,
            "tiff:-",
        ],
        &images::photo(60, 40),
    );
    let picture = picture.stdout;
    let length = picture.len();
    let reply = server
        .request("POST", "/api/v1/identify", &[], picture)
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["bytes"], length);
    assert_snapshot("identity", &reply.json());
}

// What the server can do

#[tokio::test]
async fn an_operation_has_its_forms_arguments_and_kind() {
    let server = Server::start().await;
    let document = server.get("/api/v1/operations").await.json();
    let operations = document["operations"].as_array().unwrap();
    let named = ["append", "extent", "write"].map(|name| {
        let found = operations
            .iter()
            .find(|operation| operation["name"] == name);
        found.unwrap().clone()
    });
    assert_snapshot("operations", &json!(named));
    for operation in operations {
        for member in ["name", "kind"] {
            assert!(operation[member].is_string(), "{operation}");
        }
        for form in operation["forms"].as_array().unwrap() {
            assert!(form["arguments"].is_array(), "{operation}");
            let is_refused = form.get("refused").is_some();
            assert!(!is_refused || form["refused"].is_string(), "{operation}");
        }
    }
}

/// What the description says that there is, is what the server has: each path, each method and no other.
#[tokio::test]
async fn the_description_is_of_this_server() {
    let server = Server::start().await;
    let reply = server.get("/openapi.json").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    let api = reply.json();
    assert!(
        api["openapi"].as_str().unwrap().starts_with("3.1."),
        "{}",
        api["openapi"]
    );
    let paths = api["paths"].as_object().unwrap();
    let mut calls = Vec::new();
    for (path, operations) in paths {
        let path = path.replace("{id}", "e2ffd1057f2d46a9a5d599d8379741e0");
        let reply = server.request("BREW", &path, &[], "").await;
        reply.problem(405, &path);
        let mut allowed: Vec<_> = reply.header("allow").split(", ").collect();
        allowed.retain(|method| *method != "HEAD");
        let mut described: Vec<_> = operations
            .as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
            .collect();
        allowed.sort_unstable();
        described.sort_unstable();
        assert_eq!(described, allowed, "{path}");
        calls.extend(described.iter().map(|method| format!("{method} {path}")));
    }
    for call in [
        "POST /api/v1/work",
        "GET /api/v1/work",
        "GET /api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0",
        "DELETE /api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0",
        "GET /api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0/events",
        "POST /api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0/retry",
        "POST /api/v1/convert",
        "POST /api/v1/identify",
        "GET /api/v1/operations",
        "GET /api/v1/formats",
        "GET /openapi.json",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    ] {
        assert!(
            calls.iter().any(|described| described == call),
            "{call}: {calls:?}"
        );
    }
}

// Errors

/// One of each code, with what stands in its headers.
#[tokio::test]
async fn every_code_has_its_problem() {
    let server = Server::with(|config| {
        config.limits.body = ByteSize::kib(1);
        config.limits.body_timeout = Duration::from_secs(20);
        config.limits.queue = 1;
    })
    .await;
    let mut problems = Vec::new();
    let id = [("x-request-id", "problem-1")];
    let json = [id[0], ("content-type", "application/json")];
    let text = [id[0], ("content-type", "text/plain")];
    let job = "/api/v1/work";
    for (method, path, headers, body, status) in [
        (
            "POST",
            job,
            &json[..],
            r#"{"actions": [{"infile": 5}]}"#.to_owned(),
            400,
        ),
        ("GET", "/api/v1/work?limit=0", &id, String::new(), 400),
        (
            "GET",
            "/api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0",
            &id,
            String::new(),
            404,
        ),
        ("GET", "/api/v1/works", &id, String::new(), 404),
        ("PUT", job, &id, String::new(), 405),
        ("POST", job, &json, " ".repeat(1025), 413),
        ("POST", job, &text, work(&["done:"]), 415),
        ("POST", "/api/v1/convert", &text, "x".to_owned(), 415),
        ("POST", job, &json, work(&["bad:1", "done:"]), 422),
        ("POST", "/api/v1/identify", &id, "x".to_owned(), 422),
        ("POST", job, &json, work(&["plan-panic:"]), 500),
    ] {
        let reply = server.request(method, path, headers, body).await;
        problems.push((status, reply));
    }
    let failed = server.submit(&["fail:x"]).await;
    server.finished(&failed).await;
    let retry = format!("{failed}/retry");
    server.submit(&["wait:a"; 4]).await;
    server.stage.started(5).await;
    server.submit(&["wait:b"]).await;
    for (path, body) in [(job, work(&["done:"])), (&retry, String::new())] {
        problems.push((429, server.request("POST", path, &json, body).await));
    }
    server.store.broken.send_replace(true);
    problems.push((503, server.request("GET", job, &id, "").await));
    server.store.broken.send_replace(false);
    draining(&server).await;
    for (path, headers) in [
        (job, &json[..]),
        (&retry, &json),
        ("/api/v1/convert", &id),
        ("/api/v1/identify", &id),
    ] {
        let body = work(&["done:"]);
        problems.push((503, server.request("POST", path, headers, body).await));
    }
    for _ in 0..4 {
        server.stage.let_go("a");
    }
    let mut bodies = Vec::new();
    for (status, reply) in &problems {
        let context = format!("{reply:?}");
        reply.problem(*status, &context);
        assert_eq!(reply.header("x-request-id"), "problem-1", "{context}");
        assert_eq!(
            reply.headers.contains_key("allow"),
            *status == 405,
            "{context}"
        );
        let is_told = reply.headers.contains_key("retry-after");
        assert_eq!(is_told, [429, 503].contains(status), "{context}");
        if is_told {
            let seconds: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=3600).contains(&seconds), "{context}");
        }
        assert!(!reply.headers.contains_key("location"), "{context}");
        bodies.push(reply.json());
    }
    assert_snapshot("problems", &json!(bodies));
    server.stopped().await;
}

#[tokio::test]
async fn every_answer_that_succeeds_has_the_requests_id() {
    let server = Server::start().await;
    let image = images::make("png", 6, 4);
    let done = server.submit(&["done:"]).await;
    server.finished(&done).await;
    let waiting = server.submit(&["wait:a"]).await;
    let events = format!("{done}/events");
    let retry = format!("{done}/retry");
    for (method, path, status, media_type) in [
        ("POST", "/api/v1/work?dry_run=true", 200, "application/json"),
        ("POST", "/api/v1/work", 202, "application/json"),
        ("GET", "/api/v1/work", 200, "application/json"),
        ("GET", &done, 200, "application/json"),
        ("GET", &events, 200, "text/event-stream"),
        ("POST", &retry, 202, "application/json"),
        ("DELETE", &waiting, 200, "application/json"),
        ("DELETE", &done, 204, ""),
        ("POST", "/api/v1/convert?format=webp", 200, "image/webp"),
        ("POST", "/api/v1/identify", 200, "application/json"),
        ("GET", "/api/v1/operations", 200, "application/json"),
        ("GET", "/api/v1/formats", 200, "application/json"),
        ("GET", "/openapi.json", 200, "application/json"),
        ("GET", "/healthz", 200, "application/json"),
        ("GET", "/readyz", 200, "application/json"),
        (
            "GET",
            "/metrics",
            200,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let body = if path.starts_with("/api/v1/work") {
            work(&["done:"]).into()
        } else {
            image.clone()
        };
        let reply = server
            .request(method, path, &[("x-request-id", "mine")], body)
            .await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert_eq!(reply.header("x-request-id"), "mine", "{method} {path}");
        if !media_type.is_empty() {
            assert_eq!(reply.header("content-type"), media_type, "{method} {path}");
        }
        let has_place = reply.headers.contains_key("location");
        assert_eq!(has_place, status == 202, "{method} {path}: {reply:?}");
    }
}

#[tokio::test]
async fn ids_of_requests_are_echoed_up_to_their_bound() {
    let server = Server::start().await;
    let (long, longer) = ("x".repeat(128), "x".repeat(129));
    for (given, is_echoed) in [
        (&["abc-DEF_1.2"][..], true),
        (&[&long], true),
        (&[&longer], false),
        (&[""], false),
        (&["a/b"], false),
        (&["a\"b"], false),
        (&["a, b"], false),
        (&["one", "two"], false),
        (&["one", "one"], false),
    ] {
        let headers: Vec<_> = given.iter().map(|id| ("x-request-id", *id)).collect();
        let reply: Reply = server.request("GET", "/healthz", &headers, "").await;
        let id = reply.header("x-request-id");
        assert_eq!(given.contains(&id), is_echoed, "{given:?}: {id}");
        assert!(is_echoed || uuid::Uuid::try_parse(id).is_ok(), "{id}");
    }
}
