//! The real servers, the scripted servers and the pictures that Imago's tests use.
//!
//! Real servers ([`s3`], [`azure`], [`nginx`]) are child processes on free loopback ports. They end with the test
//! process, however that ends. Scripted servers ([`http`], [`gcs`]) run inside the test process. What has to be
//! installed is installed by `scripts/install-test-tools.sh`.
//!
//! All functions block, and may be called from plain tests and from async ones alike.
#![expect(
    clippy::missing_panics_doc,
    reason = "every function here panics with the reason when the test's surroundings are not as needed"
)]

pub mod azure;
pub mod gcs;
pub mod hostile;
pub mod http;
pub mod images;
pub mod nginx;
pub mod process;
pub mod s3;
pub mod witness;

mod client;
mod ports;
mod proxy;
mod record;
mod runtime;
mod serve;
mod tools;

pub use client::Object;
pub use record::Recorded;
pub use runtime::block_on;
