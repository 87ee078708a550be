//! Where jobs are kept while they wait, run, and are asked about.

mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::job::{ActionSpec, Ending, JobId, Snapshot, Submission};

pub use memory::MemoryStore;

/// Keeps jobs, hands out their actions in order, and tells of changes.
///
/// Each method is one transaction. Nothing here waits for a job, but [`ready`](Self::ready) and a [`Feed`] do.
#[async_trait]
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Takes a job in. When it returns, the job is as safe as this store makes it.
    async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError>;

    /// Hands out up to `most` actions that can run now, the oldest job's first, and notes that they run. None if there
    /// are none: then [`ready`](Self::ready) says when to ask again.
    async fn claim(&self, most: usize) -> Result<Vec<Claimed>, StoreError>;

    /// Waits until there may be something to claim. A change since the last call ends the wait at once. One waiter only.
    async fn ready(&self);

    /// Notes how an action ended. An action that has ended already stays as it is.
    async fn finish(&self, job: JobId, index: usize, ending: Ending) -> Result<(), StoreError>;

    /// The job as it is now, if there is one.
    async fn get(&self, job: JobId) -> Result<Option<Arc<Snapshot>>, StoreError>;

    /// The job's changes from now on, if there is such a job. Subscribe, then read, then wait: so no change is missed.
    async fn watch(&self, job: JobId) -> Result<Option<Feed>, StoreError>;

    /// How many jobs there are to do.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Forgets jobs that finished at `before` or earlier, and says how many.
    async fn expire(&self, before: SystemTime) -> Result<usize, StoreError>;

    /// Whether jobs outlive the process.
    fn is_durable(&self) -> bool;
}

/// A job that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its name.
    pub id: JobId,
    /// How many jobs wait, this one included.
    pub queue_length: usize,
}

/// An action to run.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its job.
    pub job: JobId,
    /// Its place among the job's actions, from 0.
    pub index: usize,
    /// What was asked.
    pub spec: Arc<ActionSpec>,
    /// When its job was accepted: the same instant for all of a job's actions, so that they see one source alike.
    pub accepted: Instant,
}

/// How many jobs there are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Jobs of which no action has started.
    pub queued: usize,
    /// Jobs of which some action has started, and not all have finished.
    pub working: usize,
}

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// As many jobs wait as may.
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The store can't be reached, or can't write.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { limit } => {
                write!(
                    f,
                    "the queue is full: {limit} jobs wait, and no more may (`limits.queue`)"
                )
            }
            Self::Unavailable(_) => f.write_str("the job store can't be reached"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::QueueFull { .. } => None,
            Self::Unavailable(source) => Some(source.as_ref()),
        }
    }
}

/// Tells of one job's changes. Thousands may listen to the same job: a wait costs no thread.
#[derive(Debug, Clone)]
pub struct Feed {
    changes: watch::Receiver<u64>,
    /// Apart from the changes, so that who waits for the end alone does not wake for each action.
    finished: watch::Receiver<bool>,
}

impl Feed {
    /// Waits for a change since the feed was made or last waited for. At once if the job has been forgotten.
    pub async fn changed(&mut self) {
        // An error means that the sender is gone, and with it the job.
        drop(self.changes.changed().await);
    }

    /// Waits until the job has finished. At once if it has, or has been forgotten.
    pub async fn finished(&mut self) {
        drop(self.finished.wait_for(|finished| *finished).await);
    }
}

/// The other end of a job's [`Feed`]s.
#[derive(Debug, Default)]
struct Changes {
    changes: watch::Sender<u64>,
    finished: watch::Sender<bool>,
}

impl Changes {
    fn feed(&self) -> Feed {
        Feed {
            changes: self.changes.subscribe(),
            finished: self.finished.subscribe(),
        }
    }

    /// Tells of a change. Not to be called under a lock that a woken reader will want.
    fn tell(&self, finished: bool) {
        self.changes.send_modify(|number| *number += 1);
        if finished {
            self.finished.send_replace(true);
        }
    }
}
