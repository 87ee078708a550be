//! What the clouds' stores say when something is wrong, and what reaches them.

use std::time::{Duration, Instant};

use http::Method;
use imago_core::storage::{ObjectHeaders, Stores};
use imago_core::{Error, ErrorKind};
use testkit::http::{Reply, Server};

use super::conformance::ODD_KEYS;
use super::{MAX, at, build, fetch, impatient, jpeg, kind, put};

fn options(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

async fn error_of(stores: &Stores, url: &str) -> Error {
    fetch(stores, url).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_stored_under_its_own_name() {
    let (s3, azure) = (testkit::s3::server(), testkit::azure::server());
    let gcs = testkit::gcs::Server::start();
    let stores = build(
        Stores::builder()
            .environment(s3.environment())
            .environment(azure.environment())
            .environment(gcs.environment()),
    );
    for key in ODD_KEYS {
        for (store, bucket) in [
            ("s3", s3.bucket()),
            ("az", azure.container()),
            ("gs", gcs.bucket()),
        ] {
            put(&stores, &format!("{store}://{bucket}/own/{key}"), key).await;
        }
    }
    // Asked by clients that know nothing of ours.
    for key in ODD_KEYS {
        let name = format!("own/{key}");
        for (store, object) in [
            ("s3", s3.get(&name)),
            ("az", azure.get(&name)),
            ("gs", gcs.get(&name)),
        ] {
            let bytes = object.map(|object| object.bytes);
            assert_eq!(bytes.as_deref(), Some(key.as_bytes()), "{store}: {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_arrive_on_every_store() {
    let mut headers = ObjectHeaders::new("image/webp").unwrap();
    headers
        .insert("Cache-Control", "public, max-age=60")
        .unwrap();
    headers
        .insert("Content-Disposition", "attachment; filename=\"a.webp\"")
        .unwrap();
    headers.insert("x-amz-meta-job-id", "7 of 9").unwrap();
    let s3 = testkit::s3::server();
    let azure = testkit::azure::server();
    let gcs = testkit::gcs::Server::start();
    let stores = build(
        Stores::builder()
            .environment(s3.environment())
            .environment(azure.environment())
            .environment(gcs.environment())
            .multipart_above(10 << 20),
    );
    // In one piece and in parts.
    for (name, size) in [
        ("headers/small.webp", 1),
        ("headers/large.webp", (10 << 20) + 1),
    ] {
        for (store, bucket) in [
            ("s3", s3.bucket()),
            ("az", azure.container()),
            ("gs", gcs.bucket()),
        ] {
            let location = at(&format!("{store}://{bucket}/{name}"));
            stores
                .put(&location, vec![1; size].into(), &headers)
                .await
                .unwrap();
        }
        for (object, metadata) in [
            (s3.get(name), "x-amz-meta-job-id"),
            (azure.get(name), "x-ms-meta-job_id"),
            (gcs.get(name), "x-goog-meta-job-id"),
        ] {
            let object = object.unwrap();
            assert_eq!(object.bytes.len(), size);
            for (header, value) in [
                ("content-type", "image/webp"),
                ("cache-control", "public, max-age=60"),
                ("content-disposition", "attachment; filename=\"a.webp\""),
                (metadata, "7 of 9"),
            ] {
                assert_eq!(
                    object.header(header),
                    Some(value),
                    "{name} {metadata}: {header}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_faults_are_told_apart() {
    let server = testkit::s3::server();
    let stores = build(
        Stores::builder()
            .environment(server.environment())
            .bucket(
                "s3://wrong-key",
                options(&[
                    ("access_key_id", "nobody"),
                    ("secret_access_key", "hunter2"),
                ]),
            )
            .bucket(
                "s3://wrong-secret",
                options(&[
                    ("access_key_id", server.access_key()),
                    ("secret_access_key", "hunter2"),
                ]),
            ),
    );
    server.make_bucket("wrong-key");
    server.make_bucket("wrong-secret");
    for (url, expected, message) in [
        (
            format!("s3://{}/none.jpg", server.bucket()),
            ErrorKind::NotFound,
            "there is no object `s3://mybucket/none.jpg`",
        ),
        (
            "s3://no-such-bucket/a.jpg".into(),
            ErrorKind::BucketNotFound,
            "there is no bucket `no-such-bucket`",
        ),
        (
            "s3://wrong-key/a.jpg".into(),
            ErrorKind::AccessDenied,
            "the store refuses access to `s3://wrong-key/a.jpg`: it does not know the access key",
        ),
        (
            "s3://wrong-secret/a.jpg".into(),
            ErrorKind::AccessDenied,
            "the store refuses access to `s3://wrong-secret/a.jpg`: the secret key is not the right one",
        ),
    ] {
        for error in [
            error_of(&stores, &url).await,
            stores
                .put(&at(&url), "x".into(), &jpeg())
                .await
                .err()
                .unwrap_or_else(|| {
                    // Writing what is not there is no fault.
                    Error::new(expected, message)
                }),
        ] {
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (expected, message),
                "{url}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        server.delete("none.jpg");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_faults_are_told_apart() {
    let server = testkit::azure::server();
    let stores = build(Stores::builder().environment(server.environment()).bucket(
        "az://wrong-key",
        options(&[("account_key", "aHVudGVyMg==")]),
    ));
    server.make_container("wrong-key");
    for (url, expected) in [
        (
            format!("az://{}/none.jpg", server.container()),
            ErrorKind::NotFound,
        ),
        (
            "az://no-such-container/a.jpg".into(),
            ErrorKind::BucketNotFound,
        ),
        ("az://wrong-key/a.jpg".into(), ErrorKind::AccessDenied),
    ] {
        let error = error_of(&stores, &url).await;
        assert_eq!(error.kind(), expected, "{url}: {error:?}");
    }
    let connection_string = format!(
        "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};",
        server.account(),
        server.access_key(),
        server.endpoint()
    );
    let stores = build(
        Stores::builder()
            .environment([("AZURE_STORAGE_CONNECTION_STRING".into(), connection_string)]),
    );
    let url = format!("az://{}/by/connection.string", server.container());
    put(&stores, &url, "x").await;
    assert_eq!(fetch(&stores, &url).await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_faults_are_told_apart() {
    let server = testkit::gcs::Server::start();
    let stores = build(Stores::builder().environment(server.environment()));
    for (url, expected) in [
        (
            format!("gs://{}/none.jpg", server.bucket()),
            ErrorKind::NotFound,
        ),
        (
            "gs://no-such-bucket/a.jpg".into(),
            ErrorKind::BucketNotFound,
        ),
    ] {
        let error = error_of(&stores, &url).await;
        assert_eq!(error.kind(), expected, "{url}: {error:?}");
    }
}

/// Answers that the real servers here do not give.
#[tokio::test(flavor = "multi_thread")]
async fn scripted_faults_are_told_apart() {
    let server = Server::start();
    let error = |status: u16, code: &str| {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>"
        );
        Reply::status(status).body(body)
    };
    let keys = [("access_key_id", "k"), ("secret_access_key", "s")];
    let own = |endpoint: &str| [options(&keys), options(&[("endpoint", endpoint)])].concat();
    let stores = build(
        Stores::builder()
            .bucket("s3://b", own(server.url("/").as_str()))
            .retry(impatient()),
    );
    for (status, code, expected, says, requests) in [
        (
            301,
            "PermanentRedirect",
            ErrorKind::WrongRegion,
            "in the region `eu-west-7`",
            1,
        ),
        (
            400,
            "AuthorizationHeaderMalformed",
            ErrorKind::WrongRegion,
            "in the region `eu-west-7`",
            1,
        ),
        (
            400,
            "ExpiredToken",
            ErrorKind::AccessDenied,
            "have expired",
            1,
        ),
        (
            403,
            "AccessDenied",
            ErrorKind::AccessDenied,
            "may not do this",
            1,
        ),
        (
            403,
            "RequestTimeTooSkewed",
            ErrorKind::AccessDenied,
            "clock",
            1,
        ),
        (404, "", ErrorKind::NotFound, "no object", 1),
        (
            400,
            "InvalidRequest",
            ErrorKind::Store,
            "400 `InvalidRequest`",
            1,
        ),
        (503, "SlowDown", ErrorKind::StoreUnavailable, "503", 3),
        (500, "InternalError", ErrorKind::StoreUnavailable, "500", 3),
        (429, "", ErrorKind::StoreUnavailable, "429", 3),
    ] {
        let name = format!("{status}-{code}");
        let path = format!("/b/{name}");
        server.route(
            &path,
            error(status, code).header("x-amz-bucket-region", "eu-west-7"),
        );
        let error = error_of(&stores, &format!("s3://b/{name}")).await;
        assert_eq!(error.kind(), expected, "{name}: {error:?}");
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert_eq!(server.get_count(&path), requests, "{name}");
    }
    server.script(
        "/b/later",
        [
            error(503, "SlowDown"),
            Reply::ok("x")
                .e_tag("\"1\"")
                .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ],
    );
    assert_eq!(fetch(&stores, "s3://b/later").await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_dead_stores_are_given_up_in_time() {
    let server = Server::start();
    let open = |endpoint: &str| {
        let own = [
            ("endpoint", endpoint),
            ("access_key_id", "k"),
            ("secret_access_key", "s"),
        ];
        build(
            Stores::builder()
                .bucket("s3://b", options(&own))
                .retry(impatient()),
        )
    };
    let stores = open(&server.url("/"));
    for name in ["hang", "stall"] {
        let reply = match name {
            "hang" => Reply::hang(),
            _ => Reply::ok(vec![0; 100_000])
                .e_tag("\"1\"")
                .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
                .stall_after(5_000),
        };
        server.route(&format!("/b/{name}"), reply);
        let start = Instant::now();
        let error = error_of(&stores, &format!("s3://b/{name}")).await;
        assert_eq!(
            error.kind(),
            ErrorKind::StoreUnavailable,
            "{name}: {error:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{name}: {:?}",
            start.elapsed()
        );
    }
    let endpoint = server.url("/");
    drop(server);
    let stores = open(&endpoint);
    let error = error_of(&stores, "s3://b/k").await;
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    assert_eq!(
        error.to_string(),
        "the store of `s3://b/k` could not be reached"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upload_in_parts_is_aborted() {
    let server = Server::start();
    let started =
        "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
    server.on("POST", "/b/k", Reply::ok(started));
    server.on("PUT", "/b/k", Reply::status(403));
    server.on("DELETE", "/b/k", Reply::status(204));
    let stores = build(
        Stores::builder()
            .bucket(
                "s3://b",
                options(&[
                    ("endpoint", &server.url("/")),
                    ("access_key_id", "k"),
                    ("secret_access_key", "s"),
                ]),
            )
            .multipart_above(1 << 20)
            .retry(impatient()),
    );
    let body = bytes::Bytes::from(vec![0; 20 << 20]);
    let error = stores
        .put(&at("s3://b/k"), body.clone(), &jpeg())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error:?}");
    let aborted = || server.requests_for("DELETE", "/b/k").len();
    assert_eq!(aborted(), 1);
    assert!(
        server.requests_for("DELETE", "/b/k")[0]
            .target
            .contains("uploadId=u1")
    );
    // A caller that loses interest.
    server.on("PUT", "/b/k", Reply::hang());
    let (location, headers) = (at("s3://b/k"), jpeg());
    let put = stores.put(&location, body, &headers);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), put)
            .await
            .is_err()
    );
    for _ in 0..100 {
        if aborted() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} uploads were aborted", aborted());
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_urls_work_both_ways_without_our_credentials() {
    let server = testkit::s3::server();
    let stores = build(Stores::builder().http_private(true));
    let bucket = server.unique_bucket();
    let key = "a b+c/ü.jpg";
    let minute = Duration::from_secs(60);
    let url = |method| server.presigned(method, &bucket, key, minute);
    put(&stores, &url(Method::PUT), "pixels").await;
    assert_eq!(fetch(&stores, &url(Method::GET)).await.unwrap(), "pixels");
    assert_eq!(
        server.in_bucket(&bucket).get(key).unwrap().content_type(),
        Some("image/jpeg")
    );
    let mut tampered = url(Method::GET);
    tampered.truncate(tampered.len() - 4);
    let error = error_of(&stores, &tampered).await;
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(
        !format!("{error:?}").contains("X-Amz-Signature"),
        "{error:?}"
    );
}

#[test]
fn mistakes_in_a_buckets_options_show_at_once() {
    for (bucket, pair, says) in [
        ("s3://b", ("acces_key", "hunter2"), "`access_key_id`"),
        ("s3://b", ("regoin", "x"), "`region`"),
        ("s3://b", ("aws_endpont", "x"), "`endpoint`"),
        ("s3://b", ("allow_htttp", "true"), "`allow_http`"),
        ("s3://b", ("zzz", "x"), "there are access_key_id"),
        ("s3://b", ("bucket", "other"), "would name another bucket"),
        ("s3://b", ("allow_http", "maybe"), "`allow_http`"),
        ("s3://b", ("timeout", "soon"), "`timeout`"),
        (
            "s3://b",
            ("virtual_hosted_style_request", "maybe"),
            "`aws_virtual_hosted_style_request`",
        ),
        (
            "s3://b",
            ("access_key_id", "hunter2"),
            "`aws_access_key_id`",
        ),
        (
            "gs://b",
            ("service_account_key", "hunter2"),
            "`google_service_account_key`",
        ),
        ("az://b", ("account_name", "a b"), "az://b"),
        ("s3://b/k", ("region", "x"), "is written"),
        ("b", ("region", "x"), "is written"),
        ("memory://b", ("region", "x"), "is written"),
        ("https://b", ("region", "x"), "is written"),
    ] {
        let built = Stores::builder()
            .environment([("AZURE_STORAGE_KEY".to_owned(), "a2V5".to_owned())])
            .bucket(bucket, options(&[pair]))
            .build();
        let error = built.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::StoreNotAllowed,
            "{bucket} {pair:?}"
        );
        assert!(
            error.to_string().contains(says),
            "{bucket} {pair:?}: {error}"
        );
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_not_configured_is_not_allowed() {
    let stores = build(Stores::builder().environment([
        ("AZURE_STORAGE_ACCOUNT".to_owned(), "mine".to_owned()),
        ("AZURE_STORAGE_KEY".to_owned(), "a2V5".to_owned()),
        ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
    ]));
    for url in [
        "file:///etc/passwd",
        "memory://b/k",
        "s3://b/k",
        "abfss://c@theirs.dfs.core.windows.net/k",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
    ] {
        let error = stores.check(&at(url)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreNotAllowed, "{url}");
        assert_eq!(
            kind(&stores, url).await,
            ErrorKind::StoreNotAllowed,
            "{url}"
        );
    }
    for url in [
        "abfss://c@mine.dfs.core.windows.net/k",
        "az://c/k",
        "gs://b/k",
        "https://h.example/k",
    ] {
        stores.check(&at(url)).unwrap();
    }
    // No keys, and no service on this machine that issues some.
    let start = Instant::now();
    let keyless = build(Stores::builder().retry(impatient()).environment([(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(),
        "http://169.254.169.254".to_owned(),
    )]));
    let error = error_of(&keyless, "s3://b/k").await;
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error:?}");
    assert!(error.to_string().contains("no credentials"), "{error}");
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    let none = build(Stores::builder());
    assert!(none.check(&at("az://c/k")).is_err());
    assert!(none.fetch(&at("az://c/k"), MAX).await.is_err());
}
