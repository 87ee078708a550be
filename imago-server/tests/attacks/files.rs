//! Ways out of the folders that `file://` may name files in.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::stage::Comes::{Done, Fails, Refused};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn no_way_leads_out_of_the_root() {
    let mut stage = Stage::open(&[]);
    let root = stage.root();
    let secret = root.join("../secret");
    symlink(secret.join("a.png"), root.join("link.png")).unwrap();
    symlink("../secret", root.join("folder")).unwrap();
    symlink("/", root.join("slash")).unwrap();
    symlink("loop.png", root.join("loop.png")).unwrap();
    symlink(secret.join("new.png"), root.join("dangling.png")).unwrap();
    symlink("in.png", root.join("inside.png")).unwrap();
    fs::create_dir(root.join("folder.png")).unwrap();
    // What blocks whoever opens it.
    let pipe = std::process::Command::new("mkfifo")
        .arg(root.join("pipe.png"))
        .status();
    assert!(pipe.unwrap().success());
    symlink("/dev/zero", root.join("zero.png")).unwrap();
    symlink("/proc/self/environ", root.join("environ.png")).unwrap();

    let outside = Refused("does not lie below a folder");
    let leads_outside = Fails("does not lie below a folder");
    let table = [
        ("file://{root}/in.png", Done),
        ("file://{root}/inside.png", Done),
        ("file:///etc/passwd", outside),
        ("file:///proc/self/environ", outside),
        ("file://{secret}/a.png", outside),
        ("file://{root}/../secret/a.png", outside),
        ("file://{root}/out/../../secret/a.png", outside),
        ("file://{root}/%2e%2e/secret/a.png", outside),
        ("file://{root}/..%2fsecret%2fa.png", Refused("`%2F`")),
        (
            "file://{root}/..\\secret\\a.png",
            Fails("there is no object"),
        ),
        (
            "file://{root}/....//secret/a.png",
            Fails("there is no object"),
        ),
        (
            "file://{root}%00/../secret/a.png",
            Refused("control character"),
        ),
        ("file://{root}2/a.png", outside),
        ("file://{root}", leads_outside),
        ("file://{root}/", Refused("names a folder")),
        ("file:////{root}/in.png", Done),
        ("file://localhost{secret}/a.png", outside),
        (
            "file://127.0.0.1{root}/in.png",
            Refused("its host is not this machine"),
        ),
        ("file://.{secret}/a.png", Refused("not absolute")),
        ("file:{secret}/a.png", Refused("expected a URL")),
        (
            "file:/{secret}/a.png",
            Refused("its host is not this machine"),
        ),
        ("FILE://{secret}/a.png", outside),
        ("file://{root}/link.png", leads_outside),
        ("file://{root}/folder/a.png", leads_outside),
        ("file://{root}/slash/etc/passwd", leads_outside),
        ("file://{root}/loop.png", Fails("")),
        ("file://{root}/dangling.png", Fails("there is no file")),
        ("file://{root}/folder.png", Fails("no regular file")),
        ("file://{root}/pipe.png", Fails("no regular file")),
        ("file://{root}/zero.png", leads_outside),
        ("file://{root}/environ.png", leads_outside),
        ("file://{root}/in.png/../../secret/a.png", outside),
        ("file://{root}/in.png#1", Refused("%23")),
        ("file://{root}/in.png?x", Refused("%3F")),
    ];
    for (url, comes) in table {
        let infile = json!({"infile": url, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, comes).await;
    }
    let table = [
        ("file://{secret}/new.png", outside),
        ("file://{root}/../secret/new.png", outside),
        ("file://{root}/%2e%2e/secret/new.png", outside),
        ("file://{root}/folder/new.png", leads_outside),
        ("file://{root}/link.png", leads_outside),
        ("file://{root}/dangling.png", Fails("there is no file")),
        ("file://{root}/dangling.png/new.png", Fails("")),
        ("file://{root}/slash/{secret}/new.png", leads_outside),
        ("file://{root}/folder%d/../../secret/new.png", outside),
        ("file://{root}/pipe.png", Fails("no regular file")),
        ("file://{root}/zero.png", leads_outside),
        ("file:///dev/shm/new.png", outside),
        ("file:///proc/self/mem.png", outside),
        (
            "file://{root}/out/a.png%00.jpg",
            Refused("control character"),
        ),
    ];
    for (url, comes) in table {
        let outfile = json!({"infile": "file://{root}/in.png", "outfile": url});
        stage.action(&outfile, comes).await;
    }
    assert!(root.join("link.png").is_symlink() && root.join("dangling.png").is_symlink());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_root_no_file_is_named() {
    let service = crate::service::Service::start(&[], &[]);
    for url in [
        "file:///etc/passwd",
        "file:///tmp/a.png",
        "file://localhost/a.png",
    ] {
        let action = json!({"infile": url, "outfile": url});
        let errors = service.refused(&[action]).await;
        assert!(
            errors[0].1.contains("no folder is configured"),
            "{url}: {errors:?}"
        );
    }
}
