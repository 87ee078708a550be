//! `POST /api/v1/work`.

use serde_json::{Value, json};

use crate::support::{Server, work};

#[tokio::test]
async fn the_contracts_example_is_accepted_to_the_letter() {
    let server = Server::start().await;
    let body = r#"{
      "actions": [
        {
          "infile": "s3://mybucket/imago/foo.png",
          "outfile": "s3://mybucket/imago/out/foo 200x200.jpg",
          "operations": ["resize 200X200", "quality 100"],
          "mimetype": "image/jpg"
        },
        {
          "infile": "s3://mybucket/imago/foo.png",
          "outfile": "s3://mybucket/imago/out/foo-4xx4k.tiff",
          "operations": ["resize 4000X4000"],
          "mimetype": "image/tiff"
        }
      ]
    }"#;
    let reply = server.post(body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    assert!(
        id.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        "{id}"
    );
    assert_eq!(
        reply.body,
        format!(r#"{{"id":"{id}","queue_length":1,"status":"ok"}}"#)
    );
    assert_eq!(reply.header("location"), format!("/api/v1/work/{id}"));
    let document = server.finished(reply.header("location")).await;
    let action = &document["actions"][0];
    assert_eq!(action["outfile"], "s3://mybucket/imago/out/foo 200x200.jpg");
    assert_eq!(
        action["operations"],
        json!(["resize 200X200", "quality 100"])
    );
    assert_eq!(action["mimetype"], "image/jpg");
}

#[tokio::test]
async fn every_member_reaches_the_action() {
    let server = Server::start().await;
    let body = json!({"actions": [
        {
            "infile": "done:a", "outfile": "s3://b/out.jpg", "operations": ["strip"], "mimetype": "image/jpg",
            "timeout": 1.5, "fidelity": "fast",
            "headers": {"Cache-Control": "max-age=60", "x-amz-meta-owner": "me"},
        },
        {
            "infile": "done:b", "outfile": "s3://b/out.png", "operations": null, "mimetype": null, "timeout": null,
            "fidelity": null, "headers": null,
        },
    ]});
    let reply = server.post(body.to_string()).await;
    server.finished(reply.header("location")).await;
    let started = server.stage.started.borrow().clone();
    let spec = |infile| {
        started
            .iter()
            .map(|s| &s.spec)
            .find(|s| s.infile == infile)
            .unwrap()
    };
    let full = spec("done:a");
    assert_eq!(full.timeout.as_millis(), 1500);
    assert_eq!(full.fidelity, Some(imago_server::job::Fidelity::Fast));
    let headers: Vec<_> = full
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        headers,
        [("Cache-Control", "max-age=60"), ("x-amz-meta-owner", "me")]
    );
    let bare = spec("done:b");
    assert_eq!(bare.timeout.as_secs(), 300, "the configuration's default");
    assert_eq!(bare.fidelity, None);
    assert!(bare.operations.is_empty() && bare.mimetype.is_none() && bare.headers.is_empty());
}

#[tokio::test]
async fn bodies_of_another_shape_are_400_with_the_place() {
    let server = Server::start().await;
    let action = |member: &str, value: &str| {
        format!(
            r#"{{"actions": [{{"infile": "done:", "outfile": "s3://b/o.png", "{member}": {value}}}]}}"#
        )
    };
    let url = "expected a URL such as `s3://bucket/in.png`, got";
    for (body, pointer, detail) in [
        (String::new(), None, "the body is not JSON: EOF while parsing a value at line 1 column 0".to_owned()),
        ("{".to_owned(), None, "the body is not JSON: EOF while parsing an object at line 1 column 1".to_owned()),
        ("{\"actions\": \u{feff}}".to_owned(), None, "the body is not JSON: expected value".to_owned()),
        (format!("{} x", work(&["done:"])), None, "the body is not JSON: trailing characters".to_owned()),
        ("a=b".to_owned(), None, "the body is not JSON: expected value at line 1 column 1".to_owned()),
        ("null".to_owned(), Some(""), "invalid type: null, expected an object such as `{\"actions\"".to_owned()),
        ("[]".to_owned(), Some(""), "expected an object such as `{\"actions\"".to_owned()),
        ("{}".to_owned(), Some(""), "missing field `actions`".to_owned()),
        (r#"{"actions": {}}"#.to_owned(), Some("/actions"), "expected an array of actions, got map".to_owned()),
        (r#"{"actions": null}"#.to_owned(), Some("/actions"), "expected an array of actions, got null".to_owned()),
        (r#"{"actions": ["x"]}"#.to_owned(), Some("/actions/0"), "invalid type: string \"x\", expected an object such as `{\"infile\"".to_owned()),
        (r#"{"actions": [["done:", "s3://b/o.png"]]}"#.to_owned(), Some("/actions/0"), "expected an object such as".to_owned()),
        (r#"{"actions": [{"outfile": "s3://b/o.png"}]}"#.to_owned(), Some("/actions/0"), "missing field `infile`".to_owned()),
        (r#"{"actions": [{"infile": "done:"}]}"#.to_owned(), Some("/actions/0"), "missing field `outfile`".to_owned()),
        (r#"{"actions": [{"infile": 5, "outfile": "s3://b/o.png"}]}"#.to_owned(), Some("/actions/0/infile"), format!("{url} integer `5`")),
        (r#"{"actions": [{"infile": null, "outfile": "s3://b/o.png"}]}"#.to_owned(), Some("/actions/0/infile"), format!("{url} null")),
        (action("infile", "\"x\""), Some("/actions/0"), "duplicate field `infile`".to_owned()),
        (action("headers", r#"{"a": "1", "b": "2", "a": "1"}"#), Some("/actions/0/headers"), "expected each name once, got `a` twice".to_owned()),
        (r#"{"actions": [], "labels": {"n": "1", "n": "2"}}"#.to_owned(), Some("/labels"), "expected each name once, got `n` twice".to_owned()),
        (action("operation", "[]"), Some("/actions/0/operation"), "unknown field `operation`, expected one of `infile`, `outfile`, `operations`".to_owned()),
        (action("operations", "\"strip\""), Some("/actions/0/operations"), "expected an array of strings such as `[\"resize 200x200\"]`, got string \"strip\"".to_owned()),
        (action("operations", "[\"strip\", 5]"), Some("/actions/0/operations/1"), "expected a string such as `resize 200x200`, got integer `5`".to_owned()),
        (action("mimetype", "[]"), Some("/actions/0/mimetype"), "expected a media type such as `image/jpeg`, got sequence".to_owned()),
        (action("timeout", "\"5\""), Some("/actions/0/timeout"), "expected a number of seconds such as `30`, got string \"5\"".to_owned()),
        (action("fidelity", "\"slow\""), Some("/actions/0/fidelity"), "unknown variant `slow`, expected `exact` or `fast`".to_owned()),
        (action("headers", "[]"), Some("/actions/0/headers"), "expected an object of strings such as `{\"Cache-Control\": \"max-age=60\"}`, got sequence".to_owned()),
        (action("headers", "{\"a/b~c\": 5}"), Some("/actions/0/headers/a~1b~0c"), "expected a string such as `max-age=60`, got integer `5`".to_owned()),
        (r#"{"actions": [], "action": 1}"#.to_owned(), Some("/action"), "unknown field `action`, expected one of `actions`".to_owned()),
    ] {
        let reply = server.post(body.clone()).await;
        let sentence = reply.problem(400, &body);
        match pointer {
            None => {
                assert!(sentence.starts_with(&detail), "{body}: {sentence}");
                assert!(reply.errors().is_empty(), "{body}");
            }
            Some(pointer) => {
                let errors = reply.errors();
                assert_eq!(errors.len(), 1, "{body}");
                assert_eq!(errors[0].0, pointer, "{body}: {}", errors[0].1);
                assert!(errors[0].1.contains(&detail), "{body}: {}", errors[0].1);
                assert!(sentence.ends_with(&errors[0].1), "{body}: {sentence}");
                assert!(!errors[0].1.contains(" column "), "{body}: {sentence}");
            }
        }
    }
    let reply = server.post(&b"{\"actions\": \"\xff\"}"[..]).await;
    assert!(
        reply
            .problem(400, "bad UTF-8")
            .starts_with("the body is not JSON: ")
    );
    assert!(
        server.stage.started.borrow().is_empty(),
        "nothing was queued"
    );
}

#[tokio::test]
async fn actions_that_cannot_run_are_422_all_at_once() {
    let server = Server::start().await;
    let body = json!({"actions": [
        {"infile": "done:", "outfile": "s3://b/o.png", "operations": ["resze 5x5"]},
        {"infile": "done:", "outfile": "s3://b/o.png", "operations": ["resize 5x5"]},
    ]});
    let reply = server.post(body.to_string()).await;
    assert_eq!(
        reply.body,
        concat!(
            r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"#,
            r#""detail":"1 of 2 actions can't run","error":"1 of 2 actions can't run","#,
            r#""errors":[{"pointer":"/actions/0/operations/0","#,
            r#""detail":"there is no operation `resze`; did you mean `resize`?"}]}"#
        ),
        "the contract's example"
    );

    let body = json!({"actions": [
        {"infile": "bad:1", "outfile": "s3://b/o.png", "operations": ["strip", "resze", "resze"]},
        {"infile": "done:", "outfile": "s3://b/o.png"},
        {"infile": "bad:2", "outfile": "s3://b/o.png", "timeout": 0},
    ]});
    let reply = server.post(body.to_string()).await;
    assert_eq!(reply.problem(422, "several"), "2 of 3 actions can't run");
    let pointers: Vec<_> = reply.errors().into_iter().map(|error| error.0).collect();
    assert_eq!(
        pointers,
        [
            "/actions/0/infile",
            "/actions/0/operations/1",
            "/actions/0/operations/2",
            "/actions/2/timeout"
        ]
    );
    assert!(
        server.stage.started.borrow().is_empty(),
        "nothing was queued"
    );
}

#[tokio::test]
async fn values_out_of_range_are_422() {
    let server = Server::with(|config| config.limits.actions = 2).await;
    let timeout = |value: Value| json!({"actions": [{"infile": "done:", "outfile": "s3://b/o.png", "timeout": value}]});
    let with = |member: &str, value: Value| {
        let mut body: Value = serde_json::from_str(&work(&["done:"])).unwrap();
        body[member] = value;
        body
    };
    let timeout_expected =
        "expected more than 0 and at most 3600 seconds (`limits.max-timeout`), got ";
    for (body, pointer, detail) in [
        (
            json!({"actions": []}),
            "/actions",
            "expected 1 to 2 actions (`limits.actions`), got 0".to_owned(),
        ),
        (
            serde_json::from_str(&work(&["done:", "done:", "done:"])).unwrap(),
            "/actions",
            "expected 1 to 2 actions (`limits.actions`), got 3".to_owned(),
        ),
        (
            timeout(json!(0)),
            "/actions/0/timeout",
            format!("{timeout_expected}0"),
        ),
        (
            timeout(json!(-1)),
            "/actions/0/timeout",
            format!("{timeout_expected}-1"),
        ),
        (
            timeout(json!(3600.5)),
            "/actions/0/timeout",
            format!("{timeout_expected}3600.5"),
        ),
        (
            timeout(json!(1e300)),
            "/actions/0/timeout",
            timeout_expected.to_owned(),
        ),
        (
            timeout(json!(1e-300)),
            "/actions/0/timeout",
            timeout_expected.to_owned(),
        ),
        (
            with("priority", json!(101)),
            "/priority",
            "expected an integer from -100 to 100, got 101".to_owned(),
        ),
        (
            with("labels", json!({"a:b/c": "d"})),
            "/labels/a:b~1c",
            "a label's name must have 1 to 255 bytes and no `:`".to_owned(),
        ),
        (
            with("webhook", json!({"url": "https://h/"})),
            "/webhook",
            "webhooks are off: the server has no secret to sign them with".to_owned(),
        ),
    ] {
        let body = body.to_string();
        let reply = server.post(body.clone()).await;
        reply.problem(422, &body);
        let errors = reply.errors();
        assert_eq!(errors.len(), 1, "{body}: {errors:?}");
        assert_eq!(errors[0].0, pointer, "{body}");
        assert!(errors[0].1.starts_with(&detail), "{body}: {}", errors[0].1);
    }
    let mut body = with("priority", json!(-101));
    body["labels"] = json!({"": "b"});
    let reply = server.post(body.to_string()).await;
    assert_eq!(
        reply.problem(422, "two"),
        "the job can't run, for 2 reasons: see `errors`"
    );
}

#[tokio::test]
async fn a_thousand_errors_are_listed_in_part() {
    let server = Server::start().await;
    let reply = server.post(work(&["bad:"; 1000])).await;
    assert_eq!(
        reply.problem(422, "1000"),
        "at least 100 of 1000 actions can't run"
    );
    assert_eq!(reply.errors().len(), 100);
}

#[tokio::test]
async fn misspelt_parameters_and_bad_headers_are_refused() {
    let server = Server::start().await;
    let body = work(&["done:"]);
    for (path, headers, status, detail) in [
        (
            "/api/v1/work?dry_run=yes",
            &[][..],
            400,
            "`dry_run` must be `true` or `false`, got `yes`",
        ),
        (
            "/api/v1/work?dryrun=true",
            &[],
            400,
            "there is no query parameter `dryrun`; the only one is `dry_run`",
        ),
        (
            "/api/v1/work",
            &[("idempotency-key", "")],
            400,
            "`Idempotency-Key` must be one header of 1 to 255 printable ASCII characters, got 0 bytes",
        ),
        (
            "/api/v1/work",
            &[("idempotency-key", "a"), ("idempotency-key", "b")],
            400,
            "`Idempotency-Key` must be one header of 1 to 255 printable ASCII characters",
        ),
    ] {
        let reply = server.request("POST", path, headers, body.clone()).await;
        let sentence = reply.problem(status, path);
        assert!(sentence.starts_with(detail), "{path}: {sentence}");
    }
    assert!(
        server.stage.started.borrow().is_empty(),
        "nothing was queued"
    );
}

#[tokio::test]
async fn media_types() {
    let server = Server::start().await;
    for (headers, status) in [
        (&[][..], 202),
        (&[("content-type", "application/json")], 202),
        (&[("content-type", "application/json; charset=UTF-8")], 202),
        (
            &[
                ("content-type", "application/json"),
                ("content-encoding", "identity"),
            ],
            202,
        ),
        (&[("content-type", "application/json; charset=latin1")], 415),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            415,
        ),
        (&[("content-type", "text/json")], 415),
        (&[("content-type", "")], 415),
        (
            &[
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            415,
        ),
    ] {
        let reply = server
            .request("POST", "/api/v1/work", headers, work(&["done:"]))
            .await;
        if status == 415 {
            let detail = reply.problem(415, &format!("{headers:?}"));
            let (name, value) = headers.last().unwrap();
            assert!(
                detail.contains(&format!("got `{value}`")),
                "{name}: {detail}"
            );
        } else {
            assert_eq!(reply.status, status, "{headers:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn the_queue_counts_jobs_that_wait_and_is_bounded() {
    let server = Server::with(|config| config.limits.queue = 2).await;
    server.submit(&["wait:a"; 4]).await;
    server.stage.started(4).await;
    for expected in 1..=2 {
        let reply = server.post(work(&["done:", "done:"])).await;
        assert_eq!(reply.json()["queue_length"], expected);
    }
    let reply = server.post(work(&["done:"])).await;
    assert_eq!(
        reply.problem(429, "a third"),
        "the queue is full: 2 jobs wait, and no more may (`limits.queue`)"
    );
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&seconds));
    server.stage.let_go("a");
    server.stage.started(8).await;
    let reply = server.post(work(&["done:"])).await;
    assert_eq!(reply.status, 202, "there is room again: {reply:?}");
}

#[tokio::test]
async fn a_store_out_of_reach_is_503() {
    let server = Server::start().await;
    let path = server.submit(&["done:"]).await;
    server.store.broken.send_replace(true);
    for reply in [
        server.post(work(&["done:"])).await,
        server.get(&path).await,
        server.get("/readyz").await,
    ] {
        assert_eq!(
            reply.problem(503, "broken"),
            "the job store can't be reached, or can't write"
        );
        assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    server.store.broken.send_replace(false);
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_fault_of_the_servers_own_is_500() {
    let server = Server::start().await;
    for infile in ["plan-panic:", "broken:"] {
        let reply = server.post(work(&[infile])).await;
        reply.problem(500, infile);
    }
    assert_eq!(server.get("/healthz").await.status, 200, "it serves on");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_queues_nothing() {
    let server = Server::start().await;
    let body = work(&["done:"]);
    let reply = server
        .request("POST", "/api/v1/work?dry_run=true", &[], body)
        .await;
    assert_eq!(reply.status, 200);
    let document = reply.json();
    assert_eq!(document["status"], "ok");
    assert_eq!(document["actions"][0]["infile"], "done:");
    assert!(document["actions"][0]["steps"].is_array(), "{document}");
    let reply = server
        .request("POST", "/api/v1/work?dry_run=true", &[], work(&["bad:"]))
        .await;
    let sentence = reply.problem(422, "dry run");
    assert_eq!(sentence, "1 of 1 actions can't run");
    let reply = server.post(work(&["done:"])).await;
    assert_eq!(reply.json()["queue_length"], 1, "nothing was queued before");
}

#[tokio::test]
async fn operations_are_listed() {
    let server = Server::start().await;
    let reply = server.get("/api/v1/operations").await;
    assert_eq!(reply.status, 200);
    let document = reply.json();
    let operations = document["operations"].as_array().unwrap();
    assert!(operations.len() > 250, "{}", operations.len());
    let append = operations
        .iter()
        .find(|operation| operation["name"] == "append")
        .unwrap();
    let forms: Vec<_> = append["forms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|form| form["form"].as_str().unwrap())
        .collect();
    assert_eq!(forms, ["+append", "-append"]);
    let write = operations
        .iter()
        .find(|operation| operation["name"] == "write")
        .unwrap();
    let why = write["forms"][0]["refused"].as_str().unwrap();
    assert!(why.contains("outfile"), "{why}");
}
