//! Real conversions through the whole server, over `file://` and `http://`.

use std::path::Path;

use serde_json::json;
use testkit::{http, images};

use crate::process::Process;

/// A server for a folder of pictures, and the URL of that folder.
fn serve(folder: &Path) -> (Process, String) {
    let root = folder.to_str().unwrap();
    (
        Process::start(&["--file-root", root]),
        format!("file://{root}"),
    )
}

#[test]
fn a_job_of_two_actions_on_one_photograph() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("foo.png"), images::make("png", 600, 400)).unwrap();
    let (server, root) = serve(folder.path());
    let path = server.submit(&json!([
        {
            "infile": format!("{root}/foo.png"), "outfile": format!("{root}/out/foo%20200x200.jpg"),
            "operations": ["resize 200X200", "quality 100"], "mimetype": "image/jpg",
        },
        {
            "infile": format!("{root}/foo.png"), "outfile": format!("{root}/out/foo-4xx4k.tiff"),
            "operations": ["resize 1000X1000"],
        },
    ]));
    let document = server.finished(&path);
    assert_eq!(document["status"], "done", "{document:#}");
    assert_eq!(document["progress"], 1.0);
    for (index, (file, format, width, height, mimetype)) in [
        ("out/foo 200x200.jpg", "JPEG", 200, 133, "image/jpg"),
        ("out/foo-4xx4k.tiff", "TIFF", 1000, 667, "image/tiff"),
    ]
    .into_iter()
    .enumerate()
    {
        let action = &document["actions"][index];
        assert_eq!(action["error"], "", "{file}");
        assert_eq!(action["mimetype"], mimetype, "{file}");
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        assert_eq!(
            images::describe(&bytes, "%m %wx%h"),
            [format!("{format} {width}x{height}")]
        );
        let result = &action["result"];
        assert_eq!(result["format"], format, "{file}");
        assert_eq!(
            (&result["width"], &result["height"]),
            (&json!(width), &json!(height)),
            "{file}"
        );
        assert_eq!(
            (&result["frames"], &result["attempts"]),
            (&json!(1), &json!(1)),
            "{file}"
        );
        assert_eq!(result["bytes"], bytes.len(), "{file}");
        assert_eq!(result["files"], json!([action["outfile"]]), "{file}");
        assert!(
            result["engine"].is_string() && result["cache"].is_string(),
            "{file}"
        );
        for stage in ["fetch", "convert", "store"] {
            assert!(result["milliseconds"][stage].is_u64(), "{file}: {stage}");
        }
    }
}

#[test]
fn each_bad_source_is_its_own_actions_error() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = images::make("jpg", 600, 400);
    for (name, bytes) in [
        ("good.jpg", &jpeg[..]),
        ("truncated.jpg", &jpeg[..200]),
        ("text.png", b"this is no picture"),
        ("empty.png", b""),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (server, root) = serve(folder.path());
    let names = [
        "good.jpg",
        "missing.png",
        "text.png",
        "empty.png",
        "truncated.jpg",
        "good.jpg",
    ];
    let actions: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| json!({"infile": format!("{root}/{name}"), "outfile": format!("{root}/out/{index}.png")}))
        .collect();
    let document = server.finished(&server.submit(&json!(actions)));
    assert_eq!(document["status"], "error");
    for (index, name) in names.iter().enumerate() {
        let action = &document["actions"][index];
        let is_good = *name == "good.jpg";
        assert_eq!(
            action["status"],
            if is_good { "done" } else { "error" },
            "{name}: {action:#}"
        );
        assert_eq!(action["error"] == "", is_good, "{name}");
        let result = folder.path().join(format!("out/{index}.png"));
        assert_eq!(result.is_file(), is_good, "{name}");
        if !is_good {
            assert!(
                action["error"].as_str().unwrap().contains(name),
                "it names its source: {action:#}"
            );
        }
    }
}

#[test]
fn what_can_be_known_to_be_wrong_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (server, root) = serve(folder.path());
    let good = format!("{root}/in.png");
    for (action, pointer) in [
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "operations": ["strip", "resze 5x5"]}),
            "/operations/1",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "operations": ["resize"]}),
            "/operations/0",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "operations": ["-write /tmp/x"]}),
            "/operations/0",
        ),
        (
            json!({"infile": "memory://b/x.png", "outfile": format!("{root}/o.png")}),
            "/infile",
        ),
        (
            json!({"infile": "in.png", "outfile": format!("{root}/o.png")}),
            "/infile",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.nosuchformat")}),
            "/outfile",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "headers": {"Set-Cookie": "x"}}),
            "/headers/Set-Cookie",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "headers": {"Cache-Control": "a\r\nb: c"}}),
            "/headers/Cache-Control",
        ),
        (
            json!({"infile": good, "outfile": format!("{root}/o.png"), "mimetype": "a\r\nb"}),
            "/mimetype",
        ),
    ] {
        let body = json!({"actions": [action]}).to_string();
        let (status, problem) = server.json("POST", "/api/v1/work", &body);
        assert_eq!(status, 422, "{body}: {problem}");
        assert_eq!(problem["detail"], "1 of 1 actions can't run", "{body}");
        let first = &problem["errors"][0]["pointer"];
        assert_eq!(first, &format!("/actions/0{pointer}"), "{body}: {problem}");
    }
}

#[test]
fn files_outside_the_root_are_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    for folder in [&inside, &outside] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("in.png"), images::make("png", 6, 4)).unwrap();
    }
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
    let (server, root) = serve(&inside);
    let parent = root.trim_end_matches("/inside");
    let cases = [
        (format!("{parent}/outside/in.png"), format!("{root}/o.png")),
        (format!("{root}/../outside/in.png"), format!("{root}/o.png")),
        (
            format!("{root}/%2e%2e/outside/in.png"),
            format!("{root}/o.png"),
        ),
        (format!("{root}/link/in.png"), format!("{root}/o.png")),
        (format!("{root}/in.png"), format!("{parent}/outside/o.png")),
        (format!("{root}/in.png"), format!("{root}/../outside/o.png")),
        (format!("{root}/in.png"), format!("{root}/link/o.png")),
    ];
    for (infile, outfile) in cases {
        let body = json!({"actions": [{"infile": infile, "outfile": outfile}]}).to_string();
        // Refused at once where the URL itself says so, else when the file system does.
        let (status, answer) = server.json("POST", "/api/v1/work", &body);
        if status == 202 {
            let path = format!("/api/v1/work/{}", answer["id"].as_str().unwrap());
            let document = server.finished(&path);
            assert_eq!(document["status"], "error", "{document:#}");
        } else {
            assert_eq!(status, 422, "{body}: {answer}");
        }
        assert!(
            !outside.join("o.png").exists() && !inside.join("o.png").exists(),
            "{body}"
        );
    }
}

#[test]
fn a_jobs_actions_on_one_object_share_one_request_for_it() {
    let source = http::Server::start();
    let reply = http::Reply::ok(images::make("png", 60, 40)).content_type("image/png");
    // Without an ETag the cache keeps nothing.
    source.route("/untagged.png", reply.clone());
    source.route("/tagged.png", reply.e_tag("\"1\""));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let server = Process::start(&["--http-private", "--file-root", root]);
    for path in ["/tagged.png", "/untagged.png"] {
        let action = |index| json!({"infile": source.url(path), "outfile": format!("file://{root}/{index}.gif")});
        let actions: Vec<_> = (0..20).map(action).collect();
        let document = server.finished(&server.submit(&json!(actions)));
        assert_eq!(document["status"], "done", "{path}: {document:#}");
        assert_eq!(source.get_count(path), 1, "{path}");
    }
}

#[test]
fn a_timeout_is_that_actions_error() {
    let source = http::Server::start();
    source.route("/in.png", http::Reply::ok(images::make("png", 600, 400)));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let server = Process::start(&["--http-private", "--file-root", root]);
    let action = |timeout: f64| {
        let outfile = format!("file://{root}/{timeout}.png");
        let operations = ["resize 1500x1500", "blur 0x20"];
        json!({"infile": source.url("/in.png"), "outfile": outfile, "operations": operations, "timeout": timeout})
    };
    let document = server.finished(&server.submit(&json!([action(0.05)])));
    assert_eq!(document["status"], "error", "{document:#}");
    let error = document["actions"][0]["error"].as_str().unwrap();
    assert!(error.contains("0.05 s"), "{error}");
}
