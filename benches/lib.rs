//! The benchmarks are in `convert.rs`; this file only makes the folder a package.
