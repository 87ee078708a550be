//! One change feed for all that wait: long polls, event streams, and actions whose job may be canceled.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::watch;

use crate::job::JobId;

/// The changes of the jobs that somebody watches.
#[derive(Debug, Default)]
pub struct Feeds(Arc<DashMap<JobId, Changes>>);

/// The sending end of a job's feeds.
#[derive(Debug, Default)]
struct Changes {
    changes: watch::Sender<u64>,
    /// Apart from the changes, so that who waits for the end alone does not wake for each action.
    finished: watch::Sender<bool>,
}

impl Feeds {
    /// The job's changes from now on.
    pub fn watch(&self, job: JobId) -> Feed {
        let changes = self.0.entry(job).or_default();
        Feed {
            receivers: Some((changes.changes.subscribe(), changes.finished.subscribe())),
            job,
            feeds: Arc::clone(&self.0),
        }
    }

    /// Tells that the job is as it was not before, and whether it has finished. A job that is gone has.
    pub fn tell(&self, job: JobId, finished: bool) {
        if let Some(changes) = self.0.get(&job) {
            changes.changes.send_modify(|number| *number += 1);
            changes.finished.send_if_modified(|was| {
                let is_new = *was != finished;
                *was = finished;
                is_new
            });
        }
    }

    /// How many jobs are watched.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no job is watched.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tells of one job's changes. Thousands may listen to the same job: a wait costs no thread.
#[derive(Debug)]
pub struct Feed {
    /// Taken when the feed is dropped, before its job's entry is looked at.
    receivers: Option<(watch::Receiver<u64>, watch::Receiver<bool>)>,
    job: JobId,
    feeds: Arc<DashMap<JobId, Changes>>,
}

impl Feed {
    /// Waits for a change since the feed was made or last waited for.
    pub async fn changed(&mut self) {
        if let Some((changes, _)) = &mut self.receivers {
            // The sender outlives its receivers, so there is no error.
            drop(changes.changed().await);
        }
    }

    /// Waits until the job finishes or goes. If it has before the feed was made, this may wait for ever: who waits looks
    /// first.
    pub async fn finished(&mut self) {
        if let Some((_, finished)) = &mut self.receivers {
            drop(finished.wait_for(|finished| *finished).await);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.receivers = None;
        self.feeds.remove_if(&self.job, |_, changes| {
            changes.changes.receiver_count() == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_feed_tells_and_leaves_nothing_behind() {
        let feeds = Feeds::default();
        let (job, other) = (JobId::random(), JobId::random());
        let (mut one, mut two) = (feeds.watch(job), feeds.watch(job));
        feeds.tell(other, true);
        assert!(one.changed().now_or_never().is_none());
        feeds.tell(job, false);
        feeds.tell(job, false);
        assert!(one.changed().now_or_never().is_some());
        assert!(
            one.changed().now_or_never().is_none(),
            "two changes wake once"
        );
        assert!(one.finished().now_or_never().is_none());
        feeds.tell(job, true);
        assert!(one.finished().now_or_never().is_some());
        assert!(two.finished().now_or_never().is_some());
        feeds.tell(job, false);
        assert!(one.finished().now_or_never().is_none(), "it runs again");
        drop(one);
        assert_eq!(feeds.len(), 1);
        drop(two);
        assert!(feeds.is_empty());
    }
}
