//! The scripted HTTP server answers what it was told to, byte for byte.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::http::{Reply, Server};

/// What came back: the head, the body as it was on the wire, and whether the server closed the connection.
struct Answer {
    head: String,
    body: String,
    closed: bool,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// Sends a request as it is written here; a client library could change it.
fn send(server: &Server, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let url = server.url("/");
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream
        .set_read_timeout(Some(Duration::from_millis(400)))
        .expect("a socket has a time limit");
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut answer = Vec::new();
    let closed = match Read::by_ref(&mut stream)
        .take(1 << 20)
        .read_to_end(&mut answer)
    {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            false
        }
    };
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Answer {
        head: head.to_lowercase(),
        body: body.to_owned(),
        closed,
    }
}

fn get(server: &Server, target: &str) -> Answer {
    send(server, "GET", target, "", "")
}

#[test]
fn a_body_comes_with_its_headers() {
    let server = Server::start();
    server.route(
        "/a.jpg",
        Reply::ok("picture")
            .content_type("image/jpeg")
            .header("x-two", "2"),
    );
    let answer = get(&server, "/a.jpg");
    assert_eq!((answer.status(), answer.body.as_str()), ("200", "picture"));
    assert!(answer.head.contains("content-length: 7"), "{}", answer.head);
    assert!(answer.head.contains("content-type: image/jpeg"));
    assert!(answer.head.contains("x-two: 2"));
    assert!(!answer.head.contains("etag"));

    let head = send(&server, "HEAD", "/a.jpg", "", "");
    assert_eq!((head.status(), head.body.as_str()), ("200", ""));
    assert!(head.head.contains("content-length: 7"), "{}", head.head);
    assert_eq!(get(&server, "/other").status(), "404");
}

#[test]
fn the_query_is_logged_as_it_was_sent() {
    let server = Server::start();
    server.route("/a%20b.jpg", Reply::ok("picture"));
    let target = "/a%20b.jpg?X-Amz-Signature=a%2Fb+c&X=%7e&y";
    assert_eq!(get(&server, target).status(), "200");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, target);
    assert_eq!(requests[0].header("connection"), Some("close"));
    assert_eq!(server.get_count("/a%20b.jpg"), 1);
    assert_eq!(server.get_count("/other"), 0);
}

#[test]
fn a_known_e_tag_is_answered_with_304() {
    let server = Server::start();
    server.route("/a.jpg", Reply::ok("picture").e_tag("\"v1\""));
    for (known, status) in [
        ("\"v1\"", "304"),
        ("W/\"v1\"", "304"),
        ("\"v0\", \"v1\"", "304"),
        ("\"v2\"", "200"),
    ] {
        let header = format!("if-none-match: {known}\r\n");
        let answer = send(&server, "GET", "/a.jpg", &header, "");
        assert_eq!(answer.status(), status, "{known}");
        assert!(answer.head.contains("etag: \"v1\""), "{}", answer.head);
        assert_eq!(answer.body.is_empty(), status == "304");
    }
}

#[test]
fn a_script_is_followed_and_its_end_stays() {
    let server = Server::start();
    let script = [Reply::status(503), Reply::status(503), Reply::ok("picture")];
    server.script("/a.jpg", script);
    let statuses: Vec<String> = (0..4)
        .map(|_| get(&server, "/a.jpg").status().to_owned())
        .collect();
    assert_eq!(statuses, ["503", "503", "200", "200"]);
}

#[test]
fn redirects_lead_anywhere() {
    let server = Server::start();
    server.route("/a", Reply::redirect(302, "http://169.254.169.254/latest"));
    let answer = get(&server, "/a");
    assert_eq!(answer.status(), "302");
    assert!(
        answer
            .head
            .contains("location: http://169.254.169.254/latest")
    );
}

#[test]
fn a_chunked_body_has_no_length() {
    let server = Server::start();
    server.route("/a", Reply::ok("picture").chunked());
    let answer = get(&server, "/a");
    assert!(!answer.head.contains("content-length"), "{}", answer.head);
    assert!(answer.head.contains("transfer-encoding: chunked"));
    assert_eq!(answer.body, "4\r\npict\r\n3\r\nure\r\n0\r\n\r\n");
}

#[test]
fn a_cut_body_is_shorter_than_promised() {
    let server = Server::start();
    server.route("/a", Reply::ok("picture").cut_after(3));
    let answer = get(&server, "/a");
    assert!(answer.head.contains("content-length: 7"), "{}", answer.head);
    assert_eq!((answer.body.as_str(), answer.closed), ("pic", true));
}

#[test]
fn a_stalled_body_stays_open() {
    let server = Server::start();
    server.route("/a", Reply::ok("picture").stall_after(3));
    let answer = get(&server, "/a");
    assert_eq!((answer.body.as_str(), answer.closed), ("pic", false));
}

#[test]
fn a_hanging_server_never_answers() {
    let server = Server::start();
    server.route("/a", Reply::hang());
    let answer = get(&server, "/a");
    assert_eq!((answer.head.as_str(), answer.closed), ("", false));
    assert_eq!(server.get_count("/a"), 1);
}

#[test]
fn an_endless_body_goes_on() {
    let server = Server::start();
    server.route("/a", Reply::endless());
    assert!(get(&server, "/a").body.len() > 1_000_000);
}

#[test]
fn an_answer_can_be_late() {
    let server = Server::start();
    server.route("/a", Reply::ok("picture").delay(Duration::from_millis(100)));
    let start = Instant::now();
    assert_eq!(get(&server, "/a").status(), "200");
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[test]
fn what_is_put_is_kept() {
    let server = Server::start();
    for status in [200, 201, 403, 500] {
        let path = format!("/{status}");
        server.on("PUT", &path, Reply::status(status));
        let body = format!("picture {status}");
        let answer = send(&server, "PUT", &path, "content-type: image/png\r\n", &body);
        assert_eq!(answer.status(), status.to_string());
        let puts = server.requests_for("PUT", &path);
        assert_eq!(puts.len(), 1);
        assert_eq!(puts[0].body, body);
        assert_eq!(puts[0].header("content-type"), Some("image/png"));
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let server = Server::start();
    let url = server.url("/");
    drop(server);
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let start = Instant::now();
    while TcpStream::connect(host).is_ok() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it still listens"
        );
    }
}
