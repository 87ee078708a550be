//! What conversions may ask for, and how they share the memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use imago_core::sandbox::Sandbox;
use imago_core::{Converter, ErrorKind, Format, Limits, Pipeline};
use testkit::images;

use crate::work::{build, convert, runtime};

crate::tests![
    each_limit_is_told_with_its_numbers,
    what_can_never_fit_is_refused_by_its_header,
    two_hundred_images_share_a_budget_for_three,
    prices_are_enough_for_what_people_do,
    who_needs_more_than_its_price_gets_it,
];

fn converter(threads: usize, change: impl FnOnce(&mut Limits)) -> Converter {
    let mut limits = Limits::default();
    change(&mut limits);
    // Without optimisation, as in tests, the native engine is slow; it is not what is tried here.
    let builder = Converter::builder()
        .native(false)
        .threads(threads)
        .limits(limits);
    build(builder.sandbox(Sandbox::processes()))
}

fn each_limit_is_told_with_its_numbers() {
    type Change = fn(&mut Limits);
    let png = images::make("png", 60, 40);
    let gif = images::make_frames("gif", 4, 60, 40);
    let cases: [(Change, &[u8], &str, &str); 10] = [
        (
            |limits| limits.width = 50,
            &png,
            "",
            "it is 60 pixels wide, but `limits.width` allows 50",
        ),
        (
            |limits| limits.height = 30,
            &png,
            "",
            "it is 40 pixels high, but `limits.height` allows 30",
        ),
        (
            |limits| limits.pixels = 2000,
            &png,
            "",
            "it is 2400 pixels large, but `limits.pixels` allows 2000",
        ),
        (
            |limits| limits.frames = 3,
            &gif,
            "",
            "it is 4 images in one, but `limits.frames` allows 3",
        ),
        (
            |limits| limits.frame_pixels = 9000,
            &gif,
            "",
            "it is 9600 pixels large, all its images together, but `limits.frame-pixels` allows 9000",
        ),
        (
            |limits| limits.output_bytes = 90,
            &png,
            "",
            "but 90 bytes is what `limits.output` allows",
        ),
        (
            |limits| limits.operations = 2,
            &png,
            "flip flop flip",
            "3 operations are too many: `limits.operations` allows 2",
        ),
        (
            |limits| limits.nesting = 1,
            &png,
            "( ( +clone ) -append )",
            "2 parentheses in each other are too many: `limits.nesting` allows 1",
        ),
        (
            |limits| limits.text = 5,
            &png,
            "annotate 0 'hello, world'",
            "12 bytes in one argument are too many: `limits.text` allows 5",
        ),
        (
            |limits| limits.width = 100,
            &png,
            "resize 300x300!",
            "limit",
        ),
    ];
    for (change, source, chain, expected) in cases {
        let result = convert(&converter(1, change), source, chain, Format::Gif);
        let error = result.expect_err(expected);
        assert_eq!(
            error.kind(),
            ErrorKind::LimitExceeded,
            "{expected}: {error}"
        );
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

fn what_can_never_fit_is_refused_by_its_header() {
    let converter = converter(1, |limits| limits.memory = 1 << 30);
    // There are not as many pixels as the header says: who looks for them finds a damaged image.
    let jpeg = |side: u16| {
        let mut jpeg = images::make("jpeg", 60, 40).to_vec();
        let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]);
        let at = frame.expect("a JPEG has a frame") + 5;
        jpeg[at..at + 2].copy_from_slice(&side.to_be_bytes());
        jpeg[at + 2..at + 4].copy_from_slice(&side.to_be_bytes());
        jpeg
    };
    let result = convert(&converter, &jpeg(15_000), "", Format::Png);
    let error = result.expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let text = error.to_string();
    let expected = "its pixels take 1.2 GiB, but all conversions together may take 1 GiB, which `limits.memory` sets";
    assert!(text.contains(expected), "{text}");
    let result = convert(&converter, &jpeg(3000), "", Format::Png);
    let error = result.expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::BadImage, "{error}");
}

fn two_hundred_images_share_a_budget_for_three() {
    let converter = converter(4, |limits| limits.memory = 48 << 20);
    // 1000 × 700 pixels of 8 bytes, their half, and rows between: some 14 MiB with what a coder needs.
    let source = images::make("jpeg", 1000, 700);
    let pipeline: Pipeline = "resize 50% blur 0x1".parse().expect("the chain is right");
    let results = runtime().block_on(async {
        let all = (0..200).map(|_| converter.convert_bytes(&source, &pipeline, Format::Jpeg));
        futures_util::future::join_all(all).await
    });
    for result in results {
        result.expect("there is memory for it in the end");
    }
}

/// How often a conversion took more than its price.
static SURPRISES: AtomicUsize = AtomicUsize::new(0);

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record
            .args()
            .to_string()
            .contains("more memory than was thought")
        {
            SURPRISES.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Held by a test that counts surprises, which are the whole process's.
static COUNTING: Mutex<()> = Mutex::new(());

fn surprises() -> usize {
    // Another test may have been the first to listen.
    if log::set_logger(&Listener).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    SURPRISES.load(Ordering::Relaxed)
}

fn prices_are_enough_for_what_people_do() {
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = surprises();
    let converter = converter(1, |limits| limits.memory = 2 << 30);
    let photo = images::make("jpeg", 900, 600);
    let png = images::make("png", 900, 600);
    let gif = images::make_frames("gif", 6, 300, 200);
    let mut surprised = Vec::new();
    for (source, chain, format) in [
        (&photo, "", "png"),
        (&photo, "", "webp"),
        (&photo, "", "avif"),
        (&photo, "", "tiff"),
        (&png, "", "jpeg"),
        (&png, "", "jxl"),
        (&photo, "resize 2000x2000", "jpeg"),
        (
            &photo,
            "thumbnail 200x200^ gravity center extent 200x200",
            "jpeg",
        ),
        (&photo, "crop 50%x100%+9+9 +repage", "png"),
        (&photo, "crop 3x3@ +repage", "tiff"),
        (&photo, "rotate 30", "png"),
        (&photo, "auto-orient rotate 90 flip flop", "jpeg"),
        (&photo, "blur 0x8", "jpeg"),
        (&photo, "unsharp 0x1 sharpen 0x1", "jpeg"),
        (
            &photo,
            "colorspace Lab colorspace sRGB modulate 120,80",
            "jpeg",
        ),
        (&photo, "border 50x50 frame 9x9", "jpeg"),
        (&photo, "extent 4000x3000", "jpeg"),
        (&photo, "+distort SRT 30", "png"),
        (
            &photo,
            "( +clone -blur 0x9 ) -compose Multiply -composite",
            "jpeg",
        ),
        (&photo, "( +clone -flip ) -append", "jpeg"),
        (&photo, "-duplicate 3 +append", "jpeg"),
        (&photo, "-separate -combine", "png"),
        (&photo, "-separate +append", "png"),
        (&photo, "colors 64", "png"),
        (&photo, "posterize 4 dither Riemersma colors 16", "gif"),
        (&photo, "canny 0x1+10%+30%", "png"),
        (&photo, "shadow 60x4+4+4", "png"),
        (&photo, "magnify", "png"),
        (&photo, "trim +repage deskew 40%", "png"),
        (
            &photo,
            "pointsize 60 gravity south annotate 0 'some text'",
            "jpeg",
        ),
        (&gif, "resize 200%", "gif"),
        (&gif, "coalesce append", "png"),
        (&gif, "morph 2", "gif"),
        (&gif, "layers Merge", "png"),
    ] {
        let format: Format = format.parse().expect("a format");
        convert(&converter, source, chain, format)
            .unwrap_or_else(|error| panic!("{chain}: {error}"));
        if surprises() > before + surprised.len() {
            surprised.push(chain);
        }
    }
    assert!(surprised.is_empty(), "{surprised:?}");
}

fn who_needs_more_than_its_price_gets_it() {
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = surprises();
    let converter = converter(1, |limits| limits.memory = 256 << 20);
    let source = images::make("png", 60, 40);
    // A size that only an option of another operation's tells.
    let chain = "define distort:viewport=3000x2000 virtual-pixel mirror distort SRT 0";
    convert(&converter, &source, chain, Format::Jpeg).expect("there is memory for it");
    assert!(surprises() > before);
    let chain = "define distort:viewport=8000x6000 virtual-pixel mirror distort SRT 0";
    let error = convert(&converter, &source, chain, Format::Jpeg).expect_err("it is too much");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(
        error
            .to_string()
            .contains("256 MiB, which `limits.memory` sets"),
        "{error}"
    );
}
