//! Where images lie: URLs, the stores behind them, and the local cache. It moves bytes and knows no picture.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> imago_core::Result<()> {
//! use imago_core::storage::{Location, ObjectHeaders, Stores};
//!
//! let stores = Stores::builder().memory(true).build()?;
//! let location = Location::parse("memory://photos/foo 200x200.jpg")?;
//! stores.put(&location, "pixels".into(), &ObjectHeaders::new("image/jpeg")?).await?;
//! assert_eq!(stores.fetch(&location, 1 << 20).await?.bytes, "pixels");
//! # Ok(())
//! # }
//! ```

mod allow;
mod bucket;
mod builder;
mod cache;
mod client;
mod cloud;
mod connection_string;
mod egress;
mod environment;
mod fault;
mod files;
mod headers;
mod http;
mod location;
mod profile;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

pub use builder::{Retry, StoresBuilder};
pub use cache::{Cache, CacheStatus, Source};
pub use egress::Egress;
pub use headers::ObjectHeaders;
pub use location::{Location, Scheme};

use crate::{Error, ErrorKind, Result};
use allow::AllowList;
use bucket::Bucket;
use cloud::Clouds;
use files::Files;
use http::Http;
use location::{BucketName, Target};

/// More clients than this are not kept. Each holds connections, and who names the URLs could name many buckets.
const MAX_CLIENTS: usize = 1024;

/// All the stores that may be read from and written to. A clone is the same stores.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    retry: Retry,
    multipart_above: u64,
    allow: AllowList,
    memory: bool,
    files: Files,
    file_store: Arc<LocalFileSystem>,
    clouds: Clouds,
    http: Http,
    /// Built at their first use and kept, because each has its connections and its credentials.
    buckets: Mutex<HashMap<BucketName, Bucket>>,
    /// Never dropped: they are where the objects are.
    memories: Mutex<HashMap<BucketName, Bucket>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds secrets.
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// The answer to a [`Stores::get`].
pub enum Get {
    /// The object still has the `ETag` that was given.
    NotModified,
    /// The object.
    Object {
        /// The store's mark of this version, verbatim with its quotes and `W/`; not every server gives one.
        e_tag: Option<String>,
        /// Its length in bytes, if the server said so in advance.
        size: Option<u64>,
        /// Its bytes. The stream fails with [`ErrorKind::LimitExceeded`] as soon as there are too many of them.
        body: BoxStream<'static, Result<Bytes>>,
    },
}

/// What the store said of an object that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The mark of the version just stored, verbatim; not every server gives one.
    pub e_tag: Option<String>,
}

impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotModified => f.write_str("NotModified"),
            Self::Object { e_tag, size, .. } => f
                .debug_struct("Object")
                .field("e_tag", e_tag)
                .field("size", size)
                .finish_non_exhaustive(),
        }
    }
}

impl Get {
    /// An object whose body is cut off with an error when it turns out too large.
    fn object(
        e_tag: Option<String>,
        size: Option<u64>,
        body: BoxStream<'static, Result<Bytes>>,
        max_bytes: u64,
        shown: &str,
    ) -> Self {
        let too_large = too_large(shown, max_bytes);
        let body = if size.is_some_and(|size| size > max_bytes) {
            futures_util::stream::once(async move { Err(too_large()) }).boxed()
        } else {
            let mut seen = 0;
            body.and_then(move |bytes| {
                seen += bytes.len() as u64;
                let result = if seen > max_bytes {
                    Err(too_large())
                } else {
                    Ok(bytes)
                };
                std::future::ready(result)
            })
            .boxed()
        };
        Self::Object { e_tag, size, body }
    }
}

fn too_large(shown: &str, max_bytes: u64) -> impl Fn() -> Error + Send + 'static {
    let message = format!(
        "the object `{shown}` is larger than {max_bytes} bytes, which `limits.source` sets"
    );
    move || Error::new(ErrorKind::LimitExceeded, message.clone())
}

impl Stores {
    /// A builder with nothing allowed but public HTTP URLs and the clouds' buckets.
    pub fn builder() -> StoresBuilder {
        StoresBuilder::default()
    }

    /// Whether an object there may be asked for at all, without asking for it: is its store configured, is it on the
    /// allow-list.
    ///
    /// [`ErrorKind::StoreNotAllowed`] with the reason. What only the store can say is not known here, nor where a link
    /// in a file's path leads, nor what address a host name has.
    pub fn check(&self, location: &Location) -> Result<()> {
        if !self.0.allow.allows(location) {
            return Err(Error::new(
                ErrorKind::StoreNotAllowed,
                format!(
                    "`{location}` is not below any of the URL prefixes that the configuration allows"
                ),
            ));
        }
        match location.target() {
            Target::File(_) if !self.0.files.allowed() => Err(allow::not_configured(location)),
            Target::Bucket { bucket, .. } if bucket.scheme == Scheme::Memory => {
                if self.0.memory {
                    Ok(())
                } else {
                    Err(allow::not_configured(location))
                }
            }
            Target::Bucket { bucket, .. } => self.0.clouds.check(bucket),
            Target::Http(url) => self.0.http.check(url),
            Target::File(path) if !self.0.files.names(path) => Err(files::outside(location)),
            Target::File(_) => Ok(()),
        }
    }

    /// Asks for an object; with `if_none_match`, an `ETag` verbatim, only if it is another version by now.
    ///
    /// Transient failures are retried, as [`Retry`] says, until the answer begins. An object of more than `max_bytes` is
    /// an error, at the latest when its body has got so far.
    pub async fn get(
        &self,
        location: &Location,
        if_none_match: Option<&str>,
        max_bytes: u64,
    ) -> Result<Get> {
        self.check(location)?;
        if let Target::Http(url) = location.target() {
            return self.0.http.get(url, if_none_match, max_bytes).await;
        }
        let (bucket, key) = self.bucket(location).await?;
        bucket
            .get(&key, location, if_none_match, max_bytes, &self.0.retry)
            .await
    }

    /// Stores an object, in place of one that may be there.
    ///
    /// It is there as a whole or not at all. Transient failures are retried as [`Retry`] says.
    pub async fn put(
        &self,
        location: &Location,
        body: Bytes,
        headers: &ObjectHeaders,
    ) -> Result<Stored> {
        self.check(location)?;
        if let Target::Http(url) = location.target() {
            return self.0.http.put(url, &body, headers).await;
        }
        let (bucket, key) = self.bucket(location).await?;
        let above = self.0.multipart_above;
        bucket
            .put(&key, location, body, headers, &self.0.retry, above)
            .await
    }

    /// Fetches the whole object, without a cache. An answer that breaks off is asked for again.
    pub async fn fetch(&self, location: &Location, max_bytes: u64) -> Result<Source> {
        match self.fetch_if_changed(location, None, max_bytes).await? {
            Some((e_tag, bytes)) => Ok(Source {
                bytes,
                e_tag,
                cache: CacheStatus::Uncached,
            }),
            None => Err(Error::new(
                ErrorKind::Store,
                format!("the store of `{location}` answered an unconditional request with 304"),
            )),
        }
    }

    /// The `ETag` and the bytes, or none if the object still has the given `ETag`.
    async fn fetch_if_changed(
        &self,
        location: &Location,
        e_tag: Option<&str>,
        max_bytes: u64,
    ) -> Result<Option<(Option<String>, Bytes)>> {
        let retry = &self.0.retry;
        let start = Instant::now();
        let mut tries = 1;
        loop {
            let (e_tag, size, body) = match self.get(location, e_tag, max_bytes).await? {
                Get::NotModified => return Ok(None),
                Get::Object { e_tag, size, body } => (e_tag, size, body),
            };
            match collect(body, size, location).await {
                Ok(bytes) => return Ok(Some((e_tag, bytes))),
                Err(e)
                    if e.kind().is_transient()
                        && tries < retry.tries
                        && start.elapsed() < retry.limit =>
                {
                    log::debug!("try {tries} of {} broke off: {e}", retry.tries);
                    tokio::time::sleep(retry.pause(tries)).await;
                    tries += 1;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Names an object apart from all others, wherever they lie, for the cache.
    async fn identity(&self, location: &Location) -> Result<String> {
        if let Target::Http(url) = location.target() {
            return Ok(url.as_str().to_owned());
        }
        let (bucket, key) = self.bucket(location).await?;
        Ok(format!("{}\n{key}", bucket.identity))
    }

    /// The client for the location's bucket, and the key in it.
    async fn bucket(&self, location: &Location) -> Result<(Bucket, object_store::path::Path)> {
        match location.target() {
            Target::Bucket { bucket, key } => Ok((self.client(bucket)?, key.clone())),
            Target::File(path) => {
                let (stores, path, at) = (self.clone(), path.clone(), location.clone());
                let resolve = move || stores.0.files.resolve(&path, &at);
                let key = tokio::task::spawn_blocking(resolve).await.map_err(|e| {
                    Error::new(ErrorKind::Internal, "the file system's thread failed")
                        .with_source(e)
                })??;
                let bucket = Bucket {
                    store: Arc::clone(&self.0.file_store) as _,
                    identity: "file".into(),
                };
                Ok((bucket, key))
            }
            Target::Http(_) => Err(Error::new(ErrorKind::Internal, "an HTTP URL has no bucket")),
        }
    }

    fn client(&self, name: &BucketName) -> Result<Bucket> {
        if name.scheme == Scheme::Memory {
            let mut memories = self
                .0
                .memories
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let memory = || Bucket {
                store: Arc::new(InMemory::new()),
                identity: format!("memory\n{}", name.name).into(),
            };
            return Ok(memories.entry(name.clone()).or_insert_with(memory).clone());
        }
        // Building reads certificates, so it is done under the lock, once for all that wait.
        let mut buckets = self
            .0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        if buckets.len() >= MAX_CLIENTS {
            buckets.clear();
        }
        let bucket = self.0.clouds.open(name, &self.0.retry)?;
        buckets.insert(name.clone(), bucket.clone());
        Ok(bucket)
    }
}

async fn collect(
    mut body: BoxStream<'static, Result<Bytes>>,
    size: Option<u64>,
    location: &Location,
) -> Result<Bytes> {
    let Some(first) = body.try_next().await? else {
        return complete(Bytes::new(), size, location);
    };
    // An object in one piece is not copied.
    let Some(second) = body.try_next().await? else {
        return complete(first, size, location);
    };
    // The size is what the server said; memory for it is taken only as it comes true, beyond a first helping.
    let expected = usize::try_from(size.unwrap_or(0))
        .unwrap_or(0)
        .min(64 << 20);
    let mut whole = BytesMut::with_capacity(expected.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(bytes) = body.try_next().await? {
        whole.extend_from_slice(&bytes);
    }
    complete(whole.freeze(), size, location)
}

/// A file may shrink while it is read, and a proxy may cut an answer short.
fn complete(bytes: Bytes, size: Option<u64>, location: &Location) -> Result<Bytes> {
    match size {
        Some(size) if size != bytes.len() as u64 => Err(Error::new(
            ErrorKind::StoreUnavailable,
            format!(
                "only {} of the {size} bytes of `{location}` came",
                bytes.len()
            ),
        )),
        _ => Ok(bytes),
    }
}
