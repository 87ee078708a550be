//! The local cache of sources: on disk, bounded in bytes, least recently used out first, one request at a time for each
//! object.
//!
//! An entry is served when the store has been asked for it late enough for the caller, and revalidated by its `ETag`
//! otherwise. Each version of an object has a file of its own, which is complete from the moment it has its name, says
//! what it holds, and is checked whenever it is read; so neither a kill nor a damaged disk makes a wrong answer.

mod disk;
mod flight;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;

use super::{Location, Stores};
use crate::{Error, ErrorKind, Result};
use disk::{Digest, Disk, File};
use flight::{Flights, Landed};

/// The cache's unit of weight, in bytes: moka weighs in 32 bits, and file systems give out whole blocks.
const BLOCK: u64 = 4096;

/// A cache of sources in a folder of its own. A clone is the same cache.
///
/// ```no_run
/// # async fn example() -> imago_core::Result<()> {
/// use std::time::Instant;
/// use imago_core::storage::{Cache, Location, Stores};
///
/// let cache = Cache::open("/var/cache/imago".as_ref(), 10 << 30).await?;
/// let stores = Stores::builder().build()?;
/// let location = Location::parse("https://images.example.com/in.jpg")?;
/// let source = cache.fetch(&stores, &location, Instant::now(), 100 << 20).await?;
/// println!("{} bytes, {}", source.bytes.len(), source.cache.as_str());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<Disk>,
    max_bytes: u64,
    entries: moka::future::Cache<Digest, Arc<Entry>>,
    flights: Flights,
}

/// One version of an object, on disk.
#[derive(Debug)]
struct Entry {
    file: File,
    /// When the latest request began that the store answered with this version; none since the cache was opened at first.
    validated: Mutex<Option<Instant>>,
}

/// The bytes of a source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Source {
    /// All of them.
    pub bytes: Bytes,
    /// The store's mark of this version, verbatim.
    pub e_tag: Option<String>,
    /// Where they came from.
    pub cache: CacheStatus,
}

/// Whether a [`Source`] came from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheStatus {
    /// From the cache, without asking the store again.
    Hit,
    /// From the cache, after the store said that it is still the same version.
    Revalidated,
    /// From the store, and now in the cache.
    Miss,
    /// From the store, and not in the cache: there is none, the store gave no `ETag`, or the object is too large.
    Uncached,
}

impl CacheStatus {
    /// In lowercase: `hit`, `revalidated`, `miss` or `uncached`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Uncached => "uncached",
        }
    }
}

impl std::fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Entry {
    fn new(file: File, validated: Option<Instant>) -> Arc<Self> {
        Arc::new(Self {
            file,
            validated: Mutex::new(validated),
        })
    }

    fn is_valid_since(&self, not_before: Instant) -> bool {
        let validated = self
            .validated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        validated.is_some_and(|at| at >= not_before)
    }

    fn validate(&self, at: Instant) {
        let mut validated = self
            .validated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *validated = Some(validated.map_or(at, |before| before.max(at)));
    }

    fn blocks(&self) -> u32 {
        u32::try_from(self.file.bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX)
    }
}

impl Cache {
    /// Opens the cache in this folder, which is made if need be, and takes over what an earlier process left there, up
    /// to `max_bytes` of files.
    ///
    /// The folder belongs to one cache at a time: [`ErrorKind::Internal`] if another process has it open, or if it
    /// cannot be written to.
    pub async fn open(dir: &Path, max_bytes: u64) -> Result<Self> {
        let dir = dir.to_owned();
        let (disk, found) = blocking(move || Disk::open(&dir)).await??;
        let disk = Arc::new(disk);
        let remover = Arc::clone(&disk);
        let entries = moka::future::Cache::builder()
            .name("sources")
            .max_capacity(max_bytes / BLOCK)
            .weigher(|_: &Digest, entry: &Arc<Entry>| entry.blocks())
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_, entry: Arc<Entry>, _: RemovalCause| {
                // A replaced version has another name than the new one, so this never removes what is in use.
                remover.remove(&entry.file);
            })
            .build();
        // From the least to the most recently used.
        for file in found {
            if file.bytes > max_bytes {
                disk.remove(&file);
                continue;
            }
            entries.insert(file.digest, Entry::new(file, None)).await;
            entries.run_pending_tasks().await;
        }
        Ok(Self(Arc::new(Inner {
            disk,
            max_bytes,
            entries,
            flights: Flights::default(),
        })))
    }

    /// Fetches an object as it was at `not_before` or later.
    ///
    /// If a request for it began at or after `not_before`, what that request brought is served, and the store is not
    /// asked again: calls with one `not_before` make one request between them, however many they are. Objects without
    /// an `ETag` are not kept, and shared only among the calls that wait at the same time.
    ///
    /// Trouble with the disk is logged and the object served from the store. An object of more than `max_bytes` is
    /// [`ErrorKind::LimitExceeded`].
    pub async fn fetch(
        &self,
        stores: &Stores,
        location: &Location,
        not_before: Instant,
        max_bytes: u64,
    ) -> Result<Source> {
        stores.check(location)?;
        let identity = stores.identity(location).await?;
        let digest = disk::digest(identity.as_bytes());
        if let Some(source) = self.cached(digest, not_before).await {
            return within(source, location, max_bytes);
        }
        let flight = self.0.flights.join(digest);
        let mut landed = flight.lock().await;
        // While this call waited, another one may have brought it.
        if let Some(source) = self.cached(digest, not_before).await {
            return within(source, location, max_bytes);
        }
        if let Some(shared) = landed.as_ref().and_then(|l| l.share(not_before, max_bytes)) {
            return within(shared?, location, max_bytes);
        }
        let started = Instant::now();
        let result = self
            .ask(stores, location, digest, &identity, started, max_bytes)
            .await;
        *landed = Landed::new(started, max_bytes, &result);
        result
    }

    /// The entry's bytes, if the store has been asked at or after `not_before`.
    async fn cached(&self, digest: Digest, not_before: Instant) -> Option<Source> {
        let entry = self.0.entries.get(&digest).await?;
        if !entry.is_valid_since(not_before) {
            return None;
        }
        self.read(&entry, CacheStatus::Hit).await
    }

    /// The entry's bytes; none, and no entry any more, if they are not what was written.
    async fn read(&self, entry: &Arc<Entry>, cache: CacheStatus) -> Option<Source> {
        let (disk, file) = (Arc::clone(&self.0.disk), entry.file.clone());
        match blocking(move || disk.read(&file)).await {
            Ok(Ok(bytes)) => Some(Source {
                bytes,
                e_tag: Some(entry.file.e_tag.clone()),
                cache,
            }),
            Ok(Err(e)) => {
                log::warn!(error:% = e; "a cached source is damaged or gone and will be fetched again");
                self.forget(entry).await;
                None
            }
            Err(_) => None,
        }
    }

    /// Removes the entry unless another version has taken its place.
    async fn forget(&self, entry: &Arc<Entry>) {
        let digest = entry.file.digest;
        if let Some(current) = self.0.entries.get(&digest).await
            && Arc::ptr_eq(&current, entry)
        {
            self.0.entries.invalidate(&digest).await;
        }
    }

    async fn ask(
        &self,
        stores: &Stores,
        location: &Location,
        digest: Digest,
        identity: &str,
        started: Instant,
        max_bytes: u64,
    ) -> Result<Source> {
        let entry = self.0.entries.get(&digest).await;
        let known = entry.as_ref().map(|entry| entry.file.e_tag.as_str());
        let fetched = stores.fetch_if_changed(location, known, max_bytes).await?;
        let (e_tag, bytes) = match (fetched, entry) {
            (Some(fetched), _) => fetched,
            (None, Some(entry)) => {
                if let Some(source) = self.read(&entry, CacheStatus::Revalidated).await {
                    entry.validate(started);
                    return within(source, location, max_bytes);
                }
                unchanged(
                    stores.fetch_if_changed(location, None, max_bytes).await?,
                    location,
                )?
            }
            (None, None) => return Err(unasked(location)),
        };
        let cache = if let Some(e_tag) = &e_tag {
            self.store(digest, identity, e_tag.clone(), &bytes, started)
                .await
        } else {
            // It had one before, and that version is over.
            self.0.entries.invalidate(&digest).await;
            CacheStatus::Uncached
        };
        Ok(Source {
            bytes,
            e_tag,
            cache,
        })
    }

    /// Writes a version to the disk and then into the index; to its end even if the caller has gone.
    async fn store(
        &self,
        digest: Digest,
        identity: &str,
        e_tag: String,
        bytes: &Bytes,
        started: Instant,
    ) -> CacheStatus {
        if disk::size(identity, &e_tag, bytes) > self.0.max_bytes {
            self.0.entries.invalidate(&digest).await;
            return CacheStatus::Uncached;
        }
        let (inner, identity, bytes) = (Arc::clone(&self.0), identity.to_owned(), bytes.clone());
        let stored = tokio::spawn(async move {
            let disk = Arc::clone(&inner.disk);
            let file = blocking(move || disk.write(digest, &identity, e_tag, &bytes)).await??;
            let entry = Entry::new(file, Some(started));
            inner.entries.insert(digest, entry).await;
            // Moka evicts when it finds the time; the disk's bound should not wait for that.
            inner.entries.run_pending_tasks().await;
            Ok::<_, Error>(())
        });
        match stored.await {
            Ok(Ok(())) => CacheStatus::Miss,
            Ok(Err(e)) => {
                log::warn!(error:? = e; "a source could not be cached");
                // An older version would be asked for with an `ETag` that is over.
                self.0.entries.invalidate(&digest).await;
                CacheStatus::Uncached
            }
            Err(_) => CacheStatus::Uncached,
        }
    }
}

fn within(source: Source, location: &Location, max_bytes: u64) -> Result<Source> {
    if source.bytes.len() as u64 > max_bytes {
        return Err(super::too_large(&location.to_string(), max_bytes)());
    }
    Ok(source)
}

fn unchanged<T>(fetched: Option<T>, location: &Location) -> Result<T> {
    fetched.ok_or_else(|| unasked(location))
}

fn unasked(location: &Location) -> Error {
    Error::new(
        ErrorKind::Store,
        format!("the store of `{location}` answered an unconditional request with 304"),
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        Error::new(ErrorKind::Internal, "the cache's disk thread failed").with_source(e)
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
