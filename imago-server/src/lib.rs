//! The Imago server: a REST API over [`imago_core`], which does all that concerns pictures and stores.
//!
//! ```text
//! connection ─▶ http::service ─▶ http::work ─▶ store::JobStore ◀─ job::dispatcher ─▶ job::runner (imago_core)
//! ```
//!
//! A request becomes a [`job::Submission`], which a [`store::JobStore`] keeps as a [`job::Job`]. The
//! [dispatcher](job::dispatcher) claims its actions, has them run, and says to the store how they ended; who follows the
//! job hears of that from the store. [`run`] is all of it on a socket and a signal of the caller's, [`serve()`] on those of
//! the process.

#![forbid(unsafe_code)]

mod app;
mod catalogue;
pub mod cli;
pub mod config;
mod http;
pub mod job;
pub mod logging;
pub mod metrics;
mod serve;
pub mod store;
pub mod tokens;
mod uploads;
pub mod webhook;

pub use app::App;
#[cfg(fuzzing)]
pub use http::read_submission;
pub use serve::{run, serve};
