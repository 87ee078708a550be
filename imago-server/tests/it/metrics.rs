//! `GET /metrics`.

use std::collections::BTreeMap;

use crate::support::Server;

/// The samples of a scrape, by name and labels.
async fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let reply = server.get("/metrics").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
    let samples = reply.body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "counts are whole numbers")]
async fn what_happens_is_counted() {
    let server = Server::start().await;
    let path = server
        .submit(&["done:a", "done:b", "fail:c", "wait:d"])
        .await;
    server.stage.started(4).await;
    let samples = loop {
        let samples = scrape(&server).await;
        if samples["imago_actions_running"] == 1.0 {
            break samples;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(samples[r#"imago_jobs_current{state="working"}"#], 1.0);
    assert_eq!(samples[r#"imago_jobs_current{state="queued"}"#], 0.0);
    server.stage.let_go("d");
    server.finished(&path).await;
    server.get("/nowhere/at/all").await.problem(404, "nowhere");
    let method = server.request("BREW", "/healthz", &[], "").await;
    method.problem(405, "BREW");

    let samples = scrape(&server).await;
    for (name, expected) in [
        (r#"imago_actions_total{result="done"}"#, 3.0),
        (r#"imago_actions_total{result="error"}"#, 1.0),
        ("imago_actions_running", 0.0),
        (r#"imago_jobs_current{state="working"}"#, 0.0),
        (r#"imago_cache_requests_total{result="hit"}"#, 3.0),
        ("imago_stored_bytes_total", 3.0 * 18_233.0),
        (
            r#"imago_stage_duration_seconds_count{stage="convert"}"#,
            3.0,
        ),
        (
            r#"imago_stage_duration_seconds_sum{stage="convert"}"#,
            0.063,
        ),
        (
            r#"imago_stage_duration_seconds_bucket{le="0.01",stage="store"}"#,
            3.0,
        ),
        (
            r#"imago_http_requests_total{method="POST",route="/api/v1/work",status="202"}"#,
            1.0,
        ),
        (
            r#"imago_http_requests_total{method="GET",route="/api/v1/work/{id}",status="200"}"#,
            1.0,
        ),
        (
            r#"imago_http_requests_total{method="GET",route="none",status="404"}"#,
            1.0,
        ),
        (
            r#"imago_http_requests_total{method="other",route="/healthz",status="405"}"#,
            1.0,
        ),
        (
            r#"imago_http_request_duration_seconds_count{route="/api/v1/work"}"#,
            1.0,
        ),
    ] {
        let got = samples.get(name);
        let near = got.is_some_and(|got| (got - expected).abs() < 1e-9);
        assert!(near, "{name} is {got:?}, not {expected}: {samples:#?}");
    }
}

#[tokio::test]
async fn a_store_out_of_reach_has_no_figures() {
    let server = Server::start().await;
    server.store.broken.send_replace(true);
    let samples = scrape(&server).await;
    assert!(
        !samples
            .keys()
            .any(|name| name.starts_with("imago_jobs_current")),
        "{samples:#?}"
    );
}
