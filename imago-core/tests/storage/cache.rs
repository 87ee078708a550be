//! The cache, against servers that count what they are asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use imago_core::ErrorKind;
use imago_core::storage::{Cache, CacheStatus, Stores};
use testkit::http::{Reply, Server};

use super::{MAX, at, build, impatient, loopback, put};

async fn open(folder: &tempfile::TempDir) -> Cache {
    Cache::open(folder.path(), MAX).await.unwrap()
}

fn count(statuses: &[CacheStatus], status: CacheStatus) -> usize {
    statuses.iter().filter(|s| **s == status).count()
}

/// As many calls at once as a job has actions on one source.
async fn many(cache: &Cache, stores: &Stores, url: &str, not_before: Instant) -> Vec<CacheStatus> {
    let fetch = |_| {
        let (cache, stores, location) = (cache.clone(), stores.clone(), at(url));
        tokio::spawn(async move { cache.fetch(&stores, &location, not_before, MAX).await })
    };
    let sources = join_all((0..1000).map(fetch)).await;
    let sources = sources.into_iter().map(|source| source.unwrap().unwrap());
    sources.map(|source| source.cache).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_actions_on_one_object_make_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = testkit::s3::server();
    let stores = build(Stores::builder().environment(server.environment()));
    let cache = open(&folder).await;
    let key = "cache/a thousand.jpg";
    let url = format!("s3://{}/{key}", server.bucket());
    put(&stores, &url, vec![9; 100_000]).await;
    let job = Instant::now();
    let statuses = many(&cache, &stores, &url, job).await;
    assert_eq!(server.get_count(key), 1);
    assert_eq!(count(&statuses, CacheStatus::Miss), 1);
    assert_eq!(count(&statuses, CacheStatus::Hit), 999);
    let later = many(&cache, &stores, &url, Instant::now()).await;
    assert_eq!(server.get_count(key), 2);
    assert_eq!(count(&later, CacheStatus::Revalidated), 1);
    assert_eq!(count(&later, CacheStatus::Hit), 999);
    put(&stores, &url, "new").await;
    let source = cache
        .fetch(&stores, &at(&url), Instant::now(), MAX)
        .await
        .unwrap();
    assert_eq!(
        (source.bytes.as_ref(), source.cache),
        (&b"new"[..], CacheStatus::Miss)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_an_e_tag_are_fetched_anew_but_not_one_by_one() {
    let (folder, server, stores) = (tempfile::tempdir().unwrap(), Server::start(), loopback());
    let cache = open(&folder).await;
    server.route("/a", Reply::ok("x").delay(Duration::from_millis(50)));
    let start = Instant::now();
    let statuses = many(&cache, &stores, &server.url("/a"), Instant::now()).await;
    assert_eq!(count(&statuses, CacheStatus::Uncached), 1000);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    let requests = server.get_count("/a");
    cache
        .fetch(&stores, &at(&server.url("/a")), start, MAX)
        .await
        .unwrap();
    assert_eq!(server.get_count("/a"), requests + 1);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "only the lock"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_waited_for_once() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start());
    let stores = build(Stores::builder().http_private(true).retry(impatient()));
    let cache = Arc::new(open(&folder).await);
    server.route("/hang", Reply::hang());
    let (location, start) = (at(&server.url("/hang")), Instant::now());
    let errors = join_all((0..100).map(|_| cache.fetch(&stores, &location, start, MAX))).await;
    for error in errors {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    // Not for ever: who comes later tries again.
    server.route("/hang", Reply::ok("x").e_tag("\"1\""));
    cache.fetch(&stores, &location, start, MAX).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_servers_bytes_are_never_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder).await;
    let (one, two, stores) = (Server::start(), Server::start(), loopback());
    let keys = [("access_key_id", "k"), ("secret_access_key", "s")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let with_endpoint = |server: &Server| {
        let endpoint = ("endpoint".to_owned(), server.url("/"));
        build(Stores::builder().bucket("s3://b", keys.clone().into_iter().chain([endpoint])))
    };
    let (first, second) = (with_endpoint(&one), with_endpoint(&two));
    for (server, body) in [(&one, "one"), (&two, "two")] {
        let reply = Reply::ok(body)
            .e_tag("\"same\"")
            .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
        server.route("/b/k", reply.clone());
        server.route("/k", reply);
    }
    let start = Instant::now();
    let fetch =
        async |stores: &Stores, url: &str| cache.fetch(stores, &at(url), start, MAX).await.unwrap();
    for round in 0..2 {
        assert_eq!(fetch(&first, "s3://b/k").await.bytes, "one", "{round}");
        assert_eq!(fetch(&second, "s3://b/k").await.bytes, "two", "{round}");
        assert_eq!(fetch(&stores, &one.url("/k")).await.bytes, "one", "{round}");
        assert_eq!(fetch(&stores, &two.url("/k")).await.bytes, "two", "{round}");
        assert_eq!(
            fetch(&stores, &one.url("/k?sig=a")).await.bytes,
            "one",
            "{round}"
        );
    }
    assert_eq!(one.get_count("/k"), 2, "another query is another object");
    assert_eq!(one.get_count("/b/k"), 1);
    // The index is on disk, and a signed query does not belong there.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"sig=a"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_what_is_cached() {
    let (folder, server, stores) = (tempfile::tempdir().unwrap(), Server::start(), loopback());
    let cache = open(&folder).await;
    server.route("/a", Reply::ok(vec![1; 1000]).e_tag("\"1\""));
    let (location, start) = (at(&server.url("/a")), Instant::now());
    let fetch = async |max| {
        cache
            .fetch(&stores, &location, start, max)
            .await
            .map(|s| s.bytes)
    };
    assert_eq!(
        fetch(999).await.unwrap_err().kind(),
        ErrorKind::LimitExceeded
    );
    assert_eq!(fetch(1000).await.unwrap(), Bytes::from(vec![1; 1000]));
    assert_eq!(
        fetch(999).await.unwrap_err().kind(),
        ErrorKind::LimitExceeded
    );
    let refused = build(Stores::builder());
    let error = cache
        .fetch(&refused, &location, start, MAX)
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::StoreNotAllowed,
        "the cache is no way around"
    );
}

const KILLED_IN: &str = "IMAGO_TEST_CACHE_TO_BE_KILLED_IN";

/// The process that is killed in the next test; by itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_writing() {
    let Ok(folder) = std::env::var(KILLED_IN) else {
        return;
    };
    let stores = build(Stores::builder().memory(true));
    let cache = Cache::open(folder.as_ref(), 100 << 20).await.unwrap();
    for n in 0_u8.. {
        let writes = (0_u8..8)
            .map(|key| async move { (format!("memory://b/{key}"), vec![key ^ n; 4_000_000]) });
        for (url, body) in join_all(writes).await {
            put(&stores, &url, body).await;
        }
        let locations: Vec<_> = (0..8).map(|key| at(&format!("memory://b/{key}"))).collect();
        let now = Instant::now();
        join_all(
            locations
                .iter()
                .map(|location| cache.fetch(&stores, location, now, MAX)),
        )
        .await;
        if n == u8::MAX {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_write_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::killed_while_writing"])
            .env(KILLED_IN, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(150 + 17 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        let cache = Cache::open(folder.path(), 100 << 20).await.unwrap();
        assert!(
            names().iter().all(|name| !name.contains(".tmp")),
            "{:?}",
            names()
        );
        // Memory's marks count up, so that another process's objects have the marks that ours have; each must be one
        // object's bytes, whole.
        let stores = build(Stores::builder().memory(true));
        for key in 0..8 {
            let url = format!("memory://b/{key}");
            put(&stores, &url, vec![255; 4_000_000]).await;
            let source = cache
                .fetch(&stores, &at(&url), Instant::now(), MAX)
                .await
                .unwrap();
            assert_eq!(source.bytes.len(), 4_000_000, "{url}");
            assert!(
                source.bytes.iter().all(|byte| *byte == source.bytes[0]),
                "{url}"
            );
        }
    }
}
