//! 401 and 403: what a request needs a token for, and which one.

use imago_server::tokens::{Digest, Right, Token};
use serde_json::json;
use testkit::images;

use crate::process::Process;
use crate::support::{Reply, Server, work};

const JOB: &str = "/api/v1/work/e2ffd1057f2d46a9a5d599d8379741e0";

/// A server whose tokens are called and written as what they may.
async fn server() -> Server {
    Server::with(|config| {
        let rights = [
            ("read", Right::Read),
            ("write", Right::Write),
            ("metrics", Right::Metrics),
        ];
        let token = |(name, right): (&str, _)| Token {
            name: name.to_owned(),
            sha256: Digest::of(name.as_bytes()),
            may: vec![right],
        };
        config.tokens = rights.map(token).into();
    })
    .await
}

async fn ask(server: &Server, method: &str, path: &str, authorization: Option<&str>) -> Reply {
    let mut headers = vec![];
    let mut body = Vec::new();
    if method == "POST" && path.starts_with("/api/v1/work?") {
        headers.push(("content-type", "application/json"));
        body = work(&["done:"]).into();
    } else if method == "POST" {
        headers.push(("content-type", "image/png"));
        body = images::make("png", 6, 4).to_vec();
    }
    headers.extend(authorization.map(|value| ("authorization", value)));
    server.request(method, path, &headers, body).await
}

#[tokio::test]
async fn each_call_wants_its_right() {
    let server = server().await;
    for (method, path, right, status) in [
        ("GET", "/api/v1/work", "read", 200),
        ("HEAD", "/api/v1/work", "read", 200),
        ("POST", "/api/v1/work?dry_run=true", "write", 200),
        ("POST", "/api/v1/work?dry_run=false", "write", 202),
        ("GET", JOB, "read", 404),
        ("HEAD", JOB, "read", 404),
        ("DELETE", JOB, "write", 404),
        ("GET", &format!("{JOB}/events"), "read", 404),
        ("POST", &format!("{JOB}/retry"), "write", 404),
        ("POST", "/api/v1/convert?format=gif", "write", 200),
        ("POST", "/api/v1/identify", "write", 200),
        ("GET", "/api/v1/formats", "read", 200),
        ("GET", "/api/v1/operations", "read", 200),
        ("GET", "/metrics", "metrics", 200),
    ] {
        let call = format!("{method} {path}");
        for (authorization, challenge, detail) in [
            (
                None,
                r#"Bearer realm="imago""#,
                "this needs a token: send it as `Authorization: Bearer TOKEN`",
            ),
            (
                Some("Bearer hush"),
                r#"Bearer realm="imago", error="invalid_token""#,
                "`Authorization` holds no token of this server; expected `Bearer TOKEN`",
            ),
            (
                Some("Basic cmVhZDpyZWFk"),
                r#"Bearer realm="imago", error="invalid_token""#,
                "`Authorization` holds no token of this server; expected `Bearer TOKEN`",
            ),
        ] {
            let reply = ask(&server, method, path, authorization).await;
            assert_eq!(reply.status, 401, "{call} {authorization:?}");
            assert_eq!(reply.header("www-authenticate"), challenge, "{call}");
            if method != "HEAD" {
                assert_eq!(reply.problem(401, &call), detail);
            }
        }
        for token in ["read", "write", "metrics"] {
            let reply = ask(&server, method, path, Some(&format!("Bearer {token}"))).await;
            if token == right {
                assert_eq!(reply.status, status, "{call} {token}: {reply:?}");
                continue;
            }
            assert_eq!(reply.status, 403, "{call} {token}");
            assert_eq!(
                reply.header("www-authenticate"),
                format!(r#"Bearer realm="imago", error="insufficient_scope", scope="{right}""#),
                "{call} {token}"
            );
            if method != "HEAD" {
                assert_eq!(
                    reply.problem(403, &call),
                    format!("the token `{token}` may not do this: it lacks the right `{right}`"),
                );
            }
        }
    }
}

#[tokio::test]
async fn what_every_server_shows_needs_none() {
    let server = server().await;
    for path in [
        "/",
        "/console.js",
        "/console.css",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        for authorization in [None, Some("Bearer hush")] {
            let reply = ask(&server, "GET", path, authorization).await;
            assert_eq!(reply.status, 200, "{path} {authorization:?}");
        }
    }
    assert_eq!(ask(&server, "GET", "/nowhere", None).await.status, 404);
    assert_eq!(ask(&server, "PUT", "/api/v1/work", None).await.status, 405);
}

/// The description says of each call whether it needs a token, and that is how it is.
#[tokio::test]
async fn the_description_says_what_needs_a_token() {
    let server = server().await;
    let api = server.get("/openapi.json").await.json();
    assert_eq!(
        api["components"]["securitySchemes"],
        json!({"token": {"type": "http", "scheme": "bearer"}})
    );
    let paths = api["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods
            .iter()
            .map(move |(method, call)| (path, method.to_uppercase(), call))
    });
    let mut needing = 0;
    for (path, method, call) in calls {
        let reply = ask(&server, &method, &path.replace("{id}", "0"), None).await;
        let is_described = call["security"] == json!([{"token": []}]);
        assert_eq!(reply.status == 401, is_described, "{method} {path}");
        for status in ["401", "403"] {
            let response = &call["responses"][status];
            assert_eq!(
                response.is_object(),
                is_described,
                "{method} {path} {status}"
            );
        }
        needing += u32::from(is_described);
    }
    assert_eq!(needing, 11);
    let open = Server::start().await.get("/openapi.json").await.json();
    assert!(open["components"].get("securitySchemes").is_none());
    assert!(!open.to_string().contains("\"401\""));
}

#[test]
fn the_program_takes_tokens_and_logs_their_names() {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let token = format!("shop:read:{digest}");
    let server = Process::start_with(&[], &[("IMAGO_TOKENS", &token)]);
    for (token, status) in [("test", "200"), ("hush", "401")] {
        let answer = server.request(&format!(
            "GET /api/v1/work HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        ));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let line = server.line("GET /api/v1/work");
        assert!(!line.contains("test") && !line.contains("hush"), "{line}");
        assert_eq!(line.contains("token=shop"), status == "200", "{line}");
    }
}
