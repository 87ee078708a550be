//! Runs what the store has to run.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use imago_core::{Error, ErrorKind, Progress};
use tokio::task::{AbortHandle, Id, JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::attempts::{Most, pause};
use super::runner::Runner;
use super::{Cause, DrainRate, Ending, Failure, Status, Success};
use crate::metrics::{JobEvent, Metrics};
use crate::store::{Claim, Claimed, JobStore, Noted};

/// How long to leave a store alone that could not be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long a claim holds without being renewed. Long beside [`RENEWAL`], so that a busy disk loses no claim.
const LEASE: Duration = Duration::from_secs(30);

/// How often claims are renewed. As often, `progress` moves, and what was canceled elsewhere ends.
const RENEWAL: Duration = Duration::from_secs(1);

/// Claims actions and runs them, a bounded number at the same time, until it is told to stop.
#[derive(Debug)]
pub struct Dispatcher {
    stop: CancellationToken,
    abort: CancellationToken,
    task: JoinHandle<()>,
}

impl Dispatcher {
    /// Starts to run what the store has.
    ///
    /// More actions run at once than there are threads for conversions, because some of them wait for their stores
    /// meanwhile: twice as many, and at least four.
    pub fn start(
        store: Arc<dyn JobStore>,
        runner: Arc<dyn Runner>,
        most: Most,
        rate: Arc<DrainRate>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let dispatch = Dispatch {
            at_once: (2 * runner.threads()).max(4),
            store,
            runner,
            most,
            rate,
            metrics,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        };
        let task = tokio::spawn(dispatch.run(stop.clone(), abort.clone()));
        Self { stop, abort, task }
    }

    /// Starts nothing more, and waits up to `grace` for what runs; what does not end in time is broken off and handed
    /// back to the store. Says whether all of it has ended by itself.
    pub async fn drain(mut self, grace: Duration) -> bool {
        self.stop.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_ok() {
            return true;
        }
        self.abort.cancel();
        // A panic of the loop's own was logged when it happened.
        drop(self.task.await);
        false
    }
}

struct Dispatch {
    store: Arc<dyn JobStore>,
    runner: Arc<dyn Runner>,
    at_once: usize,
    most: Most,
    rate: Arc<DrainRate>,
    metrics: Arc<Metrics>,
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
}

struct Running {
    claim: Claim,
    progress: Progress,
    abort: AbortHandle,
}

impl Dispatch {
    async fn run(mut self, stop: CancellationToken, abort: CancellationToken) {
        let mut renewal = tokio::time::interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let takes_more = !stop.is_cancelled() && self.tasks.len() < self.at_once;
            if takes_more && !self.claim().await {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(STORE_PAUSE) => {}
                }
                // Not to the wait below: what `ready` remembered has been used up by the claim that failed.
                continue;
            }
            if stop.is_cancelled() && self.tasks.is_empty() {
                return;
            }
            let waits_for_more = !stop.is_cancelled() && self.tasks.len() < self.at_once;
            // What becomes ready between the claim and here is not lost: `ready` remembers it.
            tokio::select! {
                () = abort.cancelled() => return self.hand_back().await,
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.forget(&ended);
                    while let Some(ended) = self.tasks.try_join_next_with_id() {
                        self.forget(&ended);
                    }
                }
                _ = renewal.tick(), if !self.running.is_empty() => self.renew().await,
                () = self.store.ready(), if waits_for_more => {}
            }
        }
    }

    /// Claims and starts as many as there is room for. Whether the store could be asked.
    async fn claim(&mut self) -> bool {
        let free = self.at_once - self.tasks.len();
        let claimed = match self.store.claim(free, LEASE).await {
            Ok(claimed) => claimed,
            Err(error) => {
                log::error!(error:% = error; "could not claim actions to run");
                return false;
            }
        };
        let begun = claimed.iter().filter(|claimed| claimed.begins_job).count();
        self.rate.note(u32::try_from(begun).unwrap_or(u32::MAX));
        for claimed in claimed {
            let (claim, progress) = (claimed.claim, Progress::default());
            let attempt = Attempt {
                store: Arc::clone(&self.store),
                runner: Arc::clone(&self.runner),
                most: self.most,
                metrics: Arc::clone(&self.metrics),
                progress: progress.clone(),
            };
            let abort = self.tasks.spawn(attempt.run(claimed));
            let running = Running {
                claim,
                progress,
                abort: abort.clone(),
            };
            self.running.insert(abort.id(), running);
        }
        true
    }

    fn forget(&mut self, ended: &Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.running.remove(&id);
    }

    /// Keeps the claims of what runs, and ends what is ours no more.
    async fn renew(&mut self) {
        let running = self.running.values();
        let claims: Vec<_> = running
            .map(|running| (running.claim, running.progress.fraction()))
            .collect();
        match self.store.renew(&claims, LEASE).await {
            Ok(lost) => {
                for running in self.running.values() {
                    if lost.contains(&running.claim) {
                        log::info!(
                            "job.id":% = running.claim.job, "action.index" = running.claim.index;
                            "action broken off: it was canceled, or its claim lost"
                        );
                        running.abort.abort();
                    }
                }
            }
            Err(error) => log::error!(error:% = error; "could not renew claims"),
        }
    }

    /// Breaks off what runs, and lets the next server run it.
    async fn hand_back(mut self) {
        self.tasks.shutdown().await;
        for running in self.running.values() {
            let ending = Ending::Again {
                at: SystemTime::now(),
                cause: Cause::Shutdown,
            };
            if let Err(error) = self.store.finish(running.claim, ending).await {
                // Its lease runs out by itself.
                log::error!(error:% = error; "could not hand back an action");
            }
        }
    }
}

/// One try of one action.
struct Attempt {
    store: Arc<dyn JobStore>,
    runner: Arc<dyn Runner>,
    most: Most,
    metrics: Arc<Metrics>,
    progress: Progress,
}

impl Attempt {
    /// Runs the action to its end, whatever that is, and says so to the store.
    async fn run(self, claimed: Claimed) {
        let claim = claimed.claim;
        let begun = Instant::now();
        let mut feed = self.store.watch(claim.job);
        let ending = if claimed.attempts.losses >= self.most.losses {
            set_aside(&claimed)
        } else {
            let run = self
                .runner
                .run(&claimed.spec, claimed.accepted, &self.progress);
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(run).catch_unwind() => outcome,
                // A job ends before its last action does only when it is canceled.
                () = feed.finished() => {
                    log::info!("job.id":% = claim.job, "action.index" = claim.index; "action canceled");
                    return;
                }
            };
            if let Ok(outcome) = outcome {
                self.ending(&claimed, outcome, begun)
            } else {
                log::error!("job.id":% = claim.job, "action.index" = claim.index; "action panicked");
                Ending::Failed {
                        error: "the conversion broke off by a fault of Imago's own; the server's log says where".to_owned(),
                        failure: Failure::internal(),
                    }
            }
        };
        drop(feed);
        // The claim is renewed meanwhile, so what was done is not done again because a disk is full for a while.
        loop {
            let error = match self.store.finish(claim, ending.clone()).await {
                Ok(noted) => {
                    log::debug!("job.id":% = claim.job, "action.index" = claim.index; "action stored");
                    break self.count(noted);
                }
                Err(error) => error,
            };
            log::error!(
                "job.id":% = claim.job, "action.index" = claim.index, error:% = error;
                "could not store how an action ended; trying again"
            );
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    fn count(&self, noted: Noted) {
        match noted {
            Noted::EndedJob(Status::Done) => self.metrics.jobs(JobEvent::Done, 1),
            Noted::EndedJob(_) => self.metrics.jobs(JobEvent::Error, 1),
            Noted::Kept | Noted::Lost => {}
        }
    }

    fn ending(&self, claimed: &Claimed, outcome: Result<Success, Error>, begun: Instant) -> Ending {
        let Claim {
            job,
            index,
            attempt,
        } = claimed.claim;
        let duration_ms = begun.elapsed().as_millis();
        let error = match outcome {
            Ok(success) => {
                log::info!("job.id":% = job, "action.index" = index, duration_ms = duration_ms; "action done");
                return Ending::Done(Box::new(success));
            }
            Err(error) => error,
        };
        let kind = error.kind();
        if kind == ErrorKind::Internal {
            log::error!("job.id":% = job, "action.index" = index, duration_ms = duration_ms, error:? = error; "action failed");
        } else {
            log::info!(
                "job.id":% = job, "action.index" = index, duration_ms = duration_ms, attempt = attempt, "error.kind":? = kind;
                "action failed"
            );
        }
        let (cause, before) = match kind {
            ErrorKind::Crashed => (Cause::Crash, claimed.attempts.crashes),
            kind if kind.is_transient() => (Cause::Failure, claimed.attempts.failures),
            _ => {
                return Ending::Failed {
                    error: error.to_string(),
                    failure: Failure::of(&error),
                };
            }
        };
        let tries = before + 1;
        if tries < self.most.attempts {
            let at = SystemTime::now() + pause(tries);
            return Ending::Again { at, cause };
        }
        let times = if tries == 1 {
            "once"
        } else {
            &format!("{tries} times")
        };
        let gave_up = if cause == Cause::Crash {
            "and is set aside"
        } else {
            "and is tried no more"
        };
        Ending::Failed {
            error: format!("{error}; it was tried {times} (`jobs.attempts`), {gave_up}"),
            failure: Failure::of(&error),
        }
    }
}

/// The end of an action that the server came to its own end with too often.
fn set_aside(claimed: &Claimed) -> Ending {
    let losses = claimed.attempts.losses;
    log::error!(
        "job.id":% = claimed.claim.job, "action.index" = claimed.claim.index, losses = losses;
        "action set aside: the server came to its end while it ran, again and again"
    );
    Ending::Failed {
        error: format!(
            "it is set aside, because the server came to its end {losses} times while it ran; retry the job if that had another reason"
        ),
        failure: Failure::poison(),
    }
}
