//! Runs what the store has to run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use imago_core::ErrorKind;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Ending;
use super::runner::Runner;
use crate::store::{Claimed, JobStore};

/// How long to leave a store alone that could not be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Claims actions and runs them, a bounded number at the same time, until it is told to stop.
#[derive(Debug)]
pub struct Dispatcher {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Dispatcher {
    /// Starts to run what the store has.
    ///
    /// More actions run at once than there are threads for conversions, because some of them wait for their stores
    /// meanwhile: twice as many, and at least four.
    pub fn start(store: Arc<dyn JobStore>, runner: Arc<dyn Runner>) -> Self {
        let stop = CancellationToken::new();
        let at_once = (2 * runner.threads()).max(4);
        let task = tokio::spawn(dispatch(store, runner, at_once, stop.clone()));
        Self { stop, task }
    }

    /// Starts nothing more, and waits up to `grace` for what runs. Says whether all of it has ended.
    pub async fn drain(mut self, grace: Duration) -> bool {
        self.stop.cancel();
        let drained = tokio::time::timeout(grace, &mut self.task).await.is_ok();
        if !drained {
            // The set of running actions goes with its task, and they with it.
            self.task.abort();
        }
        drained
    }
}

async fn dispatch(
    store: Arc<dyn JobStore>,
    runner: Arc<dyn Runner>,
    at_once: usize,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let free = at_once - running.len();
        if free > 0 {
            match store.claim(free).await {
                Ok(claimed) => {
                    for action in claimed {
                        running.spawn(run(Arc::clone(&store), Arc::clone(&runner), action));
                    }
                }
                Err(error) => {
                    log::error!(error:% = error; "could not claim actions to run");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                    }
                    // Not to the wait below: what `ready` remembered has been used up by the claim that failed.
                    continue;
                }
            }
        }
        // What becomes ready between the claim and here is not lost: `ready` remembers it.
        tokio::select! {
            () = stop.cancelled() => {}
            Some(_) = running.join_next() => while running.try_join_next().is_some() {},
            () = store.ready(), if running.len() < at_once => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Runs one action to its end, whatever that is, and says so to the store.
async fn run(store: Arc<dyn JobStore>, runner: Arc<dyn Runner>, claimed: Claimed) {
    let Claimed {
        job,
        index,
        spec,
        accepted,
    } = claimed;
    let begun = Instant::now();
    let outcome = AssertUnwindSafe(runner.run(&spec, accepted))
        .catch_unwind()
        .await;
    let duration_ms = begun.elapsed().as_millis();
    let ending = match outcome {
        Ok(Ok(success)) => {
            log::info!("job.id":% = job, "action.index" = index, duration_ms = duration_ms; "action done");
            Ending::Done(Box::new(success))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::Internal => {
            log::error!("job.id":% = job, "action.index" = index, duration_ms = duration_ms, error:? = error; "action failed");
            Ending::Failed(error.to_string())
        }
        Ok(Err(error)) => {
            log::info!("job.id":% = job, "action.index" = index, duration_ms = duration_ms, "error.kind":? = error.kind(); "action failed");
            Ending::Failed(error.to_string())
        }
        Err(_) => {
            log::error!("job.id":% = job, "action.index" = index, duration_ms = duration_ms; "action panicked");
            Ending::Failed(
                "the conversion broke off by a fault of Imago's own; the server's log says where"
                    .to_owned(),
            )
        }
    };
    if let Err(error) = store.finish(job, index, ending).await {
        log::error!("job.id":% = job, "action.index" = index, error:% = error; "could not store how an action ended");
    }
}
