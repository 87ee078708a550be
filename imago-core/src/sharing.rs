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
    /// What new actions find, under one lock with what its entries say of their users.
    entries: Mutex<HashMap<Location, Arc<Entry>>>,
    /// Whether somebody is on the way to look for what was kept in vain.
    sweeps: AtomicBool,
}

/// A source, as it was at some time or later.
#[derive(Debug)]
struct Entry {
    /// When the first action took part. All that is fetched is fetched later.
    since: Instant,
    /// Changed under the lock of the table only.
    users: Mutex<Users>,
    slots: Slots,
}

#[derive(Debug, Clone, Copy)]
struct Users {
    /// How many actions are under way.
    here: usize,
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
    location: Location,
    entry: Arc<Entry>,
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

    /// Takes part in a source as it was at this time or later, of which there are to be so many users in all.
    pub(crate) fn join(&self, location: &Location, not_before: Instant, actions: usize) -> Share {
        let mut entries = self.entries();
        let now = Instant::now();
        let found = entries.get(location);
        let found = found.filter(|entry| entry.since >= not_before).cloned();
        let entry = found.unwrap_or_else(|| {
            let entry = Arc::new(Entry {
                since: now,
                users: Mutex::new(Users {
                    here: 0,
                    expected: actions,
                    left: now,
                }),
                slots: Slots::default(),
            });
            // Those who are at work on an older version keep it.
            entries.insert(location.clone(), Arc::clone(&entry));
            entry
        });
        let mut users = entry.users();
        users.here += 1;
        users.expected = users.expected.saturating_sub(1);
        drop(users);
        drop(entries);
        Share {
            sharing: self.clone(),
            location: location.clone(),
            entry,
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

    /// What is dropped gives its room back.
    fn remove_oldest(&self) -> Option<Arc<Entry>> {
        let mut entries = self.entries();
        let idle = entries.iter().map(|(at, entry)| (at, *entry.users()));
        let idle = idle.filter(|(_, users)| users.here == 0);
        let oldest = idle.min_by_key(|(_, users)| users.left)?.0.clone();
        entries.remove(&oldest)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Location, Arc<Entry>>> {
        // No panic can leave it half changed.
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was kept in vain for this long. Says whether anything is kept that may yet be.
    fn sweep(&self, patience: Duration) -> bool {
        let mut entries = self.entries();
        entries.retain(|_, entry| {
            let users = entry.users();
            users.here > 0 || users.left.elapsed() < patience
        });
        entries.values().any(|entry| entry.users().here == 0)
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
        let users = self.entry.users();
        users.here + users.expected > 1
    }

    /// The source, fetched unless another action has done so.
    pub(crate) async fn bytes(
        &self,
        fetch: impl Future<Output = Result<Source>> + Send,
    ) -> Result<Source> {
        let came = Instant::now();
        let mut slot = self.entry.slots.bytes.lock().await;
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
        let mut slot = self.entry.slots.pixels.lock().await;
        match &*slot {
            Drawn::Kept(shared) => return Ok(Some((Arc::clone(shared), Decoding::Reused))),
            Drawn::Unfit => return Ok(None),
            Drawn::Nothing => {}
        }
        if !self.is_wanted_by_others() {
            return Ok(None);
        }
        let Some(room) = self.sharing.room(layout.most_bytes()) else {
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

impl Entry {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut entries = self.sharing.entries();
        let mut users = self.entry.users();
        users.here -= 1;
        users.left = Instant::now();
        let (is_idle, is_expected) = (users.here == 0, users.expected > 0);
        drop(users);
        let is_current = |entry: &Arc<Entry>| Arc::ptr_eq(entry, &self.entry);
        if is_idle && !is_expected && entries.get(&self.location).is_some_and(is_current) {
            entries.remove(&self.location);
        }
        drop(entries);
        if is_idle && is_expected {
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
