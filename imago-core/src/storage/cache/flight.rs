//! One request at a time for each object, whose result is shared among those who waited for it.

use std::sync::Arc;
use std::time::Instant;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::disk::Digest;
use super::{CacheStatus, Source};
use crate::{Error, ErrorKind, Result};

/// The requests that are under way or waited for. An object is listed only as long as somebody is interested.
#[derive(Debug, Default)]
pub(super) struct Flights(Arc<DashMap<Digest, Arc<Mutex<Option<Landed>>>>>);

/// A call's part in the requests for an object.
pub(super) struct Flight {
    flights: Flights,
    digest: Digest,
    result: Arc<Mutex<Option<Landed>>>,
}

/// What the latest request brought.
#[derive(Debug)]
pub(super) struct Landed {
    started: Instant,
    max_bytes: u64,
    result: std::result::Result<Source, (ErrorKind, String)>,
}

impl Flights {
    pub(super) fn join(&self, digest: Digest) -> Flight {
        let result = Arc::clone(&self.0.entry(digest).or_default());
        Flight {
            flights: Self(Arc::clone(&self.0)),
            digest,
            result,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Flight {
    pub(super) async fn lock(&self) -> OwnedMutexGuard<Option<Landed>> {
        Arc::clone(&self.result).lock_owned().await
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.result);
        // Joining and leaving both happen under the lock of the map's shard, so the last one to leave sees it.
        self.flights.0.remove_if(&self.digest, |_, result| {
            drop(own);
            Arc::strong_count(result) == 1
        });
    }
}

impl Landed {
    /// What is worth sharing: what the cache does not keep, and errors, since a thousand calls that wait for one dead
    /// server should not each wait for it in turn.
    pub(super) fn new(started: Instant, max_bytes: u64, result: &Result<Source>) -> Option<Self> {
        let result = match result {
            Ok(source) if source.cache != CacheStatus::Uncached => return None,
            Ok(source) => Ok(source.clone()),
            Err(e) => Err((e.kind(), e.to_string())),
        };
        Some(Self {
            started,
            max_bytes,
            result,
        })
    }

    pub(super) fn share(&self, not_before: Instant, max_bytes: u64) -> Option<Result<Source>> {
        if self.started < not_before {
            return None;
        }
        match &self.result {
            Ok(source) => Some(Ok(source.clone())),
            // What was too large for that call may not be for this one.
            Err((ErrorKind::LimitExceeded, _)) if max_bytes > self.max_bytes => None,
            Err((kind, message)) => Some(Err(Error::new(*kind, message.clone()))),
        }
    }
}
