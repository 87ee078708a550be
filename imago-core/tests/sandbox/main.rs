//! Conversions in confined processes: real children of this program, which is why it has a `main` of its own.

mod admission;
mod fences;
mod misbehaviour;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use imago_core::sandbox;
use libtest_mimic::{Arguments, Failed, Trial};

/// A name and what it does, of a test.
type Test = (&'static str, fn());

/// Lists functions as tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    sandbox::enter_if_child();
    let arguments = Arguments::from_args();
    let tests = [
        work::TESTS,
        misbehaviour::TESTS,
        fences::TESTS,
        admission::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            catch_unwind(AssertUnwindSafe(test)).map_err(|_| Failed::without_message())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
