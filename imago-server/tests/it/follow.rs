//! `GET /api/v1/work/{id}`, with and without waiting.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Server, redacted, soon};

#[tokio::test]
async fn the_document_has_every_member_at_every_stage() {
    let server = Server::start().await;
    let blocker = server.submit(&["wait:a"; 4]).await;
    server.stage.started(4).await;
    let path = server.submit(&["wait:b", "fail:s3://bucket/key"]).await;

    let waiting = json!({
        "id": "ID", "status": "queued",
        "actions": [
            {
                "status": "queued", "infile": "wait:b", "outfile": "s3://bucket/out.jpg", "mimetype": "",
                "operations": [], "output": "", "error": "",
            },
            {
                "status": "queued", "infile": "fail:s3://bucket/key", "outfile": "s3://bucket/out.jpg",
                "mimetype": "", "operations": [], "output": "", "error": "",
            },
        ],
        "progress": 0.0, "priority": 0, "labels": {},
        "created": "TIME", "started": null, "finished": null,
    });
    let reply = server.get(&path).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(redacted(reply.json()), waiting);

    // Two of the four are let go: both actions start, and the second fails while the first runs.
    server.stage.let_go("a");
    server.stage.let_go("a");
    server.stage.started(6).await;
    server.submit(&["done:"]).await;
    server.stage.started(7).await;
    let mut working = waiting.clone();
    working["status"] = json!("working");
    working["actions"][0]["status"] = json!("working");
    working["actions"][1]["status"] = json!("error");
    working["actions"][1]["error"] = json!("there is no object `s3://bucket/key`");
    working["actions"][1]["result"] = json!({
        "attempts": 1,
        "failure": {
            "code": "not_found", "stage": null, "retryable": false, "limit": null,
            "hint": "put the object there, then retry the job",
        },
    });
    working["progress"] = json!(0.5);
    working["started"] = json!("TIME");
    assert_eq!(redacted(server.get(&path).await.json()), working);

    server.stage.let_go("b");
    let mut finished = working.clone();
    finished["status"] = json!("error");
    finished["actions"][0] = json!({
        "status": "done", "infile": "wait:b", "outfile": "s3://bucket/out.jpg", "mimetype": "image/jpeg",
        "operations": [], "output": "a warning", "error": "",
        "result": {
            "format": "JPEG", "width": 200, "height": 134, "frames": 1, "bytes": 18233, "etag": "\"9b2c\"",
            "files": ["s3://bucket/out.jpg"], "cache": "hit", "engine": "magick", "attempts": 1,
            "milliseconds": {"fetch": 3, "convert": 21, "store": 6},
        },
    });
    finished["progress"] = json!(1.0);
    finished["finished"] = json!("TIME");
    assert_eq!(redacted(server.finished(&path).await), finished);

    let document = server.get(&blocker).await.json();
    assert_eq!(document["status"], "working");
    assert_eq!(document["progress"], 0.5);
    server.stage.let_go("a");
    server.stage.let_go("a");
    assert_eq!(server.finished(&blocker).await["status"], "done");
}

#[tokio::test]
async fn members_come_in_the_contracts_order() {
    let server = Server::start().await;
    let path = server.submit(&["done:"]).await;
    server.finished(&path).await;
    let body = server.get(&path).await.body;
    let mut from = 0;
    for member in [
        "id",
        "status",
        "actions",
        "status",
        "infile",
        "outfile",
        "mimetype",
        "operations",
        "output",
        "error",
        "result",
        "format",
        "width",
        "height",
        "frames",
        "bytes",
        "etag",
        "files",
        "cache",
        "engine",
        "attempts",
        "milliseconds",
        "fetch",
        "convert",
        "store",
        "progress",
        "priority",
        "labels",
        "created",
        "started",
        "finished",
    ] {
        let at = body[from..].find(&format!("\"{member}\":"));
        from += at.unwrap_or_else(|| panic!("no {member} after byte {from} of {body}"));
    }
}

#[tokio::test]
async fn jobs_that_are_not_there_are_404() {
    let server = Server::start().await;
    for id in [
        "e2ffd1057f2d46a9a5d599d8379741e0",
        "E2FFD1057F2D46A9A5D599D8379741E0",
        "e2ffd105-7f2d-46a9-a5d5-99d8379741e0",
        "x",
        "%20",
    ] {
        for query in ["", "?timeout=300"] {
            let reply = server.get(&format!("/api/v1/work/{id}{query}")).await;
            assert_eq!(reply.problem(404, id), format!("there is no job `{id}`"));
        }
    }
}

#[tokio::test]
async fn a_bad_timeout_is_400() {
    let server = Server::start().await;
    let path = server.submit(&["done:"]).await;
    for (query, detail) in [
        (
            "timeout=-1",
            "`timeout` must be seconds from 0 to 3600 such as `300` or `0.5`, got `-1`",
        ),
        (
            "timeout=3601",
            "`timeout` must be seconds from 0 to 3600 such as `300` or `0.5`, got `3601`",
        ),
        (
            "timeout=soon",
            "`timeout` must be seconds from 0 to 3600 such as `300` or `0.5`, got `soon`",
        ),
        ("timeout=1&timeout=1", "`timeout` is given more than once"),
        (
            "wait=1",
            "there is no query parameter `wait`; the only one is `timeout`",
        ),
    ] {
        let reply = server.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.problem(400, query), detail);
    }
}

#[tokio::test]
async fn a_poll_ends_with_the_job() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a", "wait:b"]).await;
    server.stage.started(2).await;
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=3600");
    let poll = async { server.get(&poll).await.json() };
    let end = async {
        soon("the poll", reads.wait_for(|reads| *reads == 1))
            .await
            .unwrap();
        server.stage.let_go("a");
        server.stage.let_go("b");
    };
    let (document, ()) = tokio::join!(poll, end);
    assert_eq!(document["status"], "done");
    assert_eq!(*server.store.reads.borrow(), 2, "it woke for the end only");

    let again = server.get(&format!("{path}?timeout=3600")).await;
    assert_eq!(
        again.json(),
        document,
        "of a finished job it is answered at once"
    );
}

#[tokio::test]
async fn a_poll_ends_with_its_time() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    for timeout in ["0", "0.05"] {
        let begun = Instant::now();
        let reply = server.get(&format!("{path}?timeout={timeout}")).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["status"], "working", "{timeout}");
        let least = Duration::from_secs_f64(timeout.parse().unwrap());
        assert!(begun.elapsed() >= least, "{timeout}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let path = server.submit(&["done:"]).await;
    let path = format!("{path}?timeout=25");
    let get = server.get(&path).await;
    let head = server.request("HEAD", &path, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert_eq!(head.header("content-type"), "application/json");
    let missing = server.request("HEAD", "/api/v1/work/x", &[], "").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
}

#[tokio::test]
async fn many_polls_share_one_document() {
    const POLLS: usize = 200;
    let server = Server::start().await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=300");
    let polls = futures_util::future::join_all((0..POLLS).map(|_| server.get(&poll)));
    let end = async {
        soon("all polls", reads.wait_for(|reads| *reads == POLLS))
            .await
            .unwrap();
        server.stage.let_go("a");
    };
    let (replies, ()) = tokio::join!(polls, end);
    for reply in &replies {
        assert_eq!(reply.body, replies[0].body);
    }
    assert_eq!(replies[0].json()["status"], "done");
}

#[tokio::test]
async fn finished_jobs_are_forgotten_after_their_time() {
    let server = Server::with(|config| config.jobs.keep = Duration::from_millis(50)).await;
    let unfinished = server.submit(&["wait:a"]).await;
    let path = server.submit(&["done:"]).await;
    let forgotten = async {
        while server.get(&path).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("forgetting", forgotten).await;
    assert_eq!(
        server.get(&unfinished).await.status,
        200,
        "what has not finished stays"
    );
}
