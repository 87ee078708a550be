//! The program with all its parts, over a real S3 server: what a user sees.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

mod chaos;
mod crowd;
mod failures;
mod files;
mod long;
mod seed;
mod service;
