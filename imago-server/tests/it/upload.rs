//! `POST /api/v1/convert`.

use bytes::Bytes;
use bytesize::ByteSize;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use testkit::images;

use crate::drain::draining;
use crate::support::{Reply, Server};

async fn convert(server: &Server, query: &str, image: impl Into<Bytes>) -> Reply {
    let path = format!("/api/v1/convert{query}");
    let headers = [("content-type", "image/x")];
    server.request("POST", &path, &headers, image).await
}

#[tokio::test]
async fn an_image_comes_back_converted() {
    let server = Server::start().await;
    let photo = images::make("png", 60, 40);
    for (query, media_type, format, size) in [
        ("", "image/png", "PNG", "60x40"),
        ("?format=webp", "image/webp", "WEBP", "60x40"),
        (
            "?operation=resize%2030x30&operation=quality%2080&format=jpg&fidelity=exact&timeout=20",
            "image/jpeg",
            "JPEG",
            "30x20",
        ),
        ("?operation=-rotate+90+-flip", "image/png", "PNG", "40x60"),
    ] {
        let reply = convert(&server, query, photo.clone()).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        assert_eq!(reply.header("content-type"), media_type, "{query}");
        assert_eq!(reply.header("cache-control"), "no-store", "{query}");
        let length = reply.bytes.len().to_string();
        assert_eq!(reply.header("content-length"), length, "{query}");
        let identify = ["-", "-format", "%m %wx%h", "info:-"];
        let seen = images::magick_with(identify, &reply.bytes).stdout;
        let expected = format!("{format} {size}");
        assert_eq!(String::from_utf8_lossy(&seen), expected, "{query}");
    }
    // The first version's oracle: the same bytes that `magick` writes, pixel for pixel.
    let reply = convert(&server, "?operation=blur+0x2&format=ppm", photo.clone()).await;
    let expected = images::magick_with(["png:-", "-blur", "0x2", "ppm:-"], &photo);
    assert_eq!(reply.bytes, expected.stdout);
}

#[tokio::test]
async fn an_upload_has_the_fidelity_that_it_asks_for() {
    let server = Server::start().await;
    let photo = images::make("jpeg", 640, 480);
    let answer = async |query: &str| {
        let query = format!("?operation=resize+64x64&format=ppm{query}");
        let reply = convert(&server, &query, photo.clone()).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        reply.bytes
    };
    let exact = answer("").await;
    assert_eq!(answer("&fidelity=exact").await, exact);
    // A decoder that shrinks gives other pixels than a filter over all of them.
    assert_ne!(answer("&fidelity=fast").await, exact);
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_all_that_is_wrong() {
    let server = Server::with(|config| config.limits.image = ByteSize::kib(64)).await;
    let reply = convert(
        &server,
        "?operation=resze+5&operation=blur+1&operation=crop&format=nope&timeout=1e9",
        "",
    )
    .await;
    let detail = reply.problem(422, "several");
    assert_eq!(detail, "4 parameters are wrong: see `errors`");
    let pointers: Vec<_> = reply.errors().into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        pointers,
        ["/operation/0", "/operation/2", "/format", "/timeout"]
    );
    for (query, body, status, detail) in [
        (
            "?format=nope",
            Bytes::new(),
            422,
            "there is no image format `nope`; expected one such as",
        ),
        (
            "?timeout=0",
            Bytes::new(),
            422,
            "expected more than 0 and at most 3600 seconds (`limits.max-timeout`), got 0",
        ),
        (
            "?operations=blur",
            Bytes::new(),
            400,
            "there is no query parameter `operations`; there are `operation`,",
        ),
        (
            "?fidelity=best",
            Bytes::new(),
            400,
            "`fidelity` must be `exact` or `fast`, got `best`",
        ),
        (
            "?format=png",
            Bytes::new(),
            422,
            "can't convert the image: it is empty",
        ),
        (
            "?format=png",
            Bytes::from("only a text"),
            422,
            "can't convert the image: it is no image of a known format",
        ),
        (
            "",
            Bytes::from("only a text"),
            422,
            "can't identify the image: it is no image of a known format",
        ),
        (
            "?format=png",
            Bytes::from(vec![0; 65 << 10]),
            413,
            "the body is larger than 64.0 KiB (`limits.image`)",
        ),
        (
            "?operation=read+s3://b/x.png&format=png",
            images::make("png", 3, 3),
            422,
            "",
        ),
        (
            "?format=jpg",
            images::make_frames("gif", 3, 30, 20),
            422,
            "there are 3 images and JPEG holds one",
        ),
    ] {
        let reply = convert(&server, query, body).await;
        let sentence = reply.problem(status, query);
        assert!(sentence.starts_with(detail), "{query}: {sentence}");
    }
    let headers = [("content-type", "application/json")];
    let path = "/api/v1/convert?format=png";
    let reply = server.request("POST", path, &headers, "{}").await;
    reply.problem(415, "a body of another type");
    let reply = server.get("/api/v1/convert").await;
    reply.problem(405, "GET");
    assert_eq!(reply.header("allow"), "POST");
}

#[tokio::test]
async fn a_conversion_that_takes_too_long_ends() {
    let server = Server::start().await;
    let photo = images::make("png", 1000, 1000);
    let reply = convert(
        &server,
        "?operation=blur+0x200&timeout=0.2&format=png",
        photo,
    )
    .await;
    let detail = reply.problem(422, "late");
    assert!(detail.contains("it took longer than 0.2 s"), "{detail}");
}

#[tokio::test]
async fn a_saturated_server_says_when_to_come_back() {
    let server = Server::start().await;
    // The stage has two places, and four may wait for each.
    let mut replies: FuturesUnordered<_> = (0..11)
        .map(|_| convert(&server, "?format=png", "wait:turn"))
        .collect();
    let first = replies.next().await.unwrap();
    let detail = first.problem(503, "one too many");
    assert_eq!(
        detail,
        "all that could look at an image is busy; try again in a while"
    );
    assert_eq!(first.header("retry-after"), "5");
    for _ in 0..10 {
        server.stage.let_go("turn");
    }
    while let Some(reply) = replies.next().await {
        assert_eq!((reply.status, &*reply.body), (200, "wait:turn"));
    }
}

#[tokio::test]
async fn a_draining_server_converts_no_more() {
    let server = Server::start().await;
    server.submit(&["wait:drain"]).await;
    server.stage.started(1).await;
    server.stop();
    draining(&server).await;
    let reply = convert(&server, "?format=png", images::make("png", 3, 3)).await;
    reply.problem(503, "draining");
    assert_eq!(reply.header("retry-after"), "21");
    server.stage.let_go("drain");
    server.stopped().await;
}
