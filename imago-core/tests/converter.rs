//! The public path from action to outcome, over stores in memory.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use imago_core::storage::{CacheStatus, Get, Location, ObjectHeaders, Stores};
use imago_core::{Action, Converter, Error, ErrorKind, Format, Limits};
use testkit::images;

/// A converter with stores in memory, and a bucket with pictures in it.
struct Fixture {
    converter: Converter,
    stores: Stores,
}

impl Fixture {
    async fn new() -> Self {
        let stores = Stores::builder()
            .memory(true)
            .build()
            .expect("stores in memory need nothing");
        let converter = Converter::builder()
            .stores(stores.clone())
            .threads(2)
            .build()
            .await
            .expect("a converter starts");
        let fixture = Self { converter, stores };
        fixture
            .put("memory://b/photo.png", images::make("png", 60, 40))
            .await;
        fixture
    }

    async fn put(&self, url: &str, bytes: Bytes) {
        let headers = ObjectHeaders::new("image/x").expect("a plain media type");
        self.stores
            .put(&locate(url), bytes, &headers)
            .await
            .expect("memory takes all");
    }

    /// What lies at a URL, or `None` for nothing.
    async fn get(&self, url: &str) -> Option<Vec<u8>> {
        match self.stores.get(&locate(url), None, u64::MAX).await {
            Ok(Get::Object { body, .. }) => {
                let parts: Vec<Bytes> = body.try_collect().await.expect("memory reads on");
                Some(parts.concat())
            }
            Ok(other) => panic!("no condition was set: {other:?}"),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

fn locate(url: &str) -> Location {
    Location::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[tokio::test]
async fn an_outcome_says_what_was_done() {
    let fixture = Fixture::new().await;
    let action = Action::new("memory://b/photo.png", "memory://b/out/a 1.jpg")
        .operations(["resize 30X30", "quality 70"])
        .mimetype("image/jpg")
        .header("Cache-Control", "max-age=60");
    let outcome = fixture
        .converter
        .convert(&action)
        .await
        .expect("all is right");
    assert_eq!(outcome.format, Format::Jpeg);
    assert_eq!((outcome.width, outcome.height, outcome.frames), (30, 20, 1));
    assert_eq!(outcome.mimetype, "image/jpg");
    assert_eq!(outcome.files, ["memory://b/out/a 1.jpg"]);
    assert_eq!(outcome.cache, CacheStatus::Uncached);
    assert_eq!(outcome.engine.as_str(), "native");
    assert!(outcome.e_tag.is_some());
    let stored = fixture
        .get("memory://b/out/a 1.jpg")
        .await
        .expect("the result is stored");
    assert_eq!(outcome.bytes, stored.len() as u64);
    assert_eq!(images::describe(&stored, "%m %w %h %Q"), ["JPEG 30 20 70"]);
}

#[tokio::test]
async fn the_output_format_is_the_extensions_else_the_media_types() {
    let fixture = Fixture::new().await;
    let table = [
        ("a.jpg", None, "JPEG", "image/jpeg"),
        ("a.JPEG", None, "JPEG", "image/jpeg"),
        ("a.webp", None, "WEBP", "image/webp"),
        ("a.tif", None, "TIFF", "image/tiff"),
        ("a.avif", None, "AVIF", "image/avif"),
        ("a.bmp", None, "BMP", "image/bmp"),
        ("a", Some("image/jpg"), "JPEG", "image/jpg"),
        ("a.dat", Some("image/png; x=y"), "PNG", "image/png; x=y"),
        ("a.b/c", Some("image/x-png"), "PNG", "image/x-png"),
        ("a.png", Some("image/jpeg"), "PNG", "image/jpeg"),
        ("a", Some("image/heif"), "HEIC", "image/heif"),
        ("a", Some("image/bmp"), "BMP", "image/bmp"),
        (
            "a",
            Some("image/vnd.microsoft.icon"),
            "ICO",
            "image/vnd.microsoft.icon",
        ),
        ("a", Some("image/qoi"), "QOI", "image/qoi"),
        (
            "a.png",
            Some("application/octet-stream"),
            "PNG",
            "application/octet-stream",
        ),
    ];
    for (name, mimetype, format, stored_as) in table {
        let mut action = Action::new("memory://b/photo.png", format!("memory://b/{name}"));
        if let Some(mimetype) = mimetype {
            action = action.mimetype(mimetype);
        }
        let plan = fixture
            .converter
            .plan(&action)
            .unwrap_or_else(|errors| panic!("{name} {mimetype:?}: {errors:?}"));
        assert_eq!(plan.format().name(), format, "{name} {mimetype:?}");
        let outcome = fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{name} {mimetype:?}: {error}"));
        assert_eq!(outcome.mimetype, stored_as, "{name} {mimetype:?}");
    }
}

#[tokio::test]
async fn everything_wrong_with_an_action_is_said_at_once_and_where() {
    let fixture = Fixture::new().await;
    let good = || Action::new("memory://b/photo.png", "memory://b/a.png");
    let table = [
        (
            Action::new("photo.png", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("ftp://b/a.png", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("memory://b/p.png[x y]", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("msl:photo.png", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("ephemeral:/tmp/x", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("mpr:x", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("https:", "memory://b/a.png"),
            "/infile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("memory://b/photo.png", ""),
            "/outfile",
            ErrorKind::InvalidUrl,
        ),
        (
            Action::new("file:///etc/passwd", "memory://b/a.png"),
            "/infile",
            ErrorKind::StoreNotAllowed,
        ),
        (
            Action::new("memory://b/photo.png", "file:///tmp/a.png"),
            "/outfile",
            ErrorKind::StoreNotAllowed,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a"),
            "/outfile",
            ErrorKind::InvalidFormat,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a.xyz"),
            "/outfile",
            ErrorKind::InvalidFormat,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a.mvg"),
            "/outfile",
            ErrorKind::InvalidFormat,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a.msl"),
            "/outfile",
            ErrorKind::InvalidFormat,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a.svg"),
            "/outfile",
            ErrorKind::InvalidFormat,
        ),
        (
            Action::new("memory://b/photo.png", "memory://b/a").mimetype("text/plain"),
            "/mimetype",
            ErrorKind::InvalidFormat,
        ),
        (
            good().mimetype("a\nb"),
            "/mimetype",
            ErrorKind::InvalidHeader,
        ),
        (
            good().header("X-Other", "1"),
            "/headers/X-Other",
            ErrorKind::InvalidHeader,
        ),
        (
            good().header("Cache-Control", "a\r\nb: c"),
            "/headers/Cache-Control",
            ErrorKind::InvalidHeader,
        ),
        (
            good().header("a/b", "1"),
            "/headers/a~1b",
            ErrorKind::InvalidHeader,
        ),
        (
            good().timeout(Duration::from_secs(100_000)),
            "/timeout",
            ErrorKind::LimitExceeded,
        ),
        (
            good().operations(["strip", "resze 1x1"]),
            "/operations/1",
            ErrorKind::InvalidOperation,
        ),
        (
            good().operations(["resize big"]),
            "/operations/0",
            ErrorKind::InvalidOperation,
        ),
        (
            good().operations(["( +clone"]),
            "/operations",
            ErrorKind::InvalidOperation,
        ),
    ];
    for (action, pointer, kind) in table {
        let errors = fixture
            .converter
            .plan(&action)
            .map(|plan| plan.format().clone())
            .expect_err(pointer);
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.pointer(), error.kind()))
            .collect();
        assert_eq!(found, [(pointer, kind)], "{action:?}: {errors:?}");
    }
    let errors = fixture
        .converter
        .plan(&Action::new("nowhere", "memory://b/a.xyz").operations(["frob", "resize"]))
        .map(|plan| plan.format().clone())
        .expect_err("four things are wrong");
    let pointers: Vec<_> = errors.iter().map(Error::pointer).collect();
    assert_eq!(
        pointers,
        ["/infile", "/operations/0", "/operations/1", "/outfile"]
    );
}

#[tokio::test]
async fn a_failed_action_says_why_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let jpeg = images::make("jpeg", 200, 200);
    let half = jpeg.slice(..jpeg.len() / 2);
    fixture
        .put("memory://b/text.png", Bytes::from("only a text"))
        .await;
    fixture.put("memory://b/cut.jpg", half).await;
    fixture.put("memory://b/empty.png", Bytes::new()).await;
    fixture
        .put(
            "memory://b/frames.gif",
            images::make_frames("gif", 3, 20, 20),
        )
        .await;
    let table = [
        (
            "text.png",
            "strip",
            ErrorKind::BadImage,
            "it is no image of a known format: its 11 bytes begin with `only a text`",
        ),
        (
            "cut.jpg",
            "strip",
            ErrorKind::BadImage,
            "it is a damaged JPEG image: Premature end of JPEG file",
        ),
        ("empty.png", "strip", ErrorKind::BadImage, "it is empty"),
        (
            "gone.png",
            "strip",
            ErrorKind::NotFound,
            "memory://b/gone.png",
        ),
        (
            "frames.gif[7]",
            "strip",
            ErrorKind::BadImage,
            "`[7]` selects nothing",
        ),
        (
            "photo.png",
            "delete 0",
            ErrorKind::OperationFailed,
            "no image to write",
        ),
        (
            "photo.png",
            "clone 7 -append",
            ErrorKind::InvalidOperation,
            "`-clone 7` failed",
        ),
        (
            "photo.png",
            "resize 99999x1!",
            ErrorKind::LimitExceeded,
            "exceeds limit",
        ),
    ];
    for (name, operation, kind, message) in table {
        let outfile = format!("memory://b/failed/{name}.jpg");
        let action = Action::new(format!("memory://b/{name}"), &outfile).operations([operation]);
        let error = fixture
            .converter
            .convert(&action)
            .await
            .map(|outcome| outcome.files)
            .expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(message), "{name}: `{error}`");
        assert_eq!(fixture.get(&outfile).await, None, "{name} left something");
    }
}

#[tokio::test]
async fn brackets_behind_a_source_select_from_it() {
    let fixture = Fixture::new().await;
    fixture
        .put(
            "memory://b/frames.gif",
            images::make_frames("gif", 3, 20, 20),
        )
        .await;
    fixture
        .put("memory://b/odd[0]", images::make("png", 10, 10))
        .await;
    fixture
        .put("memory://b/photo.avif", images::make("avif", 60, 40))
        .await;
    let table = [
        ("frames.gif", "gif", vec!["20 20"; 3]),
        ("frames.gif[0]", "gif", vec!["20 20"]),
        ("frames.gif[0-1]", "gif", vec!["20 20"; 2]),
        ("frames.gif[-1]", "gif", vec!["20 20"]),
        ("frames.gif[0,2]", "gif", vec!["20 20"; 2]),
        ("frames.gif[]", "gif", vec!["20 20"; 3]),
        ("photo.png[30x20+5+5]", "png", vec!["30 20"]),
        ("photo.png[30x20]", "png", vec!["30 20"]),
        ("photo.avif[0]", "png", vec!["60 40"]),
        ("photo.avif[20x20+5+5]", "png", vec!["20 20"]),
        ("odd[0][]", "png", vec!["10 10"]),
        ("odd[0][0]", "png", vec!["10 10"]),
    ];
    for (name, format, sizes) in table {
        let outfile = format!("memory://b/selected.{format}");
        let action = Action::new(format!("memory://b/{name}"), &outfile);
        fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let stored = fixture.get(&outfile).await.expect("the result is stored");
        assert_eq!(images::describe(&stored, "%w %h"), sizes, "{name}");
    }
}

#[tokio::test]
async fn many_actions_share_the_pool_and_the_cache() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let converter = Converter::builder()
        .stores(fixture.stores.clone())
        .cache(folder.path(), 1 << 20)
        .threads(2)
        .build()
        .await
        .expect("a converter starts");
    let mut actions: Vec<_> = (1..=20)
        .map(|size| {
            Action::new(
                "memory://b/photo.png",
                format!("memory://b/many/{size}.png"),
            )
            .operations([format!("resize {size}x")])
        })
        .collect();
    actions.push(Action::new(
        "memory://b/gone.png",
        "memory://b/many/gone.png",
    ));
    let outcomes: HashMap<_, _> = converter.convert_all(&actions).collect().await;
    assert_eq!(outcomes.len(), 21);
    let mut fetched = 0;
    for (index, outcome) in &outcomes {
        match outcome {
            Ok(outcome) => {
                assert_eq!(outcome.width, index + 1);
                match outcome.cache {
                    CacheStatus::Miss => fetched += 1,
                    other => assert_eq!(other, CacheStatus::Hit),
                }
            }
            Err(error) => {
                assert_eq!((*index, error.kind()), (20, ErrorKind::NotFound), "{error}");
            }
        }
    }
    assert_eq!(fetched, 1, "20 actions on one object asked for at once");
}

#[tokio::test]
async fn a_time_out_ends_the_conversion_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let action = Action::new("memory://b/photo.png", "memory://b/slow.png")
        .operations(["resize 2000x2000", "blur 0x80"])
        .timeout(Duration::from_millis(20));
    let error = fixture
        .converter
        .convert(&action)
        .await
        .map(|outcome| outcome.files)
        .expect_err("it takes longer");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("0.02 s"), "{error}");
    assert_eq!(fixture.get("memory://b/slow.png").await, None);
}

/// With one thread a conversion that went on unseen would hold up the next one for minutes.
#[tokio::test]
async fn a_dropped_future_frees_its_thread() {
    let stores = Stores::builder().memory(true).build().expect("stores");
    let converter = Converter::builder()
        .stores(stores)
        .threads(1)
        .build()
        .await
        .expect("a converter starts");
    let picture = images::make("png", 60, 40);
    let slow = "resize 4000x4000 blur 0x200".parse().expect("a chain");
    let dropped = tokio::time::timeout(
        Duration::from_millis(100),
        converter.convert_bytes(&picture, &slow, Format::Png),
    )
    .await;
    assert!(dropped.is_err(), "it takes longer than 0.1 s");
    let quick = "resize 10x10".parse().expect("a chain");
    converter
        .convert_bytes(&picture, &quick, Format::Png)
        .await
        .expect("the thread is free again");
}

#[tokio::test]
async fn a_source_over_the_limit_is_refused() {
    let fixture = Fixture::new().await;
    let mut limits = Limits::default();
    limits.source_bytes = 100;
    let converter = Converter::builder()
        .stores(fixture.stores.clone())
        .limits(limits)
        .build()
        .await
        .expect("a converter starts");
    let action = Action::new("memory://b/photo.png", "memory://b/large.png");
    let error = converter
        .convert(&action)
        .await
        .map(|outcome| outcome.files)
        .expect_err("it is larger");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(error.to_string().contains("100"), "{error}");
}

/// What `magick` makes of these words, where `FILE` stands for a file with each of the inputs.
fn magick(inputs: &[&Bytes], words: &[&str], format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = inputs.iter().enumerate().map(|(index, bytes)| {
        let file = folder.path().join(format!("{index}"));
        std::fs::write(&file, bytes).expect("an input");
        file.to_str().expect("a path is text").to_owned()
    });
    let mut arguments: Vec<String> = words
        .iter()
        .map(|&word| match word {
            "FILE" => files.next().expect("an input for each file"),
            word => word.to_owned(),
        })
        .collect();
    arguments.push(format!("{format}:-"));
    images::magick_with(&arguments, &[]).stdout
}

#[tokio::test]
async fn a_chain_reads_more_images() {
    let fixture = Fixture::new().await;
    let (photo, logo) = (images::make("png", 60, 40), images::make("gif", 20, 20));
    let frames = images::make_frames("gif", 3, 20, 20);
    fixture.put("memory://b/logo.gif", logo.clone()).await;
    fixture.put("memory://b/frames.gif", frames.clone()).await;
    let table: [(&str, Vec<&Bytes>, &str); 7] = [
        (
            "read memory://b/logo.gif gravity center composite",
            vec![&photo, &logo],
            "FILE FILE -gravity center -composite",
        ),
        (
            "read memory://b/logo.gif +append",
            vec![&photo, &logo],
            "FILE FILE +append",
        ),
        (
            "( read memory://b/logo.gif resize 10x10 ) -append",
            vec![&photo, &logo],
            "FILE ( FILE -resize 10x10 ) -append",
        ),
        (
            "read 'memory://b/frames.gif[1]' +swap +append",
            vec![&photo, &frames],
            "FILE FILE[1] +swap +append",
        ),
        (
            "read memory://b/logo.gif read memory://b/logo.gif delete 0 +append",
            vec![&photo, &logo, &logo],
            "FILE FILE FILE -delete 0 +append",
        ),
        (
            "size 60x40 read gradient:red-blue compose Multiply composite",
            vec![&photo],
            "FILE -size 60x40 gradient:red-blue -compose Multiply -composite",
        ),
        (
            "background none fill white read 'label:two words' -gravity south -composite",
            vec![&photo],
            "FILE -background none -fill white label:two\u{a0}words -gravity south -composite",
        ),
    ];
    for (operation, inputs, words) in table {
        let action =
            Action::new("memory://b/photo.png", "memory://b/read.png").operations([operation]);
        fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
        let ours = fixture.get("memory://b/read.png").await.expect("a result");
        // A selector belongs to the file before it, and a blank within a word is written `\u{a0}`.
        let words: Vec<_> = words
            .split(' ')
            .map(|word| word.replace('\u{a0}', " "))
            .collect();
        let selector = words.iter().position(|word| word == "FILE[1]");
        let theirs = match selector {
            None => {
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                magick(&inputs, &words, "png")
            }
            Some(at) => {
                let mut words: Vec<_> = words.iter().map(String::as_str).collect();
                words.splice(at..=at, ["(", "FILE", "-delete", "0,2", ")"]);
                magick(&inputs, &words, "png")
            }
        };
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{operation}"
        );
    }
    let table = [
        ("read memory://b/gone.png", ErrorKind::NotFound),
        ("read https://127.0.0.1/x.png", ErrorKind::StoreNotAllowed),
        ("read file:///etc/passwd", ErrorKind::StoreNotAllowed),
        ("read logo.gif", ErrorKind::InvalidUrl),
        ("read mpr:x", ErrorKind::InvalidUrl),
        ("read tile:x.png", ErrorKind::InvalidUrl),
    ];
    for (operation, kind) in table {
        let action = Action::new("memory://b/photo.png", "memory://b/no.png")
            .operations(["strip", operation]);
        let error = fixture
            .converter
            .convert(&action)
            .await
            .map(|outcome| outcome.files)
            .expect_err(operation);
        assert_eq!(error.kind(), kind, "{operation}: {error}");
        if kind != ErrorKind::NotFound {
            assert_eq!(error.pointer(), "/operations/1", "{operation}: {error}");
        }
    }
}

#[tokio::test]
async fn options_that_name_files_take_urls() {
    let fixture = Fixture::new().await;
    let photo = images::make("png", 60, 40);
    let mask = Bytes::from(magick(
        &[],
        &["-size", "60x40", "gradient:", "-colorspace", "Gray"],
        "png",
    ));
    let palette = Bytes::from(magick(
        &[],
        &["xc:red", "xc:navy", "xc:white", "+append"],
        "gif",
    ));
    let cdl = Bytes::from(
        "<ColorCorrectionCollection xmlns=\"urn:ASC:CDL:v1.2\"><ColorCorrection id=\"a\"><SOPNode><Slope> 0.9 1.2 0.5 </Slope><Offset> 0.4 -0.5 0.6 </Offset><Power> 1.0 0.8 1.5 </Power></SOPNode><SATNode><Saturation> 0.85 </Saturation></SATNode></ColorCorrection></ColorCorrectionCollection>",
    );
    let secret = Bytes::from("a passphrase");
    fixture.put("memory://b/f/mask.png", mask.clone()).await;
    fixture
        .put("memory://b/f/palette.gif", palette.clone())
        .await;
    fixture.put("memory://b/f/grade.cdl", cdl.clone()).await;
    fixture.put("memory://b/f/secret", secret.clone()).await;
    let table: [(&str, Vec<&Bytes>, &str); 11] = [
        (
            "remap memory://b/f/palette.gif",
            vec![&photo, &palette],
            "FILE -remap FILE",
        ),
        (
            "dither None remap memory://b/f/palette.gif",
            vec![&photo, &palette],
            "FILE -dither None -remap FILE",
        ),
        (
            "read-mask memory://b/f/mask.png blur 0x4 +read-mask",
            vec![&photo, &mask],
            "FILE -read-mask FILE -blur 0x4 +read-mask",
        ),
        (
            "write-mask memory://b/f/mask.png negate +write-mask",
            vec![&photo, &mask],
            "FILE -write-mask FILE -negate +write-mask",
        ),
        (
            "clip-mask memory://b/f/mask.png negate +clip-mask",
            vec![&photo, &mask],
            "FILE -clip-mask FILE -negate +clip-mask",
        ),
        (
            "tile memory://b/f/palette.gif draw 'rectangle 5,5 50,30'",
            vec![&photo, &palette],
            "FILE -tile FILE -draw rectangle\u{a0}5,5\u{a0}50,30",
        ),
        (
            "fill memory://b/f/palette.gif draw 'circle 20,20 20,5'",
            vec![&photo, &palette],
            "FILE -fill FILE -draw circle\u{a0}20,20\u{a0}20,5",
        ),
        (
            "tile pattern:bricks draw 'rectangle 5,5 50,30'",
            vec![&photo],
            "FILE -tile pattern:bricks -draw rectangle\u{a0}5,5\u{a0}50,30",
        ),
        (
            "cdl memory://b/f/grade.cdl",
            vec![&photo, &cdl],
            "FILE -cdl FILE",
        ),
        (
            "encipher memory://b/f/secret",
            vec![&photo, &secret],
            "FILE -encipher FILE",
        ),
        (
            "encipher memory://b/f/secret decipher memory://b/f/secret",
            vec![&photo, &secret, &secret],
            "FILE -encipher FILE -decipher FILE",
        ),
    ];
    for (operation, inputs, words) in table {
        let action =
            Action::new("memory://b/photo.png", "memory://b/f/out.png").operations([operation]);
        fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
        let ours = fixture.get("memory://b/f/out.png").await.expect("a result");
        let words: Vec<_> = words
            .split(' ')
            .map(|word| word.replace('\u{a0}', " "))
            .collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let theirs = magick(&inputs, &words, "png");
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{operation}"
        );
    }
    // Nothing but what they are for is made of such files.
    fixture
        .put("memory://b/f/text.png", Bytes::from("sesame"))
        .await;
    for operation in [
        "remap memory://b/f/text.png",
        "profile memory://b/f/text.png",
        "tile memory://b/f/gone.png",
        "tile /etc/passwd",
    ] {
        let action =
            Action::new("memory://b/photo.png", "memory://b/f/no.png").operations([operation]);
        let error = fixture
            .converter
            .convert(&action)
            .await
            .map(|outcome| outcome.files)
            .expect_err(operation);
        assert!(!error.to_string().contains("/tmp/"), "{operation}: {error}");
    }
}

#[tokio::test]
async fn profiles_come_from_the_stores() {
    const PROFILE: &[u8] = include_bytes!("../profiles/srgb.icc");
    let fixture = Fixture::new().await;
    let photo = images::make("jpeg", 60, 40);
    fixture.put("memory://b/p.jpg", photo.clone()).await;
    fixture
        .put("memory://b/s.icc", Bytes::from_static(PROFILE))
        .await;
    let action = Action::new("memory://b/p.jpg", "memory://b/p.png")
        .operations(["profile memory://b/s.icc"]);
    fixture
        .converter
        .convert(&action)
        .await
        .expect("a profile is assigned");
    let ours = fixture.get("memory://b/p.png").await.expect("a result");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.icc");
    std::fs::write(&file, PROFILE).expect("a profile");
    let file = file.to_str().expect("a path is text");
    let theirs = images::magick_with(["-", "-profile", file, "png:-"], &photo).stdout;
    let told = "%# %[profiles]";
    assert_eq!(
        images::describe(&ours, told),
        images::describe(&theirs, told)
    );
}

#[tokio::test]
async fn generators_are_sources_too() {
    let fixture = Fixture::new().await;
    let table = [
        ("xc:red", "size 30x20", "-size 30x20 xc:red"),
        (
            "gradient:red-blue",
            "size 30x20 rotate 90",
            "-size 30x20 gradient:red-blue -rotate 90",
        ),
        ("rose:", "resize 50%", "rose: -resize 50%"),
        (
            "pattern:checkerboard",
            "size 30x20",
            "-size 30x20 pattern:checkerboard",
        ),
        (
            "label:Imago",
            "background navy fill white pointsize 30",
            "-background navy -fill white -pointsize 30 label:Imago",
        ),
        (
            "label:Imago",
            "fill pattern:bricks read rose: +append",
            "-fill pattern:bricks label:Imago rose: +append",
        ),
        ("pango:<b>Imago</b>", "strip", "pango:<b>Imago</b> -strip"),
    ];
    for (infile, operation, words) in table {
        let action = Action::new(infile, "memory://b/made.png").operations([operation]);
        fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{infile}: {error}"));
        let ours = fixture.get("memory://b/made.png").await.expect("a result");
        let words: Vec<_> = words.split(' ').collect();
        let theirs = magick(&[], &words, "png");
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{infile}"
        );
    }
}

#[tokio::test]
async fn several_images_go_where_magick_puts_them() {
    let fixture = Fixture::new().await;
    let frames = images::make_frames("gif", 3, 20, 20);
    fixture.put("memory://b/frames.gif", frames).await;
    let table = [
        (
            "memory://b/out/a.jpg",
            "strip",
            vec!["a-0.jpg", "a-1.jpg", "a-2.jpg"],
        ),
        (
            "memory://b/out/b-%d.jpg",
            "strip",
            vec!["b-0.jpg", "b-1.jpg", "b-2.jpg"],
        ),
        (
            "memory://b/out/c-%03d.gif",
            "strip",
            vec!["c-000.gif", "c-001.gif", "c-002.gif"],
        ),
        ("memory://b/out/d.gif", "strip", vec!["d.gif"]),
        (
            "memory://b/out/e.jpg",
            "delete 0",
            vec!["e-1.jpg", "e-2.jpg"],
        ),
        ("memory://b/out/f.jpg", "flatten", vec!["f.jpg"]),
        ("memory://b/out/g-%d.jpg", "flatten", vec!["g-0.jpg"]),
        ("PNG8:memory://b/out/h.png", "flatten", vec!["h.png"]),
        (
            "memory://b/out/i.gif",
            "+adjoin",
            vec!["i-0.gif", "i-1.gif", "i-2.gif"],
        ),
    ];
    for (outfile, operation, names) in table {
        let action = Action::new("memory://b/frames.gif", outfile).operations([operation]);
        let outcome = fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{outfile}: {error}"));
        let expected: Vec<_> = names
            .iter()
            .map(|name| format!("memory://b/out/{name}"))
            .collect();
        assert_eq!(outcome.files, expected, "{outfile} {operation}");
        let mut bytes = 0;
        for url in &outcome.files {
            bytes += fixture
                .get(url)
                .await
                .unwrap_or_else(|| panic!("nothing at {url}"))
                .len();
        }
        assert_eq!(outcome.bytes, bytes as u64, "{outfile} {operation}");
    }
    let png8 = fixture.get("memory://b/out/h.png").await.expect("a result");
    assert_eq!(images::describe(&png8, "%m %[type]"), ["PNG Palette"]);
}

#[tokio::test]
async fn animations_are_whole_when_their_pixels_move() {
    let fixture = Fixture::new().await;
    // Frames that hold only what changes, at offsets.
    let whole = images::make_frames("gif", 4, 40, 30);
    let reduced = Bytes::from(magick(
        &[&whole],
        &[
            "FILE",
            "-fill",
            "red",
            "-draw",
            "point 5,5",
            "-layers",
            "OptimizeFrame",
        ],
        "gif",
    ));
    fixture.put("memory://b/reduced.gif", reduced.clone()).await;
    let by_hand = [
        "FILE",
        "-coalesce",
        "-resize",
        "20x15",
        "-layers",
        "Optimize",
    ];
    let table: [(&str, &[&str], bool); 4] = [
        ("resize 20x15", &by_hand, true),
        ("coalesce resize 20x15 layers Optimize", &by_hand, false),
        ("strip", &["FILE", "-strip"], false),
        ("coalesce resize 20x15", &by_hand[..4], false),
    ];
    for (operation, words, noted) in table {
        let action =
            Action::new("memory://b/reduced.gif", "memory://b/moved.gif").operations([operation]);
        let outcome = fixture
            .converter
            .convert(&action)
            .await
            .unwrap_or_else(|error| panic!("{operation}: {error}"));
        let ours = fixture.get("memory://b/moved.gif").await.expect("a result");
        let theirs = magick(&[&reduced], words, "gif");
        let told = "%# %g %T %D";
        assert_eq!(
            images::describe(&ours, told),
            images::describe(&theirs, told),
            "{operation}"
        );
        assert_eq!(
            outcome.output.contains("-coalesce"),
            noted,
            "{operation}: {}",
            outcome.output
        );
    }
    let converter = Converter::builder()
        .stores(fixture.stores.clone())
        .animations(false)
        .build()
        .await
        .expect("a converter starts");
    let action =
        Action::new("memory://b/reduced.gif", "memory://b/plain.gif").operations(["resize 20x15"]);
    let outcome = converter.convert(&action).await.expect("a plain resize");
    assert_eq!(outcome.output, "");
    let ours = fixture.get("memory://b/plain.gif").await.expect("a result");
    let theirs = magick(&[&reduced], &["FILE", "-resize", "20x15"], "gif");
    assert_eq!(images::signatures(&ours), images::signatures(&theirs));
}

/// FFTW's planner is one for the whole process: conversions that enter it together used to break the heap.
#[tokio::test]
async fn fourier_transforms_side_by_side_do_no_harm() {
    let stores = Stores::builder()
        .memory(true)
        .build()
        .expect("stores in memory need nothing");
    let converter = Converter::builder()
        .stores(stores)
        .threads(16)
        .build()
        .await
        .expect("a converter starts");
    let actions: Vec<_> = (0..600)
        .map(|index| {
            let size = 16 + index % 48;
            Action::new("gradient:red-blue", format!("memory://b/{index}.png")).operations([
                format!("size {size}x{size}"),
                "fft".to_owned(),
                "ift".to_owned(),
            ])
        })
        .collect();
    let outcomes: Vec<_> = converter.convert_all(&actions).collect().await;
    for (index, outcome) in outcomes {
        outcome.unwrap_or_else(|error| panic!("action {index}: {error}"));
    }
}
