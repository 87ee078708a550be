//! Jobs in a SQLite file: the default, and the only place that knows SQL.
//!
//! One thread writes, many read. What changed is noted per commit by a number (`versions`), which is a part of the key by
//! which snapshots are kept in memory: who reads after a commit never gets what was before it.

mod read;
mod rows;
mod schema;
mod write;
mod writer;

use std::fmt;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::Notify;

use super::{
    Claim, Claimed, Counts, DueWebhook, Feed, Feeds, Filter, JobStore, Noted, Page, Removed,
    StoreError, Submitted,
};
use crate::job::{Ending, JobId, Snapshot, Submission};
use writer::Writer;

/// How many numbers tell of changes. Jobs share them, which costs a read now and then.
const VERSIONS: usize = 4096;

/// How many bytes the snapshots in memory may take.
const KEPT_BYTES: u64 = 16 << 20;

/// How long a snapshot stays in memory that nobody asks for.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// How many connections for reading stay open.
const READERS: usize = 4;

/// How many pages a vacuum gives back at a time: who writes meanwhile waits for it.
const VACUUMED: u32 = 2000;

/// How long another process may take to let go of the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Keeps jobs in a file.
pub struct SqliteStore {
    file: PathBuf,
    limit: usize,
    writer: Writer,
    readers: Arc<Mutex<Vec<Connection>>>,
    snapshots: moka::future::Cache<(JobId, u64), Option<Arc<Snapshot>>>,
    shared: Arc<Shared>,
    next_due: Mutex<Option<SystemTime>>,
    next_webhook: Mutex<Option<SystemTime>>,
}

/// What the writer's thread tells.
struct Shared {
    feeds: Feeds,
    versions: Vec<AtomicU64>,
    hasher: RandomState,
    counts: Mutex<Counts>,
    ready: Notify,
    webhook: Notify,
}

impl Shared {
    fn version(&self, job: JobId) -> &AtomicU64 {
        let hash = self.hasher.hash_one(job);
        let place = usize::try_from(hash % VERSIONS as u64).unwrap_or_default();
        &self.versions[place]
    }

    fn committed(&self, counts: Counts, changed: &[(JobId, bool)]) {
        *lock(&self.counts) = counts;
        for (job, _) in changed {
            self.version(*job).fetch_add(1, Ordering::AcqRel);
        }
        for (job, finished) in changed {
            self.feeds.tell(*job, *finished);
        }
        if changed.iter().any(|(_, finished)| *finished) {
            self.webhook.notify_one();
        }
    }
}

/// No lock here is held while something that may panic runs.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteStore {
    /// Opens or makes the store in this file, in which up to `limit` jobs may wait.
    ///
    /// What another process had claimed can be claimed at once: it is gone, or the file would be locked. It blocks.
    pub fn open(file: &Path, limit: usize) -> Result<Self, StoreError> {
        let lock_file = lock_for(file)?;
        let connection = schema::open_writer(file)?;
        let counts = write::count(&connection)?;
        let shared = Arc::new(Shared {
            feeds: Feeds::default(),
            versions: (0..VERSIONS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            counts: Mutex::new(counts),
            ready: Notify::new(),
            webhook: Notify::new(),
        });
        recover(&connection, counts)?;
        let told = Arc::clone(&shared);
        let committed = move |counts, changed: &[_]| {
            // Held by the thread that writes, for as long as it does: nobody else uses the file meanwhile.
            let _held = &lock_file;
            told.committed(counts, changed);
        };
        let writer =
            Writer::start(connection, counts, committed).map_err(StoreError::unavailable)?;
        Ok(Self {
            file: file.to_owned(),
            limit,
            writer,
            readers: Arc::default(),
            snapshots: moka::future::Cache::builder()
                .max_capacity(KEPT_BYTES)
                .weigher(|_, snapshot: &Option<Arc<Snapshot>>| {
                    let bytes = snapshot.as_ref().map_or(256, |snapshot| snapshot.bytes());
                    u32::try_from(bytes).unwrap_or(u32::MAX)
                })
                .time_to_idle(KEPT_FOR)
                .build(),
            shared,
            next_due: Mutex::default(),
            next_webhook: Mutex::default(),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (readers, file) = (Arc::clone(&self.readers), self.file.clone());
        let work = move || {
            let open = lock(&readers).pop();
            let connection = match open {
                Some(connection) => connection,
                None => schema::open_reader(&file)?,
            };
            let result = read(&connection);
            let mut readers = lock(&readers);
            // One that failed may be broken.
            if result.is_ok() && readers.len() < READERS {
                readers.push(connection);
            }
            result
        };
        let result = tokio::task::spawn_blocking(work).await;
        result
            .map_err(StoreError::unavailable)?
            .map_err(StoreError::unavailable)
    }
}

/// Takes the file for this process alone. One that is about to end has a moment to let go of it.
fn lock_for(file: &Path) -> Result<File, StoreError> {
    let path = file.with_extension("lock");
    let opened = File::create(&path).map_err(StoreError::unavailable)?;
    let begun = Instant::now();
    loop {
        match opened.try_lock() {
            Ok(()) => return Ok(opened),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process uses the job store `{}`", file.display());
                return Err(StoreError::unavailable(message));
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::unavailable(error)),
        }
    }
}

/// Takes up what a process left behind that is gone.
fn recover(connection: &Connection, mut counts: Counts) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let actions = write::recover(&mut writer::Batch {
        connection: &transaction,
        counts: &mut counts,
        changed: &mut Vec::new(),
    })?;
    transaction.commit()?;
    if actions > 0 {
        log::warn!(actions = actions; "takes up actions that ran when the server came to its end");
    }
    Ok(())
}

/// Waits until told, or until the time.
async fn told_or_due(told: &Notify, due: Option<SystemTime>) {
    let Some(due) = due else {
        return told.notified().await;
    };
    let pause = due.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::select! {
        () = told.notified() => {}
        // The clock that times are stored by may be set anew meanwhile.
        () = tokio::time::sleep(pause.min(Duration::from_secs(10))) => {}
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError> {
        let (id, limit) = (JobId::random(), self.limit);
        let submitted = self
            .writer
            .write(move |batch| write::submit(batch, id, &submission, limit))
            .await?;
        self.shared.ready.notify_one();
        Ok(submitted)
    }

    async fn claim(&self, most: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        let (claimed, next_due) = self
            .writer
            .write(move |batch| {
                let claimed = write::claim(batch, most, lease)?;
                Ok((claimed, write::next_due(batch)?))
            })
            .await?;
        *lock(&self.next_due) = next_due;
        Ok(claimed)
    }

    async fn ready(&self) {
        let due = *lock(&self.next_due);
        told_or_due(&self.shared.ready, due).await;
    }

    async fn renew(
        &self,
        claims: &[(Claim, f64)],
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        let claims = claims.to_vec();
        self.writer
            .write(move |batch| write::renew(batch, &claims, lease))
            .await
    }

    async fn finish(&self, claim: Claim, ending: Ending) -> Result<Noted, StoreError> {
        let is_again = matches!(ending, Ending::Again { .. });
        let counted = self
            .writer
            .write(move |batch| write::finish(batch, claim, ending))
            .await?;
        if is_again {
            self.shared.ready.notify_one();
        }
        Ok(counted)
    }

    async fn get(&self, job: JobId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let version = self.shared.version(job).load(Ordering::Acquire);
        let read = self.read(move |connection| {
            let found = read::job(connection, job)?;
            Ok(found.map(|job| Arc::new(Snapshot::new(job))))
        });
        // Many that ask at once share one read.
        self.snapshots
            .try_get_with((job, version), read)
            .await
            .map_err(|error: Arc<StoreError>| StoreError::unavailable(Shown(error)))
    }

    fn watch(&self, job: JobId) -> Feed {
        self.shared.feeds.watch(job)
    }

    async fn list(&self, filter: Filter) -> Result<Page, StoreError> {
        self.read(move |connection| read::list(connection, &filter))
            .await
    }

    async fn remove(&self, job: JobId) -> Result<Removed, StoreError> {
        self.writer
            .write(move |batch| write::remove(batch, job))
            .await
    }

    async fn retry(&self, job: JobId) -> Result<bool, StoreError> {
        let limit = self.limit;
        let is_there = self
            .writer
            .write(move |batch| write::retry(batch, job, limit))
            .await?;
        self.shared.ready.notify_one();
        Ok(is_there)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.writer.write(|batch| write::check(batch)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(*lock(&self.shared.counts))
    }

    async fn expire(&self, before: SystemTime) -> Result<usize, StoreError> {
        // Else they would stay until somebody asks for a job.
        self.snapshots.run_pending_tasks().await;
        let mut jobs = 0;
        loop {
            let expired = self
                .writer
                .write(move |batch| write::expire(batch, before))
                .await?;
            jobs += expired;
            if !write::is_full(expired) {
                break;
            }
        }
        if jobs > 0 {
            // The pages that are free now go back to the file system, some at a time.
            self.writer
                .alone(|connection| {
                    let sql = format!("PRAGMA incremental_vacuum({VACUUMED})");
                    connection.execute_batch(&sql)
                })
                .await?;
        }
        Ok(jobs)
    }

    async fn due_webhooks(
        &self,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<DueWebhook>, StoreError> {
        let (due, next) = self
            .writer
            .write(move |batch| {
                let due = write::due_webhooks(batch, most, lease)?;
                Ok((due, write::next_webhook(batch)?))
            })
            .await?;
        *lock(&self.next_webhook) = next;
        Ok(due)
    }

    async fn settle(&self, webhook: i64, again: Option<SystemTime>) -> Result<(), StoreError> {
        self.writer
            .write(move |batch| write::settle(batch, webhook, again))
            .await?;
        if again.is_some() {
            self.shared.webhook.notify_one();
        }
        Ok(())
    }

    async fn webhook_ready(&self) {
        let due = *lock(&self.next_webhook);
        told_or_due(&self.shared.webhook, due).await;
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("file", &self.file)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// An error that several share.
#[derive(Debug)]
struct Shown(Arc<StoreError>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            StoreError::Unavailable(source) => source.fmt(f),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Shown {}
