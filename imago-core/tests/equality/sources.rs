//! The pictures that the cases work on: a real photograph, and what is hard about pictures.

use std::path::Path;
use std::process::Stdio;

use testkit::images;

/// Each file, and how `magick` makes it.
const SOURCES: &[(&str, &str)] = &[
    ("photo.jpg", "chelsea.png -quality 88 -sampling-factor 2x2"),
    ("full.jpg", "chelsea.png -quality 95 -sampling-factor 1x1"),
    ("half.jpg", "chelsea.png -quality 80 -sampling-factor 2x1"),
    ("high.jpg", "chelsea.png -quality 80 -sampling-factor 1x2"),
    (
        "progressive.jpg",
        "chelsea.png -quality 85 -interlace Plane",
    ),
    (
        "restarts.jpg",
        "chelsea.png -quality 85 -define jpeg:restart-interval=7",
    ),
    ("gray.jpg", "chelsea.png -colorspace Gray -quality 85"),
    // Three channels of the same values.
    (
        "colorless.jpg",
        "chelsea.png -colorspace Gray -type TrueColor -quality 85",
    ),
    ("large.jpg", "chelsea.png -resize 1703x1133! -quality 85"),
    // Colours that lie outside of RGB between decoding and converting: some, and many.
    (
        "vivid.jpg",
        "chelsea.png -modulate 105,170 -sampling-factor 2x2 -quality 90",
    ),
    (
        "garish.jpg",
        "chelsea.png -modulate 110,400 -sampling-factor 2x2 -quality 90",
    ),
    (
        "edges.jpg",
        "-size 203x151 pattern:checkerboard -normalize -fill red -draw 'rectangle 20,20 90,80' -fill black -draw 'line 0,0 202,150' -quality 96",
    ),
    (
        "text.jpg",
        "-size 240x90 xc:white -fill black -pointsize 30 -gravity center -annotate 0 'Hard edges' -quality 96",
    ),
    ("pixel.jpg", "-size 1x1 xc:#3478bc -quality 90"),
    (
        "odd.jpg",
        "chelsea.png -crop 37x41+190+103 +repage -quality 90",
    ),
    (
        "wide.jpg",
        "chelsea.png -crop 451x2+0+103 +repage -quality 90",
    ),
    (
        "tall.jpg",
        "chelsea.png -crop 3x300+200+0 +repage -quality 90",
    ),
    (
        "dense.jpg",
        "chelsea.png -density 72x72 -units PixelsPerInch -set comment 'a cat, as it happens' -quality 90",
    ),
    (
        "photo.png",
        "chelsea.png -define png:exclude-chunks=date,time",
    ),
    (
        "alpha.png",
        "chelsea.png ( -size 451x300 gradient:white-black ) -alpha off -compose CopyAlpha -composite",
    ),
    (
        "shape.png",
        "-size 160x120 xc:none -fill gold -stroke navy -strokewidth 3 -draw 'circle 60,60 60,20' -draw 'roundrectangle 16,16 96,70 4,4' -depth 8 -define png:color-type=6",
    ),
    ("opaque.png", "PNG32:chelsea.png"),
    ("gray.png", "chelsea.png -colorspace Gray"),
    (
        "gray-alpha.png",
        "chelsea.png ( -size 451x300 radial-gradient:white-black ) -alpha off -compose CopyAlpha -composite -colorspace Gray",
    ),
    ("palette.png", "chelsea.png +dither -colors 40 PNG8:"),
    (
        "dense.png",
        "chelsea.png -density 118x118 -units PixelsPerCentimeter -set comment 'a cat' -set Title 'Chelsea' -profile srgb.icc",
    ),
    (
        "deep.png",
        "-size 64x48 gradient:#012345678901-#fedcba987654 -depth 16",
    ),
    (
        "deep-photo.png",
        "chelsea.png -resize 203x135! -depth 16 -define png:exclude-chunks=date,time",
    ),
    (
        "deep-alpha.png",
        "chelsea.png -resize 203x135! ( -size 203x135 gradient: ) -alpha off -compose CopyAlpha -composite -depth 16",
    ),
    (
        "deep-gray.png",
        "chelsea.png -resize 203x135! -colorspace Gray -depth 16",
    ),
    // As many bits, which say no more than eight do.
    (
        "shallow.png",
        "chelsea.png -define png:bit-depth=16 -depth 16",
    ),
    ("passes.png", "chelsea.png -interlace PNG"),
    ("photo.webp", "chelsea.png -quality 80"),
    (
        "lossless.webp",
        "chelsea.png -crop 120x90+180+90 +repage -quality 100",
    ),
    (
        "alpha.webp",
        "chelsea.png ( -size 451x300 gradient:white-black ) -alpha off -compose CopyAlpha -composite -quality 85",
    ),
    (
        "shape.webp",
        "-size 160x120 xc:none -fill gold -stroke navy -strokewidth 3 -draw 'circle 60,60 60,20' -quality 100",
    ),
];

/// Writes all sources into a folder.
pub(crate) fn make(folder: &Path) {
    let photo = crate::root().join("demo/chelsea.png");
    std::fs::copy(photo, folder.join("chelsea.png")).expect("the photograph can be copied");
    let profile = include_bytes!("../../profiles/srgb.icc").as_slice();
    std::fs::write(folder.join("srgb.icc"), profile).expect("a profile can be written");
    for (name, chain) in SOURCES {
        // The format of the result is the last word or the first.
        let (chain, prefix) = match (chain.strip_suffix(" PNG8:"), chain.strip_prefix("PNG32:")) {
            (Some(chain), _) => (chain, "PNG8:"),
            (_, Some(chain)) => (chain, "PNG32:"),
            _ => (*chain, ""),
        };
        let mut words =
            shell_words::split(&chain.replace('#', "\\#")).expect("the chains are right");
        words.push(format!("{prefix}{name}"));
        magick(folder, &words);
    }
    let read = |name: &str| std::fs::read(folder.join(name)).expect("it was just written");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("a source can be written");
    };
    let photo = read("photo.jpg");
    let segment = [b"ICC_PROFILE\0\x01\x01".as_slice(), profile].concat();
    for orientation in 1..=8 {
        let jpeg = with_segment(&photo, 0xe1, &exif(orientation));
        write(&format!("turned-{orientation}.jpg"), &jpeg);
    }
    let profiled = with_segment(&photo, 0xe2, &segment);
    let profiled = with_segment(&profiled, 0xe1, &exif(6));
    let profiled = with_segment(&profiled, 0xfe, b"between the segments");
    write("profiled.jpg", &profiled);
    let words = ["profiled.jpg", "-quality", "70", "profiled.webp"];
    magick(folder, &words.map(str::to_owned));
    // A maker's own segment, and Adobe's, which says that the components are YCbCr.
    let adobe = with_segment(&photo, 0xee, b"Adobe\0\x64\0\0\0\0\x01");
    write(
        "adobe.jpg",
        &with_segment(&adobe, 0xec, b"Ducky\0\x01\0\x04\0\0\0\x50\0\0"),
    );
}

/// Runs `magick` in a folder.
pub(crate) fn magick(folder: &Path, words: &[String]) -> String {
    let output = images::command()
        .args(words)
        .current_dir(folder)
        // As in Imago.
        .env("MAGICK_THREAD_LIMIT", "1")
        .stdin(Stdio::null())
        .output()
        .expect("`magick` can be started");
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A JPEG file with one more segment at its beginning.
fn with_segment(jpeg: &[u8], marker: u8, segment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(segment.len() + 2).expect("it is short");
    let (start, rest) = jpeg.split_at(2);
    [start, &[0xff, marker], &length.to_be_bytes(), segment, rest].concat()
}

/// Exif data of an orientation, a date and a density.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x04".to_vec();
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    exif.extend(b"\x01\x1a\0\x05\0\0\0\x01\0\0\0\x3e");
    exif.extend(b"\x01\x28\0\x03\0\0\0\x01\0\x02\0\0");
    exif.extend(b"\x01\x32\0\x02\0\0\0\x14\0\0\0\x46");
    exif.extend(b"\0\0\0\0");
    exif.extend(b"\0\0\x01\x2c\0\0\0\x01");
    exif.extend(b"2024:05:06 07:08:09\0");
    exif
}
