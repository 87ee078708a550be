//! What any store of jobs must do. A new one is tested by a line at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use imago_server::job::{ActionSpec, Ending, Fidelity, JobId, Status, Submission};
use imago_server::store::{Counts, JobStore, MemoryStore, StoreError};

use crate::support::soon;

/// Makes an empty store in which so many jobs may wait.
type Make = fn(usize) -> Arc<dyn JobStore>;

fn submission(name: &str, actions: usize) -> Submission {
    let spec = |index| ActionSpec {
        infile: format!("{name}{index}"),
        outfile: "s3://b/o.png".to_owned(),
        operations: vec!["strip".to_owned()],
        mimetype: None,
        timeout: Duration::from_secs(1),
        fidelity: Some(Fidelity::Exact),
        headers: BTreeMap::new(),
    };
    Submission {
        actions: (0..actions).map(spec).collect(),
    }
}

fn failed() -> Ending {
    Ending::Failed("no".to_owned())
}

async fn claimed(store: &dyn JobStore, most: usize) -> Vec<String> {
    let claimed = store.claim(most).await.unwrap();
    claimed
        .iter()
        .map(|claimed| claimed.spec.infile.clone())
        .collect()
}

async fn status(store: &dyn JobStore, job: JobId) -> Status {
    store.get(job).await.unwrap().unwrap().job().status()
}

async fn counts(store: &dyn JobStore) -> (usize, usize) {
    let Counts { queued, working } = store.counts().await.unwrap();
    (queued, working)
}

async fn actions_are_claimed_once_in_order(make: Make) {
    let store = make(10);
    let store = &*store;
    assert!(claimed(store, 5).await.is_empty());
    for (name, actions, length) in [("a", 3, 1), ("b", 1, 2), ("c", 2, 3)] {
        let submitted = store.submit(submission(name, actions)).await.unwrap();
        assert_eq!(submitted.queue_length, length, "{name}");
    }
    assert_eq!(counts(store).await, (3, 0));
    assert!(claimed(store, 0).await.is_empty());
    assert_eq!(counts(store).await, (3, 0));
    assert_eq!(claimed(store, 2).await, ["a0", "a1"]);
    assert_eq!(counts(store).await, (2, 1));
    assert_eq!(claimed(store, 3).await, ["a2", "b0", "c0"]);
    assert_eq!(claimed(store, 9).await, ["c1"]);
    assert!(claimed(store, 9).await.is_empty());
    assert_eq!(counts(store).await, (0, 3));
}

async fn a_job_goes_from_queued_to_its_end(make: Make) {
    let store = make(10);
    let store = &*store;
    let job = store.submit(submission("a", 2)).await.unwrap().id;
    assert_eq!(status(store, job).await, Status::Queued);
    // An action that was not handed out can't end.
    store.finish(job, 0, failed()).await.unwrap();
    assert_eq!(status(store, job).await, Status::Queued);
    let claimed = store.claim(1).await.unwrap();
    assert_eq!((claimed[0].job, claimed[0].index), (job, 0));
    assert_eq!(status(store, job).await, Status::Working);
    store.claim(1).await.unwrap();
    for _ in 0..3 {
        store.finish(job, 0, failed()).await.unwrap();
        assert_eq!(
            status(store, job).await,
            Status::Working,
            "one end counts once"
        );
    }
    assert_eq!(counts(store).await, (0, 1));
    store.finish(job, 1, failed()).await.unwrap();
    assert_eq!(status(store, job).await, Status::Error);
    assert_eq!(counts(store).await, (0, 0));
    // What is not there is not changed.
    store.finish(job, 7, failed()).await.unwrap();
    store.finish(JobId::random(), 0, failed()).await.unwrap();
}

async fn as_many_jobs_wait_as_may(make: Make) {
    let store = make(2);
    let store = &*store;
    for _ in 0..2 {
        store.submit(submission("a", 2)).await.unwrap();
    }
    let error = store.submit(submission("a", 1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::QueueFull { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(counts(store).await, (2, 0), "what was refused is not there");
    claimed(store, 1).await;
    let submitted = store.submit(submission("a", 1)).await.unwrap();
    assert_eq!(
        submitted.queue_length, 2,
        "a job that has started does not wait"
    );
}

async fn all_actions_of_a_job_have_one_time(make: Make) {
    let store = make(10);
    store.submit(submission("a", 3)).await.unwrap();
    let first = store.claim(1).await.unwrap();
    let rest = store.claim(2).await.unwrap();
    assert!(
        rest.iter()
            .all(|claimed| claimed.accepted == first[0].accepted)
    );
}

async fn changes_are_told(make: Make) {
    let store = make(10);
    let store = &*store;
    let job = store.submit(submission("a", 2)).await.unwrap().id;
    let mut feed = store.watch(job).await.unwrap().unwrap();
    assert!(feed.changed().now_or_never().is_none());
    claimed(store, 2).await;
    soon("the start", feed.changed()).await;
    assert!(feed.changed().now_or_never().is_none());
    store.finish(job, 1, failed()).await.unwrap();
    soon("the first end", feed.changed()).await;
    assert!(feed.finished().now_or_never().is_none());
    store.finish(job, 0, failed()).await.unwrap();
    soon("the second end", feed.changed()).await;
    soon("the job's end", feed.finished()).await;
    let mut late = store.watch(job).await.unwrap().unwrap();
    soon("an end that was", late.finished()).await;
    assert!(store.watch(JobId::random()).await.unwrap().is_none());
}

async fn a_forgotten_job_ends_the_wait(make: Make) {
    let store = make(10);
    let store = &*store;
    let job = store.submit(submission("a", 1)).await.unwrap().id;
    claimed(store, 1).await;
    store.finish(job, 0, failed()).await.unwrap();
    let mut feed = store.watch(job).await.unwrap().unwrap();
    store.expire(SystemTime::now()).await.unwrap();
    soon("the end of a wait for nothing", feed.changed()).await;
}

async fn readiness_is_remembered(make: Make) {
    let store = make(10);
    let store = &*store;
    assert!(store.ready().now_or_never().is_none());
    store.submit(submission("a", 1)).await.unwrap();
    soon("readiness", store.ready()).await;
    claimed(store, 1).await;
    assert!(store.ready().now_or_never().is_none());
}

async fn finished_jobs_expire(make: Make) {
    let store = make(10);
    let store = &*store;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(store.submit(submission("a", 1)).await.unwrap().id);
    }
    claimed(store, 3).await;
    let before = SystemTime::now();
    store.finish(jobs[1], 0, failed()).await.unwrap();
    assert_eq!(
        store.expire(before - Duration::from_secs(1)).await.unwrap(),
        0
    );
    store.finish(jobs[0], 0, failed()).await.unwrap();
    let later = SystemTime::now() + Duration::from_secs(1);
    assert_eq!(store.expire(later).await.unwrap(), 2);
    assert_eq!(store.expire(later).await.unwrap(), 0);
    for (job, is_there) in jobs.into_iter().zip([false, false, true]) {
        assert_eq!(store.get(job).await.unwrap().is_some(), is_there);
        assert_eq!(store.watch(job).await.unwrap().is_some(), is_there);
    }
    assert_eq!(counts(store).await, (0, 1));
}

async fn conforms(make: Make) {
    actions_are_claimed_once_in_order(make).await;
    a_job_goes_from_queued_to_its_end(make).await;
    as_many_jobs_wait_as_may(make).await;
    all_actions_of_a_job_have_one_time(make).await;
    changes_are_told(make).await;
    a_forgotten_job_ends_the_wait(make).await;
    readiness_is_remembered(make).await;
    finished_jobs_expire(make).await;
}

#[tokio::test]
async fn memory() {
    conforms(|limit| Arc::new(MemoryStore::new(limit))).await;
}
