//! Makes three renditions of each image of a list, from S3 to S3:
//! `cargo run -p imago-examples --bin batch -- s3://shop/in/1.png s3://shop/in/2.png`.
//!
//! Credentials, region and endpoint are read from the environment, under the names that every AWS tool uses.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use futures_util::StreamExt;
use imago_core::storage::Stores;
use imago_core::{Action, Converter};

const WIDTHS: [u32; 3] = [200, 400, 800];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let actions: Vec<Action> = std::env::args()
        .skip(1)
        .flat_map(|image| {
            WIDTHS.map(|width| {
                Action::new(&image, format!("{image}-{width}.webp"))
                    .operations([format!("resize {width}x>"), "quality 80".to_owned()])
                    .header("Cache-Control", "max-age=86400")
            })
        })
        .collect();

    // With a cache each image is fetched once, not once for each rendition.
    let cache = std::env::temp_dir().join("imago-batch-cache");
    let converter = Converter::builder()
        .stores(Stores::builder().environment(std::env::vars()).build()?)
        .cache(cache, 1 << 30)
        .build()
        .await?;
    let mut failed = 0;
    let mut outcomes = converter.convert_all(&actions);
    while let Some((_, outcome)) = outcomes.next().await {
        match outcome {
            Ok(done) => println!(
                "{} {}x{} {} bytes",
                done.files[0], done.width, done.height, done.bytes
            ),
            Err(error) => {
                failed += 1;
                println!("{error}");
            }
        }
    }
    if failed > 0 {
        return Err(format!("{failed} of {} conversions failed", actions.len()).into());
    }
    Ok(())
}
