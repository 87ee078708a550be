//! Attacks on the program as it is: each a row of a table, with what must come back.
//!
//! Beside the answer there are witnesses: a folder of secrets of which nobody may open a file, a port that nobody may
//! connect to, objects that nobody may ask for, and the program, which must still be there afterwards. Where a row is
//! `Harmless`, the attack has no effect rather than an error.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

mod bombs;
mod documents;
mod egress;
mod files;
mod headers;
mod hostile;
mod lists;
mod operations;
#[expect(
    dead_code,
    reason = "the end-to-end tests use all of it, and these a part"
)]
#[path = "../e2e/service.rs"]
mod service;
mod stage;
mod streams;
mod submissions;
mod webhooks;
mod wire;
