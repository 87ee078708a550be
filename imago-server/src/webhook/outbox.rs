//! Sends what the store has to send, until it is taken or given up.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::{Delivery, Message, Webhooks, next_try, random};
use crate::metrics::Metrics;
use crate::store::{DueWebhook, JobStore, StoreError};

/// As many are sent at the same time.
const AT_ONCE: usize = 16;

/// How long a try is the sender's own; longer than any takes, since the configured time-out is at most this less a while.
const LEASE: Duration = Duration::from_secs(15 * 60);

/// How long to leave a store alone that could not be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Sends webhooks for as long as it is polled. What was being sent when it is dropped is sent again at the next start.
pub(crate) async fn send_what_is_due(
    store: Arc<dyn JobStore>,
    webhooks: Webhooks,
    metrics: Arc<Metrics>,
) {
    let mut sending = JoinSet::new();
    loop {
        let free = AT_ONCE - sending.len();
        if free > 0 {
            match store.due_webhooks(free, LEASE).await {
                Ok(due) => {
                    for webhook in due {
                        let (store, webhooks) = (Arc::clone(&store), webhooks.clone());
                        sending.spawn(send(store, webhooks, Arc::clone(&metrics), webhook));
                    }
                }
                Err(error) => {
                    log::error!(error:% = error; "could not ask for webhooks to send");
                    tokio::time::sleep(STORE_PAUSE).await;
                    continue;
                }
            }
        }
        tokio::select! {
            Some(_) = sending.join_next() => {}
            () = store.webhook_ready(), if sending.len() < AT_ONCE => {}
        }
    }
}

/// Tries once to send, and notes what came of it.
async fn send(
    store: Arc<dyn JobStore>,
    webhooks: Webhooks,
    metrics: Arc<Metrics>,
    due: DueWebhook,
) {
    let again = match attempt(&*store, &webhooks, &metrics, &due).await {
        Ok(again) => again,
        Err(error) => {
            // Comes again when its lease is over.
            log::error!("job.id":% = due.job, error:% = error; "could not read a job to tell of its end");
            return;
        }
    };
    if let Err(error) = store.settle(due.id, again).await {
        log::error!("job.id":% = due.job, error:% = error; "could not note what came of a webhook");
    }
}

/// When to try again, if it is to be.
async fn attempt(
    store: &dyn JobStore,
    webhooks: &Webhooks,
    metrics: &Metrics,
    due: &DueWebhook,
) -> Result<Option<SystemTime>, StoreError> {
    let Some(snapshot) = store.get(due.job).await? else {
        return Ok(None);
    };
    let message = Message {
        // The same at each try, and another when the job finishes once more.
        id: &format!("msg_{}_{}", due.job, due.id),
        url: &due.webhook.url,
        body: snapshot.document(),
    };
    let delivery = webhooks.deliver(message).await;
    metrics.webhook(&delivery);
    let attempt = due.attempt;
    let (reason, retry_after) = match delivery {
        Delivery::Delivered => {
            log::info!("job.id":% = due.job, attempt = attempt; "webhook delivered");
            return Ok(None);
        }
        Delivery::Refused { reason } => {
            log::warn!("job.id":% = due.job, attempt = attempt, reason:% = reason; "webhook given up");
            return Ok(None);
        }
        Delivery::Failed {
            reason,
            retry_after,
        } => (reason, retry_after),
    };
    let now = SystemTime::now();
    let age = now.duration_since(due.since).unwrap_or_default();
    let Some(pause) = next_try(attempt, age, retry_after, random()) else {
        log::warn!("job.id":% = due.job, attempt = attempt, reason:% = reason; "webhook given up");
        return Ok(None);
    };
    log::info!(
        "job.id":% = due.job, attempt = attempt, reason:% = reason, pause_ms = pause.as_millis();
        "webhook not delivered"
    );
    Ok(Some(now + pause))
}
