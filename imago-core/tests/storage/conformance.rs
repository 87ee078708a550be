//! What every store must do, whatever it is; the same functions for all.

use bytes::Bytes;
use futures_util::TryStreamExt;
use imago_core::ErrorKind;
use imago_core::storage::{Get, Scheme, Stores};

use super::{MAX, at, build, fetch, impatient, is_modified, jpeg, kind, put};

/// A prefix ends with a slash. Its bucket must be there, and nothing below it.
pub(crate) async fn conforms(stores: &Stores, prefix: &str) {
    objects_are_read_as_they_were_written(stores, prefix).await;
    odd_keys_are_told_apart(stores, prefix).await;
    what_is_not_there_is_not_found(stores, prefix).await;
    versions_are_told_apart_by_their_e_tags(stores, prefix).await;
    large_objects_are_limited(stores, prefix).await;
    large_objects_are_written_in_parts(stores, prefix).await;
}

/// As a URL's standard has it: file URLs are encoded, others are not.
fn url(prefix: &str, name: &str) -> String {
    if prefix.starts_with("file:") {
        let name = name
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('#', "%23");
        format!("{prefix}{name}")
    } else {
        format!("{prefix}{name}")
    }
}

async fn objects_are_read_as_they_were_written(stores: &Stores, prefix: &str) {
    let object = url(prefix, "written/deep/down/a.jpg");
    put(stores, &object, "one").await;
    assert_eq!(fetch(stores, &object).await.unwrap(), "one");
    put(stores, &object, "another").await;
    assert_eq!(fetch(stores, &object).await.unwrap(), "another");
    put(stores, &object, "").await;
    assert_eq!(fetch(stores, &object).await.unwrap(), "");
    let Get::Object { size, body, .. } = stores.get(&at(&object), None, MAX).await.unwrap() else {
        panic!("{object}");
    };
    assert_eq!(size, Some(0));
    assert_eq!(body.try_collect::<Vec<_>>().await.unwrap().concat(), b"");
    let mut headers = jpeg();
    for (name, value) in [
        ("Cache-Control", "public, max-age=60"),
        ("Content-Disposition", "attachment; filename=\"a b.jpg\""),
        ("Content-Language", "en, fr"),
        ("x-amz-meta-job-id", "7"),
        ("x-amz-meta-note", "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}"),
    ] {
        headers.insert(name, value).unwrap();
    }
    stores
        .put(&at(&object), "with headers".into(), &headers)
        .await
        .unwrap();
    assert_eq!(fetch(stores, &object).await.unwrap(), "with headers");
}

/// Keys that some layer might decode, encode, cut or fold: each must remain an object of its own.
pub(crate) const ODD_KEYS: [&str; 28] = [
    "foo 200x200.jpg",
    "foo%20200x200.jpg",
    "foo%2520200x200.jpg",
    "foo+200x200.jpg",
    "a?b.jpg",
    "a#b.jpg",
    "a",
    "a+b&c=d?e#f.jpg",
    "100%.jpg",
    "%ff.jpg",
    "ünï/日本 語😀.png",
    "e\u{301}.png",
    "\u{e9}.png",
    "%C3%A9.png",
    " leading.jpg",
    "trailing.jpg ",
    "\"quotes' and `ticks`.jpg",
    "[brackets]{braces}(parens)<angles>|^~.jpg",
    "foo+bar@baz:1,2;3!$*.jpg",
    "a%2Fb.jpg",
    "a%2E%2E.jpg",
    "...jpg",
    "%2E%2E/a.jpg",
    ".%2e/a.jpg",
    "back\\slash.jpg",
    "tilde~/~a.jpg",
    "UPPER.JPG",
    "upper.jpg",
];

async fn odd_keys_are_told_apart(stores: &Stores, prefix: &str) {
    for key in ODD_KEYS {
        put(stores, &url(prefix, &format!("odd/{key}")), key).await;
    }
    for key in ODD_KEYS {
        let object = url(prefix, &format!("odd/{key}"));
        // A slash that a file URL encodes is refused, so this one becomes another name there.
        let bytes = fetch(stores, &object).await;
        assert_eq!(
            bytes.unwrap_or_else(|e| panic!("{object}: {e:?}")),
            key,
            "{object}"
        );
    }
}

async fn what_is_not_there_is_not_found(stores: &Stores, prefix: &str) {
    for name in [
        "nothing.jpg",
        "nothing/at/all.jpg",
        "written",
        "written/deep/down/a.jpg/b",
    ] {
        assert_eq!(
            kind(stores, &url(prefix, name)).await,
            ErrorKind::NotFound,
            "{prefix}{name}"
        );
    }
}

async fn versions_are_told_apart_by_their_e_tags(stores: &Stores, prefix: &str) {
    let object = url(prefix, "versions/a.jpg");
    let written = put(stores, &object, "one").await;
    let e_tag = stores
        .fetch(&at(&object), MAX)
        .await
        .unwrap()
        .e_tag
        .unwrap();
    if let Some(written) = written {
        assert_eq!(written, e_tag, "{object}: the same in both answers");
    }
    assert!(!is_modified(stores, &object, &e_tag).await, "{object}");
    put(stores, &object, "three").await;
    assert!(is_modified(stores, &object, &e_tag).await, "{object}");
}

async fn large_objects_are_limited(stores: &Stores, prefix: &str) {
    let object = url(prefix, "limited/a.jpg");
    put(stores, &object, vec![1; 100_000]).await;
    assert_eq!(
        stores
            .fetch(&at(&object), 100_000)
            .await
            .unwrap()
            .bytes
            .len(),
        100_000
    );
    let error = stores.fetch(&at(&object), 99_999).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{object}");
    assert!(error.to_string().contains("99999 bytes"), "{error}");
}

async fn large_objects_are_written_in_parts(stores: &Stores, prefix: &str) {
    let object = url(prefix, "large/a b.jpg");
    // Two whole parts and one byte, that differ wherever they could be mixed up.
    let length: u32 = (16 << 20) + 1;
    let body: Bytes = (0..=length / 4)
        .flat_map(u32::to_le_bytes)
        .take(length as usize)
        .collect();
    put(stores, &object, body.clone()).await;
    assert!(fetch(stores, &object).await.unwrap() == body, "{object}");
}

#[tokio::test]
async fn memory_conforms() {
    conforms(
        &build(Stores::builder().memory(true)),
        "memory://bucket/below/",
    )
    .await;
}

#[tokio::test]
async fn files_conform() {
    let folder = tempfile::tempdir().unwrap();
    let stores = build(Stores::builder().file_root(folder.path()));
    let prefix = format!("file://{}/", folder.path().to_str().unwrap());
    conforms(&stores, &prefix).await;
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

/// Names of unfinished uploads.
fn leftovers(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if name
            .rsplit_once('#')
            .is_some_and(|(_, n)| n.parse::<u32>().is_ok())
        {
            found.push(name);
        }
    }
    found
}

#[tokio::test]
async fn a_failed_write_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let stores = build(Stores::builder().file_root(folder.path()));
    std::fs::write(folder.path().join("file"), "").unwrap();
    let target = at(&format!("file://{}/file/below", folder.path().display()));
    let error = stores.put(&target, "x".into(), &jpeg()).await.unwrap_err();
    assert_eq!(target.scheme(), Scheme::File);
    assert!(!error.kind().is_transient(), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_conforms() {
    let server = testkit::s3::server();
    let stores = build(
        Stores::builder()
            .environment(server.environment())
            .retry(impatient_but_loaded()),
    );
    let bucket = server.unique_bucket();
    conforms(&stores, &format!("s3://{bucket}/below/")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_conforms() {
    let server = testkit::azure::server();
    let stores = build(
        Stores::builder()
            .environment(server.environment())
            .retry(impatient_but_loaded()),
    );
    let container = server.unique_container();
    conforms(&stores, &format!("az://{container}/below/")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_conforms() {
    let server = testkit::gcs::Server::start();
    let stores = build(Stores::builder().environment(server.environment()));
    conforms(&stores, &format!("gs://{}/below/", server.bucket())).await;
}

/// Real servers on a loaded machine take their time.
fn impatient_but_loaded() -> imago_core::storage::Retry {
    let mut retry = impatient();
    retry.read_timeout = std::time::Duration::from_secs(20);
    retry.limit = std::time::Duration::from_secs(60);
    retry
}
