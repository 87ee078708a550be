//! `cargo bench --bench sandbox`: what it costs to convert in a confined process instead of in this one.
//!
//! Its `main` has to begin as a confined process does, so criterion's own is not used.

use std::time::{Duration, Instant};

use criterion::Criterion;
use imago_core::sandbox::{self, Sandbox};
use imago_core::{Converter, Format, Pipeline};
use testkit::images;
use tokio::runtime::Runtime;

fn main() {
    sandbox::enter_if_child();
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime starts");
    let converter = |sandbox| {
        let builder = Converter::builder().threads(1).sandbox(sandbox);
        runtime
            .block_on(builder.build())
            .expect("a converter starts")
    };
    let (inside, outside) = (
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
            bencher.iter(|| convert(&outside));
        });
        group.bench_function("in a confined one", |bencher| {
            bencher.iter(|| convert(&inside));
        });
        group.finish();
        in_turns(name, &|| drop(convert(&inside)), &|| {
            drop(convert(&outside));
        });
    }
    let started = Instant::now();
    drop(converter(Sandbox::processes()));
    report(&format!(
        "a child starts, and a converter with it, in {:?}",
        started.elapsed()
    ));
    criterion.final_summary();
}

/// Times both in turns, so that what else the machine does falls on both, and compares the medians.
fn in_turns(name: &str, inside: &dyn Fn(), outside: &dyn Fn()) {
    let rounds = if name == "pixel" { 500 } else { 15 };
    let time = |work: &dyn Fn()| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    let (mut ins, mut outs): (Vec<_>, Vec<_>) =
        (0..rounds).map(|_| (time(inside), time(outside))).unzip();
    let (inside, outside) = (median(&mut ins), median(&mut outs));
    report(&format!(
        "{name}: {inside:?} in a confined process, {outside:?} in this one; throughput × {:.3}",
        outside.as_secs_f64() / inside.as_secs_f64()
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
