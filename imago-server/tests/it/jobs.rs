//! How actions run: in which order, how many at once, and what one's failure means to the others.

use imago_server::job::Submission;
use imago_server::store::JobStore;
use serde_json::{Value, json};

use crate::support::{Server, soon, work};

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
        assert_eq!(action["result"]["attempts"], 1, "{index}");
        let has_failed = action["result"]["failure"].is_object();
        assert_eq!(has_failed, status == "error", "{index}");
    }
    let next = server.submit(&["done:"]).await;
    assert_eq!(server.finished(&next).await["status"], "done", "it goes on");
}

#[tokio::test]
async fn jobs_take_turns_and_the_oldest_is_first() {
    let server = Server::start().await;
    let first = server.submit(&["wait:a"; 8]).await;
    server.stage.started(4).await;
    let second = server.submit(&["done:b"; 2]).await;
    let third = server.submit(&["done:c"]).await;
    assert_eq!(server.get(&second).await.json()["status"], "queued");
    for _ in 0..8 {
        server.stage.let_go("a");
    }
    for path in [first, second, third] {
        server.finished(&path).await;
    }
    let mut order = server.stage.started(11).await.split_off(4);
    // What was claimed together starts in any order.
    order.truncate(4);
    let count = |name| {
        order
            .iter()
            .filter(|infile| infile.starts_with(name))
            .count()
    };
    assert_eq!(
        (count("wait:a"), count("done:b"), count("done:c")),
        (2, 1, 1),
        "{order:?}"
    );
}

#[tokio::test]
async fn a_higher_priority_goes_first() {
    let server = Server::start().await;
    server.submit(&["wait:a"; 4]).await;
    server.stage.started(4).await;
    let mut paths = Vec::new();
    for (name, priority) in [("done:low", -1), ("done:mid", 0), ("done:high", 100)] {
        let mut body: Value = serde_json::from_str(&work(&[name])).unwrap();
        body["priority"] = json!(priority);
        let reply = server.post(body.to_string()).await;
        paths.push(reply.header("location").to_owned());
    }
    // One place gets free after the other.
    server.stage.let_go("a");
    for path in &paths {
        server.finished(path).await;
    }
    let order = server.stage.started(7).await;
    assert_eq!(order[4..], ["done:high", "done:mid", "done:low"]);
    assert_eq!(server.get(&paths[2]).await.json()["priority"], 100);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let server = Server::start().await;
    let path = server.submit(&["flaky:", "fail:x", "done:"]).await;
    let document = server.finished(&path).await;
    let actions = document["actions"].as_array().unwrap();
    for (action, (status, attempts)) in actions.iter().zip([("done", 2), ("error", 1), ("done", 1)])
    {
        assert_eq!(action["status"], status, "{action}");
        assert_eq!(action["result"]["attempts"], attempts, "{action}");
    }
    assert_eq!(
        actions[1]["result"]["failure"],
        json!({
            "code": "not_found", "stage": null, "retryable": false, "limit": null,
            "hint": "put the object there, then retry the job",
        })
    );
}

#[tokio::test]
async fn tries_end_and_crashes_are_set_aside() {
    let server = Server::with(|config| config.jobs.attempts = 2).await;
    let path = server.submit(&["down:", "crash:"]).await;
    let document = server.finished(&path).await;
    for (index, (code, retryable, error)) in [
        (
            "store_unavailable",
            true,
            "it is down; it was tried 2 times (`jobs.attempts`), and is tried no more",
        ),
        (
            "crashed",
            false,
            "its process crashed; it was tried 2 times (`jobs.attempts`), and is set aside",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let action = &document["actions"][index];
        assert_eq!(action["error"], error);
        assert_eq!(action["result"]["attempts"], 2);
        let failure = &action["result"]["failure"];
        assert_eq!(
            (&failure["code"], &failure["retryable"]),
            (&json!(code), &json!(retryable))
        );
    }
    assert_eq!(server.stage.started.borrow().len(), 4);
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
        // Stored in whole milliseconds, and told from the clock that people read.
        let slack = std::time::Duration::from_millis(20);
        assert!(action.accepted + slack > before && action.accepted < accepted + slack);
    }
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
    let submission = Submission {
        actions: vec![server.stage.started.borrow()[0].spec.clone()],
        ..Submission::default()
    };
    server.store.broken.send_replace(true);
    // Past what would say that it is broken: as if it broke right after it took the job.
    server.store.inner.submit(submission).await.unwrap();
    tokio::task::yield_now().await;
    server.store.broken.send_replace(false);
    server.stage.started(2).await;
}
