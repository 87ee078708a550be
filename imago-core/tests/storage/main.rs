//! The stores and the cache, against real and scripted servers.

#![expect(
    clippy::unwrap_used,
    reason = "the tests' helpers fail as the tests do"
)]

mod buckets;
mod cache;
mod conformance;
mod http;

use std::time::Duration;

use bytes::Bytes;
use imago_core::storage::{Get, Location, ObjectHeaders, Retry, Stores, StoresBuilder};
use imago_core::{ErrorKind, Result};

/// As many bytes as no test's object has, unless it is about that.
const MAX: u64 = 64 << 20;

/// Patience for servers that answer at once or never.
fn impatient() -> Retry {
    let mut retry = Retry::default();
    retry.first_pause = Duration::from_millis(10);
    retry.limit = Duration::from_secs(5);
    retry.read_timeout = Duration::from_millis(500);
    retry
}

fn build(builder: StoresBuilder) -> Stores {
    builder.build().unwrap()
}

/// For scripted servers on the loopback address.
fn loopback() -> Stores {
    build(Stores::builder().http_private(true).retry(impatient()))
}

fn at(url: &str) -> Location {
    Location::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"))
}

fn jpeg() -> ObjectHeaders {
    ObjectHeaders::new("image/jpeg").unwrap()
}

async fn put(stores: &Stores, url: &str, body: impl Into<Bytes>) -> Option<String> {
    let result = stores.put(&at(url), body.into(), &jpeg()).await;
    result.unwrap_or_else(|e| panic!("{url}: {e:?}")).e_tag
}

async fn fetch(stores: &Stores, url: &str) -> Result<Bytes> {
    Ok(stores.fetch(&at(url), MAX).await?.bytes)
}

async fn kind(stores: &Stores, url: &str) -> ErrorKind {
    match fetch(stores, url).await {
        Ok(bytes) => panic!("{url} has {} bytes", bytes.len()),
        Err(e) => e.kind(),
    }
}

async fn is_modified(stores: &Stores, url: &str, e_tag: &str) -> bool {
    let get = stores.get(&at(url), Some(e_tag), MAX).await;
    !matches!(get.unwrap(), Get::NotModified)
}
