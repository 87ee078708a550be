//! The benchmarks are in `convert.rs` and `peers/`; this file only makes the folder a package.
