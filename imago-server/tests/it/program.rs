//! The program itself: its command line, its log, its signals.

use serde_json::json;
use testkit::{http, images};

use crate::process::{Process, run, text};

#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Process::start(&[]);
        let answer = server.request("GET /readyz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(server.folder.path().join("imago-data").is_dir());
        server.signal(signal);
        let line = server.line("a second one stops at once");
        assert!(line.contains(&format!("got SIG{signal};")), "{line}");
        server.line("stopped");
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn the_request_id_is_in_every_line_of_its_request() {
    let server = Process::start(&[]);
    let body = r#"{"actions": [{"infile": "s3://b/\u001b]evil\nline.png", "outfile": "nowhere"}]}"#;
    let length = body.len();
    server.request(&format!(
        "POST /api/v1/work HTTP/1.1\r\nhost: h\r\nx-request-id: my-id-1\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    let line = server.line("POST /api/v1/work");
    assert!(
        line.contains("status=422") && line.contains("duration_ms="),
        "{line}"
    );
    assert!(line.ends_with(" request.id=my-id-1"), "{line}");
    server.request(
        "GET /a%0Ab HTTP/1.1\r\nhost: h\r\nx-request-id: my-id-2\r\nconnection: close\r\n\r\n",
    );
    let line = server.line("GET /a%0Ab");
    assert!(
        line.contains("status=404") && line.ends_with(" request.id=my-id-2"),
        "{line}"
    );
}

#[test]
fn a_bad_command_line_or_configuration_is_told() {
    for (arguments, environment, code, expected) in [
        (
            &["--listen", "here"][..],
            &[][..],
            2,
            "invalid value 'here' for '--listen <ADDR>'",
        ),
        (&["--no-such-flag"], &[], 2, "--no-such-flag"),
        (
            &["--threads", "0"],
            &[],
            1,
            "imago-server: `threads` must be more than 0, got 0",
        ),
        (
            &[],
            &[("IMAGO_LIMITS_QUEUE", "0")],
            1,
            "imago-server: `limits.queue` must be more than 0, got 0",
        ),
        (&[], &[("IMAGO_THREADS", "many")], 2, "invalid value 'many'"),
        (
            &["--config", "/nowhere.toml"],
            &[],
            1,
            "imago-server: can't read the configuration file `/nowhere.toml`: ",
        ),
        (
            &["--data", "/dev/null/x", "--listen", "127.0.0.1:0"],
            &[],
            1,
            "can't create the data folder `/dev/null/x`",
        ),
        (
            &["--listen", "192.0.2.1:80"],
            &[],
            1,
            "can't listen on 192.0.2.1:80: ",
        ),
        (&["convert"], &[], 2, "<INFILE> <OUTFILE>"),
    ] {
        let output = run(arguments, environment);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn operations_are_listed() {
    let output = run(&["operations"], &[]);
    assert!(output.status.success());
    let stdout = text(&output.stdout);
    assert!(
        stdout.lines().any(|line| line.starts_with("-resize ")),
        "{stdout}"
    );
}

#[test]
fn a_second_signal_stops_at_once() {
    let source = http::Server::start();
    source.route("/slow.png", http::Reply::hang());
    let mut server = Process::start(&["--http-private"]);
    server.submit(&json!([{"infile": source.url("/slow.png"), "outfile": source.url("/out.png")}]));
    while source.get_count("/slow.png") == 0 {
        std::thread::yield_now();
    }
    server.signal("TERM");
    server.line("draining: no more work is taken");
    server.signal("INT");
    server.line("got SIGINT again: stopped at once");
    assert_eq!(server.end(), Some(1));
}

#[test]
fn what_does_not_end_in_time_goes_on_at_the_next_start() {
    let source = http::Server::start();
    source.route("/slow.png", http::Reply::hang());
    let arguments = ["--http-private", "--threads=2", "--shutdown-grace=100ms"];
    let mut server = Process::start(&arguments);
    let action = json!({"infile": source.url("/slow.png"), "outfile": source.url("/out.png")});
    let paths: Vec<_> = (0..6).map(|_| server.submit(&json!([action]))).collect();
    while source.get_count("/slow.png") == 0 {
        std::thread::yield_now();
    }
    server.signal("TERM");
    server.line("broke off actions that did not end in time");
    let line = server.line("jobs that have not finished go on when the server starts again");
    assert!(line.contains("jobs.queued=2 jobs.working=4"), "{line}");
    assert_eq!(server.end(), Some(0));

    source.route("/slow.png", http::Reply::ok(images::make("png", 8, 8)));
    source.on("PUT", "/out.png", http::Reply::status(201));
    let server = server.again(&arguments);
    for path in &paths {
        let document = server.finished(path);
        assert_eq!(document["status"], "done", "{document}");
    }
}

#[test]
fn one_process_only_uses_a_store() {
    let server = Process::start(&[]);
    let data = server.folder.path().join("imago-data");
    let output = run(
        &[
            "--listen",
            "127.0.0.1:0",
            "--cache-size",
            "0",
            "--data",
            data.to_str().unwrap(),
        ],
        &[],
    );
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("can't open the job store: another process uses"),
        "{stderr}"
    );
}
