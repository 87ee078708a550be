//! The web console's files as they are served. What they do is tested in a browser, in `tests/browser`.

use crate::support::Server;

const FILES: [(&str, &str, &str); 3] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../../console/index.html"),
    ),
    (
        "/console.js",
        "text/javascript; charset=utf-8",
        include_str!("../../console/console.js"),
    ),
    (
        "/console.css",
        "text/css; charset=utf-8",
        include_str!("../../console/console.css"),
    ),
];

#[tokio::test]
async fn the_files_come_with_their_types_and_under_a_policy() {
    let server = Server::start().await;
    for (path, media_type, content) in FILES {
        for (method, body) in [("GET", content), ("HEAD", "")] {
            let reply = server.request(method, path, &[], "").await;
            let context = format!("{method} {path}");
            assert_eq!(reply.status, 200, "{context}");
            assert_eq!(reply.body, body, "{context}");
            for (name, value) in [
                ("content-type", media_type),
                ("content-length", &content.len().to_string()),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(reply.header(name), value, "{context}");
            }
            let policy = reply.header("content-security-policy");
            let directives: Vec<_> = policy.split("; ").collect();
            for directive in [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "img-src 'self' blob:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(directives.contains(&directive), "{context}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{context}: {policy}");
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn the_files_can_only_be_read() {
    let server = Server::start().await;
    for (path, ..) in FILES {
        for method in ["POST", "PUT", "DELETE"] {
            let reply = server.request(method, path, &[], "").await;
            reply.problem(405, &format!("{method} {path}"));
            assert_eq!(reply.header("allow"), "GET, HEAD", "{method} {path}");
        }
    }
    for path in ["/index.html", "/console", "/console.js/", "/Console.css"] {
        server.get(path).await.problem(404, path);
    }
    server.stopped().await;
}

/// A name or a label that reads as markup stays text.
#[test]
fn the_script_writes_no_markup() {
    let (_, _, script) = FILES[1];
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
}
