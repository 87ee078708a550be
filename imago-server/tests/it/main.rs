//! The server over real sockets: what `api.md` promises, and what it does under clients that misbehave.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

// Each file is one part of the contract. Conversions are staged, but in `program`, which runs the real server.
mod drain;
mod follow;
mod jobs;
mod program;
mod protocol;
mod submit;
mod support;
