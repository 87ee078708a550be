//! The Azure emulator does what the other tests rely on.

use object_store::ObjectStoreExt;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::path::Path;
use testkit::azure;

mod common;

#[test]
fn odd_names_survive_a_round_trip_both_ways() {
    let server = azure::server();
    let store = server.store(server.container());
    for key in common::ODD_KEYS {
        let path = Path::parse(key).unwrap();
        let text = format!("the blob {key}");
        testkit::block_on(store.put(&path, text.clone().into())).unwrap();
        assert_eq!(server.get(key).unwrap().bytes, text, "{key}");

        let key = format!("kit/{key}");
        let path = Path::parse(&key).unwrap();
        server.put(&key, text.clone());
        let read = testkit::block_on(async { store.get(&path).await?.bytes().await }).unwrap();
        assert_eq!(read, text, "{key}");
        assert_eq!(server.get_count(&key), 1, "{key}");
        server.delete(&key);
        assert!(!server.exists(&key), "{key}");
        assert!(server.get(&key).is_none(), "{key}");
    }
}

#[test]
fn headers_are_kept() {
    let server = azure::server();
    let headers = [
        ("content-type", "image/png"),
        ("x-ms-meta-imago_op", "flip"),
    ];
    server.put_with("headers/a.png", "not a picture", &headers);
    let object = server.get("headers/a.png").unwrap();
    assert_eq!(object.content_type(), Some("image/png"));
    assert_eq!(object.header("x-ms-meta-imago_op"), Some("flip"));
    assert!(object.e_tag().is_some());
}

#[test]
fn the_environment_leads_to_the_emulator() {
    let server = azure::server();
    let container = server.unique_container();
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(container);
    for (name, value) in server.environment() {
        let key: AzureConfigKey = name.to_lowercase().parse().unwrap();
        builder = builder.with_config(key, value);
    }
    let store = builder.build().unwrap();
    testkit::block_on(store.put(&Path::parse("a").unwrap(), "text".into())).unwrap();
}

#[test]
fn a_wrong_key_is_refused() {
    let server = azure::server();
    let store = server
        .builder(server.container())
        .with_access_key("d3Jvbmc=")
        .build()
        .unwrap();
    let result = testkit::block_on(store.head(&Path::parse("any").unwrap()));
    assert!(
        matches!(result, Err(object_store::Error::PermissionDenied { .. })),
        "{result:?}"
    );
}
