//! One try to deliver a webhook, to a real server.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imago_server::config;
use imago_server::store::JobStore as _;
use imago_server::webhook::{Delivery, Message, Webhooks};
use testkit::http::{Received, Reply, Server};

use crate::support;

const BODY: &str = r#"{"id":"e2ffd1057f2d46a9a5d599d8379741e0","status":"done"}"#;
const ID: &str = "msg_1";

fn webhooks(change: impl FnOnce(&mut config::Webhook)) -> Webhooks {
    let secrets = [[1; 32], [2; 32]].map(|key| format!("whsec_{}", STANDARD.encode(key)));
    let mut config = config::Webhook {
        secrets: secrets.map(|secret| secret.parse().unwrap()).into(),
        private: true,
        timeout: Duration::from_secs(20),
    };
    change(&mut config);
    Webhooks::new(&config).unwrap()
}

async fn deliver(webhooks: &Webhooks, url: &str) -> Delivery {
    let body = Bytes::from_static(BODY.as_bytes());
    webhooks.deliver(Message { id: ID, url, body }).await
}

fn reason(delivery: &Delivery) -> &str {
    match delivery {
        Delivery::Delivered => panic!("it was delivered"),
        Delivery::Failed { reason, .. } | Delivery::Refused { reason } => reason,
    }
}

/// Fails unless it is the message, signed by both secrets.
fn verify(request: &Received) {
    assert_eq!(request.body, BODY);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), Some(ID));
    let agent = concat!("imago/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    let timestamp = request.header("webhook-timestamp").unwrap();
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(timestamp.parse().unwrap());
    let age = SystemTime::now().duration_since(sent).unwrap();
    assert!(age < Duration::from_secs(60), "{timestamp}");
    let signatures = request.header("webhook-signature").unwrap();
    let signatures: Vec<_> = signatures.split(' ').collect();
    assert_eq!(signatures.len(), 2, "{signatures:?}");
    for (signature, key) in signatures.iter().zip([[1; 32], [2; 32]]) {
        let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{ID}.{timestamp}.{BODY}");
        hmac::verify(&key, signed.as_bytes(), &tag.unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_message_arrives_signed() {
    let server = Server::start();
    for status in [200, 202, 204] {
        server.on("POST", "/hook", Reply::status(status));
        let delivery = deliver(&webhooks(|_| {}), &server.url("/hook?token=a%2Fb")).await;
        assert_eq!(delivery, Delivery::Delivered, "{status}");
        let request = server.requests().pop().unwrap();
        assert_eq!(request.target, "/hook?token=a%2Fb");
        verify(&request);
    }
}

#[tokio::test]
async fn what_was_not_taken_may_be_sent_again() {
    let server = Server::start();
    let (host, hour) = ("`127.0.0.1`", Duration::from_secs(3600));
    for (reply, expected, pause) in [
        (Reply::status(400), "answered 400", None),
        (Reply::status(404), "answered 404", None),
        (Reply::status(500), "answered 500", None),
        (
            Reply::status(503).header("retry-after", "120"),
            "answered 503",
            Some(Duration::from_secs(120)),
        ),
        (
            Reply::status(429).header("retry-after", "99999999"),
            "answered 429",
            Some(4 * hour),
        ),
        (
            Reply::status(503).header("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
            "answered 503",
            None,
        ),
        // These do not say that a POST stays one.
        (
            Reply::status(302).header("location", "/other"),
            "answered 302",
            None,
        ),
        (
            Reply::status(303).header("location", "/other"),
            "answered 303",
            None,
        ),
    ] {
        server.on("POST", "/hook", reply);
        let delivery = deliver(&webhooks(|_| {}), &server.url("/hook")).await;
        let failed = Delivery::Failed {
            reason: format!("{host} {expected}"),
            retry_after: pause,
        };
        assert_eq!(delivery, failed);
    }
    assert!(server.requests_for("POST", "/other").is_empty());
    server.on("POST", "/hook", Reply::status(410));
    let delivery = deliver(&webhooks(|_| {}), &server.url("/hook")).await;
    let reason = format!("{host} answered 410: it wants no more webhooks");
    assert_eq!(delivery, Delivery::Refused { reason });
}

#[tokio::test]
async fn silence_and_closed_ports_are_failures() {
    let server = Server::start();
    server.on(
        "POST",
        "/slow",
        Reply::status(200).delay(Duration::from_secs(60)),
    );
    let brief = webhooks(|config| config.timeout = Duration::from_millis(300));
    let delivery = deliver(&brief, &server.url("/slow")).await;
    assert_eq!(reason(&delivery), "`127.0.0.1` did not answer within 0.3 s");
    let closed = server.url("/hook");
    drop(server);
    let delivery = deliver(&webhooks(|_| {}), &closed).await;
    assert_eq!(reason(&delivery), "`127.0.0.1` could not be reached");
}

#[tokio::test]
async fn redirects_that_keep_the_method_are_followed() {
    let (server, other) = (Server::start(), Server::start());
    for status in [307, 308] {
        let target = other.url("/there");
        server.on(
            "POST",
            "/hook",
            Reply::status(status).header("location", &target),
        );
        other.on("POST", "/there", Reply::status(200));
        let delivery = deliver(&webhooks(|_| {}), &server.url("/hook")).await;
        assert_eq!(delivery, Delivery::Delivered, "{status}");
        verify(&other.requests().pop().unwrap());
    }
    server.on(
        "POST",
        "/loop",
        Reply::status(307).header("location", "/loop"),
    );
    let delivery = deliver(&webhooks(|_| {}), &server.url("/loop")).await;
    assert!(
        reason(&delivery).starts_with("it was redirected more than 5 times"),
        "{delivery:?}"
    );
    assert_eq!(server.requests_for("POST", "/loop").len(), 6);
    server.on(
        "POST",
        "/odd",
        Reply::status(307).header("location", "file:///etc/passwd"),
    );
    let delivery = deliver(&webhooks(|_| {}), &server.url("/odd")).await;
    assert!(
        reason(&delivery).ends_with("its target is not HTTP"),
        "{delivery:?}"
    );
    server.on("POST", "/none", Reply::status(308));
    let delivery = deliver(&webhooks(|_| {}), &server.url("/none")).await;
    assert!(
        reason(&delivery).ends_with("it names no target"),
        "{delivery:?}"
    );
}

/// The redirect can't be tried here: the server that would redirect has a loopback address itself. Each hop takes the
/// same way, from the check on.
#[tokio::test]
async fn private_addresses_are_refused_where_they_are_not_allowed() {
    let server = Server::start();
    server.on("POST", "/hook", Reply::status(200));
    let public = webhooks(|config| config.private = false);
    let local = server.url("/hook");
    let port = local.rsplit(':').next().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        // A name, which only its look-up shows to be private.
        "localhost",
    ] {
        let delivery = deliver(&public, &format!("http://{host}:{port}")).await;
        assert!(
            matches!(delivery, Delivery::Refused { .. }),
            "{host}: {delivery:?}"
        );
        assert!(
            reason(&delivery).contains("has no public address"),
            "{host}: {delivery:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_end_is_told_until_it_is_taken() {
    let receiver = Server::start();
    let reply = Reply::status(503).header("retry-after", "0");
    receiver.on("POST", "/hook", reply);
    let server = support::Server::with(|config| {
        let secret = format!("whsec_{}", STANDARD.encode([1; 32]));
        config.webhook.secrets = vec![secret.parse().unwrap()];
        config.webhook.private = true;
    })
    .await;
    let mut body: serde_json::Value = serde_json::from_str(&support::work(&["done:a"])).unwrap();
    body["webhook"] = serde_json::json!({"url": receiver.url("/hook"), "events": ["job.finished"]});
    let reply = server.post(body.to_string()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let path = reply.header("location").to_owned();
    let arrived = |count| receiver.received("POST", "/hook", count);
    support::soon("the first try", arrived(1)).await;
    receiver.on("POST", "/hook", Reply::status(204));
    let tries = support::soon("the second try", arrived(2)).await;
    let document = server.get(&path).await.body;
    let id = tries[0].header("webhook-id").unwrap();
    assert!(id.starts_with("msg_"), "{id}");
    for sent in &tries {
        assert_eq!(sent.body, document);
        assert_eq!(sent.header("webhook-id"), Some(id), "the same at each try");
    }
    // What was taken is not sent again: the store has nothing more to send.
    let settled = async {
        let lease = Duration::from_secs(60);
        let later = SystemTime::now() + Duration::from_secs(1);
        assert!(
            server
                .store
                .due_webhooks(9, lease)
                .await
                .unwrap()
                .is_empty()
        );
        while server.store.expire(later).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    support::soon("the note of it", settled).await;
}
