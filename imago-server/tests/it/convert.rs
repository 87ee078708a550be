//! `imago-server convert`: one image without a server.

use std::path::Path;
use std::process::Output;

use testkit::images;

use crate::process::{command, text};

/// Runs it in a folder with a picture of 60 by 40 pixels.
fn convert(folder: &Path, arguments: &[&str]) -> Output {
    std::fs::write(folder.join("in 1.png"), images::make("png", 60, 40)).unwrap();
    command(folder)
        .arg("convert")
        .args(arguments)
        .output()
        .unwrap()
}

/// What a conversion made, which must have succeeded in silence.
fn converted(folder: &Path, arguments: &[&str]) -> String {
    let output = convert(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    let result = std::fs::read(folder.join("out 1.jpg")).unwrap();
    images::describe(&result, "%m %wx%h").concat()
}

#[test]
fn operations_are_words_or_strings() {
    for (operations, expected) in [
        (&["-resize", "30x30"][..], "JPEG 30x20"),
        (&["resize 30x30", "quality 50"], "JPEG 30x20"),
        (&["resize", "30x30", "-rotate", "90"], "JPEG 20x30"),
        (&["-resize 30x30 -rotate 90"], "JPEG 20x30"),
        (&["-resize", "50%", "+repage"], "JPEG 30x20"),
        (
            &["-gravity", "south", "-annotate", "+1+1", "hello world"],
            "JPEG 60x40",
        ),
        (&[], "JPEG 60x40"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [&["in 1.png", "out 1.jpg"], operations].concat();
        assert_eq!(
            converted(folder.path(), &arguments),
            expected,
            "{operations:?}"
        );
    }
}

#[test]
fn images_are_named_by_path_or_url() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    for (infile, outfile) in [
        ("./in 1.png[0]", "out 1.jpg".to_owned()),
        ("in 1.png", format!("{root}/out 1.jpg")),
        (
            &format!("file://{root}/in%201.png"),
            format!("file://{root}/out%201.jpg"),
        ),
    ] {
        assert_eq!(
            converted(folder.path(), &[infile, &outfile]),
            "JPEG 60x40",
            "{infile}"
        );
        std::fs::remove_file(folder.path().join("out 1.jpg")).unwrap();
    }
}

#[test]
fn failures_are_told_on_stderr() {
    for (arguments, expected) in [
        (&["none.png", "out.jpg"][..], "none.png"),
        (
            &["in 1.png", "out.jpg", "-resze", "5x5"],
            "there is no operation",
        ),
        (&["in 1.png", "out.nosuchformat"], "nosuchformat"),
        (&["in 1.png", "nosuch://b/out.jpg"], "nosuch"),
        (
            &["--config", "none.toml", "in 1.png", "out.jpg"],
            "can't read the configuration file `none.toml`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = convert(folder.path(), arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.starts_with("imago-server: "),
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing lies beside the source: {files:?}");
    }
}

#[test]
fn the_media_type_can_say_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let output = convert(
        folder.path(),
        &["--mimetype", "image/webp", "in 1.png", "out"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = std::fs::read(folder.path().join("out")).unwrap();
    assert_eq!(images::describe(&result, "%m"), ["WEBP"]);
}
