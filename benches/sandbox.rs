//! `cargo bench --bench sandbox`: what it costs to convert in a confined process instead of in this one.
//!
//! Its `main` has to begin as a confined process does, so criterion's own is not used.

use std::time::{Duration, Instant};

use criterion::Criterion;
use futures_util::{StreamExt as _, stream};
use imago_core::sandbox::{self, Sandbox};
use imago_core::{Converter, Format, Pipeline};
use testkit::images;
use tokio::runtime::Runtime;

/// How often each way is timed, in turns.
const ROUNDS: usize = 15;

fn main() {
    sandbox::enter_if_child();
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime starts");
    let converter = |sandbox| {
        let builder = Converter::builder().sandbox(sandbox);
        runtime
            .block_on(builder.build())
            .expect("a converter starts")
    };
    let (confined, here) = (
        converter(Sandbox::processes()),
        converter(Sandbox::in_process()),
    );
    // The first is next to no work, so that the difference is what the way costs.
    for (name, width, height, chain) in [
        ("pixel", 1, 1, "strip"),
        ("photo", 2725, 2225, "resize 720x588 quality 80"),
    ] {
        let source = images::make("jpeg", width, height);
        let pipeline: Pipeline = chain.parse().expect("the chain is right");
        let convert = |converter: &Converter| {
            runtime
                .block_on(converter.convert_bytes(&source, &pipeline, Format::Jpeg))
                .expect("the conversion succeeds")
        };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("in this process", |bencher| {
            bencher.iter(|| convert(&here));
        });
        group.bench_function("in a confined one", |bencher| {
            bencher.iter(|| convert(&confined));
        });
        group.finish();
        // All processors are busy, and more waits for them.
        let count = if name == "pixel" { 500 } else { 24 };
        let convert_many = |converter: &Converter| {
            let conversions = (0..count).map(|_| async {
                let done = converter.convert_bytes(&source, &pipeline, Format::Jpeg);
                done.await.expect("the conversion succeeds")
            });
            let many = stream::iter(conversions).buffer_unordered(2 * converter.threads());
            runtime.block_on(many.count());
        };
        compare(name, count, &|| convert_many(&confined), &|| {
            convert_many(&here);
        });
    }
    let started = Instant::now();
    drop(converter(Sandbox::processes()));
    report(&format!(
        "a converter starts, and a child for each of its threads, in {:?}",
        started.elapsed()
    ));
    criterion.final_summary();
}

/// Times so many conversions both ways in turns, so that what else the machine does falls on both, and compares the medians.
fn compare(name: &str, count: u32, confined: &dyn Fn(), here: &dyn Fn()) {
    let time = |work: &dyn Fn()| {
        let started = Instant::now();
        work();
        started.elapsed() / count
    };
    let rounds = (0..ROUNDS).map(|_| (time(confined), time(here)));
    let (mut confined, mut here): (Vec<_>, Vec<_>) = rounds.unzip();
    let (confined, here) = (median(&mut confined), median(&mut here));
    report(&format!(
        "{name}: a conversion every {confined:?} in confined processes, every {here:?} in this one; throughput × {:.3}",
        here.as_secs_f64() / confined.as_secs_f64()
    ));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
fn report(line: &str) {
    println!("{line}");
}
