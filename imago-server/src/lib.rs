//! The Imago server: a REST API over [`imago_core`], which does all that concerns pictures and stores.

#![forbid(unsafe_code)]

pub mod job;
pub mod store;
