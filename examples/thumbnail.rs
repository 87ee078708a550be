//! Makes a thumbnail of a local file: `cargo run -p imago-examples --bin thumbnail -- photo.jpg thumbnail.webp`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use imago_core::{Converter, Format, Pipeline};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(source), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("expected two files, as in `thumbnail photo.jpg thumbnail.webp`".into());
    };
    let extension = target
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    let format: Format = extension.parse()?;
    let pipeline: Pipeline =
        "auto-orient thumbnail 200x200^ gravity center extent 200x200".parse()?;

    let converter = Converter::builder().build().await?;
    let image = std::fs::read(&source)?;
    let thumbnail = converter.convert_bytes(&image, &pipeline, format).await?;
    std::fs::write(&target, &thumbnail)?;
    println!("{target}: {} bytes", thumbnail.len());
    Ok(())
}
