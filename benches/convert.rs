//! `cargo bench`: conversions in this process and over `file://`, beside the `magick` command on the same task.
//!
//! The tasks are those that the field measures itself by: a photograph of 2725 × 2225 pixels made 720 wide, as JPEG and
//! as PNG. All run on one machine in one go, so that their ratios mean something; single figures hardly do.

use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use imago_core::storage::Stores;
use imago_core::{Action, Converter, Format, Pipeline};
use testkit::images;
use tokio::runtime::Runtime;

const WIDTH: u32 = 2725;
const HEIGHT: u32 = 2225;
const CHAIN: &str = "resize 720x588 quality 80";

fn parse(criterion: &mut Criterion) {
    let operations = [
        "auto-orient",
        "resize 200x200^",
        "gravity center",
        "extent 200x200",
        "background white",
        "flatten",
        "unsharp 0x0.75",
        "strip",
        "interlace Plane",
        "quality 85",
    ];
    criterion.bench_function("parse 10 operations", |bencher| {
        bencher.iter(|| Pipeline::from_operations(black_box(&operations)));
    });
}

fn resize(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let converter = |native| {
        let builder = Converter::builder().threads(1).native(native);
        runtime
            .block_on(builder.build())
            .expect("a converter starts")
    };
    let converters = [
        ("imago", converter(true)),
        ("imago, wand only", converter(false)),
    ];
    let pipeline: Pipeline = CHAIN.parse().expect("the chain is right");
    for (name, format) in [("jpeg", Format::Jpeg), ("png", Format::Png)] {
        let mut group = criterion.benchmark_group(format!("resize {name}"));
        group.sample_size(10);
        let source = images::make(name, WIDTH, HEIGHT);
        for (name, converter) in &converters {
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    runtime
                        .block_on(converter.convert_bytes(&source, &pipeline, format.clone()))
                        .expect("the conversion succeeds")
                });
            });
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (infile, outfile) = (
            folder.path().join("in").with_extension(name),
            folder.path().join("out").with_extension(name),
        );
        std::fs::write(&infile, &source).expect("a source");
        group.bench_function("magick command", |bencher| {
            bencher.iter(|| {
                let status = Command::new("magick")
                    .arg(&infile)
                    .args(["-resize", "720x588", "-quality", "80"])
                    .arg(&outfile)
                    // As Imago runs it: one thread for one image.
                    .env("MAGICK_THREAD_LIMIT", "1")
                    .status()
                    .expect("`magick` runs");
                assert!(status.success());
            });
        });
        group.finish();
    }
}

/// Fetched from a file, by way of the cache, converted, and stored as a file.
fn end_to_end(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("in.jpeg"),
        images::make("jpeg", WIDTH, HEIGHT),
    )
    .expect("a source");
    let runtime = Runtime::new().expect("a runtime starts");
    let converter = runtime.block_on(async {
        let stores = Stores::builder()
            .file_root(folder.path())
            .build()
            .expect("a folder is a store");
        Converter::builder()
            .stores(stores)
            .threads(1)
            .cache(folder.path().join("cache"), 1 << 30)
            .build()
            .await
            .expect("a converter starts")
    });
    let url = |name: &str| format!("file://{}/{name}", folder.path().display());
    let outputs = AtomicU64::new(0);
    let mut group = criterion.benchmark_group("end to end");
    group.sample_size(10);
    group.bench_function("file:// jpeg", |bencher| {
        bencher.iter(|| {
            let number = outputs.fetch_add(1, Ordering::Relaxed) % 4;
            let action =
                Action::new(url("in.jpeg"), url(&format!("out-{number}.jpeg"))).operations([CHAIN]);
            runtime
                .block_on(converter.convert(&action))
                .expect("the conversion succeeds")
        });
    });
    group.finish();
}

criterion_group!(benches, parse, resize, end_to_end);
criterion_main!(benches);
