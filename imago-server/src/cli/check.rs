//! `imago-server check`: whether operations can run, without an image.

use std::io::{self, Write};

use clap::Args;
use imago_core::Pipeline;

/// Operations to check.
#[derive(Debug, Args)]
pub struct Check {
    /// Operation strings such as `resize 200x200`, in order
    #[arg(required = true, allow_hyphen_values = true, value_name = "OPERATION")]
    operations: Vec<String>,
}

/// Writes the steps that would run, a line each, with the engine that would run it on a source such as a JPEG image, or
/// every error. Says whether they can run.
pub fn check(arguments: &Check, out: &mut impl Write, errors: &mut impl Write) -> io::Result<bool> {
    match Pipeline::from_operations(&arguments.operations) {
        Ok(pipeline) => {
            let native = pipeline.native_steps();
            for (index, step) in pipeline.operations().enumerate() {
                let engine = if index < native { "native" } else { "magick" };
                writeln!(out, "{engine}\t{step}")?;
            }
            Ok(true)
        }
        Err(found) => {
            for error in found {
                // The place among several strings, as people count.
                let place = error
                    .pointer()
                    .strip_prefix('/')
                    .and_then(|index| index.parse::<usize>().ok())
                    .filter(|_| arguments.operations.len() > 1)
                    .map_or_else(String::new, |index| format!("operation {}: ", index + 1));
                writeln!(errors, "{place}{error}")?;
            }
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(operations: &[&str]) -> (bool, String, String) {
        let arguments = Check {
            operations: operations.iter().map(|text| (*text).to_owned()).collect(),
        };
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let can_run = check(&arguments, &mut out, &mut errors).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (can_run, text(out), text(errors))
    }

    #[test]
    fn steps_or_errors() {
        let (can_run, out, errors) = run(&["resize 200x200 negate", "quality 80"]);
        assert!(can_run);
        assert_eq!(
            out,
            "native\t-resize 200x200\nmagick\t-negate\nmagick\t-quality 80\n"
        );
        assert_eq!(errors, "");
        let (can_run, out, errors) = run(&["strip", "resze 1x1", "crop"]);
        assert!(!can_run);
        assert_eq!(out, "");
        let lines: Vec<_> = errors.lines().collect();
        assert_eq!(lines.len(), 2, "{errors}");
        assert_eq!(
            lines[0],
            "operation 2: there is no operation `resze`; did you mean `resize`?"
        );
        assert!(
            lines[1].starts_with("operation 3: `crop` takes 1 argument"),
            "{errors}"
        );
    }
}
