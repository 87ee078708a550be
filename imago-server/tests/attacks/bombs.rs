//! Small files that claim to be huge, and chains that would make something huge of a small one.

use std::fmt::Write as _;

use serde_json::json;
use testkit::images;

use crate::stage::Comes::{self, Fails, Harmless};
use crate::stage::Stage;

/// What the server may have grown by when all is over. One image that is as large as it claims takes more.
const GROWTH: u64 = 400 << 20;

/// A file with some of its bytes replaced: what it says of its size.
fn patched(format: &str, patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = images::make(format, 24, 24).to_vec();
    for (at, patch) in patches {
        bytes[*at..at + patch.len()].copy_from_slice(patch);
    }
    bytes
}

/// A PNG whose header is sound, and says this size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = images::make("png", 24, 24).to_vec();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The checksum of PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

/// A JPEG that says this size.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = images::make("jpeg", 24, 24).to_vec();
    let frame = bytes
        .windows(2)
        .position(|marker| marker == [0xFF, 0xC0])
        .unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A TIFF with these tags of four bytes each, and one pixel.
fn tiff(tags: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
    for (tag, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 8]);
    bytes
}

/// A box of JPEG 2000 and HEIF.
fn boxed(name: &str, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes(), name.as_bytes(), content].concat()
}

fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        // One pixel each.
        bytes.extend(b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    bytes.push(b';');
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_size_is_believed() {
    let mut stage = Stage::open(&[]);
    let huge = 60_000_u32;
    let (big, little) = (huge.to_be_bytes(), huge.to_le_bytes());
    let text = |text: &str| text.as_bytes().to_vec();
    let size = [80_u8, 0xC3, 80, 0xC3];
    let tags = |more: &[(u16, u32)]| {
        let base = [(256, huge), (257, huge), (258, 8), (259, 1), (262, 1)];
        tiff(&[&base, more].concat())
    };
    let siz = [
        &[0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0][..],
        &big,
        &big,
        &[0; 8],
        &big,
        &big,
        &[0; 8],
        &[0, 1, 7, 1, 1],
    ]
    .concat();
    let jp2 = [
        boxed("jP  ", b"\r\n\x87\n"),
        boxed("ftyp", b"jp2 \0\0\0\0jp2 "),
        boxed(
            "jp2h",
            &boxed("ihdr", &[&big[..], &big, &[0, 1, 7, 7, 0, 0]].concat()),
        ),
        boxed("jp2c", &siz),
    ]
    .concat();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("a.png", png(huge, huge)),
        ("wide.png", png(u32::MAX >> 1, 1)),
        ("negative.png", png(u32::MAX, u32::MAX)),
        ("nothing.png", png(0, 0)),
        ("a.jpg", jpeg(65_500, 65_500)),
        ("b.jpg", jpeg(65_535, 65_535)),
        ("a.gif", gif(65_535, 65_535, 1)),
        ("a.bmp", patched("bmp", &[(18, &little), (22, &little)])),
        (
            "negative.bmp",
            patched("bmp", &[(18, &[0xFF; 4]), (22, &[0, 0, 0, 0x80])]),
        ),
        ("a.psd", patched("psd", &[(14, &big), (18, &big)])),
        ("a.qoi", patched("qoi", &[(4, &big), (8, &big)])),
        ("a.farbfeld", patched("farbfeld", &[(8, &big), (12, &big)])),
        ("a.tga", patched("tga", &[(12, &size)])),
        ("a.sgi", patched("sgi", &[(6, &size)])),
        ("a.sun", patched("sun", &[(4, &big), (8, &big)])),
        ("a.dds", patched("dds", &[(12, &little), (16, &little)])),
        ("a.pcx", patched("pcx", &[(8, &size)])),
        ("a.dpx", patched("dpx", &[(772, &big), (776, &big)])),
        ("a.cin", patched("cin", &[(200, &big), (204, &big)])),
        (
            "a.ico",
            patched("ico", &[(6, &[0, 0]), (26, &little), (30, &little)]),
        ),
        (
            "a.webp",
            patched("webp", &[(12, b"VP8X"), (24, &[0xFF; 6])]),
        ),
        (
            "a.tiff",
            tags(&[(273, 8), (277, 1), (278, huge), (279, u32::MAX)]),
        ),
        (
            "strips.tiff",
            tags(&[(273, 8), (277, 1), (278, 1), (279, 1)]),
        ),
        (
            "tiles.tiff",
            tags(&[(277, 1), (322, huge), (323, huge), (324, 8), (325, 1)]),
        ),
        (
            "tile.tiff",
            tags(&[(277, 1), (322, 16), (323, 16), (324, 8), (325, 1)]),
        ),
        (
            "samples.tiff",
            tags(&[(273, 8), (277, 65_535), (278, huge), (279, 1)]),
        ),
        ("loop.tiff", tiff(&[(256, 9), (257, 9), (330, 8)])),
        ("a.jp2", jp2),
        ("a.j2k", siz),
        ("a.pgm", text("P5 60000 60000 255\n")),
        ("a.pbm", text("P4 4294967295 4294967295\n")),
        ("b.pgm", text("P5 99999999999999999999 9 255\n")),
        ("c.pgm", text("P2 -9 -9 255\n1")),
        (
            "a.pam",
            text(
                "P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
            ),
        ),
        (
            "b.pam",
            text("P7\nWIDTH 9\nHEIGHT 9\nDEPTH 999999999\nMAXVAL 255\nENDHDR\n"),
        ),
        ("a.pfm", text("PF\n60000 60000\n-1.0\n")),
        (
            "a.miff",
            text(
                "id=ImageMagick\ncolumns=60000 rows=60000 depth=8\ncolors=4294967295\n\x0c\n:\x1a",
            ),
        ),
        (
            "b.miff",
            text("id=ImageMagick\ncolumns=9 rows=9 depth=8 profile-icc=4294967295\n\x0c\n:\x1a"),
        ),
        (
            "c.miff",
            text(
                "id=ImageMagick\ncolumns=9 rows=9 number-channels=65535 compression=Zip\n\x0c\n:\x1a",
            ),
        ),
        (
            "a.xpm",
            text("/* XPM */\nstatic char *a[] = {\n\"60000 60000 1 1\",\n\"a c red\",\n\"a\"};"),
        ),
        (
            "b.xpm",
            text("/* XPM */\nstatic char *a[] = {\n\"9 9 999999999 9\",\n\"a c red\"};"),
        ),
        (
            "a.xbm",
            text("#define a_width 60000\n#define a_height 60000\nstatic char a_bits[] = { 0x00 };"),
        ),
        (
            "a.fits",
            text(&format!(
                "{:80}{:80}{:80}{:80}{:80}{:80}",
                "SIMPLE  = T",
                "BITPIX  = 8",
                "NAXIS   = 2",
                "NAXIS1  = 60000",
                "NAXIS2  = 60000",
                "END"
            )),
        ),
        (
            "a.hdr",
            text("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n"),
        ),
        ("a.six", text("\x1bPq\"1;1;60000;60000#0;2;0;0;0~\x1b\\")),
        ("b.six", text("\x1bPq#0;2;0;0;0!2147483647~\x1b\\")),
        (
            "a.svg",
            text(r#"<svg xmlns="http://www.w3.org/2000/svg" width="60000" height="60000"/>"#),
        ),
        (
            "b.svg",
            text(r#"<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>"#),
        ),
        (
            "c.svg",
            text(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1e30 1e30"/>"#),
        ),
        (
            "d.svg",
            text(r#"<svg xmlns="http://www.w3.org/2000/svg" width="99999in" height="99999in"/>"#),
        ),
        (
            "a.vips",
            b"\x08\xf2\xa6\xb6\0\0\xea\x60\0\0\xea\x60\0\0\0\x03".to_vec(),
        ),
        (
            "a.xcf",
            text("gimp xcf file\0\0\0\u{6a}\u{60}\0\0\u{6a}\u{60}\0\0\0\0"),
        ),
    ];
    let before = stage.service.resident_bytes();
    for (name, bytes) in table {
        let url = stage.put(name, bytes);
        // A claim that is not believed may leave an image of another size.
        bomb(&mut stage, &url, &[], Harmless).await;
    }
    let grown = stage.service.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes are kept");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_repetition_is_followed() {
    let mut stage = Stage::open(&[]);
    let limit = Fails("limit");
    let url = stage.put("frames.gif", gif(1, 1, 50_000));
    bomb(&mut stage, &url, &[], limit).await;
    let url = stage.put("frames.pnm", "P1 1 1 0\n".repeat(50_000));
    bomb(&mut stage, &url, &[], limit).await;
    let svg = r#"xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9""#;
    let mut uses = String::from(r#"<g id="a0"><rect width="1" height="1"/></g>"#);
    let mut patterns = String::new();
    for level in 1..40 {
        let ten = format!(r##"<use xlink:href="#a{}"/>"##, level - 1).repeat(10);
        write!(uses, r#"<g id="a{level}">{ten}</g>"#).unwrap();
        write!(patterns, r#"<pattern id="p{level}" width="1" height="1" patternUnits="userSpaceOnUse"><rect width="9" height="9" fill="url(#p{})"/><rect width="9" height="9" stroke="url(#p{0})"/></pattern>"#, level - 1).unwrap();
    }
    let documents = [
        format!(r##"<svg {svg}>{uses}<use xlink:href="#a39"/></svg>"##),
        format!(r#"<svg {svg}>{patterns}<rect width="9" height="9" fill="url(#p39)"/></svg>"#),
        format!(r##"<svg {svg}><use id="a" xlink:href="#a"/></svg>"##),
        format!(
            r##"<svg {svg}><g id="a"><use xlink:href="#b"/></g><g id="b"><use xlink:href="#a"/></g></svg>"##
        ),
        format!(
            r#"<svg {svg}><mask id="a" mask="url(#a)"/><rect mask="url(#a)" width="9" height="9"/></svg>"#
        ),
        format!(
            "<svg {svg}>{}{}</svg>",
            "<g>".repeat(100_000),
            "</g>".repeat(100_000)
        ),
        format!("<svg {svg}>{}</svg>", "<g>".repeat(1_000_000)),
        format!(
            r"<svg {svg} {}/>",
            (0..100_000)
                .map(|n| format!(r#"a{n}="""#))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        format!(
            r#"<svg {svg}><path d="M0 0{}"/></svg>"#,
            " l1 1".repeat(1_000_000)
        ),
        format!(
            r#"<svg {svg}><path d="M0 0 L1e9 1e9" stroke="red" stroke-dasharray="0.0000001"/></svg>"#
        ),
        format!(
            r#"<svg {svg}><filter id="f"><feGaussianBlur stdDeviation="1e9"/></filter><rect width="9" height="9" filter="url(#f)"/></svg>"#
        ),
        format!(
            r#"<svg {svg}><filter id="f"><feMorphology radius="1e9"/></filter><rect width="9" height="9" filter="url(#f)"/></svg>"#
        ),
        format!(
            r#"<svg {svg}><filter id="f"><feConvolveMatrix order="100000"/></filter><rect width="9" height="9" filter="url(#f)"/></svg>"#
        ),
        format!(
            r"<svg {svg}><style>{}</style></svg>",
            "g ".repeat(100_000) + "{fill:red}"
        ),
        format!(
            r#"<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><svg {svg}><text>&c;</text></svg>"#
        ),
        format!(r#"<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY % a "&#37;a;">%a;]><svg {svg}/>"#),
    ];
    let before = stage.service.resident_bytes();
    for (index, document) in documents.into_iter().enumerate() {
        let url = stage.put(&format!("{index}.svg"), document);
        bomb(&mut stage, &url, &[], Harmless).await;
    }
    let grown = stage.service.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes are kept");
    stage.close().await;
}

/// Pictures by which ImageMagick or librsvg ends the process, or doesn't come to an end.
#[tokio::test(flavor = "multi_thread")]
async fn no_picture_ends_the_server() {
    let mut stage = Stage::open(&[]);
    let svg = r#"xmlns="http://www.w3.org/2000/svg" width="9" height="9""#;
    let documents = [
        format!(r#"<svg {svg}><text font-size="1e9" y="9">x</text></svg>"#),
        format!(
            r#"<svg {svg}><filter id="f"><feTurbulence numOctaves="2147483647"/></filter><rect width="9" height="9" filter="url(#f)"/></svg>"#
        ),
    ];
    for (index, document) in documents.into_iter().enumerate() {
        let url = stage.put(&format!("{index}.svg"), document);
        let action = json!({"infile": url, "outfile": "file://{root}/out/{n}.png", "timeout": 5});
        stage.action(&action, Fails("")).await;
    }
    stage.close().await;
}

/// Chains that ask for more than anybody needs, on a small picture: memory, time, images.
#[tokio::test(flavor = "multi_thread")]
async fn no_chain_takes_more_than_its_time() {
    let mut stage = Stage::open(&[]);
    let doubled = "( -clone 0--1 ) ".repeat(40);
    let chains: &[&[&str]] = &[
        // Images without end.
        &["duplicate 100000000"],
        &[&doubled],
        &["+duplicate", "morph 10000000"],
        &["resize 2000x2000!", "crop 1x1"],
        &["crop 100000x100000@"],
        // Pixels without end.
        &["resize 65000x3900!", "blur 0x50"],
        &["extent 60000x60000"],
        &["border 32000x32000"],
        &["set option:distort:viewport 60000x60000", "distort SRT 10"],
        &[
            "draw 'push pattern a 0,0 60000,60000 rectangle 0,0 9,9 pop pattern fill url(#a) rectangle 0,0 99,99'",
        ],
        &["magnify magnify magnify magnify magnify magnify magnify magnify magnify magnify"],
        // Expressions and loops that never end.
        &["fx while(1,1)"],
        &["print '%[fx:while(1,1)]'"],
        &["annotate 0 '%[fx:while(1,1)]'"],
        &["resize '%[fx:while(1,1)]'"],
        &[
            "stroke red",
            "draw 'stroke-dasharray 0.00001 0.00001 line 0,0 100000,100000'",
        ],
        &["draw 'scale 1e9,1e9 circle 0,0 9,9'"],
        &["roll +1000000000000000000+1000000000000000000"],
        // Neighbourhoods without end.
        &["blur 0x100000"],
        &["adaptive-blur 0x10000"],
        &["motion-blur 0x1000000"],
        &["statistic Median 20000x20000"],
        &["morphology Convolve Disk:30000"],
        &["define filter:support=1e9", "resize 300x300"],
        &["canny 0x100000"],
        &["mean-shift 10000x10000"],
        &["bilateral-blur 10000x10000"],
        &["liquid-rescale 20000x20000!"],
    ];
    let url = stage.put("b.png", images::make("png", 200, 200));
    let outfile = |index: usize| format!("file://{}/out/{index}.png", stage.root().display());
    let actions: Vec<_> = chains
        .iter()
        .enumerate()
        .map(|(index, chain)| json!({"infile": url, "outfile": outfile(index), "operations": chain, "timeout": 1}))
        .collect();
    let document = stage.service.run(&actions).await;
    for action in document["actions"].as_array().unwrap() {
        assert_eq!(action["status"], "error", "{action}");
        let error = action["error"].as_str().unwrap();
        assert!(!error.contains("canceled"), "nobody did: {action}");
    }
    stage.operations(&["resize 20x20"], Comes::Done).await;
    stage.close().await;
}

/// Runs an action that may not take long.
async fn bomb(stage: &mut Stage, url: &str, operations: &[&str], comes: Comes) {
    let action = json!({
        "infile": url,
        "outfile": "file://{root}/out/{n}.png",
        "operations": operations,
        "timeout": 90,
    });
    stage.action(&action, comes).await;
}
