//! Images that requests bring in their bodies: how many there may be at the same time, and how many may wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a request waits for others to end before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// For each place so many requests may wait. More would only wait to be sent away.
const WAITING_FOR_EACH: usize = 4;

/// The places for images that requests bring.
#[derive(Debug)]
pub(crate) struct Uploads {
    places: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Uploads {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            waiting: AtomicUsize::new(0),
            most_waiting: WAITING_FOR_EACH * places,
        }
    }

    /// A place for an image, for as long as it is held; none if the server has too much to do.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _waiting = Waiting::among(&self.waiting, self.most_waiting)?;
        tokio::time::timeout(PATIENCE, self.places.acquire())
            .await
            .ok()?
            .ok()
    }
}

/// One that waits, counted until it is dropped: its request may be dropped at any time.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded_in_number_and_time() {
        let uploads = Uploads::new(1);
        let place = uploads.take().now_or_never().unwrap().unwrap();
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(uploads.take())).collect();
        for take in &mut waiting {
            assert!(take.now_or_never().is_none(), "it waits");
        }
        let refused = uploads.take().now_or_never();
        assert!(refused.unwrap().is_none(), "a fifth is sent away at once");

        waiting.truncate(1);
        assert_eq!(uploads.waiting.load(Ordering::Relaxed), 1);
        drop(place);
        let place = waiting.remove(0).await;
        assert!(place.is_some(), "its turn has come");

        let begun = tokio::time::Instant::now();
        assert!(uploads.take().await.is_none());
        assert_eq!(begun.elapsed().as_secs(), 5);
        assert_eq!(uploads.waiting.load(Ordering::Relaxed), 0);
    }
}
