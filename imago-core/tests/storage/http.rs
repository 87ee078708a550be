//! HTTP URLs, against a server that does what it is told, and nginx.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use imago_core::ErrorKind;
use imago_core::storage::{Get, ObjectHeaders, Stores};
use testkit::http::{Reply, Server};

use super::{MAX, at, build, fetch, impatient, is_modified, jpeg, kind, loopback, put};

#[tokio::test(flavor = "multi_thread")]
async fn objects_come_with_and_without_a_length() {
    let (server, stores) = (Server::start(), loopback());
    let body = Bytes::from(vec![7; 300_000]);
    server.route("/length", Reply::ok(body.clone()).e_tag("\"a\""));
    server.route(
        "/chunked",
        Reply::ok(body.clone()).e_tag("W/\"b\"").chunked(),
    );
    server.route("/endless", Reply::endless());
    for path in ["/length", "/chunked"] {
        assert_eq!(
            fetch(&stores, &server.url(path)).await.unwrap(),
            body,
            "{path}"
        );
        let error = stores
            .fetch(&at(&server.url(path)), 299_999)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{path}");
    }
    let source = stores
        .fetch(&at(&server.url("/chunked")), MAX)
        .await
        .unwrap();
    assert_eq!(source.e_tag.as_deref(), Some("W/\"b\""));
    assert!(!is_modified(&stores, &server.url("/chunked"), "W/\"b\"").await);
    assert!(is_modified(&stores, &server.url("/chunked"), "\"other\"").await);
    let error = stores
        .fetch(&at(&server.url("/endless")), 1 << 20)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_arrive_byte_for_byte_and_fragments_do_not() {
    let (server, stores) = (Server::start(), loopback());
    server.route("/a%20b.jpg", Reply::ok("x"));
    let query = "X-Amz-Credential=AK%2F2026&sig=a%2Bb+c/d==&x=%7e~&empty=&flag&q=[1]|2";
    fetch(&stores, &server.url(&format!("/a%20b.jpg?{query}#top")))
        .await
        .unwrap();
    assert_eq!(server.requests()[0].target, format!("/a%20b.jpg?{query}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn user_info_is_sent_as_credentials_to_its_own_host_only() {
    let (server, other, stores) = (Server::start(), Server::start(), loopback());
    other.route("/there", Reply::ok("x"));
    server.route("/here", Reply::redirect(302, "/next"));
    server.route(
        "/next",
        Reply::redirect(
            302,
            &other
                .url("/there")
                .replace("http://", "http://evil:chosen@"),
        ),
    );
    let url = server.url("/here").replace("http://", "http://me:secret@");
    fetch(&stores, &url).await.unwrap();
    for path in ["/here", "/next"] {
        let request = &server.requests_for("GET", path)[0];
        assert_eq!(
            request.header("authorization"),
            Some("Basic bWU6c2VjcmV0"),
            "{path}"
        );
    }
    assert_eq!(other.requests()[0].header("authorization"), None);
    assert_eq!(other.requests()[0].header("referer"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_within_bounds() {
    let (server, stores) = (Server::start(), loopback());
    for n in 0..7 {
        server.route(
            &format!("/hop/{n}"),
            Reply::redirect(302, &format!("/hop/{}", n + 1)),
        );
    }
    server.route("/hop/7", Reply::ok("there"));
    for status in [301, 302, 303, 307, 308] {
        server.route("/relative", Reply::redirect(status, "hop/7?q=%2F"));
        assert_eq!(
            fetch(&stores, &server.url("/relative")).await.unwrap(),
            "there",
            "{status}"
        );
    }
    assert_eq!(
        fetch(&stores, &server.url("/hop/2")).await.unwrap(),
        "there"
    );
    assert_eq!(kind(&stores, &server.url("/hop/1")).await, ErrorKind::Store);
    server.route("/scheme", Reply::redirect(302, "file:///etc/passwd"));
    assert_eq!(
        kind(&stores, &server.url("/scheme")).await,
        ErrorKind::Store
    );
    server.route("/nowhere", Reply::status(302));
    assert_eq!(
        kind(&stores, &server.url("/nowhere")).await,
        ErrorKind::Store
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused_before_and_after_redirects() {
    let server = Server::start();
    server.route("/a", Reply::ok("x"));
    let stores = build(Stores::builder().retry(impatient()));
    let port = server.url("/a").rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::1]",
    ] {
        let url = format!("http://{host}:{port}");
        assert_eq!(
            kind(&stores, &url).await,
            ErrorKind::StoreNotAllowed,
            "{url}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_holds_for_redirects() {
    let server = Server::start();
    server.route("/in/a", Reply::redirect(302, "/secret"));
    server.route("/in/b", Reply::redirect(302, "/in/c"));
    server.route("/in/c", Reply::ok("c"));
    server.route("/secret", Reply::ok("secret"));
    let stores = build(
        Stores::builder()
            .http_private(true)
            .allow([server.url("/in/")]),
    );
    assert_eq!(fetch(&stores, &server.url("/in/b")).await.unwrap(), "c");
    for path in ["/in/a", "/secret", "/in/../secret"] {
        assert_eq!(
            kind(&stores, &server.url(path)).await,
            ErrorKind::StoreNotAllowed,
            "{path}"
        );
    }
    assert_eq!(server.get_count("/secret"), 0);
    assert_eq!(
        kind(&stores, "s3://bucket/key").await,
        ErrorKind::StoreNotAllowed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_retried_and_lasting_ones_are_not() {
    let (server, stores) = (Server::start(), loopback());
    server.script(
        "/later",
        [Reply::status(503), Reply::status(500), Reply::ok("x")],
    );
    assert_eq!(fetch(&stores, &server.url("/later")).await.unwrap(), "x");
    for (status, expected, requests) in [
        (503, ErrorKind::StoreUnavailable, 3),
        (429, ErrorKind::StoreUnavailable, 3),
        (400, ErrorKind::Store, 1),
        (401, ErrorKind::AccessDenied, 1),
        (403, ErrorKind::AccessDenied, 1),
        (404, ErrorKind::NotFound, 1),
        (410, ErrorKind::NotFound, 1),
        (204, ErrorKind::Store, 1),
        (206, ErrorKind::Store, 1),
        (304, ErrorKind::Store, 1),
    ] {
        let path = format!("/{status}");
        server.route(&path, Reply::status(status));
        let url = server.url(&format!("{path}?sig=hunter2"));
        let error = fetch(&stores, &url).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status}: {error}");
        assert_eq!(server.get_count(&path), requests, "{status}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
    // Nobody listens there any more.
    let url = server.url("/a?sig=hunter2");
    drop(server);
    let error = fetch(&stores, &url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_in_time() {
    let (server, stores) = (Server::start(), loopback());
    server.route("/hang", Reply::hang());
    server.route("/stall", Reply::ok(vec![1; 100_000]).stall_after(50_000));
    server.on("PUT", "/hang", Reply::hang());
    for path in ["/hang", "/stall"] {
        let start = Instant::now();
        assert_eq!(
            kind(&stores, &server.url(path)).await,
            ErrorKind::StoreUnavailable,
            "{path}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{path}: {:?}",
            start.elapsed()
        );
    }
    let start = Instant::now();
    let put = stores
        .put(&at(&server.url("/hang")), "x".into(), &jpeg())
        .await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_asked_for_again() {
    let (server, stores) = (Server::start(), loopback());
    let body = Bytes::from(vec![3; 200_000]);
    let whole = Reply::ok(body.clone());
    server.script(
        "/cut",
        [
            whole.clone().cut_after(90_000),
            whole.clone().stall_after(10),
            whole,
        ],
    );
    assert_eq!(fetch(&stores, &server.url("/cut")).await.unwrap(), body);
    assert_eq!(server.get_count("/cut"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_streamed() {
    let (server, stores) = (Server::start(), loopback());
    server.route("/endless", Reply::endless());
    let get = stores
        .get(&at(&server.url("/endless")), None, u64::MAX)
        .await
        .unwrap();
    let Get::Object { size, mut body, .. } = get else {
        panic!("{get:?}");
    };
    assert_eq!(size, None);
    for _ in 0..10 {
        assert!(!body.next().await.unwrap().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_carry_their_headers() {
    let (server, stores) = (Server::start(), loopback());
    server.on("PUT", "/a.jpg", Reply::status(200).header("etag", "\"v1\""));
    server.on("PUT", "/none", Reply::status(201));
    let mut headers = ObjectHeaders::new("image/jpeg").unwrap();
    headers.insert("Cache-Control", "no-store").unwrap();
    headers.insert("x-amz-meta-job-id", "7").unwrap();
    let url = server.url("/a.jpg?X-Amz-Signature=ab%2Fcd");
    let answer = stores
        .put(&at(&url), "pixels".into(), &headers)
        .await
        .unwrap();
    assert_eq!(answer.e_tag.as_deref(), Some("\"v1\""));
    let request = &server.requests_for("PUT", "/a.jpg")[0];
    assert_eq!(request.target, "/a.jpg?X-Amz-Signature=ab%2Fcd");
    assert_eq!(request.body, "pixels");
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("cache-control", "no-store"),
        ("x-amz-meta-job-id", "7"),
        ("content-length", "6"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(put(&stores, &server.url("/none"), "x").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_puts_are_errors() {
    let (server, stores) = (Server::start(), loopback());
    server.on("PUT", "/moved", Reply::redirect(307, "/there"));
    server.on("PUT", "/there", Reply::status(204));
    put(&stores, &server.url("/moved"), "x").await;
    assert_eq!(server.requests_for("PUT", "/there")[0].body, "x");
    for (status, expected, requests) in [
        (301, ErrorKind::Store, 1),
        (303, ErrorKind::Store, 1),
        (403, ErrorKind::AccessDenied, 1),
        (404, ErrorKind::NotFound, 1),
        (405, ErrorKind::Store, 1),
        (412, ErrorKind::Store, 1),
        (503, ErrorKind::StoreUnavailable, 3),
    ] {
        let path = format!("/{status}");
        server.on(
            "PUT",
            &path,
            Reply::status(status).header("location", "/there"),
        );
        let error = stores
            .put(&at(&server.url(&path)), "x".into(), &jpeg())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{status}");
        assert_eq!(
            server.requests_for("PUT", &path).len(),
            requests,
            "{status}"
        );
        assert_eq!(server.get_count(&path), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_serves_sources() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a b.jpg"), vec![5; 2_000_000]).unwrap();
    let (server, stores) = (testkit::nginx::Server::start(folder.path()), loopback());
    let url = server.url("a b.jpg");
    let source = stores.fetch(&at(&url), MAX).await.unwrap();
    assert_eq!(source.bytes.len(), 2_000_000);
    assert!(!is_modified(&stores, &url, &source.e_tag.unwrap()).await);
    assert_eq!(
        kind(&stores, &server.url("none.jpg")).await,
        ErrorKind::NotFound
    );
}
