//! The S3 server does what the other tests rely on.

use std::time::Duration;

use http::{Method, Request};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpConnector, ReqwestConnector};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};
use testkit::s3::{self, S3};

mod common;

#[test]
fn odd_keys_survive_a_round_trip_both_ways() {
    let server = s3::server();
    let bucket = server.unique_bucket();
    let objects = server.in_bucket(&bucket);
    let store = server.store(&bucket);
    for key in common::ODD_KEYS {
        let path = Path::parse(key).unwrap();
        let text = format!("the object {key}");
        testkit::block_on(store.put(&path, text.clone().into())).unwrap();
        assert_eq!(objects.get(key).unwrap().bytes, text, "{key}");

        let key = format!("kit/{key}");
        let path = Path::parse(&key).unwrap();
        objects.put(&key, text.clone());
        let read = testkit::block_on(async { store.get(&path).await?.bytes().await }).unwrap();
        assert_eq!(read, text, "{key}");
        assert!(objects.exists(&key));
        assert_eq!(objects.get_count(&key), 1, "{key}");
    }
    let mut expected = common::ODD_KEYS.map(|key| format!("kit/{key}"));
    expected.sort();
    assert_eq!(objects.list("kit"), expected);
    for key in expected {
        objects.delete(&key);
        assert!(!objects.exists(&key), "{key}");
        assert!(objects.get(&key).is_none(), "{key}");
    }
}

#[test]
fn headers_are_kept() {
    let server = s3::server();
    let headers = [
        ("content-type", "image/png"),
        ("x-amz-meta-imago_op", "flip"),
    ];
    server
        .in_bucket(server.bucket())
        .put_with("headers/a.png", "not a picture", &headers);
    let object = server.get("headers/a.png").unwrap();
    assert_eq!(object.content_type(), Some("image/png"));
    assert_eq!(object.header("x-amz-meta-imago_op"), Some("flip"));
    assert!(object.e_tag().is_some_and(|e_tag| e_tag.starts_with('"')));
    // The kit's own requests are not recorded.
    assert_eq!(server.get_count("headers/a.png"), 0);
}

#[test]
fn the_environment_leads_to_the_server() {
    let server = s3::server();
    let mut builder = AmazonS3Builder::new().with_bucket_name(server.bucket());
    for (name, value) in server.environment() {
        let key: AmazonS3ConfigKey = name.to_lowercase().parse().unwrap();
        builder = builder.with_config(key, value);
    }
    let store = builder.build().unwrap();
    testkit::block_on(store.put(&Path::parse("environment").unwrap(), "text".into())).unwrap();
}

#[test]
fn a_presigned_url_works_as_it_is() {
    let server = s3::server();
    server.put("signed/a b.jpg", "picture");
    let valid = Duration::from_secs(60);
    let url = server.presigned(Method::GET, server.bucket(), "signed/a b.jpg", valid);
    assert!(url.contains("X-Amz-Signature="), "{url}");
    assert!(url.starts_with(&server.endpoint()), "{url}");
    let options = ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default().connect(&options).unwrap();
    for (url, status) in [(url.clone(), 200), (url.replace("a%20b", "c"), 403)] {
        let request = Request::get(url).body(Vec::new().into()).unwrap();
        let response = testkit::block_on(client.execute(request)).unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(server.get_count("signed/a b.jpg"), 1);
}

#[test]
fn a_wrong_secret_is_refused() {
    let server = s3::server();
    let store = server
        .builder(server.bucket())
        .with_secret_access_key("wrong")
        .build()
        .unwrap();
    let result = testkit::block_on(store.head(&Path::parse("any").unwrap()));
    assert!(
        matches!(result, Err(object_store::Error::PermissionDenied { .. })),
        "{result:?}"
    );
}

#[test]
fn it_can_be_used_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        s3::server().put("inside/a.jpg", "picture");
        assert!(s3::server().exists("inside/a.jpg"));
    });
}

#[test]
fn a_killed_server_comes_back_with_its_objects() {
    let server = S3::start();
    server.put("a.jpg", "picture");
    let endpoint = server.endpoint();
    server.kill();
    let store = server
        .builder(server.bucket())
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()
        .unwrap();
    let path = Path::parse("a.jpg").unwrap();
    assert!(testkit::block_on(store.head(&path)).is_err());
    server.restart();
    assert_eq!(server.endpoint(), endpoint);
    assert_eq!(server.get("a.jpg").unwrap().bytes, "picture");
    assert!(testkit::block_on(store.head(&path)).is_ok());
}
