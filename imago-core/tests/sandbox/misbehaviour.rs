//! Children that crash, hang and take too much.

use std::time::{Duration, Instant};

use imago_core::sandbox::Sandbox;
use imago_core::{Converter, ErrorKind, Format, Limits, Pipeline};
use testkit::images;

use crate::work::{build, convert, runtime, sandboxed};

crate::tests![
    each_misbehaviour_is_one_clear_error,
    the_others_are_not_disturbed,
    a_canceled_child_is_gone_soon,
];

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.memory = 256 << 20;
    limits.output_bytes = 1 << 20;
    limits.scratch_bytes = 8 << 20;
    limits
}

fn each_misbehaviour_is_one_clear_error() {
    let png = images::make("png", 30, 20);
    let mut hasty = limits();
    hasty.timeout = Duration::from_millis(700);
    let [converter, hasty] = [limits(), hasty].map(|limits| {
        let builder = Converter::builder().threads(1).limits(limits);
        build(builder.sandbox(Sandbox::processes()))
    });
    for (fault, kind, expected) in [
        (
            "segfault",
            ErrorKind::Crashed,
            "its process crashed (SIGSEGV)",
        ),
        ("abort", ErrorKind::Crashed, "its process crashed (SIGABRT)"),
        ("overflow", ErrorKind::Crashed, "its process crashed (SIG"),
        (
            "exit",
            ErrorKind::Crashed,
            "its process ended by itself, with the exit code 3",
        ),
        (
            "panic",
            ErrorKind::Internal,
            "the conversion hit a bug in Imago",
        ),
        (
            "spin",
            ErrorKind::Timeout,
            "it took longer than 0.7 s; `timeout` sets how long it may take",
        ),
        (
            "allocate",
            ErrorKind::LimitExceeded,
            "it takes more memory than 256 MiB, which `limits.memory` sets",
        ),
        (
            "fill-disk",
            ErrorKind::LimitExceeded,
            "its temporary files take more than 8 MiB, which `limits.scratch` sets",
        ),
        (
            "fill-disk-with-files",
            ErrorKind::LimitExceeded,
            "its temporary files take more than 8 MiB, which `limits.scratch` sets",
        ),
        ("close", ErrorKind::Crashed, "its process"),
        (
            "garbage",
            ErrorKind::Crashed,
            "its process answered nonsense: it does not begin as a frame does",
        ),
        ("half", ErrorKind::Timeout, "it took longer than 0.7 s"),
        (
            "claim",
            ErrorKind::Crashed,
            "its process answered nonsense: its answer is longer than what it left",
        ),
    ] {
        let converter = match kind {
            ErrorKind::Timeout => &hasty,
            _ => &converter,
        };
        let result = convert(
            converter,
            format!("IMAGO-FAULT:{fault}").as_bytes(),
            "",
            Format::Png,
        );
        let error = result.expect_err(fault);
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{fault}: {text}");
        assert!(
            text.starts_with(&format!("can't convert the image: {expected}")),
            "{fault}: {text}"
        );
        convert(converter, &png, "", Format::Png)
            .unwrap_or_else(|error| panic!("after {fault}: {error}"));
    }
}

fn the_others_are_not_disturbed() {
    let builder = Converter::builder().threads(2).limits(limits());
    let converter = build(builder.sandbox(Sandbox::processes()));
    let png = images::make("png", 200, 100);
    let pipeline: Pipeline = "resize 50%".parse().expect("the chain is right");
    let faults =
        ["segfault", "abort", "garbage", "exit"].map(|fault| format!("IMAGO-FAULT:{fault}"));
    let results = runtime().block_on(async {
        let actions = (0..40).map(|number| {
            let source = if number % 5 == 4 {
                faults[number / 5 % 4].as_bytes()
            } else {
                &png
            };
            converter.convert_bytes(source, &pipeline, Format::Png)
        });
        futures_util::future::join_all(actions).await
    });
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(_) => assert_ne!(number % 5, 4),
            Err(error) => {
                assert_eq!(number % 5, 4, "{error}");
                assert_eq!(error.kind(), ErrorKind::Crashed, "{error}");
            }
        }
    }
}

fn a_canceled_child_is_gone_soon() {
    let converter = sandboxed();
    let runtime = runtime();
    let id = convert(&converter, b"IMAGO-FAULT:id", "", Format::Png).expect_err("a question");
    let id = id.to_string();
    let spin = runtime.block_on(async {
        let pipeline = Pipeline::default();
        let spin = converter.convert_bytes(b"IMAGO-FAULT:spin", &pipeline, Format::Png);
        tokio::time::timeout(Duration::from_millis(100), spin).await
    });
    assert!(spin.is_err(), "it ended by itself");
    let canceled = Instant::now();
    // The one child has to be gone before this can run.
    let other = convert(&converter, b"IMAGO-FAULT:id", "", Format::Png).expect_err("a question");
    assert_ne!(other.to_string(), id);
    assert!(
        canceled.elapsed() < Duration::from_secs(10),
        "{:?}",
        canceled.elapsed()
    );
}
