//! Work that goes well.

use std::time::Duration;

use imago_core::sandbox::Sandbox;
use imago_core::{Builder, Converter, Error, Format, Pipeline};
use testkit::images;
use tokio::runtime::Runtime;

crate::tests![
    the_result_is_that_of_this_process,
    errors_are_those_of_this_process,
    an_image_is_identified,
    a_child_is_replaced_when_it_is_worn,
    no_child_outlives_its_converter,
];

pub(crate) fn runtime() -> Runtime {
    Runtime::new().expect("a runtime starts")
}

pub(crate) fn build(builder: Builder) -> Converter {
    runtime()
        .block_on(builder.build())
        .expect("a converter starts")
}

/// A converter with one child.
pub(crate) fn sandboxed() -> Converter {
    build(
        Converter::builder()
            .threads(1)
            .sandbox(Sandbox::processes().required(true)),
    )
}

pub(crate) fn convert(
    converter: &Converter,
    source: &[u8],
    chain: &str,
    format: Format,
) -> Result<Vec<u8>, Error> {
    let pipeline = match chain {
        "" => Pipeline::default(),
        chain => chain.parse().expect("the chain is right"),
    };
    let result = runtime().block_on(converter.convert_bytes(source, &pipeline, format));
    result.map(Vec::from)
}

fn the_result_is_that_of_this_process() {
    let (inside, outside) = (sandboxed(), build(Converter::builder().threads(1)));
    let svg = br##"<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><text y="20" font-size="20" fill="#123456">text</text></svg>"##;
    let (jpeg, png) = (
        images::make("jpeg", 300, 200),
        images::make("png", 300, 200),
    );
    let gif = images::make_frames("gif", 4, 60, 40);
    for (source, chain, format) in [
        (&jpeg[..], "resize 100x80 quality 80", "jpeg"),
        (&jpeg, "", "png"),
        (&jpeg, "strip", "webp"),
        (&jpeg, "resize 64x64!", "avif"),
        (&jpeg, "resize 64x64!", "heic"),
        (&jpeg, "resize 64x64!", "jxl"),
        (&jpeg, "resize 64x64!", "exr"),
        (&jpeg, "resize 64x64!", "jp2"),
        (&jpeg, "compress lzma", "tiff"),
        (
            &png,
            "gravity center pointsize 30 annotate 0 'some text' ordered-dither o8x8",
            "png",
        ),
        (
            &png,
            "fill '#ff8800' draw 'roundrectangle 10,10 90,90 9,9' colorspace Gray",
            "png",
        ),
        (&png, "( +clone -flip ) -append -posterize 6", "miff"),
        (&gif, "resize 50%", "gif"),
        (svg, "", "png"),
        (&gif, "fx 'u*0.5' append", "pnm"),
    ] {
        let format: Format = format.parse().expect("a format");
        let results =
            [&inside, &outside].map(|converter| convert(converter, source, chain, format.clone()));
        let [inside, outside] = results
            .map(|result| result.unwrap_or_else(|error| panic!("{chain} to {format}: {error}")));
        assert_eq!(
            images::signatures(&inside),
            images::signatures(&outside),
            "{chain} to {format}"
        );
    }
}

fn errors_are_those_of_this_process() {
    let (inside, outside) = (sandboxed(), build(Converter::builder().threads(1)));
    let png = images::make("png", 30, 20);
    for (source, chain, format) in [
        (&b""[..], "", Format::Png),
        (b"nothing", "", Format::Png),
        (&png[..png.len() / 2], "", Format::Jpeg),
        (&png, "crop 10x10+90+90", Format::Jpeg),
        (&png, "resize 70000x10!", Format::Png),
        (&png, "delete 0", Format::Png),
        (b"%PDF-1.4\n", "", Format::Png),
    ] {
        let results =
            [&inside, &outside].map(|converter| convert(converter, source, chain, format.clone()));
        let [inside, outside] =
            results.map(|result| result.map_err(|error| (error.kind(), error.to_string())));
        assert_eq!(inside, outside, "{chain}");
    }
}

fn an_image_is_identified() {
    let identity = runtime().block_on(sandboxed().identify(images::make("jpeg", 30, 20)));
    let identity = identity.expect("it is an image");
    assert_eq!(
        (identity.format.as_str(), identity.width, identity.height),
        ("JPEG", 30, 20)
    );
    let error = runtime()
        .block_on(sandboxed().identify(&b"no image"[..]))
        .expect_err("it is none");
    assert!(error.to_string().contains("it is no image"), "{error}");
}

fn a_child_is_replaced_when_it_is_worn() {
    let sandbox = Sandbox::processes().conversions(2);
    let converter = build(Converter::builder().threads(1).sandbox(sandbox));
    let png = images::make("png", 30, 20);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let id =
            convert(&converter, b"IMAGO-FAULT:id", "", Format::Png).expect_err("it is a question");
        convert(&converter, &png, "", Format::Png).expect("it converts");
        seen.push(id.to_string());
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
}

fn no_child_outlives_its_converter() {
    let converter = sandboxed();
    let id = convert(&converter, b"IMAGO-FAULT:id", "", Format::Png).expect_err("it is a question");
    let text = id.to_string();
    let pid: i32 = text
        .rsplit(' ')
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("a number");
    let pid = format!("/proc/{pid}");
    assert!(std::path::Path::new(&pid).exists());
    drop(converter);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while std::path::Path::new(&pid).exists() {
        assert!(std::time::Instant::now() < until, "{pid} is still there");
        std::thread::yield_now();
    }
}
