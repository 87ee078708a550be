//! What a confined process and its parent say to each other, however odd, is read or refused.
#![no_main]

use imago_core::sandbox::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // The corpus is read after this. Only the program itself can write such messages.
        if let Some(corpus) = std::env::var_os("IMAGO_FUZZ_SEEDS") {
            for (index, seed) in fuzzing::seeds().iter().enumerate() {
                let file = std::path::Path::new(&corpus).join(format!("seed-{index}"));
                std::fs::write(file, seed).unwrap();
            }
        }
    },
    |bytes: &[u8]| fuzzing::read(bytes)
);
