//! What any store of jobs must do. A new one is tested by a line at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use imago_server::job::{
    ActionResult, ActionSpec, Cause, Ending, Failure, Fidelity, Idempotency, JobId, Milliseconds,
    Status, Submission, Success,
};
use imago_server::store::{
    Claim, Claimed, Counts, Filter, JobStore, Noted, Removed, SqliteStore, StoreError,
};
use imago_server::webhook::Subscription;
use tempfile::TempDir;

use crate::support::soon;

/// Longer than any test takes.
const LEASE: Duration = Duration::from_secs(600);

/// Opens a store that keeps what it has in this folder, in which so many jobs may wait.
type Open = fn(&Path, usize) -> Arc<dyn JobStore>;

/// A store in a folder of its own.
struct Kept {
    store: Option<Arc<dyn JobStore>>,
    folder: TempDir,
    open: Open,
}

impl Kept {
    fn new(open: Open, limit: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Some(open(folder.path(), limit)),
            folder,
            open,
        }
    }

    /// As if the process had ended and another begun.
    fn reopen(&mut self) {
        self.store = None;
        self.store = Some((self.open)(self.folder.path(), 10));
    }

    fn store(&self) -> &dyn JobStore {
        self.store.as_deref().unwrap()
    }

    async fn submit(&self, name: &str, actions: usize) -> JobId {
        let submitted = self.store().submit(submission(name, actions)).await;
        submitted.unwrap().id
    }

    async fn claim(&self, most: usize) -> Vec<Claimed> {
        self.store().claim(most, LEASE).await.unwrap()
    }

    async fn claimed(&self, most: usize) -> Vec<String> {
        names(&self.claim(most).await)
    }

    async fn finish(&self, claim: Claim, ending: Ending) -> bool {
        self.store().finish(claim, ending).await.unwrap() != Noted::Lost
    }

    async fn status(&self, job: JobId) -> Status {
        let snapshot = self.store().get(job).await.unwrap();
        snapshot.unwrap().job().status()
    }

    /// The statuses of a job's actions, by their first letters.
    async fn statuses(&self, job: JobId) -> String {
        let snapshot = self.store().get(job).await.unwrap().unwrap();
        let actions = snapshot.job().actions.iter();
        actions.map(|action| &action.status.as_str()[..1]).collect()
    }

    async fn progress(&self, job: JobId) -> f64 {
        let snapshot = self.store().get(job).await.unwrap();
        snapshot.unwrap().job().summary.progress
    }

    async fn counts(&self) -> (usize, usize) {
        let Counts { queued, working } = self.store().counts().await.unwrap();
        (queued, working)
    }

    /// Runs a job of one action to its end.
    async fn run(&self, name: &str) -> JobId {
        let job = self.submit(name, 1).await;
        let claimed = self.claim(1).await;
        assert!(self.finish(claimed[0].claim, done()).await);
        job
    }
}

fn names(claimed: &[Claimed]) -> Vec<String> {
    let names = claimed.iter().map(|claimed| claimed.spec.infile.clone());
    names.collect()
}

fn submission(name: &str, actions: usize) -> Submission {
    let spec = |index| ActionSpec {
        infile: format!("{name}{index}"),
        outfile: "s3://b/o.png".to_owned(),
        operations: vec!["strip".to_owned()],
        mimetype: None,
        timeout: Duration::from_secs(1),
        fidelity: Some(Fidelity::Exact),
        headers: BTreeMap::new(),
        renditions: 1,
    };
    Submission {
        actions: (0..actions).map(spec).collect(),
        ..Submission::default()
    }
}

fn failed() -> Ending {
    Ending::Failed {
        error: "no".to_owned(),
        failure: Failure::internal(),
    }
}

fn again(after: Duration, cause: Cause) -> Ending {
    let at = SystemTime::now() + after;
    Ending::Again { at, cause }
}

fn done() -> Ending {
    Ending::Done(Box::new(Success {
        result: ActionResult {
            format: "JPEG".to_owned(),
            width: 200,
            height: 134,
            frames: 1,
            bytes: 18_233,
            etag: None,
            files: vec!["s3://b/o.png".to_owned()],
            cache: "hit".to_owned(),
            engine: "magick".to_owned(),
            attempts: 1,
            milliseconds: Milliseconds {
                fetch: 3,
                convert: 21,
                store: 6,
            },
        },
        output: "a warning".to_owned(),
        mimetype: "image/jpeg".to_owned(),
    }))
}

async fn actions_are_claimed_once(open: Open) {
    let kept = Kept::new(open, 10);
    assert!(kept.claimed(5).await.is_empty());
    for (name, actions, length) in [("a", 3, 1), ("b", 1, 2), ("c", 2, 3)] {
        let submitted = kept.store().submit(submission(name, actions)).await;
        assert_eq!(submitted.unwrap().queue_length, length, "{name}");
    }
    assert_eq!(kept.counts().await, (3, 0));
    assert!(kept.claimed(0).await.is_empty());
    assert_eq!(kept.claimed(2).await, ["a0", "b0"]);
    assert_eq!(kept.counts().await, (1, 2));
    assert_eq!(kept.claimed(9).await, ["c0", "a1", "c1", "a2"]);
    assert!(kept.claimed(9).await.is_empty());
    assert_eq!(kept.counts().await, (0, 3));
}

async fn higher_priorities_first_then_turns_then_age(open: Open) {
    let kept = Kept::new(open, 10);
    for (name, actions, priority) in [("a", 100, 0), ("b", 3, 0), ("c", 2, 7), ("d", 2, -7)] {
        let submission = Submission {
            priority,
            ..submission(name, actions)
        };
        kept.store().submit(submission).await.unwrap();
    }
    let first = ["c0", "c1", "a0", "b0", "a1", "b1", "a2"];
    assert_eq!(kept.claimed(7).await, first);
    // One that comes late takes its turn at once, and does not have to wait for a hundred.
    kept.submit("e", 2).await;
    assert_eq!(kept.claimed(5).await, ["b2", "e0", "a3", "e1", "a4"]);
}

async fn a_job_goes_from_queued_to_its_end(open: Open) {
    let kept = Kept::new(open, 10);
    let job = kept.submit("a", 2).await;
    assert_eq!(kept.status(job).await, Status::Queued);
    let claim = |index, attempt| Claim {
        job,
        index,
        attempt,
    };
    assert!(
        !kept.finish(claim(0, 1), failed()).await,
        "it was not handed out"
    );
    assert_eq!(kept.claim(1).await[0].claim, claim(0, 1));
    assert_eq!(kept.status(job).await, Status::Working);
    kept.claim(1).await;
    for is_first in [true, false, false] {
        assert_eq!(kept.finish(claim(0, 1), failed()).await, is_first);
        assert_eq!(kept.status(job).await, Status::Working);
    }
    assert!((kept.progress(job).await - 0.5).abs() < 1e-9);
    assert_eq!(kept.counts().await, (0, 1));
    assert!(kept.finish(claim(1, 1), done()).await);
    assert_eq!(kept.status(job).await, Status::Error);
    assert_eq!(kept.statuses(job).await, "ed");
    assert!((kept.progress(job).await - 1.0).abs() < 1e-9);
    assert_eq!(kept.counts().await, (0, 0));
    // What is not there is not changed.
    assert!(!kept.finish(claim(7, 1), failed()).await);
    let other = JobId::random();
    assert!(
        !kept
            .finish(
                Claim {
                    job: other,
                    ..claim(0, 1)
                },
                failed()
            )
            .await
    );
    assert!(kept.store().get(other).await.unwrap().is_none());
}

async fn documents_have_it_all(open: Open) {
    let kept = Kept::new(open, 10);
    let labels = BTreeMap::from([("album".to_owned(), "röme".to_owned())]);
    let submission = Submission {
        priority: 5,
        labels,
        ..submission("a", 2)
    };
    let job = kept.store().submit(submission).await.unwrap().id;
    let claimed = kept.claim(2).await;
    assert!(claimed[0].begins_job && !claimed[1].begins_job);
    kept.finish(claimed[0].claim, done()).await;
    kept.finish(claimed[1].claim, failed()).await;
    let document = kept.store().get(job).await.unwrap().unwrap().document();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["priority"], 5);
    assert_eq!(document["labels"]["album"], "röme");
    let actions = &document["actions"];
    assert_eq!(actions[0]["result"]["milliseconds"]["convert"], 21);
    assert_eq!(
        (&actions[0]["output"], &actions[0]["mimetype"]),
        (&"a warning".into(), &"image/jpeg".into())
    );
    assert_eq!(
        (
            &actions[1]["error"],
            &actions[1]["result"]["failure"]["code"]
        ),
        (&"no".into(), &"internal".into())
    );
    assert!(document["created"].as_str() <= document["started"].as_str());
    assert!(document["started"].as_str() <= document["finished"].as_str());
}

async fn as_many_jobs_wait_as_may(open: Open) {
    let kept = Kept::new(open, 2);
    for _ in 0..2 {
        kept.submit("a", 2).await;
    }
    let error = kept.store().submit(submission("a", 1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::QueueFull { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(kept.counts().await, (2, 0), "what was refused is not there");
    kept.claimed(1).await;
    let submitted = kept.store().submit(submission("a", 1)).await.unwrap();
    assert_eq!(
        submitted.queue_length, 2,
        "a job that has started does not wait"
    );
}

async fn a_key_takes_a_job_in_once(open: Open) {
    let mut kept = Kept::new(open, 10);
    let with = |key: &str, body| Submission {
        idempotency: Some(Idempotency {
            key: key.to_owned(),
            body: [body; 32],
        }),
        ..submission("a", 1)
    };
    let first = kept.store().submit(with("k", 1)).await.unwrap();
    assert!(!first.is_repeat);
    kept.submit("b", 1).await;
    kept.reopen();
    let again = kept.store().submit(with("k", 1)).await.unwrap();
    assert_eq!(
        (again.id, again.queue_length, again.is_repeat),
        (first.id, 1, true)
    );
    let error = kept.store().submit(with("k", 2)).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyReused), "{error:?}");
    let other = kept.store().submit(with("l", 2)).await.unwrap();
    assert!(other.id != first.id && !other.is_repeat);
    let at_once = (0..20).map(|_| kept.store().submit(with("m", 3)));
    let ids = futures_util::future::join_all(at_once).await;
    let ids: Vec<_> = ids
        .into_iter()
        .map(|submitted| submitted.unwrap().id)
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(kept.counts().await, (4, 0));
}

async fn a_lease_that_runs_out_is_handed_out_again(open: Open) {
    let kept = Kept::new(open, 10);
    let job = kept.submit("a", 1).await;
    let first = kept.store().claim(1, Duration::ZERO).await.unwrap()[0].claim;
    // It is out at once; but who renews in time keeps it.
    assert!(
        kept.store()
            .renew(&[(first, 0.5)], LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    assert!((kept.progress(job).await - 0.5).abs() < 1e-9);
    assert!(kept.claim(1).await.is_empty());
    assert!(
        kept.store()
            .renew(&[(first, 0.75)], Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );
    let second = kept.claim(1).await.remove(0);
    assert_eq!((second.attempts.begun, second.attempts.losses), (2, 1));
    assert_eq!(kept.progress(job).await.to_string(), "0", "it begins anew");
    assert_eq!(
        kept.store().renew(&[(first, 0.9)], LEASE).await.unwrap(),
        [first]
    );
    assert!(!kept.finish(first, failed()).await, "it is another's now");
    assert!(kept.finish(second.claim, done()).await);
    assert_eq!(kept.status(job).await, Status::Done);
}

async fn what_ran_when_the_process_ended_runs_again(open: Open) {
    let mut kept = Kept::new(open, 10);
    let job = kept.submit("a", 4).await;
    let claimed = kept.claim(3).await;
    kept.finish(claimed[0].claim, done()).await;
    let pause = again(LEASE, Cause::Failure);
    kept.finish(claimed[1].claim, pause).await;
    for losses in 1..=2 {
        kept.reopen();
        assert_eq!(kept.counts().await, (0, 1));
        assert_eq!(
            kept.statuses(job).await,
            if losses == 1 { "dwwq" } else { "dwww" }
        );
        let mut claimed = kept.claim(9).await;
        claimed.sort_by_key(|claimed| claimed.claim.index);
        let losses_of: Vec<_> = claimed
            .iter()
            .map(|c| (c.claim.index, c.attempts.losses))
            .collect();
        assert_eq!(
            losses_of,
            [(2, losses), (3, losses - 1)],
            "neither what is done nor what pauses"
        );
    }
}

async fn a_try_after_a_pause(open: Open) {
    let kept = Kept::new(open, 10);
    let job = kept.submit("a", 1).await;
    let mut claimed = kept.claim(1).await.remove(0);
    for (attempt, cause, failures, crashes) in [
        (1, Cause::Failure, 1, 0),
        (2, Cause::Crash, 1, 1),
        (3, Cause::Shutdown, 1, 1),
        (4, Cause::Failure, 2, 1),
    ] {
        let claim = claimed.claim;
        assert_eq!(claim.attempt, attempt);
        assert!(
            kept.finish(claim, again(Duration::from_millis(30), cause))
                .await
        );
        assert_eq!(
            kept.status(job).await,
            Status::Working,
            "it waits for its retry"
        );
        assert!(!kept.finish(claim, done()).await);
        let next = async {
            loop {
                if let Some(claimed) = kept.claim(1).await.pop() {
                    break claimed;
                }
                kept.store().ready().await;
            }
        };
        claimed = soon("the pause's end", next).await;
        let attempts = claimed.attempts;
        let counted = (attempts.failures, attempts.crashes, attempts.losses);
        assert_eq!(counted, (failures, crashes, 0), "{cause:?}");
    }
}

async fn a_canceled_job_ends_at_once(open: Open) {
    let kept = Kept::new(open, 10);
    let store = kept.store();
    assert_eq!(
        store.remove(JobId::random()).await.unwrap(),
        Removed::Unknown
    );
    let job = kept.submit("a", 4).await;
    let queued = kept.submit("b", 2).await;
    let claims: Vec<_> = kept
        .claim(5)
        .await
        .into_iter()
        .filter(|c| c.claim.job == job)
        .map(|c| c.claim)
        .collect();
    kept.finish(claims[0], done()).await;
    kept.finish(claims[1], again(LEASE, Cause::Failure)).await;
    let mut feed = store.watch(job);
    assert_eq!(store.remove(job).await.unwrap(), Removed::Canceled);
    soon("the end", feed.finished()).await;
    assert_eq!(kept.statuses(job).await, "dccc");
    assert_eq!(kept.status(job).await, Status::Canceled);
    assert_eq!(
        store.renew(&[(claims[2], 0.1)], LEASE).await.unwrap(),
        [claims[2]]
    );
    assert!(!kept.finish(claims[2], done()).await);
    assert_eq!(store.remove(queued).await.unwrap(), Removed::Canceled);
    assert_eq!(kept.counts().await, (0, 0));
    assert!(kept.claim(9).await.is_empty());
    assert_eq!(store.remove(job).await.unwrap(), Removed::Deleted);
    assert!(store.get(job).await.unwrap().is_none());
    assert_eq!(store.remove(job).await.unwrap(), Removed::Unknown);
}

async fn what_failed_runs_once_more(open: Open) {
    let kept = Kept::new(open, 2);
    let store = kept.store();
    assert!(!store.retry(JobId::random()).await.unwrap());
    let job = kept.submit("a", 3).await;
    let claimed = kept.claim(2).await;
    kept.finish(claimed[0].claim, done()).await;
    kept.finish(claimed[1].claim, failed()).await;
    assert_eq!(store.remove(job).await.unwrap(), Removed::Canceled);
    let mut feed = store.watch(job);
    assert!(store.retry(job).await.unwrap());
    soon("the change", feed.changed()).await;
    assert!(feed.finished().now_or_never().is_none(), "it goes on");
    assert_eq!(
        (kept.status(job).await, kept.statuses(job).await.as_str()),
        (Status::Working, "dqq")
    );
    assert_eq!(kept.counts().await, (0, 1));
    let again = kept.claim(9).await;
    assert_eq!(names(&again), ["a1", "a2"]);
    assert_eq!((again[0].claim.attempt, again[0].attempts.failures), (2, 0));
    for claimed in &again {
        kept.finish(claimed.claim, done()).await;
    }
    assert_eq!(kept.status(job).await, Status::Done);
    assert!(store.retry(job).await.unwrap());
    assert_eq!(
        kept.status(job).await,
        Status::Done,
        "there is nothing to run once more"
    );

    let failing = kept.submit("b", 1).await;
    kept.finish(kept.claim(1).await[0].claim, failed()).await;
    for _ in 0..2 {
        kept.submit("c", 1).await;
    }
    let error = store.retry(failing).await.unwrap_err();
    assert!(
        matches!(error, StoreError::QueueFull { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(
        (kept.status(failing).await, kept.counts().await),
        (Status::Error, (2, 0))
    );
    kept.claim(1).await;
    store.retry(failing).await.unwrap();
    assert_eq!(
        (kept.status(failing).await, kept.counts().await),
        (Status::Queued, (2, 1))
    );
    let snapshot = store.get(failing).await.unwrap().unwrap();
    assert!(snapshot.job().summary.started.is_none() && snapshot.job().actions[0].error.is_empty());
}

async fn jobs_are_listed(open: Open) {
    let kept = Kept::new(open, 100);
    let mut jobs = Vec::new();
    for number in 0..10 {
        let mut labels = BTreeMap::from([("parity".to_owned(), (number % 2).to_string())]);
        labels.insert("third".to_owned(), (number % 3).to_string());
        let submission = Submission {
            labels,
            ..submission("a", 1)
        };
        jobs.push(kept.store().submit(submission).await.unwrap().id);
    }
    for claimed in kept.claim(4).await {
        kept.finish(claimed.claim, done()).await;
    }
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let all = Filter::default;
    let third = kept.store().get(jobs[3]).await.unwrap().unwrap();
    let created = third.job().summary.created;
    for (filter, expected) in [
        (all(), vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (
            Filter {
                status: Some(Status::Done),
                ..all()
            },
            vec![3, 2, 1, 0],
        ),
        (
            Filter {
                status: Some(Status::Working),
                ..all()
            },
            vec![],
        ),
        (
            Filter {
                labels: vec![label("parity", "1")],
                ..all()
            },
            vec![9, 7, 5, 3, 1],
        ),
        (
            Filter {
                labels: vec![label("parity", "1"), label("third", "0")],
                ..all()
            },
            vec![9, 3],
        ),
        (
            Filter {
                labels: vec![label("parity", "7")],
                ..all()
            },
            vec![],
        ),
        (
            Filter {
                status: Some(Status::Queued),
                labels: vec![label("third", "0")],
                ..all()
            },
            vec![9, 6],
        ),
        (
            Filter {
                created_after: Some(SystemTime::now() + LEASE),
                ..all()
            },
            vec![],
        ),
        (
            Filter {
                created_after: Some(created - LEASE),
                status: Some(Status::Done),
                ..all()
            },
            vec![3, 2, 1, 0],
        ),
    ] {
        for limit in [1, 2, 3, 50] {
            let mut found = Vec::new();
            let mut cursor = None;
            loop {
                let filter = Filter {
                    limit,
                    cursor,
                    ..filter.clone()
                };
                let page = kept.store().list(filter).await.unwrap();
                assert!(page.jobs.len() <= limit);
                found.extend(
                    page.jobs
                        .iter()
                        .map(|job| jobs.iter().position(|id| *id == job.id).unwrap()),
                );
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?} by {limit}");
        }
    }
}

async fn changes_are_told(open: Open) {
    let kept = Kept::new(open, 10);
    let job = kept.submit("a", 2).await;
    let mut feed = kept.store().watch(job);
    assert!(feed.changed().now_or_never().is_none());
    let claimed = kept.claim(2).await;
    soon("the start", feed.changed()).await;
    assert!(feed.changed().now_or_never().is_none());
    kept.store()
        .renew(&[(claimed[0].claim, 0.5)], LEASE)
        .await
        .unwrap();
    soon("progress", feed.changed()).await;
    kept.finish(claimed[1].claim, failed()).await;
    soon("the first end", feed.changed()).await;
    assert!(feed.finished().now_or_never().is_none());
    kept.finish(claimed[0].claim, failed()).await;
    soon("the second end", feed.changed()).await;
    soon("the job's end", feed.finished()).await;
    let mut late = kept.store().watch(job);
    kept.store().expire(SystemTime::now()).await.unwrap();
    soon("the end of a wait for nothing", late.changed()).await;
}

async fn readiness_is_remembered(open: Open) {
    let kept = Kept::new(open, 10);
    kept.claim(1).await;
    assert!(kept.store().ready().now_or_never().is_none());
    kept.submit("a", 1).await;
    soon("readiness", kept.store().ready()).await;
    kept.claimed(1).await;
    assert!(kept.store().ready().now_or_never().is_none());
}

async fn finished_jobs_expire(open: Open) {
    let kept = Kept::new(open, 10);
    let (first, second) = (kept.run("a").await, kept.run("b").await);
    let unfinished = kept.submit("c", 1).await;
    let finished = kept
        .store()
        .get(first)
        .await
        .unwrap()
        .unwrap()
        .job()
        .summary
        .finished
        .unwrap();
    let expire = |time| kept.store().expire(time);
    assert_eq!(expire(finished - Duration::from_secs(1)).await.unwrap(), 0);
    let later = SystemTime::now() + Duration::from_secs(1);
    assert_eq!(expire(later).await.unwrap(), 2);
    assert_eq!(expire(later).await.unwrap(), 0);
    for (job, is_there) in [(first, false), (second, false), (unfinished, true)] {
        assert_eq!(kept.store().get(job).await.unwrap().is_some(), is_there);
    }
    assert_eq!(kept.counts().await, (1, 0));
}

async fn webhooks_are_kept_until_they_are_settled(open: Open) {
    let mut kept = Kept::new(open, 10);
    let webhook = Subscription {
        url: "https://h/".to_owned(),
        events: None,
    };
    let submission = Submission {
        webhook: Some(webhook.clone()),
        ..submission("a", 1)
    };
    let job = kept.store().submit(submission).await.unwrap().id;
    assert!(
        kept.store()
            .due_webhooks(9, LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    let claim = kept.claim(1).await[0].claim;
    kept.run("b").await;
    kept.finish(claim, done()).await;
    soon("readiness", kept.store().webhook_ready()).await;
    let due = kept.store().due_webhooks(9, LEASE).await.unwrap();
    assert_eq!((due.len(), due[0].job, due[0].attempt), (1, job, 1));
    assert_eq!(due[0].webhook, webhook);
    assert!(
        kept.store()
            .due_webhooks(9, LEASE)
            .await
            .unwrap()
            .is_empty(),
        "it is being sent"
    );
    let later = SystemTime::now() + LEASE;
    assert_eq!(
        kept.store().expire(later).await.unwrap(),
        1,
        "a job that is to be told of stays"
    );
    kept.reopen();
    let due = kept.store().due_webhooks(9, LEASE).await.unwrap();
    assert_eq!(
        (due.len(), due[0].attempt),
        (1, 2),
        "it outlives the process"
    );
    kept.store()
        .settle(due[0].id, Some(SystemTime::now()))
        .await
        .unwrap();
    let due = kept.store().due_webhooks(9, LEASE).await.unwrap();
    assert_eq!((due.len(), due[0].attempt), (1, 3));
    kept.store().settle(due[0].id, None).await.unwrap();
    assert!(
        kept.store()
            .due_webhooks(9, Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(kept.store().expire(later).await.unwrap(), 1);
}

async fn conforms(open: Open) {
    actions_are_claimed_once(open).await;
    higher_priorities_first_then_turns_then_age(open).await;
    a_job_goes_from_queued_to_its_end(open).await;
    documents_have_it_all(open).await;
    as_many_jobs_wait_as_may(open).await;
    a_key_takes_a_job_in_once(open).await;
    a_lease_that_runs_out_is_handed_out_again(open).await;
    what_ran_when_the_process_ended_runs_again(open).await;
    a_try_after_a_pause(open).await;
    a_canceled_job_ends_at_once(open).await;
    what_failed_runs_once_more(open).await;
    jobs_are_listed(open).await;
    changes_are_told(open).await;
    readiness_is_remembered(open).await;
    finished_jobs_expire(open).await;
    webhooks_are_kept_until_they_are_settled(open).await;
}

/// The size of all files in a folder.
fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files.map(|file| file.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn the_sqlite_file_does_not_grow_without_end() {
    let kept = Kept::new(sqlite_in, 10);
    let mut sizes = Vec::new();
    for _ in 0..6 {
        for _ in 0..5 {
            kept.submit("a", 400).await;
            let claimed = kept.claim(400).await;
            let ends = claimed
                .iter()
                .map(|claimed| kept.finish(claimed.claim, done()));
            futures_util::future::join_all(ends).await;
        }
        let later = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(kept.store().expire(later).await.unwrap(), 5);
        sizes.push(size(kept.folder.path()));
    }
    assert!(sizes[5] <= sizes[1] + sizes[1] / 4, "{sizes:?}");
}

fn sqlite_in(folder: &Path, limit: usize) -> Arc<dyn JobStore> {
    Arc::new(SqliteStore::open(&folder.join("jobs.sqlite"), limit).unwrap())
}

#[tokio::test]
async fn sqlite() {
    conforms(sqlite_in).await;
}
