//! The examples do what they say.

use std::process::Command;

use testkit::{images, s3};

#[test]
fn thumbnail() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, target) = (folder.path().join("in.jpg"), folder.path().join("out.webp"));
    std::fs::write(&source, images::make("jpeg", 300, 200)).expect("a source");
    let output = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .args([&source, &target])
        .output()
        .expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    let thumbnail = std::fs::read(target).expect("a thumbnail");
    assert_eq!(images::describe(&thumbnail, "%m %w %h"), ["WEBP 200 200"]);
}

#[test]
fn batch() {
    let s3 = s3::server();
    for name in ["1.png", "2.png"] {
        s3.put(&format!("in/{name}"), images::make("png", 500, 250));
    }
    let cache = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_batch"))
        .args(["1.png", "2.png"].map(|name| format!("s3://{}/in/{name}", s3.bucket())))
        .envs(s3.environment())
        .env("TMPDIR", cache.path())
        .output()
        .expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    for name in ["1.png", "2.png"] {
        assert_eq!(s3.get_count(&format!("in/{name}")), 1, "{name}");
        for (width, expected) in [(200, "200 100"), (400, "400 200"), (800, "500 250")] {
            let key = format!("in/{name}-{width}.webp");
            let rendition = s3.get(&key).unwrap_or_else(|| panic!("nothing at {key}"));
            assert_eq!(images::describe(&rendition.bytes, "%w %h"), [expected]);
            assert_eq!(rendition.header("cache-control"), Some("max-age=86400"));
        }
    }
}
