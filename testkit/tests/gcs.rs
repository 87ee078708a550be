//! The fake of Google Cloud Storage answers as `object_store` expects.

use futures_util::TryStreamExt;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, MultipartUpload, ObjectStore,
    ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use testkit::block_on;
use testkit::gcs::Server;

mod common;

fn path(key: &str) -> Path {
    Path::parse(key).expect("the key is valid")
}

#[test]
fn odd_keys_survive_a_round_trip_both_ways() {
    let server = Server::start();
    let store = server.store(server.bucket());
    for key in common::ODD_KEYS {
        let text = format!("the object {key}");
        block_on(store.put(&path(key), text.clone().into())).unwrap();
        assert_eq!(server.get(key).unwrap().bytes, text, "{key}");

        let key = format!("kit/{key}");
        server.put(&key, text.clone());
        let read = block_on(async { store.get(&path(&key)).await?.bytes().await }).unwrap();
        assert_eq!(read, text, "{key}");
        assert_eq!(server.get_count(&key), 1, "{key}");
    }
    let listed: Vec<_> = block_on(store.list(Some(&path("kit"))).try_collect()).unwrap();
    assert_eq!(listed.len(), common::ODD_KEYS.len());
    for object in listed {
        assert!(server.exists(object.location.as_ref()));
        block_on(store.delete(&object.location)).unwrap();
        assert!(!server.exists(object.location.as_ref()));
    }
}

#[test]
fn attributes_are_kept() {
    let server = Server::start();
    let store = server.store(server.bucket());
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "image/png".into());
    attributes.insert(Attribute::CacheControl, "no-store".into());
    attributes.insert(Attribute::Metadata("imago_op".into()), "flip".into());
    let options = PutOptions {
        attributes: attributes.clone(),
        ..PutOptions::default()
    };
    block_on(store.put_opts(&path("a"), "picture".into(), options)).unwrap();
    let read = block_on(store.get(&path("a"))).unwrap();
    assert_eq!(read.attributes, attributes);
    assert_eq!(server.get("a").unwrap().content_type(), Some("image/png"));
}

#[test]
fn reads_obey_conditions_and_ranges() {
    let server = Server::start();
    let store = server.store(server.bucket());
    server.put("a", "picture");
    let e_tag = block_on(store.head(&path("a"))).unwrap().e_tag.unwrap();
    let get = |options: GetOptions| {
        block_on(async { store.get_opts(&path("a"), options).await?.bytes().await })
    };
    let known = GetOptions::default().with_if_none_match(Some(e_tag.clone()));
    assert!(matches!(get(known), Err(Error::NotModified { .. })));
    let other = GetOptions::default().with_if_none_match(Some("\"other\""));
    assert_eq!(get(other).unwrap(), "picture");
    let matching = GetOptions::default().with_if_match(Some(e_tag));
    assert_eq!(get(matching).unwrap(), "picture");
    let failing = GetOptions::default().with_if_match(Some("\"other\""));
    assert!(matches!(get(failing), Err(Error::Precondition { .. })));
    for (range, part) in [
        (GetRange::Bounded(1..3), "ic"),
        (GetRange::Bounded(5..100), "re"),
        (GetRange::Offset(4), "ure"),
        (GetRange::Suffix(2), "re"),
    ] {
        let options = GetOptions::default().with_range(Some(range));
        assert_eq!(get(options).unwrap(), part);
    }
    assert!(matches!(
        block_on(store.head(&path("b"))),
        Err(Error::NotFound { .. })
    ));
    let elsewhere = server.store("no-such-bucket");
    assert!(matches!(
        block_on(elsewhere.head(&path("a"))),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn writes_obey_conditions() {
    let server = Server::start();
    let store = server.store(server.bucket());
    let put = |mode: PutMode| block_on(store.put_opts(&path("a"), "picture".into(), mode.into()));
    let first: UpdateVersion = put(PutMode::Create).unwrap().into();
    assert!(matches!(
        put(PutMode::Create),
        Err(Error::AlreadyExists { .. })
    ));
    put(PutMode::Update(first.clone())).unwrap();
    assert!(matches!(
        put(PutMode::Update(first)),
        Err(Error::Precondition { .. })
    ));
    block_on(store.copy(&path("a"), &path("b"))).unwrap();
    assert_eq!(server.get("b").unwrap().bytes, "picture");
    let again = block_on(store.copy_if_not_exists(&path("a"), &path("b")));
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    block_on(store.delete(&path("b"))).unwrap();
    assert!(matches!(
        block_on(store.delete(&path("b"))),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn an_upload_in_parts_appears_as_a_whole() {
    let server = Server::start();
    let store = server.store(server.bucket());
    block_on(async {
        let mut upload = store.put_multipart(&path("a")).await.unwrap();
        upload.put_part("pic".into()).await.unwrap();
        upload.put_part("ture".into()).await.unwrap();
        assert!(!server.exists("a"));
        upload.complete().await.unwrap();
    });
    assert_eq!(server.get("a").unwrap().bytes, "picture");
    block_on(async {
        let mut upload = store.put_multipart(&path("b")).await.unwrap();
        upload.put_part("pic".into()).await.unwrap();
        upload.abort().await.unwrap();
        assert!(upload.put_part("ture".into()).await.is_err());
    });
    assert!(!server.exists("b"));
}

#[test]
fn lists_have_pages_and_folders() {
    let server = Server::start();
    let store = server.store(server.bucket());
    for number in 0..2_100 {
        server.put(&format!("many/{number:04}.jpg"), "");
        if number % 2 == 0 {
            server.put(&format!("folders/{number:04}/a.jpg"), "");
            server.put(&format!("folders/{number:04}/b.jpg"), "");
        }
    }
    server.put("folders/z.jpg", "picture");
    let many: Vec<_> = block_on(store.list(Some(&path("many"))).try_collect()).unwrap();
    assert_eq!(many.len(), 2_100);
    let folders = block_on(store.list_with_delimiter(Some(&path("folders")))).unwrap();
    assert_eq!(folders.common_prefixes.len(), 1_050);
    assert_eq!(folders.objects.len(), 1);
    assert_eq!(folders.objects[0].size, 7);
    let after = block_on(
        store
            .list_with_offset(Some(&path("many")), &path("many/2097.jpg"))
            .try_collect::<Vec<_>>(),
    )
    .unwrap();
    assert_eq!(after.len(), 2);
}

#[test]
fn the_environment_leads_to_the_server() {
    let server = Server::start();
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(server.bucket());
    for (name, value) in server.environment() {
        let key: GoogleConfigKey = name.to_lowercase().parse().unwrap();
        builder = builder.with_config(key, value);
    }
    let store = builder.build().unwrap();
    block_on(store.put(&path("a"), "text".into())).unwrap();
    assert!(server.exists("a"));
}
