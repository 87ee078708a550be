//! The server with images that break its processes for conversions.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::process::{Process, run};

/// Sources that make a process misbehave, in a folder that the server may read.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for fault in ["segfault", "allocate", "spin", "exit"] {
        let source = format!("IMAGO-FAULT:{fault}");
        std::fs::write(folder.path().join(fault), source).unwrap();
    }
    let png = testkit::images::make("png", 40, 30);
    std::fs::write(folder.path().join("good"), png).unwrap();
    folder
}

#[test]
fn an_image_that_breaks_its_process_breaks_its_action_only() {
    let folder = folder();
    let root = folder.path().to_str().unwrap();
    let mut server = Process::start(&["--file-root", root, "--threads", "2", "--require-sandbox"]);
    let infiles = [
        "good", "segfault", "good", "exit", "good", "spin", "good", "good",
    ];
    let actions = infiles.iter().enumerate().map(|(number, infile)| {
        json!({
            "infile": format!("file://{root}/{infile}"),
            "outfile": format!("file://{root}/out/{number}.jpg"),
            "timeout": 2,
        })
    });
    let job = server.finished(&server.submit(&actions.collect()));
    for (number, infile) in infiles.iter().enumerate() {
        let action = &job["actions"][number];
        let expected = match *infile {
            "good" => "",
            "segfault" => "its process crashed (SIGSEGV)",
            "exit" => "its process ended by itself, with the exit code 3",
            _ => "it took longer than 2 s; `timeout` sets how long it may take",
        };
        let error = action["error"].as_str().unwrap();
        assert!(error.contains(expected), "{infile}: {action}");
        assert_eq!(error.is_empty(), *infile == "good", "{infile}: {action}");
    }
    assert!(
        server.child.try_wait().unwrap().is_none(),
        "the server ended"
    );
    let (status, problem) = server.json("POST", "/api/v1/identify", "IMAGO-FAULT:segfault");
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("(SIGSEGV)"),
        "{problem}"
    );
}

#[test]
fn the_log_says_how_conversions_are_held() {
    for (arguments, environment, expected) in [
        (
            &["--sandbox=false"][..],
            &[][..],
            "conversions run in the program's own process",
        ),
        (
            &[],
            &[],
            "conversions run in processes of their own, with limits, Landlock",
        ),
    ] {
        // The line comes before the one that the start waits for, so a port that can't be had shows it.
        let bad = ["--listen", "192.0.2.1:1"];
        let output = run(&[arguments, &bad].concat(), environment);
        let log = crate::process::text(&output.stderr);
        assert!(log.contains(expected), "{arguments:?}: {log}");
    }
}

/// The children of a process, by the lists of its threads.
fn children(pid: u32) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")));
    let lists: String = lists.map_while(Result::ok).collect();
    let pids = lists.split_whitespace();
    pids.map(|pid| PathBuf::from(format!("/proc/{pid}")))
        .collect()
}

#[test]
fn nothing_is_left_of_a_server_that_is_killed() {
    let temporary = tempfile::tempdir().unwrap();
    let environment = [("TMPDIR", temporary.path().to_str().unwrap())];
    let mut server = Process::start_with(&["--threads", "1"], &environment);
    let children = children(server.child.id());
    assert!(!children.is_empty());
    assert!(std::fs::read_dir(temporary.path()).unwrap().count() > 0);
    server.signal("KILL");
    server.end();
    let until = Instant::now() + Duration::from_secs(20);
    while children.iter().any(|child| child.exists()) {
        assert!(Instant::now() < until, "{children:?} are still there");
        std::thread::yield_now();
    }
    let mut server = Process::start_with(&["--threads", "1"], &environment);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1);
    server.signal("TERM");
    server.end();
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_poison_image_is_set_aside_also_across_a_restart() {
    let folder = folder();
    let root = folder.path().to_str().unwrap();
    let arguments = [
        "--file-root",
        root,
        "--threads",
        "2",
        "--jobs-attempts",
        "2",
    ];
    let mut server = Process::start_with(&arguments, &[("IMAGO_LOG", "debug")]);
    let action = |infile: &str| {
        let outfile = format!("file://{root}/out/{infile}.jpg");
        json!({"infile": format!("file://{root}/{infile}"), "outfile": outfile})
    };
    let path = server.submit(&json!([action("segfault"), action("good")]));
    let line = server.line("action failed");
    assert!(line.contains("error.kind=Crashed"), "{line}");
    // Killed before this, the server would not know that it was the image's fault, and would count a loss of its own.
    while !server.line("action stored").contains("action.index=0") {}
    server.signal("KILL");
    assert_eq!(server.end(), None, "killed");
    let server = server.again(&arguments);
    let job = server.finished(&path);
    let (poison, good) = (&job["actions"][0], &job["actions"][1]);
    assert_eq!(good["status"], "done", "{job:#}");
    assert_eq!(poison["status"], "error");
    let error = poison["error"].as_str().unwrap();
    let end = "it was tried 2 times (`jobs.attempts`), and is set aside";
    assert!(
        error.contains("(SIGSEGV)") && error.ends_with(end),
        "{error}"
    );
    assert_eq!(poison["result"]["failure"]["code"], "crashed");
    assert_eq!(poison["result"]["attempts"], 2);
    let next = server.submit(&json!([action("good")]));
    assert_eq!(server.finished(&next)["status"], "done", "it serves on");
}
