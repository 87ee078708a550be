//! Pixel for pixel what the `magick` command gives: `magick IN CHAIN OUT` is the oracle.

use imago_core::{Converter, Format, Pipeline};
use testkit::images;

/// Chains that every format is put through.
const CHAINS: &[&str] = &[
    "",
    "resize 200X200",
    "resize 50%",
    "resize 80x80^ -gravity center -extent 80x80",
    "resize 64x64! -filter Point",
    "-filter Mitchell -resize 300x",
    "thumbnail 40x40>",
    "sample 33%",
    "scale 25%",
    "adaptive-resize 90x90",
    "crop 50x40+10+20 +repage",
    "gravity South crop 60x30+0+5 +repage",
    "chop 20x10+5+5",
    "shave 8x4",
    "trim +repage",
    "border 5x5 -bordercolor red",
    "bordercolor '#336699' border 4x7",
    "background none gravity NorthEast extent 200x150",
    "rotate 90",
    "background blue rotate 17",
    "flip flop",
    "transpose",
    "transverse",
    "roll +15-8",
    "auto-orient strip",
    "blur 0x2",
    "gaussian-blur 0x1.5",
    "sharpen 0x1",
    "unsharp 0x0.75+0.75+0.008",
    "median 3",
    "edge 1",
    "charcoal 1",
    "negate",
    "+level 10%,90%",
    "level 10%,90%,1.2",
    "gamma 1.4",
    "modulate 110,80,95",
    "brightness-contrast 10x-15",
    "sepia-tone 80%",
    "colorspace Gray",
    "colors 16 +dither",
    "posterize 5",
    "threshold 50%",
    "fill red colorize 30",
    "fill '#00ff0080' draw 'circle 60,60 60,30'",
    "font DejaVu-Sans pointsize 18 fill white annotate +10+40 'Hello, world'",
    "distort SRT 0.8,30",
    "swirl 60",
    "morphology Dilate Disk:2",
    "convolve '0,-1,0 -1,5,-1 0,-1,0'",
    "evaluate Multiply 0.7",
    "channel R evaluate set 25% +channel",
    "( +clone -negate ) +append",
    "( +clone -resize 50% ) -gravity center -composite",
    "( +clone -flip ) -append resize 100x100",
    "fill blue { fill red colorize 30 } colorize 20",
    "set comment 'made by a test' quality 60",
    "-fx 'u*0.5+0.25'",
    "-crop '%[fx:w/2]x%[fx:h/2]+3+3' +repage",
    "normalize",
    "vignette 0x8",
];

/// Chains for images of several frames.
const FRAME_CHAINS: &[&str] = &[
    "",
    "coalesce resize 50%",
    "resize 40x40!",
    "reverse",
    "delete 0",
    "-delay 20 -loop 2",
    "-flatten",
    "+append",
];

/// Runs one chain both ways, and says how they differ.
async fn compare(
    converter: &Converter,
    chain: &str,
    source: &[u8],
    format: &str,
) -> Option<String> {
    let pipeline: Pipeline = if chain.is_empty() {
        Pipeline::default()
    } else {
        match chain.parse() {
            Ok(pipeline) => pipeline,
            Err(error) => return Some(format!("`{chain}`: {error}")),
        }
    };
    let target: Format = format.parse().expect("every format here is written");
    let ours = match converter.convert_bytes(source, &pipeline, target).await {
        Ok(ours) => ours,
        Err(error) => return Some(format!("{format} `{chain}`: {error}")),
    };
    let mut arguments = vec!["-".to_owned()];
    arguments.extend(words(&pipeline));
    arguments.push(format!("{format}:-"));
    let theirs = images::magick_with(&arguments, source).stdout;
    let (ours, theirs) = (images::signatures(&ours), images::signatures(&theirs));
    (ours != theirs).then(|| format!("{format} `{chain}`: {ours:?}, but `magick` gives {theirs:?}"))
}

/// The canonical form of a pipeline is what the `magick` command takes.
fn words(pipeline: &Pipeline) -> Vec<String> {
    shell_words::split(&pipeline.to_string()).expect("a pipeline prints with its quotes closed")
}

async fn compare_all(chains: &[&str], source: &[u8], format: &str) {
    let converter = Converter::builder()
        .animations(false)
        .build()
        .await
        .expect("a converter can be built");
    let mut differences = Vec::new();
    for chain in chains {
        differences.extend(compare(&converter, chain, source, format).await);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn png() {
    compare_all(CHAINS, &images::make("png", 160, 120), "png").await;
}

#[tokio::test]
async fn jpeg() {
    compare_all(CHAINS, &images::make("jpeg", 160, 120), "jpeg").await;
}

#[tokio::test]
async fn webp() {
    compare_all(CHAINS, &images::make("webp", 160, 120), "webp").await;
}

#[tokio::test]
async fn tiff() {
    compare_all(CHAINS, &images::make("tiff", 160, 120), "tiff").await;
}

#[tokio::test]
async fn gif() {
    compare_all(CHAINS, &images::make("gif", 160, 120), "gif").await;
}

#[tokio::test]
async fn bmp() {
    compare_all(CHAINS, &images::make("bmp", 160, 120), "bmp").await;
}

#[tokio::test]
async fn frames() {
    for format in ["gif", "tiff", "webp"] {
        compare_all(
            FRAME_CHAINS,
            &images::make_frames(format, 3, 80, 60),
            format,
        )
        .await;
    }
}

/// These formats ImageMagick codes by way of a temporary file, which its policy here allows in one directory alone.
#[tokio::test]
async fn formats_that_need_a_file() {
    let chains = &["", "resize 50%", "rotate 90"];
    for format in ["avif", "heic", "exr"] {
        compare_all(chains, &images::make(format, 160, 120), format).await;
    }
}
