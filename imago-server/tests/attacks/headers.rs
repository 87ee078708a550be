//! Words of a job that end up in requests to stores and in answers: they must stay words.

use serde_json::{Value, json};
use testkit::http::{Reply, Server};
use testkit::{images, s3};

use crate::stage::Comes::{self, Done, Fails, Refused};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn no_word_becomes_a_header() {
    let server = Server::start();
    let origin = server.url("/");
    let mut stage = Stage::open(&["--http-private", "--allow", &origin, "--allow", "file:///"]);
    server.on("PUT", "/a.png", Reply::status(201));
    let with = |member: &str, value: Value| {
        let mut action = json!({"infile": "file://{root}/in.png", "outfile": server.url("/a.png")});
        action[member] = value;
        action
    };
    let header = |name: &str, value: &str| with("headers", json!({ name: value }));
    let table = [
        (
            with("mimetype", json!("image/png\r\nX-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/png\nX-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/png\rX-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/png\0")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/png\u{85}X-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/png\u{2028}X-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (
            with("mimetype", json!("image/pngčX-Evil: 1")),
            Refused("only printable ASCII"),
        ),
        (with("mimetype", json!("image/png\t")), Refused("")),
        (with("mimetype", json!("x".repeat(5000))), Refused("")),
        (
            header("Cache-Control", "no-store\r\nX-Evil: 1"),
            Refused("only printable ASCII"),
        ),
        (
            header("Cache-Control", "no-store\r\n\r\nPUT /evil HTTP/1.1"),
            Refused("only printable ASCII"),
        ),
        (
            header("Content-Disposition", "attachment; filename=\"a\nb\""),
            Refused("only printable ASCII"),
        ),
        (
            header("Cache-Control\r\nX-Evil", "1"),
            Refused("is not stored"),
        ),
        (
            header("X-Evil: 1\r\nCache-Control", "1"),
            Refused("is not stored"),
        ),
        (header("Host", "evil.example"), Refused("is not stored")),
        (header("Content-Length", "0"), Refused("is not stored")),
        (
            header("Transfer-Encoding", "chunked"),
            Refused("is not stored"),
        ),
        (
            header("Connection", "close, Authorization"),
            Refused("is not stored"),
        ),
        (
            header("Authorization", "Bearer x"),
            Refused("is not stored"),
        ),
        (header("x-amz-acl", "public-read"), Refused("is not stored")),
        (
            header("x-amz-copy-source", "/mybucket/closed/a.png"),
            Refused("is not stored"),
        ),
        (
            header("x-amz-website-redirect-location", "http://evil.example/"),
            Refused("is not stored"),
        ),
        (
            header("x-amz-security-token", "x"),
            Refused("is not stored"),
        ),
        (
            header("x-goog-acl", "public-read"),
            Refused("is not stored"),
        ),
        (
            header("x-ms-blob-type", "PageBlob"),
            Refused("is not stored"),
        ),
        (header("x-amz-meta-", "x"), Refused("metadata name")),
        (header("x-amz-meta-a b", "x"), Refused("metadata name")),
        (header("x-amz-meta-a:b", "x"), Refused("metadata name")),
        (
            header("x-amz-meta-a\r\nX-Evil", "x"),
            Refused("metadata name"),
        ),
        (header("x-amz-meta-ä", "x"), Refused("metadata name")),
        (
            header("x-amz-meta-a", "x\r\nX-Evil: 1"),
            Refused("only printable ASCII"),
        ),
        (
            header("x-amz-meta-a", &"x".repeat(1025)),
            Refused("over 1024"),
        ),
        (header("Cache-Control", "X-Evil: 1"), Done),
        (
            with("outfile", json!(format!("{origin}a.png\r\nX-Evil: 1"))),
            Refused("control character"),
        ),
        (
            with(
                "outfile",
                json!(format!("{origin}a.png HTTP/1.1\r\nX-Evil: 1\r\n\r\n")),
            ),
            Refused("control character"),
        ),
        (
            with("outfile", json!(format!("{origin}a.png HTTP/1.1"))),
            Comes::Whatever,
        ),
        (
            with("outfile", json!(format!("{origin}a%0d%0aX-Evil:%201.png"))),
            Fails("there is no object"),
        ),
        (
            with(
                "outfile",
                json!(format!("{origin}a.png?x=%0d%0aX-Evil:%201")),
            ),
            Done,
        ),
        (
            with("infile", json!(format!("{origin}a.png\nX-Evil: 1"))),
            Refused("control character"),
        ),
    ];
    for (action, comes) in table {
        stage.action(&action, comes).await;
    }
    for request in server.requests() {
        assert_eq!(request.header("x-evil"), None, "{request:?}");
        assert_eq!(request.header("authorization"), None, "{request:?}");
        assert!(request.path().starts_with("/a"), "{request:?}");
    }
    stage.close().await;
}

/// What an answer says comes from strangers: the ETag, the length, the type.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_a_server_misleads() {
    let server = Server::start();
    let mut stage = Stage::open(&["--http-private"]);
    let picture = images::make("png", 12, 12);
    let table = [
        (
            "/etag.png",
            Reply::ok(picture.clone()).e_tag("\"a\", \"../../../x\""),
            Done,
        ),
        (
            "/etag2.png",
            Reply::ok(picture.clone()).e_tag("../../../../../../etc/x"),
            Done,
        ),
        (
            "/etag3.png",
            Reply::ok(picture.clone()).e_tag(&"x".repeat(8000)),
            Done,
        ),
        (
            "/short.png",
            Reply::ok(picture.clone()).cut_after(20),
            Fails(""),
        ),
        (
            "/long.png",
            Reply::ok(picture.clone()).header("content-length", "99999999999999"),
            Fails(""),
        ),
        (
            "/type.png",
            Reply::ok(picture.clone()).content_type("text/html"),
            Done,
        ),
        (
            "/coding.png",
            Reply::ok(picture.clone()).header("content-encoding", "gzip"),
            Comes::Whatever,
        ),
        (
            "/disposition.png",
            Reply::ok(picture).header("content-disposition", "attachment; filename=../../x"),
            Done,
        ),
        ("/empty.png", Reply::ok(""), Fails("it is empty")),
        (
            "/html.png",
            Reply::ok("<html><meta http-equiv=refresh content='0;url=file:///etc/passwd'>"),
            Fails("no image of a known format"),
        ),
        ("/partial.png", Reply::status(206).body("x"), Fails("206")),
    ];
    for (path, reply, comes) in table {
        server.route(path, reply);
        let infile = json!({"infile": server.url(path), "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, comes).await;
    }
    stage.close().await;
}

/// Keys that mean something to a shell, to XML, to a path, or to a signature are keys and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_more_than_a_key() {
    let s3 = s3::server();
    let mut stage = Stage::open_with(&s3.environment(), &[]);
    let keys = [
        "keys/a b+c%20d.png",
        "keys/$(id).png",
        "keys/`id`.png",
        "keys/;id;.png",
        "keys/|id.png",
        "keys/'\"<>&.png",
        "keys/%0d%0aX-Evil: 1.png",
        "keys/%2e%2e%2fa.png",
        "keys/?acl.png",
        "keys/?uploads&x=.png",
        "keys/#a.png",
        "keys/..a/b...png",
        "keys/<Key>x</Key>.png",
        "keys/\u{202e}gnp.png",
        "keys/ä/\u{1F4A9}.png",
    ];
    for key in keys {
        let action =
            json!({"infile": "file://{root}/in.png", "outfile": format!("s3://mybucket/{key}")});
        stage.action(&action, Done).await;
        assert!(s3.exists(key), "{key}");
        s3.delete(key);
    }
    for key in [
        "keys/a\r\nX-Evil: 1.png",
        "keys/\u{0}.png",
        "keys/\u{7f}.png",
        &"k".repeat(1025),
    ] {
        let action = json!({"infile": "file://{root}/in.png", "outfile": format!("s3://mybucket/{key}.png")});
        stage.action(&action, Refused("its key")).await;
    }
    stage.close().await;
    assert_eq!(s3.list("keys"), Vec::<String>::new());
}
