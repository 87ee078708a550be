//! One try to deliver a webhook, to a real server.

use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imago_server::config;
use imago_server::store::JobStore as _;
use imago_server::webhook::{Delivery, Message, Webhooks};
use serde_json::json;
use testkit::http::{Received, Reply, Server};
use testkit::images;

use crate::process::{Process, text};
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

/// In a network of its own, where public addresses are the machine's too.
#[test]
fn a_redirect_from_a_public_address_to_a_private_one_is_refused() {
    const INSIDE: &str = "IMAGO_TEST_IN_NETWORK";
    let name = "webhook::a_redirect_from_a_public_address_to_a_private_one_is_refused";
    if std::env::var_os(INSIDE).is_none() {
        let script = r#"ip link set lo up && ip address add 1.1.1.1/32 dev lo && exec "$@""#;
        let output = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(INSIDE, "1")
            .output()
            .expect("`unshare` of util-linux runs");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        assert!(out.contains("1 passed"), "{out}{err}");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (public, private) = (Server::start_at([1, 1, 1, 1].into()), Server::start());
        private.on("POST", "/there", Reply::status(200));
        public.on("POST", "/there", Reply::status(200));
        let redirect = |target: &str| {
            let reply = Reply::status(307).header("location", target);
            public.on("POST", "/hook", reply);
        };
        let webhooks = webhooks(|config| config.private = false);
        // From a public address to a public one: so the way there is open.
        redirect(&public.url("/there"));
        let delivery = deliver(&webhooks, &public.url("/hook")).await;
        assert_eq!(delivery, Delivery::Delivered);
        let local = private.url("/there");
        let port = local.rsplit_once(':').unwrap().1;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
            redirect(&format!("http://{host}:{port}"));
            let delivery = deliver(&webhooks, &public.url("/hook")).await;
            let is_refused = matches!(delivery, Delivery::Refused { .. });
            assert!(
                is_refused && reason(&delivery).contains("has no public address"),
                "{host}: {delivery:?}"
            );
        }
        assert!(private.requests().is_empty());
    });
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
    body["webhook"] = json!({"url": receiver.url("/hook"), "events": ["job.finished"]});
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

/// A server of its own, which is killed with a webhook unsent: the next one sends it, until it is taken or a day is over.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsent_webhook_survives_the_server() {
    let receiver = Server::start();
    let secret = format!("whsec_{}", STANDARD.encode([1; 32]));
    let environment = [("IMAGO_WEBHOOK_SECRETS", secret.as_str())];
    let folder = tempfile::tempdir().unwrap();
    let (source, root) = (folder.path().join("in.png"), folder.path());
    std::fs::write(source, images::make("png", 6, 4)).unwrap();
    let arguments = ["--webhook-private", "--file-root", root.to_str().unwrap()];
    let arrived = |count| receiver.received("POST", "/hook", count);
    // No answer: the server is killed while it waits for one.
    let silent = Reply::status(200).delay(Duration::from_secs(60));
    receiver.on("POST", "/hook", silent);

    let server = Process::start_with(&arguments, &environment);
    let url = |name: &str| format!("file://{}/{name}", root.display());
    let body = json!({
        "actions": [{"infile": url("in.png"), "outfile": url("out.png")}],
        "webhook": {"url": receiver.url("/hook"), "events": ["job.finished"]},
    });
    let (status, _) = server.json("POST", "/api/v1/work", &body.to_string());
    assert_eq!(status, 202);
    support::soon("the first try", arrived(1)).await;
    receiver.on("POST", "/hook", Reply::status(503));
    let server = server.again_with(&arguments, &environment);
    let tries = support::soon("the try after the first kill", arrived(2)).await;
    server.line("webhook not delivered");

    // Time goes by for the store only.
    let file = server.folder.path().join("imago-data/jobs.sqlite");
    let hours_go_by = |hours: i64| {
        let store = rusqlite::Connection::open(&file).unwrap();
        let sql = "UPDATE outbox SET due = 0, since = since - ?1 * 3600000";
        assert_eq!(store.execute(sql, [hours]).unwrap(), 1);
    };
    hours_go_by(23);
    let server = server.again_with(&arguments, &environment);
    support::soon("a try after 23 hours", arrived(3)).await;
    server.line("webhook not delivered");
    hours_go_by(1);
    let server = server.again_with(&arguments, &environment);
    let last = support::soon("the last try", arrived(4)).await;
    server.line("webhook given up");
    let forgotten = async {
        let store = rusqlite::Connection::open(&file).unwrap();
        let unsent = || store.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0));
        while unsent() != Ok(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    support::soon("its end", forgotten).await;
    let (first, last) = (&tries[0], &last[3]);
    assert_eq!(first.body, last.body);
    assert_eq!(first.header("webhook-id"), last.header("webhook-id"));
}
