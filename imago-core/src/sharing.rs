//! What actions on the same source share: its bytes, fetched once, and its pixels, decoded once.
//!
//! An entry lives while an action on its source is under way, and beyond that while more are announced, as far as there is
//! room. Nothing is kept for an action that is alone.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Layout;
use crate::error::{Error, ErrorKind, Result};
use crate::sandbox::Pixels;
use crate::storage::{CacheStatus, Location, Source};

/// How long something is kept for an action that is announced and does not come: it may have been canceled.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose pixels an action worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decoding {
    /// It decoded its source for itself.
    Own,
    /// It decoded its source for other actions too.
    First,
    /// It found its source decoded by another action.
    Reused,
}

/// The sources that actions share.
#[derive(Debug, Clone)]
pub(crate) struct Sharing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many bytes may be kept.
    most: u64,
    held: AtomicU64,
    entries: Mutex<HashMap<Key, Entry>>,
    /// Whether somebody is on the way to look for what was kept in vain.
    sweeps: AtomicBool,
}

/// A source, as it was at some time or later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    location: Location,
    not_before: Instant,
}

#[derive(Debug)]
struct Entry {
    slots: Arc<Slots>,
    /// How many actions are under way.
    users: usize,
    /// How many more are announced.
    expected: usize,
    /// When the last one left.
    left: Instant,
}

/// What there is of a source. Each lock is held while that is made, so it is made once.
#[derive(Debug, Default)]
struct Slots {
    bytes: tokio::sync::Mutex<Fetched>,
    pixels: tokio::sync::Mutex<Drawn>,
}

#[derive(Debug, Default)]
enum Fetched {
    #[default]
    Nothing,
    Failed(Instant, ErrorKind, String),
    Kept {
        source: Source,
        _room: Room,
    },
}

#[derive(Debug, Default)]
enum Drawn {
    #[default]
    Nothing,
    /// There is nothing to share: each action sees for itself.
    Unfit,
    Kept(Arc<Shared>),
}

/// Pixels that several actions look at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pixels: Pixels,
    _room: Room,
}

/// An action's part in a source.
#[derive(Debug)]
pub(crate) struct Share {
    sharing: Sharing,
    key: Key,
    slots: Arc<Slots>,
}

/// Bytes that are kept, for as long as this is.
#[derive(Debug)]
struct Room {
    sharing: Sharing,
    bytes: u64,
}

impl Sharing {
    /// A place for so many bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self(Arc::new(Inner {
            most,
            held: AtomicU64::new(0),
            entries: Mutex::default(),
            sweeps: AtomicBool::new(false),
        }))
    }

    /// Takes part in a source, of which there are to be so many users in all.
    pub(crate) fn join(&self, location: &Location, not_before: Instant, actions: usize) -> Share {
        let key = Key {
            location: location.clone(),
            not_before,
        };
        let mut entries = self.entries();
        let entry = entries.entry(key.clone()).or_insert_with(|| Entry {
            slots: Arc::default(),
            users: 0,
            expected: actions,
            left: not_before,
        });
        entry.users += 1;
        entry.expected = entry.expected.saturating_sub(1);
        Share {
            sharing: self.clone(),
            slots: Arc::clone(&entry.slots),
            key,
        }
    }

    /// Makes room, at the cost of what no action is at work on.
    fn room(&self, bytes: u64) -> Option<Room> {
        loop {
            let more = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.0.most);
            let order = Ordering::Relaxed;
            if self.0.held.fetch_update(order, order, more).is_ok() {
                return Some(Room {
                    sharing: self.clone(),
                    bytes,
                });
            }
            let oldest = self.remove_oldest()?;
            drop(oldest);
        }
    }

    /// What is dropped gives its room back, which may be done when the lock is open again.
    fn remove_oldest(&self) -> Option<Entry> {
        let mut entries = self.entries();
        let idle = entries.iter().filter(|(_, entry)| entry.users == 0);
        let oldest = idle.min_by_key(|(_, entry)| entry.left)?.0.clone();
        entries.remove(&oldest)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        // No panic can leave it half changed.
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was kept in vain for this long. Says whether anything is kept that may yet be.
    fn sweep(&self, patience: Duration) -> bool {
        let mut entries = self.entries();
        let late = |entry: &mut Entry| entry.users == 0 && entry.left.elapsed() >= patience;
        let gone: Vec<_> = entries.extract_if(|_, entry| late(entry)).collect();
        let idles = entries.values().any(|entry| entry.users == 0);
        drop(entries);
        drop(gone);
        idles
    }

    /// Sees to it that what is kept in vain is forgotten some time.
    fn sweep_later(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.0.sweeps.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE).await;
                let Some(sharing) = inner.upgrade().map(Self) else {
                    return;
                };
                if !sharing.sweep(PATIENCE) {
                    sharing.0.sweeps.store(false, Ordering::Release);
                    return;
                }
            }
        });
    }

    #[cfg(test)]
    fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Whether another action is at work on the source, or announced.
    fn is_wanted_by_others(&self) -> bool {
        let entries = self.sharing.entries();
        let entry = entries.get(&self.key);
        entry.is_some_and(|entry| entry.users + entry.expected > 1)
    }

    /// The source, fetched unless another action has done so.
    pub(crate) async fn bytes(
        &self,
        fetch: impl Future<Output = Result<Source>> + Send,
    ) -> Result<Source> {
        let came = Instant::now();
        let mut slot = self.slots.bytes.lock().await;
        match &*slot {
            Fetched::Kept { source, .. } => {
                let mut source = source.clone();
                if source.cache != CacheStatus::Uncached {
                    source.cache = CacheStatus::Hit;
                }
                return Ok(source);
            }
            // Those who waited for a dead server need not wait for it each in turn.
            Fetched::Failed(at, kind, message) if *at > came => {
                return Err(Error::new(*kind, message.clone()));
            }
            Fetched::Failed(..) | Fetched::Nothing => {}
        }
        match fetch.await {
            Ok(source) => {
                if self.is_wanted_by_others()
                    && let Some(room) = self.sharing.room(source.bytes.len() as u64)
                {
                    let source = source.clone();
                    *slot = Fetched::Kept {
                        source,
                        _room: room,
                    };
                }
                Ok(source)
            }
            Err(error) => {
                *slot = Fetched::Failed(Instant::now(), error.kind(), error.to_string());
                Err(error)
            }
        }
    }

    /// The source's pixels, decoded unless another action has done so. `None` where it is better for the action to do that
    /// itself, as it goes.
    pub(crate) async fn pixels(
        &self,
        layout: Layout,
        decode: impl Future<Output = Result<Option<Pixels>>> + Send,
    ) -> Result<Option<(Arc<Shared>, Decoding)>> {
        let mut slot = self.slots.pixels.lock().await;
        match &*slot {
            Drawn::Kept(shared) => return Ok(Some((Arc::clone(shared), Decoding::Reused))),
            Drawn::Unfit => return Ok(None),
            Drawn::Nothing => {}
        }
        if !self.is_wanted_by_others() {
            return Ok(None);
        }
        let Some(room) = self.sharing.room(layout.bytes()) else {
            return Ok(None);
        };
        let pixels = match decode.await {
            Ok(Some(pixels)) => pixels,
            // What is too much for one decoder, others need not try one after the other.
            other => {
                *slot = Drawn::Unfit;
                return other.map(|_| None);
            }
        };
        let shared = Arc::new(Shared {
            pixels,
            _room: room,
        });
        *slot = Drawn::Kept(Arc::clone(&shared));
        Ok(Some((shared, Decoding::First)))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut entries = self.sharing.entries();
        let mut gone = None;
        let mut idles = false;
        if let Some(entry) = entries.get_mut(&self.key) {
            entry.users -= 1;
            entry.left = Instant::now();
            if entry.users == 0 {
                idles = entry.expected > 0;
                if !idles {
                    gone = entries.remove(&self.key);
                }
            }
        }
        drop(entries);
        drop(gone);
        if idles {
            self.sharing.sweep_later();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.sharing.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "sharing_tests.rs"]
mod tests;
