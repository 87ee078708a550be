//! The Imago server: a REST API over [`imago_core`], which does all that concerns pictures and stores.

#![forbid(unsafe_code)]

mod app;
pub mod config;
mod http;
pub mod job;
pub mod logging;
mod serve;
pub mod store;

pub use app::App;
pub use serve::{run, serve};
