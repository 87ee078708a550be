//! `file://`, below its roots and nowhere else; and the command line, which trusts its user.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use testkit::images;

use crate::service::{Service, action};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_lies_below_a_root_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let picture = images::make("png", 40, 30);
    std::fs::write(root.join("in.png"), &picture).unwrap();
    std::fs::write(folder.path().join("secret.png"), &picture).unwrap();
    symlink(folder.path(), root.join("up")).unwrap();
    symlink(folder.path().join("secret.png"), root.join("link.png")).unwrap();
    let service = Service::start(&[], &["--file-root", root.to_str().unwrap()]);
    let root = root.display();
    let inside = format!("file://{root}/in.png");
    let result = format!("file://{root}/out/a b.jpg");

    let document = service.run(&[action(&inside, &result, "resize 9x9")]).await;
    assert_eq!(document["status"], "done", "{document}");
    assert!(folder.path().join("root/out/a b.jpg").exists());

    let secret = format!("file://{}/secret.png", folder.path().display());
    for url in [
        secret,
        format!("file://{root}/../secret.png"),
        format!("file://{root}/%2e%2e/secret.png"),
        format!("file://{root}2/in.png"),
        "file:///etc/passwd".to_owned(),
    ] {
        for (infile, outfile) in [(&url, &result), (&inside, &url)] {
            let errors = service.refused(&[action(infile, outfile, "strip")]).await;
            assert_eq!(errors.len(), 1, "{url}: {errors:?}");
        }
    }
    // Where a link leads is seen when it is followed.
    for url in [
        format!("file://{root}/up/secret.png"),
        format!("file://{root}/link.png"),
    ] {
        for (infile, outfile) in [(&url, &result), (&inside, &url)] {
            let document = service.run(&[action(infile, outfile, "strip")]).await;
            let error = document["actions"][0]["error"].as_str().unwrap();
            assert!(
                error.contains("does not lie below a folder"),
                "{url}: {document}"
            );
        }
    }
    assert_eq!(
        std::fs::read(folder.path().join("secret.png")).unwrap(),
        picture
    );
}

fn convert(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imago-server"))
        .arg("convert")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn the_command_line_converts_local_files() {
    let folder = tempfile::tempdir().unwrap();
    let picture = images::make("png", 40, 30);
    std::fs::write(folder.path().join("a b#c.png"), &picture).unwrap();
    for arguments in [
        &["a b#c.png", "out.jpg", "resize 20x20 quality 90"][..],
        &[
            "./a b#c.png",
            "out.jpg",
            "-resize",
            "20x20",
            "-quality",
            "90",
        ],
        &["a b#c.png", "out.jpg", "resize 20x20", "quality 90"],
    ] {
        let output = convert(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let result = std::fs::read(folder.path().join("out.jpg")).unwrap();
        assert_eq!(
            images::describe(&result, "%m %w %h %Q"),
            ["JPEG 20 15 90"],
            "{arguments:?}"
        );
        std::fs::remove_file(folder.path().join("out.jpg")).unwrap();
    }
    for (arguments, text) in [
        (&["gone.png", "out.jpg"][..], "gone.png"),
        (
            &["a b#c.png", "out.jpg", "resze", "2x2"],
            "did you mean `resize`?",
        ),
        (&["a b#c.png", "out.xyz"], "`.xyz`"),
    ] {
        let output = convert(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(text), "{arguments:?}: {stderr}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{arguments:?} left something: {left:?}");
    }
}
