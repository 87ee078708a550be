//! How the server ends.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::support::{Server, soon, work};

/// Waits until the server drains: from then on it is not ready.
pub(crate) async fn draining(server: &Server) {
    server.stop();
    let not_ready = async {
        while server.get("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    };
    soon("draining", not_ready).await;
}

#[tokio::test]
async fn what_runs_is_finished_and_its_poll_answered() {
    // At an address of its own: no other test's server gets its port.
    let server = Server::at([127, 0, 0, 9], |_| {}).await;
    let path = server.submit(&["wait:a"]).await;
    server.stage.started(1).await;
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=3600");
    let poll = async { server.get(&poll).await.json() };
    let end = async {
        soon("the poll", reads.wait_for(|reads| *reads == 1))
            .await
            .unwrap();
        draining(&server).await;
        assert_eq!(server.get("/healthz").await.status, 200, "it still answers");
        assert_eq!(server.get(&path).await.json()["status"], "working");
        for reply in [
            server.post(work(&["done:"])).await,
            server.get("/readyz").await,
        ] {
            let detail = reply.problem(503, "draining");
            assert!(
                detail.starts_with("the server is about to stop"),
                "{detail}"
            );
            assert_eq!(reply.header("retry-after"), "21", "the grace, and a second");
        }
        server.stage.let_go("a");
    };
    let (document, ()) = tokio::join!(poll, end);
    assert_eq!(document["status"], "done");
    let address = server.address;
    server.stopped().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn what_waits_is_not_started_and_its_poll_answered_as_it_is() {
    let server = Server::start().await;
    server.submit(&["wait:a"; 4]).await;
    server.stage.started(4).await;
    let path = server.submit(&["done:"]).await;
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=3600");
    let poll = async { server.get(&poll).await.json() };
    let end = async {
        soon("the poll", reads.wait_for(|reads| *reads == 1))
            .await
            .unwrap();
        draining(&server).await;
        for _ in 0..4 {
            server.stage.let_go("a");
        }
    };
    let (document, ()) = tokio::join!(poll, end);
    assert_eq!(document["status"], "queued");
    assert_eq!(server.stage.started.borrow().len(), 4);
    server.stopped().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_broken_off() {
    let server = Server::with(|config| config.shutdown.grace = Duration::from_millis(100)).await;
    let path = server.submit(&["wait:for ever"]).await;
    server.stage.started(1).await;
    let begun = Instant::now();
    let mut reads = server.store.reads.subscribe();
    let poll = format!("{path}?timeout=3600");
    let poll = async { server.get(&poll).await.json() };
    let end = async {
        soon("the poll", reads.wait_for(|reads| *reads == 1))
            .await
            .unwrap();
        server.stop();
    };
    let (document, ()) = tokio::join!(poll, end);
    assert_eq!(document["status"], "working");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    server.stopped().await;
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let begun = Instant::now();
    server.stopped().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "an idle connection does not hold it"
    );
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_does_not_hold_the_server() {
    use tokio::io::AsyncWriteExt;

    let server = Server::with(|config| config.shutdown.grace = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /api/v1/work HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n{")
        .await
        .unwrap();
    // Answered in order, so the server has taken the other connection by now.
    assert_eq!(server.get("/healthz").await.status, 200);
    server.stopped().await;
}
