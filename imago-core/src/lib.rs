//! Imago converts images that lie in object stores, with all of ImageMagick's operations.

mod error;
pub mod storage;

pub use error::{Error, ErrorKind, Result};
