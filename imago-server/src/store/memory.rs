//! Jobs in this process's memory: quick, and gone with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use dashmap::DashMap;
use tokio::sync::Notify;

use super::{Changes, Claimed, Counts, Feed, JobStore, StoreError, Submitted};
use crate::job::{Ending, Job, JobId, Snapshot, Status, Submission};

/// Keeps jobs in memory.
#[derive(Debug)]
pub struct MemoryStore {
    /// Read by every poll, hence a map of many locks. A lock in it is never held while `queue` is taken, only the
    /// other way round.
    jobs: DashMap<JobId, Entry>,
    queue: Mutex<Queue>,
    ready: Notify,
    /// How many jobs may wait.
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    /// Copied when it changes while a reader still holds it.
    snapshot: Arc<Snapshot>,
    /// The first action that was not handed out yet.
    next: usize,
    accepted: Instant,
    changes: Arc<Changes>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Jobs with actions to hand out, the oldest first. Only the first one can have some handed out already.
    order: VecDeque<JobId>,
    /// How many of them have none handed out.
    waiting: usize,
    /// How many jobs have not finished.
    unfinished: usize,
    /// Finished jobs, the earliest first.
    finished: VecDeque<(SystemTime, JobId)>,
}

impl MemoryStore {
    /// An empty store in which up to `limit` jobs may wait.
    pub fn new(limit: usize) -> Self {
        Self {
            jobs: DashMap::new(),
            queue: Mutex::default(),
            ready: Notify::new(),
            limit,
        }
    }

    /// A panic under this lock can't leave the queue half changed: nothing that may panic runs under it.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn submit(&self, submission: Submission) -> Result<Submitted, StoreError> {
        let id = JobId::random();
        let entry = Entry {
            snapshot: Arc::new(Snapshot::new(Job::new(id, submission, SystemTime::now()))),
            next: 0,
            accepted: Instant::now(),
            changes: Arc::default(),
        };
        let queue_length = {
            let mut queue = self.queue();
            if queue.waiting >= self.limit {
                return Err(StoreError::QueueFull { limit: self.limit });
            }
            self.jobs.insert(id, entry);
            queue.order.push_back(id);
            queue.unfinished += 1;
            queue.waiting += 1;
            queue.waiting
        };
        self.ready.notify_one();
        Ok(Submitted { id, queue_length })
    }

    async fn claim(&self, most: usize) -> Result<Vec<Claimed>, StoreError> {
        let now = SystemTime::now();
        let mut claimed = Vec::new();
        let mut changed = Vec::new();
        {
            let mut queue = self.queue();
            while claimed.len() < most
                && let Some(&id) = queue.order.front()
            {
                let Some(mut entry) = self.jobs.get_mut(&id) else {
                    queue.order.pop_front();
                    continue;
                };
                let entry = entry.value_mut();
                let first = entry.next;
                if first == 0 {
                    queue.waiting -= 1;
                }
                let all = entry.snapshot.job().actions().len();
                entry.next = all.min(first + most - claimed.len());
                for index in first..entry.next {
                    claimed.push(Claimed {
                        job: id,
                        index,
                        spec: Arc::clone(&entry.snapshot.job().actions()[index].spec),
                        accepted: entry.accepted,
                    });
                }
                Arc::make_mut(&mut entry.snapshot).update(|job| {
                    for index in first..entry.next {
                        job.start(index, now);
                    }
                });
                changed.push(Arc::clone(&entry.changes));
                if entry.next == all {
                    queue.order.pop_front();
                }
            }
        }
        for changes in changed {
            changes.tell(false);
        }
        Ok(claimed)
    }

    async fn ready(&self) {
        self.ready.notified().await;
    }

    async fn finish(&self, id: JobId, index: usize, ending: Ending) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let Some((changes, finished)) = self.jobs.get_mut(&id).and_then(|mut entry| {
            let running = entry.snapshot.job().actions().get(index)?.status == Status::Working;
            if !running {
                return None;
            }
            Arc::make_mut(&mut entry.snapshot).update(|job| job.end(index, ending, now));
            Some((
                Arc::clone(&entry.changes),
                entry.snapshot.job().finished.is_some(),
            ))
        }) else {
            return Ok(());
        };
        if finished {
            let mut queue = self.queue();
            queue.unfinished -= 1;
            queue.finished.push_back((now, id));
        }
        changes.tell(finished);
        Ok(())
    }

    async fn get(&self, id: JobId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        Ok(self.jobs.get(&id).map(|entry| Arc::clone(&entry.snapshot)))
    }

    async fn watch(&self, id: JobId) -> Result<Option<Feed>, StoreError> {
        Ok(self.jobs.get(&id).map(|entry| entry.changes.feed()))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let queue = self.queue();
        Ok(Counts {
            queued: queue.waiting,
            working: queue.unfinished - queue.waiting,
        })
    }

    async fn expire(&self, before: SystemTime) -> Result<usize, StoreError> {
        let mut expired = Vec::new();
        {
            let mut queue = self.queue();
            while let Some(&(finished, id)) = queue.finished.front()
                && finished <= before
            {
                queue.finished.pop_front();
                expired.push(id);
            }
        }
        for id in &expired {
            self.jobs.remove(id);
        }
        Ok(expired.len())
    }

    fn is_durable(&self) -> bool {
        false
    }
}
