//! Where jobs are kept while they wait, run, and are asked about.

mod error;
mod feed;
mod listing;
pub mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use crate::job::attempts::Attempts;
use crate::job::{ActionSpec, Ending, JobId, Snapshot, Status, Submission};
use crate::webhook::Subscription;

pub use error::StoreError;
pub use feed::{Feed, Feeds};
pub use listing::{Cursor, Filter, InvalidCursor, Page};
pub use sqlite::SqliteStore;

/// Keeps jobs, hands out their actions in order, and tells of changes.
///
/// Each method is one transaction, and what it changed is safe when it returns. Nothing here waits for a job, but
/// [`ready`](Self::ready) and a [`Feed`] do.
#[async_trait]
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Takes a job in. One that comes again by its [`Idempotency`](crate::job::Idempotency) is answered as the first.
    async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError>;

    /// Hands out up to `most` actions that can run now, and notes that they run. None if there are none: then
    /// [`ready`](Self::ready) says when to ask again.
    ///
    /// Jobs of a higher priority come first. Those of the same take turns, so that one of many actions does not hold up
    /// one of few; at the same turn the oldest is first. Who does not [renew](Self::renew) a claim within `lease` loses
    /// it, and the action is handed out again.
    async fn claim(&self, most: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError>;

    /// Waits until there may be something to claim. A change since the last call ends the wait at once. One waiter only.
    async fn ready(&self);

    /// Keeps claims for another `lease` and notes how far they are, from 0 to 1. Gives those that are the caller's no
    /// more: because the job was canceled, or the claim lost.
    async fn renew(
        &self,
        claims: &[(Claim, f64)],
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError>;

    /// Notes how a try ended. One whose claim is lost changes nothing.
    async fn finish(&self, claim: Claim, ending: Ending) -> Result<Noted, StoreError>;

    /// The job as it is now, if there is one.
    async fn get(&self, job: JobId) -> Result<Option<Arc<Snapshot>>, StoreError>;

    /// The job's changes from now on. Subscribe, then read, then wait: so no change is missed.
    fn watch(&self, job: JobId) -> Feed;

    /// Jobs that fit the filter, the newest first, without their actions.
    async fn list(&self, filter: Filter) -> Result<Page, StoreError>;

    /// Cancels what has not finished of a job; of a finished one deletes the record.
    async fn remove(&self, job: JobId) -> Result<Removed, StoreError>;

    /// Has the actions that failed or were canceled run once more. Whether there is such a job.
    async fn retry(&self, job: JobId) -> Result<bool, StoreError>;

    /// Fails where a job would not be taken in because the store can't write.
    async fn check(&self) -> Result<(), StoreError>;

    /// How many jobs there are to do.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Forgets jobs that finished at `before` or earlier, and says how many. Those whose webhook was not sent stay.
    async fn expire(&self, before: SystemTime) -> Result<usize, StoreError>;

    /// Webhooks that are to be sent now, up to `most`. Each comes again after `lease` unless it is [settled](Self::settle).
    async fn due_webhooks(
        &self,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<DueWebhook>, StoreError>;

    /// Notes that a webhook was sent or given up; or, where a time is given, that it is to be sent again then.
    async fn settle(&self, webhook: i64, again: Option<SystemTime>) -> Result<(), StoreError>;

    /// Waits until a webhook may be due. One waiter only.
    async fn webhook_ready(&self);
}

/// A job that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its name.
    pub id: JobId,
    /// How many jobs wait, this one included.
    pub queue_length: usize,
    /// Whether it had been taken in before.
    pub is_repeat: bool,
}

/// The right to say how one try of an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The action's job.
    pub job: JobId,
    /// Its place among the job's actions, from 0.
    pub index: usize,
    /// Which try it is, from 1.
    pub attempt: u32,
}

/// An action to run.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// By which its end is told.
    pub claim: Claim,
    /// What was asked.
    pub spec: Arc<ActionSpec>,
    /// How often it was tried, this time included.
    pub attempts: Attempts,
    /// When its job was accepted: the same instant for all of a job's actions, so that they see one source alike.
    pub accepted: Instant,
    /// Whether it is the first of its job to start.
    pub begins_job: bool,
}

/// What came of the end of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Nothing: the claim was lost.
    Lost,
    /// It was noted.
    Kept,
    /// It was noted, and the job has ended with it, in this way.
    EndedJob(Status),
}

/// How many jobs there are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs of which no action has started.
    pub queued: usize,
    /// Jobs of which some action has started, and not all have finished.
    pub working: usize,
}

/// What became of a job that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// There is no such job.
    Unknown,
    /// What had not finished of it was canceled.
    Canceled,
    /// It had finished, and its record is gone.
    Deleted,
}

/// A webhook to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueWebhook {
    /// Its name in the store.
    pub id: i64,
    /// The job that has finished.
    pub job: JobId,
    /// Where to.
    pub webhook: Subscription,
    /// How often it was tried, this time included.
    pub attempt: u32,
    /// When the job finished.
    pub since: SystemTime,
}
