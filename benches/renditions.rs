//! `cargo bench`: ten renditions of one photograph of six megapixels, from files to files, beside the `magick` command.
//!
//! All run on all processors. The `magick` command decodes once too, if all of its work is in one command line; then it has
//! no more than its operations' own threads. Ten commands, as many at once as there are processors, decode ten times.

use std::path::Path;
use std::process::Command;

use criterion::Criterion;
use futures_util::StreamExt as _;
use imago_core::sandbox::{self, Sandbox};
use imago_core::storage::Stores;
use imago_core::{Action, Builder, Converter};
use testkit::images;
use tokio::runtime::Runtime;

const WIDTHS: [u32; 10] = [64, 128, 256, 320, 512, 640, 800, 1024, 1600, 2048];

fn main() {
    sandbox::enter_if_child();
    let mut criterion = Criterion::default().configure_from_args();
    renditions(&mut criterion);
    criterion.final_summary();
}

fn renditions(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let source = images::make("jpeg", 3000, 2000);
    std::fs::write(folder.join("in.jpg"), &source).expect("a source");
    let runtime = Runtime::new().expect("a runtime starts");
    let converter = |builder: Builder| {
        let stores = Stores::builder().file_root(folder).build();
        let builder = builder.stores(stores.expect("a folder is a store"));
        runtime
            .block_on(builder.build())
            .expect("a converter starts")
    };
    let children = || Converter::builder().sandbox(Sandbox::processes());
    let converters = [
        ("imago", Converter::builder()),
        ("imago, each for itself", Converter::builder().sharing(0)),
        ("imago, in children", children()),
        ("imago, in children, each for itself", children().sharing(0)),
    ]
    .map(|(name, builder)| (name, converter(builder)));
    let url = |name: &str| format!("file://{}/{name}", folder.display());
    let actions: Vec<_> = WIDTHS
        .iter()
        .map(|width| {
            Action::new(url("in.jpg"), url(&format!("imago-{width}.jpg")))
                .operations([format!("resize {width} quality 80")])
        })
        .collect();

    let mut group = criterion.benchmark_group("10 renditions");
    group.sample_size(10);
    for (name, converter) in &converters {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let outcomes = converter.convert_all(&actions);
                let each = outcomes.map(|(_, outcome)| outcome.expect("it is converted"));
                let done = runtime.block_on(each.count());
                assert_eq!(done, WIDTHS.len());
            });
        });
    }
    group.bench_function("magick, one command", |bencher| {
        bencher.iter(|| one_command(folder));
    });
    group.bench_function("magick, ten commands", |bencher| {
        bencher.iter(|| ten_commands(folder, converters[0].1.threads()));
    });
    group.finish();
}

/// Decodes once, and resizes one after the other, each with as many threads as there are processors.
fn one_command(folder: &Path) {
    let mut command = Command::new("magick");
    command.arg(folder.join("in.jpg")).args(["-quality", "80"]);
    for width in WIDTHS {
        let width = width.to_string();
        command
            .args(["(", "+clone", "-resize", &width, "-write"])
            .arg(folder.join(format!("magick-{width}.jpg")))
            .args(["+delete", ")"]);
    }
    let status = command.arg("null:").status().expect("`magick` runs");
    assert!(status.success());
}

/// One thread for each command, and so many commands at once.
fn ten_commands(folder: &Path, at_once: usize) {
    for widths in WIDTHS.chunks(at_once) {
        let commands: Vec<_> = widths
            .iter()
            .map(|width| {
                Command::new("magick")
                    .arg(folder.join("in.jpg"))
                    .args(["-resize", &width.to_string(), "-quality", "80"])
                    .arg(folder.join(format!("magick-{width}.jpg")))
                    .env("MAGICK_THREAD_LIMIT", "1")
                    .spawn()
                    .expect("`magick` runs")
            })
            .collect();
        for mut command in commands {
            assert!(command.wait().expect("`magick` ends").success());
        }
    }
}
