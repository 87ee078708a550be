//! What an image is, in comparison with what `magick` says of the whole picture.

use imago_core::{Converter, Identity};
use testkit::images;

async fn converter() -> Converter {
    let converter = Converter::builder().build().await;
    converter.expect("a converter starts")
}

/// An identity in the words of [`WORDS`].
fn words(identity: &Identity) -> String {
    let (x, y, units) = identity
        .density
        .as_ref()
        .map_or((0.0, 0.0, "Undefined"), |density| {
            (density.x, density.y, density.units.as_str())
        });
    format!(
        "{} {}x{} {} {} {} {} {x:.2} {y:.2} {units} {}",
        identity.format,
        identity.width,
        identity.height,
        identity.frames,
        identity.colorspace,
        if identity.alpha { "Blend" } else { "Undefined" },
        identity.orientation,
        identity.bytes,
    )
}

/// What `magick` says of a picture when it reads it whole.
fn by_magick(picture: &[u8], format: &str) -> String {
    let source = format!("{format}:-");
    let words = "%m %wx%h %n %[colorspace] %A %[orientation] %[resolution.x] %[resolution.y] %U\n";
    let text = images::magick_with([&source, "-format", words, "info:"], picture).stdout;
    let text = String::from_utf8(text).expect("it is text");
    let parts: Vec<_> = text.lines().next().expect("a line").split(' ').collect();
    let number = |text: &str| text.parse::<f64>().expect("a number");
    // It says 72 where there is none.
    let (x, y, units) = match (number(parts[6]), number(parts[7]), parts[8]) {
        (72.0, 72.0, "Undefined") | (0.0, 0.0, _) => (0.0, 0.0, "Undefined"),
        density => density,
    };
    format!(
        "{} {x:.2} {y:.2} {units} {}",
        parts[..6].join(" "),
        picture.len()
    )
}

#[tokio::test]
async fn the_header_tells_what_the_picture_does() {
    let converter = converter().await;
    let formats = [
        "png", "jpeg", "webp", "gif", "tiff", "bmp", "avif", "heic", "jxl", "jp2", "psd", "ico",
        "ppm", "pgm", "exr", "qoi", "pcx", "sgi", "miff", "dds", "hdr",
    ];
    let changes = [
        "",
        "-colorspace Gray -depth 8",
        "-alpha set -channel A -evaluate set 50% +channel",
        "-units PixelsPerInch -density 300x150",
        "( +clone -flip )",
        "-colorspace CMYK",
    ];
    let photo = images::photo(60, 40);
    let mut differences = Vec::new();
    for format in formats {
        for change in changes {
            let several = [
                "png", "jpeg", "bmp", "jp2", "exr", "qoi", "pcx", "dds", "hdr",
            ];
            if change.contains("clone") && several.contains(&format)
                || change.contains("CMYK") && !["jpeg", "tiff", "psd", "miff"].contains(&format)
            {
                continue;
            }
            let target = format!("{format}:-");
            let words_ = ["ppm:-"].into_iter().chain(change.split_whitespace());
            let picture = images::magick_with(words_.chain([target.as_str()]), &photo).stdout;
            let identity = converter.identify(picture.clone()).await;
            let ours = identity.map_or_else(|error| error.to_string(), |i| words(&i));
            let theirs = by_magick(&picture, format);
            if ours != theirs {
                differences.push(format!(
                    "{format} `{change}`: {ours}, but `magick` says {theirs}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
