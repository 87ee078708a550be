//! How actions run: in which order, how many at once, and what one's failure means to the others.

use std::collections::HashSet;

use imago_server::job::Submission;
use imago_server::store::JobStore;

use crate::support::{Server, soon};

#[tokio::test]
async fn one_actions_failure_or_panic_stops_no_other() {
    let server = Server::start().await;
    let path = server
        .submit(&[
            "done:1", "fail:key", "panic:", "done:2", "panic:", "panic:", "panic:", "done:3",
        ])
        .await;
    let document = server.finished(&path).await;
    assert_eq!(document["status"], "error");
    assert_eq!(document["progress"], 1.0);
    for (index, (status, error)) in [
        ("done", ""),
        ("error", "there is no object `key`"),
        (
            "error",
            "the conversion broke off by a fault of Imago's own; the server's log says where",
        ),
        ("done", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let action = &document["actions"][index];
        assert_eq!(action["status"], status, "{index}");
        assert_eq!(action["error"], error, "{index}");
        assert_eq!(action.get("result").is_some(), status == "done", "{index}");
    }
    let next = server.submit(&["done:"]).await;
    assert_eq!(server.finished(&next).await["status"], "done", "it goes on");
}

#[tokio::test]
async fn jobs_start_in_the_order_of_their_submission() {
    let server = Server::start().await;
    let first = server.submit(&["wait:a"; 6]).await;
    server.stage.started(4).await;
    let second = server.submit(&["done:x"]).await;
    let third = server.submit(&["done:y"]).await;
    assert_eq!(server.get(&second).await.json()["status"], "queued");
    for _ in 0..6 {
        server.stage.let_go("a");
    }
    for path in [first, second, third] {
        server.finished(&path).await;
    }
    let order = server.stage.started(8).await;
    assert_eq!(
        order[..6],
        ["wait:a"; 6],
        "the first job's actions before the others'"
    );
    assert_eq!(order[6..].iter().collect::<HashSet<_>>().len(), 2);
}

#[tokio::test]
async fn so_many_actions_run_at_once_and_no_more() {
    let server = Server::start().await;
    let path = server.submit(&["wait:a"; 9]).await;
    for count in 4..9 {
        server.stage.started(count).await;
        let document = server.get(&path).await.json();
        let statuses = |status| {
            let actions = document["actions"].as_array().unwrap();
            actions
                .iter()
                .filter(|action| action["status"] == status)
                .count()
        };
        assert_eq!(statuses("working"), 4, "{count} have started");
        assert_eq!(statuses("queued"), 9 - count);
        server.stage.let_go("a");
    }
    for _ in 0..4 {
        server.stage.let_go("a");
    }
    server.finished(&path).await;
}

#[tokio::test]
async fn all_actions_of_a_job_name_the_time_of_its_acceptance() {
    let server = Server::start().await;
    let before = std::time::Instant::now();
    let path = server.submit(&["done:"; 20]).await;
    let accepted = std::time::Instant::now();
    server.finished(&path).await;
    let started = server.stage.started.borrow().clone();
    assert_eq!(started.len(), 20);
    for action in &started {
        assert_eq!(action.accepted, started[0].accepted);
    }
    assert!((before..accepted).contains(&started[0].accepted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_at_once_all_end() {
    let server = Server::start().await;
    let jobs = futures_util::future::join_all((0..200).map(|_| async {
        let path = server.submit(&["done:"; 10]).await;
        server.finished(&path).await["status"].clone()
    }));
    for status in soon("all jobs", jobs).await {
        assert_eq!(status, "done");
    }
    assert_eq!(server.stage.started.borrow().len(), 2000, "each ran once");
}

#[tokio::test]
async fn a_store_that_comes_back_is_claimed_from() {
    let server = Server::start().await;
    let path = server.submit(&["done:1"]).await;
    server.finished(&path).await;
    let actions = vec![server.stage.started.borrow()[0].spec.clone()];
    server.store.broken.send_replace(true);
    // Past what would say that it is broken: as if it broke right after it took the job.
    server
        .store
        .inner
        .submit(Submission { actions })
        .await
        .unwrap();
    tokio::task::yield_now().await;
    server.store.broken.send_replace(false);
    server.stage.started(2).await;
}
