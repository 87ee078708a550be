//! Operation strings, however odd, are parsed or refused, and what is parsed prints as what parses to the same.
#![no_main]

use imago_core::Pipeline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: &str| {
    if let Ok(pipeline) = operations.parse::<Pipeline>() {
        let printed = pipeline.to_string();
        let again: Pipeline = printed
            .parse()
            .unwrap_or_else(|error| panic!("{operations:?} prints as {printed:?}: {error}"));
        assert_eq!(again, pipeline, "{operations:?} prints as {printed:?}");
    }
});
