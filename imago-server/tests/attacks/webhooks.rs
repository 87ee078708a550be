//! Webhooks that lead where the server must not be led, and URLs that want to be more than an address.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::http::{Reply, Server};
use testkit::witness::Port;

use crate::egress::PRIVATE;
use crate::service::Service;
use crate::submissions::{FOLDER, failing};
use crate::wire::HANG;

/// A server that sends webhooks.
fn serve(arguments: &[&str]) -> Service {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let environment = [("IMAGO_WEBHOOK_SECRETS".to_owned(), secret)];
    Service::start(&environment, &[&FOLDER, arguments].concat())
}

/// Submits a job that fails at once and is to be told of, and gives the answer.
async fn submit(service: &Service, webhook: Value) -> (u16, Value) {
    let body = json!({"actions": [failing()], "webhook": webhook}).to_string();
    service.request("POST", "/api/v1/work", body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_webhook_leads_inside() {
    let service = serve(&[]);
    let port = Port::open();
    let number = port.number();
    let mut urls: Vec<String> = PRIVATE
        .iter()
        .map(|host| format!("http://{host}:{number}/hook"))
        .collect();
    urls.extend(
        [
            "",
            "/hook",
            "//127.0.0.1:{port}/hook",
            "http:",
            "http://",
            "http:127.0.0.1:{port}/hook",
            "http:\\\\127.0.0.1:{port}\\hook",
            "http:/\\127.0.0.1:{port}/hook",
            "ht\ntp://127.0.0.1:{port}/hook",
            " http://127.0.0.1:{port}/hook",
            "HTTP://127.0.0.1:{port}/hook",
            "https://127.0.0.1:{port}/hook",
            "http://shop.example@127.0.0.1:{port}/hook",
            "http://shop.example:80@127.0.0.1:{port}/hook",
            "http://127.0.0.1:{port}\\@shop.example/hook",
            "http://127.0.0.1:{port}#@shop.example/hook",
            "http://127.0.0.1:{port}?@shop.example/hook",
            "http://[::1%25lo]:{port}/hook",
            "http://shop.example:99999/hook",
            "http://shop.example:-1/hook",
            "http://shop example/hook",
            "http://shop.example%00.evil/hook",
            "file:///etc/passwd",
            "ftp://shop.example/hook",
            "gopher://127.0.0.1:{port}/_POST%20/",
            "unix:///var/run/docker.sock",
            "data:text/plain,x",
            "javascript:alert(1)",
            "ws://shop.example/hook",
            "s3://bucket/key",
            "blob:http://127.0.0.1:{port}/x",
        ]
        .map(|url| url.replace("{port}", &number.to_string())),
    );
    urls.push(format!("https://shop.example/{}", "x".repeat(8 << 10)));
    let mut wrong = Vec::new();
    for url in &urls {
        let (status, answer) = submit(&service, json!({"url": url})).await;
        let pointer = &answer["errors"][0]["pointer"];
        let is_refused = status == 422 && pointer == "/webhook/url";
        if !is_refused {
            wrong.push(format!(
                "{url:?}: expected 422, got {status}: {answer:.300}"
            ));
        }
        let length = answer.to_string().len();
        if length > 2000 {
            wrong.push(format!("{url:.200?}: {length} bytes"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(port.connections(), Vec::<String>::new());
}

/// A name is known to lead there only when it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_inside() {
    let service = serve(&[]);
    let port = Port::open();
    let number = port.number();
    for host in [
        "localhost",
        "LOCALHOST",
        "user:hunter2@localhost",
        "%6cocalhost",
    ] {
        for scheme in ["http", "https"] {
            let given_up = service.log().matches("webhook given up").count();
            let url = format!("{scheme}://{host}:{number}/hook");
            let (status, answer) = submit(&service, json!({"url": url})).await;
            assert_eq!(status, 202, "{url}: {answer}");
            let ended = async {
                while service.log().matches("webhook given up").count() == given_up {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let ended = tokio::time::timeout(HANG, ended).await;
            assert!(ended.is_ok(), "{url} is not given up: {}", service.log());
        }
    }
    assert_eq!(port.connections(), Vec::<String>::new());
    assert!(!service.log().contains("hunter2"), "{}", service.log());
}

/// What a URL holds goes into the request's first line, or into `Authorization`; not into headers, and not into the log.
#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_webhook_becomes_a_header() {
    let receiver = Server::start();
    let root = receiver.url("/");
    let origin = root.trim_end_matches('/');
    let host = origin.trim_start_matches("http://");
    let service = serve(&["--webhook-private"]);
    for (number, url) in [
        format!("{origin}/{{}}?token=hunter2"),
        format!("http://user:hunter2@{host}/{{}}"),
        format!("{origin}/{{}}?a\r\nX-Evil: 1"),
        format!("{origin}/{{}}?a HTTP/1.1\r\nX-Evil: 1\r\n\r\nPOST /evil HTTP/1.1"),
        format!("{origin}/{{}}?%0d%0aX-Evil:%201"),
        format!("{origin}/{{}}?ü\u{2028}\u{0}"),
        format!("{origin}/{{}}#\r\nX-Evil: 1"),
        format!("{origin}/evil/../{{}}"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/{number}");
        receiver.on("POST", &path, Reply::status(410));
        let url = url.replace("{}", &number.to_string());
        let (status, answer) = submit(&service, json!({"url": url})).await;
        assert_eq!(status, 202, "{url:?}: {answer}");
        let arrived = receiver.received("POST", &path, 1);
        let arrived = tokio::time::timeout(HANG, arrived).await;
        let mut requests =
            arrived.unwrap_or_else(|_| panic!("{url:?} got nothing: {}", service.log()));
        let request = requests.pop().unwrap();
        assert_eq!(request.header("x-evil"), None, "{url:?}: {request:?}");
        assert_eq!(request.header("host"), Some(host), "{url:?}: {request:?}");
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(document["status"], "error", "{url:?}: {document}");
        assert!(!document.to_string().contains("hunter2"), "{document}");
    }
    assert!(receiver.requests_for("POST", "/evil").is_empty());
    service.logged("webhook given up").await;
    assert!(!service.log().contains("hunter2"), "{}", service.log());
}
