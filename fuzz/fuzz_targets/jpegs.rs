//! JPEG images, however broken, are converted by the fast lane or refused; nothing is read beyond their ends.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use imago_core::{Converter, Format, Limits, Pipeline};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

static CONVERTER: LazyLock<Converter> = LazyLock::new(|| {
    let mut limits = Limits::default();
    // So that a header that claims much costs little.
    limits.pixels = 1 << 20;
    limits.timeout = Duration::from_secs(10);
    let converter = Converter::builder().threads(1).limits(limits).build();
    RUNTIME.block_on(converter).unwrap()
});

/// The first byte says which: what the fast lane does by itself, and what it leaves to ImageMagick half way.
static CHAINS: LazyLock<Vec<Pipeline>> = LazyLock::new(|| {
    [
        "resize 9x9!",
        "auto-orient resize 50% quality 60",
        "crop 7x5+1+1 resize 200%",
        "rotate 90 thumbnail 12x12 strip",
        "resize 20x20^ gravity center extent 20x20 sharpen 0x1",
        "flop resize 30x negate",
    ]
    .iter()
    .map(|chain| chain.parse().unwrap())
    .collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((chain, image)) = data.split_first() else {
        return;
    };
    // Other formats are ImageMagick's alone, and no part of the lane.
    if !image.starts_with(&[0xFF, 0xD8]) {
        return;
    }
    let chain = &CHAINS[usize::from(*chain) % CHAINS.len()];
    let converted = CONVERTER.convert_bytes(image, chain, Format::Jpeg);
    if let Ok(result) = RUNTIME.block_on(converted) {
        assert!(result.starts_with(&[0xFF, 0xD8]), "a JPEG");
    }
});
