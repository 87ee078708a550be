//! `POST /api/v1/identify` and `GET /api/v1/formats`.

use bytes::Bytes;
use bytesize::ByteSize;
use serde_json::{Value, json};
use testkit::images;

use crate::process::{run, text};
use crate::support::{Reply, Server};

async fn identify(server: &Server, image: Bytes) -> Reply {
    let headers = [("content-type", "image/x")];
    let path = "/api/v1/identify";
    server.request("POST", path, &headers, image).await
}

#[tokio::test]
async fn an_image_is_identified() {
    let server = Server::start().await;
    let picture = images::magick_with(
        [
            "ppm:-",
            "-units",
            "PixelsPerInch",
            "-density",
            "300",
            "-quality",
            "80",
            "jpeg:-",
        ],
        &images::photo(60, 40),
    );
    let picture = Bytes::from(picture.stdout);
    let reply = identify(&server, picture.clone()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        reply.json(),
        json!({
            "format": "JPEG", "width": 60, "height": 40, "frames": 1, "colorspace": "sRGB", "depth": 8,
            "alpha": false, "orientation": "Undefined",
            "density": {"x": 300.0, "y": 300.0, "units": "PixelsPerInch"},
            "profiles": [], "bytes": picture.len()
        })
    );
    let reply = identify(&server, images::make_frames("gif", 3, 30, 20)).await;
    let document = reply.json();
    assert_eq!(document["frames"], 3);
    assert_eq!(document["density"], Value::Null);
}

/// Of an image whose pixels are spoilt, what its header says is known all the same.
#[tokio::test]
async fn pixels_are_not_decoded_where_the_header_says_it_all() {
    let server = Server::start().await;
    // The directory of a TIFF file is at its end.
    for (format, head, tail) in [
        ("jpeg", 1000, 0),
        ("png", 100, 0),
        ("webp", 100, 0),
        ("tiff", 8, 2000),
    ] {
        let whole = images::make(format, 600, 400);
        let mut spoilt = whole.to_vec();
        spoilt[head..whole.len() - tail].fill(0x55);
        let reply = identify(&server, spoilt.into()).await;
        assert_eq!(reply.status, 200, "{format}: {reply:?}");
        let expected = identify(&server, whole).await;
        assert_eq!(reply.json(), expected.json(), "{format}");
    }
}

#[tokio::test]
async fn what_is_no_image_is_refused() {
    let server = Server::with(|config| config.limits.image = ByteSize::kib(64)).await;
    let large = Bytes::from(vec![0; 65 << 10]);
    for (body, status, detail) in [
        (
            Bytes::new(),
            422,
            "can't identify the image: it is empty: expected an image, but it has 0 bytes",
        ),
        (
            Bytes::from("only a text"),
            422,
            "can't identify the image: it is no image of a known format: its 11 bytes begin with `only a text`",
        ),
        (
            Bytes::from("%PDF-1.4\n"),
            422,
            "can't identify the image: it is in the format PDF, which is not read here",
        ),
        (
            Bytes::from(
                r#"<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>"#,
            ),
            422,
            "can't identify the image: it is an SVG image that refers to `/etc/passwd`",
        ),
        (
            large,
            413,
            "the body is larger than 64.0 KiB (`limits.image`); put the image into a store and name it in a job",
        ),
    ] {
        let reply = identify(&server, body).await;
        let sentence = reply.problem(status, detail);
        assert!(sentence.starts_with(detail), "{sentence}");
    }
    let picture = images::make("png", 6, 4);
    for (headers, status) in [
        (&[][..], 200),
        (&[("content-type", "application/octet-stream")], 200),
        (&[("content-type", "image/jpeg; x=y")], 200),
        (&[("content-type", "application/json")], 415),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            415,
        ),
        (
            &[("content-type", "image/png"), ("content-encoding", "gzip")],
            415,
        ),
    ] {
        let path = "/api/v1/identify";
        let reply = server.request("POST", path, headers, picture.clone()).await;
        assert_eq!(reply.status, status, "{headers:?}: {reply:?}");
    }
    let path = "/api/v1/identify?format=png";
    let reply = server.request("POST", path, &[], picture).await;
    reply.problem(400, "a query");
    let reply = server.get("/api/v1/identify").await;
    reply.problem(405, "GET");
    assert_eq!(reply.header("allow"), "POST");
}

#[tokio::test]
async fn formats_are_listed() {
    let server = Server::start().await;
    let reply = server.get("/api/v1/formats").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let document = reply.json();
    let formats = document["formats"].as_array().unwrap();
    let webp = formats.iter().find(|format| format["name"] == "WEBP");
    let mut webp = webp.unwrap().clone();
    webp["description"] = json!("…");
    assert_eq!(
        webp,
        json!({
            "name": "WEBP", "description": "…", "mimetype": "image/webp", "extensions": ["webp"],
            "read": true, "write": true, "multi_frame": true
        })
    );
    let output = run(&["formats", "--json"], &[]);
    assert!(output.status.success(), "{output:?}");
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed, document);
    let output = run(&["formats"], &[]);
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), formats.len());
    let line = table.lines().find(|line| line.starts_with("JPEG "));
    let words: Vec<_> = line.unwrap().split_whitespace().take(5).collect();
    assert_eq!(words, ["JPEG", "rw-", "image/jpeg", "jpeg", "jpg"]);
}
