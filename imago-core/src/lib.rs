//! Imago converts images that lie in object stores, with all of ImageMagick's operations.
//!
//! An [`Action`] says where an image is read from, what is done to it, in ImageMagick's own words, and where the result
//! goes. A [`Converter`] does it: it fetches through a local cache, converts on a pool of threads, and stores.
//!
//! ```
//! use imago_core::{Action, Converter, storage::Stores};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> imago_core::Result<()> {
//! let stores = Stores::builder().memory(true).build()?;
//! let converter = Converter::builder().stores(stores).build().await?;
//! let action = Action::new("memory://shop/in/foo.png", "memory://shop/out/foo.jpg")
//!     .operations(["auto-orient", "resize 200x200^", "gravity center", "extent 200x200", "quality 85"])
//!     .mimetype("image/jpeg");
//! match converter.convert(&action).await {
//!     Ok(outcome) => println!("{} x {} pixels", outcome.width, outcome.height),
//!     Err(error) => println!("{error}"), // nothing was put there yet: the object is not found
//! }
//! # Ok(())
//! # }
//! ```

mod admission;
mod converter;
mod engine;
mod error;
mod operation;
mod pool;
pub mod sandbox;
pub mod storage;
mod target;

pub use converter::{Action, Builder, Converter, Outcome, Plan, Timings};
pub use engine::{
    Density, Engine, Fidelity, Format, FormatInfo, Identity, Limits, OptionList, OtherFormat,
    Progress, formats,
};
pub use error::{Error, ErrorKind, Result, Stage};
pub use operation::{ArgumentKind, OperationInfo, OperationKind, Pipeline, operations};
