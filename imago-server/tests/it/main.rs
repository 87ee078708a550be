//! The server over real sockets: what `api.md` promises, and what it does under clients that misbehave.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

// Conversions are staged, but in the files that run the program.
mod console;
mod contract;
mod convert;
mod drain;
mod end_to_end;
mod follow;
mod identify;
mod jobs;
mod manage;
mod metrics;
mod process;
mod program;
mod protocol;
mod sandbox;
mod store;
mod submit;
mod support;
mod tokens;
mod upload;
mod webhook;
