//! The second fence with the first one open: steps that no parser let through, straight to ImageMagick.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::*;

use crate::engine::{Fidelity, Format, Input, Stop};

/// A picture of one colour that needs no encoder to make.
const PICTURE: &[u8] = b"P6 4 4 255\n000000000000000000000000000000000000000000000000";

fn run(source: &[u8], steps: &[Step], format: &Format) -> Result<Converted> {
    let stop = Stop::after(Duration::from_secs(60));
    run_until(source, steps, format, &stop)
}

fn run_until(source: &[u8], steps: &[Step], format: &Format, stop: &Stop) -> Result<Converted> {
    let mut inputs = vec![Input::Object {
        bytes: Bytes::copy_from_slice(source),
        name: String::new(),
        extension: None,
        selector: None,
    }];
    // As if the parser took whatever is read for a generator.
    let reads = steps.iter().filter_map(Step::input);
    inputs.extend(reads.map(|input| Input::Generated(input.to_owned())));
    convert(&Conversion {
        inputs: &inputs,
        steps,
        format,
        separate: false,
        animations: true,
        cmyk: None,
        upright: false,
        native: false,
        fidelity: Fidelity::Exact,
        stop,
    })
}

/// Whether a result holds the words of a secret file, or the colour of a secret picture.
fn leaks(result: &Result<Converted>) -> bool {
    match result {
        Ok(converted) => {
            converted.output.contains("sesame")
                || converted.files[0]
                    .bytes
                    .windows(6)
                    .any(|window| window == b"sesame")
        }
        Err(error) => error.to_string().contains("sesame"),
    }
}

#[test]
fn the_policy_opens_no_file_for_any_operation() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let secret = folder.path().join("secret.ppm");
    std::fs::write(&secret, PICTURE).expect("a picture");
    let text = folder.path().join("secret.txt");
    std::fs::write(&text, "sesame").expect("a text");
    let target = folder.path().join("written.ppm");

    let picture = name(&secret);
    let at_text = format!("@{}", name(&text));
    let draw = format!("image Over 0,0 0,0 '{picture}'");
    let table = [
        Step::new("-read", &[picture]),
        Step::new("-write", &[name(&target)]),
        Step::new("+write", &[name(&target)]),
        Step::new("-tile", &[picture]),
        Step::new("-fill", &[picture]),
        Step::new("-remap", &[picture]),
        Step::new("-profile", &[picture]),
        Step::new("-mask", &[picture]),
        Step::new("-read-mask", &[picture]),
        Step::new("-write-mask", &[picture]),
        Step::new("-clip-mask", &[picture]),
        Step::new("-cdl", &[name(&text)]),
        Step::new("-encipher", &[name(&text)]),
        Step::new("-draw", &[&draw]),
        Step::new("-draw", &[&at_text]),
        Step::new("-set", &["profile", name(&text)]),
        Step::new("-process", &["analyze"]),
        Step::new("-read", &["https://127.0.0.1:1/x.png"]),
        Step::new("-read", &["mpr:x"]),
        Step::new("-read", &["msl:x"]),
        Step::new("-read", &["ephemeral:x"]),
        Step::new("-read", &["text:/etc/passwd"]),
        Step::new("-read", &["label:@/etc/passwd"]),
        Step::new("-read", &["fd:0"]),
        Step::new("-read", &["-"]),
    ];
    for step in table {
        let result = run(PICTURE, std::slice::from_ref(&step), &Format::Png);
        assert!(result.is_err(), "`{step}` ran");
        assert!(!leaks(&result), "`{step}`: {result:?}");
        assert!(!target.exists(), "`{step}` wrote a file");
    }
    // These put the text itself in where the file may not be read: nothing fails, and nothing leaks.
    for option in ["-set", "-annotate"] {
        let step = Step::new(option, &["comment", &at_text]);
        let result = run(PICTURE, std::slice::from_ref(&step), &Format::Png);
        assert!(!leaks(&result), "`{step}`: {result:?}");
    }
    assert!(secret.exists() && text.exists());
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

#[test]
fn formats_that_name_files_or_run_code_are_not_read() {
    let table: [(&[u8], &str); 6] = [
        (b"push graphic-context\nviewbox 0 0 9 9\nimage Over 0,0 0,0 '/etc/passwd'\npop graphic-context\n", "MVG"),
        (b"%!PS-Adobe-3.0\nshowpage\n", "PS"),
        (b"%PDF-1.4\n", "PDF"),
        (b"id=MagickPixelCache\n", "MPC"),
        (b"<?xml version=\"1.0\"?><image><read filename=\"/etc/passwd\"/></image>", "SVG"),
        (b"# ImageMagick pixel enumeration: 1,1,255,srgb\n0,0: (1,1,1)\n", "TXT"),
    ];
    for (source, format) in table {
        let error = run(source, &[], &Format::Png).expect_err(format);
        assert_eq!(error.kind(), ErrorKind::BadImage, "{format}: {error}");
    }
}

#[test]
fn a_document_that_names_a_file_is_refused_and_one_that_does_not_is_drawn() {
    let inner = r#"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8" fill="red"/></svg>"#;
    let drawn = run(inner.as_bytes(), &[], &Format::Png).expect("it names nothing");
    assert_eq!((drawn.width, drawn.height), (8, 8));
    let outer = inner.replace("<rect", r#"<image href="/etc/passwd"/><rect"#);
    let error = run(outer.as_bytes(), &[], &Format::Png).expect_err("it names a file");
    assert!(error.to_string().contains("/etc/passwd"), "{error}");
}

#[test]
fn a_conversion_that_takes_too_long_ends() {
    let slow = [
        Step::new("-resize", &["3000x3000!"]),
        Step::new("-blur", &["0x60"]),
    ];
    let stop = Stop::after(Duration::from_millis(1));
    stop.start();
    let error = run_until(PICTURE, &slow, &Format::Png, &stop).expect_err("1 ms is not enough");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[test]
fn an_operation_that_wants_too_much_is_an_error() {
    runtime::set_limits(&crate::Limits {
        memory: 4 << 30,
        ..crate::Limits::default()
    });
    for geometry in ["70000x10!", "60000x60000!"] {
        let steps = [Step::new("-resize", &[geometry])];
        let result = run(PICTURE, &steps, &Format::Png);
        let error = result.expect_err(geometry);
        assert_eq!(
            error.kind(),
            ErrorKind::LimitExceeded,
            "{geometry}: {error}"
        );
    }
}

/// The renderer by itself, without the check that stands before it: it opens nothing that a document names.
#[test]
fn the_renderer_of_svg_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let at = |file: &str| name(&folder.path().join(file)).to_owned();
    let red = r#"<rect xmlns="http://www.w3.org/2000/svg" width="8" height="8" fill="red"/>"#;
    let picture = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8" id="a">{red}</svg>"#
    );
    for (file, text) in [
        ("red.svg", picture.as_str()),
        ("red.xml", red),
        ("red.css", "rect { fill: red }"),
        ("red.ppm", "P3 1 1 1 1 0 0"),
    ] {
        std::fs::write(at(file), text).expect("a file for the test");
    }
    let (svg, xml, css) = (at("red.svg"), at("red.xml"), at("red.css"));
    let here = std::env::current_dir().expect("a directory to be in");
    let up = "../".repeat(here.components().count());
    let ppm = at("red.ppm");
    let documents = [
        format!(r#"<image href="{svg}" width="8" height="8"/>"#),
        format!(r#"<image href="file://{svg}" width="8" height="8"/>"#),
        format!(r#"<image href="{up}{svg}" width="8" height="8"/>"#),
        format!(r#"<image xlink:href="file://{ppm}" width="8" height="8"/>"#),
        format!(r#"<use href="file://{svg}#a"/>"#),
        format!(r#"<use href="{up}{svg}#a"/>"#),
        format!(r#"<style>@import "file://{css}";</style><rect class="x" width="8" height="8"/>"#),
        format!(r#"<style>@import url({up}{css});</style><rect class="x" width="8" height="8"/>"#),
        format!(r#"<xi:include href="file://{xml}"/>"#),
        format!(r#"<xi:include href="{up}{xml}" parse="xml"/>"#),
        format!(r#"<text y="8" font-size="8"><xi:include href="{xml}" parse="text"/></text>"#),
        "&red;".to_owned(),
        format!(r#"<rect width="8" height="8" fill="url(file://{svg}#a) white"/>"#),
    ];
    let mut drawn = 0;
    for content in documents {
        let doctype = match content.as_str() {
            "&red;" => format!(r#"<!DOCTYPE svg [<!ENTITY red SYSTEM "file://{xml}">]>"#),
            _ => String::new(),
        };
        let document = format!(
            r#"<?xml version="1.0"?>
<?xml-stylesheet type="text/css" href="file://{css}"?>{doctype}
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xi="http://www.w3.org/2001/XInclude" width="8" height="8">{content}</svg>"#
        );
        let stop = Stop::after(Duration::from_secs(60));
        let mut wand = Wand::new(&stop);
        // An error is as good as a hole in the picture.
        if wand.read(document.as_bytes(), "RSVG", None).is_ok() {
            let steps = [
                Step::new("-background", &["white"]),
                Step::new("-flatten", &[]),
                Step::new("-depth", &["8"]),
            ];
            for step in &steps {
                wand.apply(step).expect("it flattens");
            }
            let (pixels, _) = wand.write("RGB").expect("it can be written");
            let is_red = |pixel: &[u8]| pixel[0] > 200 && pixel[1] < 100;
            assert_eq!(pixels.len(), 8 * 8 * 3, "{content}");
            assert!(!pixels.chunks(3).any(is_red), "{content}");
            drawn += 1;
        }
    }
    assert!(drawn >= 10, "only {drawn} documents were drawn");
    // The test would see it.
    let stop = Stop::after(Duration::from_secs(60));
    let mut wand = Wand::new(&stop);
    wand.read(picture.as_bytes(), "RSVG", None)
        .expect("it is drawn");
    wand.apply(&Step::new("-depth", &["8"])).expect("a setting");
    wand.apply(&Step::new("-alpha", &["off"]))
        .expect("an operator");
    let (pixels, _) = wand.write("RGB").expect("it can be written");
    assert_eq!(&pixels[..3], &[255, 0, 0]);
}
