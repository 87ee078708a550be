//! Damaged pictures by the thousand, and what becomes of a server that has to read them.

mod corpus;
mod server;
pub mod trace;

pub use corpus::{Format, write};
pub use server::{Report, Server, resident_bytes};
