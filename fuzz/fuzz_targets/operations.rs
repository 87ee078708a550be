//! Operation strings, however odd, are parsed or refused, and what is parsed prints as what parses to the same.
#![no_main]

use imago_core::Pipeline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: &str| {
    let Ok(pipeline) = operations.parse::<Pipeline>() else {
        return;
    };
    let printed = pipeline.to_string();
    // A command line may hold a name for the input and one for the output, and nothing to do between.
    if printed.is_empty() {
        return;
    }
    let again: Pipeline = printed
        .parse()
        .unwrap_or_else(|error| panic!("{operations:?} prints as {printed:?}: {error}"));
    assert_eq!(again, pipeline, "{operations:?} prints as {printed:?}");
});
