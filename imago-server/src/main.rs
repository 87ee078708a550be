//! The Imago server.

fn main() {}
