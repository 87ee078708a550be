//! What the parts of the server share.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::Problem;
use crate::job::DrainRate;
use crate::job::attempts::Most;
use crate::job::dispatcher::Dispatcher;
use crate::job::measured::Measured;
use crate::job::runner::Runner;
use crate::metrics::Metrics;
use crate::store::{JobStore, StoreError};
use crate::uploads::Uploads;
use crate::webhook::{self, Webhooks};

/// The server, but for its sockets: what is set, what runs actions, where jobs are kept, and whether it is about to end.
pub struct App {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) webhooks: Webhooks,
    /// How fast the queue empties.
    rate: Arc<DrainRate>,
    /// Images that requests bring in their bodies.
    pub(crate) uploads: Uploads,
    /// No new work is taken.
    draining: CancellationToken,
    /// Waiting polls are answered.
    closing: CancellationToken,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .field("store", &self.store)
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

impl App {
    /// A server that keeps its jobs in this store and runs their actions by this runner.
    pub fn new(
        config: Config,
        store: Arc<dyn JobStore>,
        runner: Arc<dyn Runner>,
    ) -> imago_core::Result<Self> {
        let metrics = Arc::<Metrics>::default();
        Ok(Self {
            webhooks: Webhooks::new(&config.webhook)?,
            config,
            store,
            rate: Arc::default(),
            // As the dispatcher's actions: some are on the pool while others come in.
            uploads: Uploads::new(2 * runner.threads()),
            runner: Arc::new(Measured::new(runner, Arc::clone(&metrics))),
            metrics,
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
        })
    }

    /// Where jobs are kept.
    pub fn store(&self) -> &dyn JobStore {
        &*self.store
    }

    /// Runs jobs until `shutdown`, and ends in good order: takes no more work, lets what runs end within the
    /// configuration's `shutdown.grace`, and has waiting polls answered.
    pub async fn work(&self, shutdown: impl Future<Output = ()>) {
        let most = Most::new(self.config.jobs.attempts, self.runner.is_isolated());
        let dispatcher = Dispatcher::start(
            Arc::clone(&self.store),
            Arc::clone(&self.runner),
            most,
            Arc::clone(&self.rate),
            Arc::clone(&self.metrics),
        );
        let webhooks = webhook::send_what_is_due(
            Arc::clone(&self.store),
            self.webhooks.clone(),
            Arc::clone(&self.metrics),
        );
        // Goes on while actions end, and is dropped with this function.
        let mut webhooks = JoinSet::from_iter([webhooks]);
        tokio::select! {
            () = shutdown => {}
            () = self.forget_old_jobs() => {}
        }
        log::info!("draining: no more work is taken");
        self.draining.cancel();
        let grace = self.config.shutdown.grace;
        if !dispatcher.drain(grace).await {
            log::warn!(grace_ms = grace.as_millis(); "broke off actions that did not end in time; they run again at the next start");
        }
        if let Ok(counts) = self.store.counts().await
            && counts.queued + counts.working > 0
        {
            log::info!(
                "jobs.queued" = counts.queued, "jobs.working" = counts.working;
                "jobs that have not finished go on when the server starts again"
            );
        }
        webhooks.shutdown().await;
        self.closing.cancel();
    }

    /// Makes the store forget, time and again, what finished long ago.
    async fn forget_old_jobs(&self) {
        let keep = self.config.jobs.keep;
        let pause = (keep / 10).clamp(Duration::from_millis(10), Duration::from_secs(60));
        loop {
            tokio::time::sleep(pause).await;
            let Some(before) = SystemTime::now().checked_sub(keep) else {
                continue;
            };
            match self.store.expire(before).await {
                Ok(0) => {}
                Ok(jobs) => log::info!(jobs = jobs; "forgot jobs that finished long ago"),
                Err(error) => log::error!(error:% = error; "could not forget old jobs"),
            }
        }
    }

    /// What is counted and measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Whether no new work is taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until polls are to be answered as things are.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// What is answered to who wants something of the store that it does not do.
    pub(crate) fn refusal(&self, error: StoreError) -> Problem {
        let limit = match error {
            StoreError::QueueFull { limit } => Some(limit),
            _ => None,
        };
        let problem = Problem::from(error);
        match limit {
            Some(limit) => problem.retry_after(self.rate.retry_after(limit).as_secs()),
            None => problem,
        }
    }

    /// When another server may have taken over from this one that drains.
    pub(crate) fn retry_after_seconds(&self) -> u64 {
        self.config.shutdown.grace.as_secs().saturating_add(1)
    }
}
