//! Why a child is no more, in a sentence for who sent the image.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::engine::{Limits, Stop};
use crate::error::{Error, ErrorKind};

/// What the parent saw of it.
#[derive(Debug)]
pub(super) enum Why {
    /// It closed its socket, and came to its end soon after.
    Ended,
    /// It closed its socket, and went on.
    BrokeOff,
    /// It did not stop when it was time, or when it was told to.
    Stubborn,
    /// Its temporary files took too much.
    FilledDisk,
    /// It answered what is no answer.
    Nonsense(Error),
}

/// What is known of it after its end.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) status: ExitStatus,
    /// The most memory that it held at a time.
    pub(super) peak_bytes: u64,
    /// The last that it, or a library in it, wrote to its standard error.
    pub(super) last_words: String,
}

/// Words with which libraries end a process for want of memory.
const WANT_OF_MEMORY: &[&str] = &[
    "memory allocation of",
    // An assertion of ImageMagick's that fails when matrices find none.
    "resource_info.memory",
    "failed to allocate",
    "bad_alloc",
    "out of memory",
    "cannot allocate memory",
    "memory exhausted",
    "memoryallocationfailed",
];

impl Death {
    /// The error of the action that it worked on.
    pub(super) fn explain(self, why: Why, limits: &Limits, stop: &Stop) -> Error {
        match why {
            Why::Stubborn => match stop.check() {
                Err(error) => error,
                Ok(()) => crashed("its process did not stop when it was told to"),
            },
            Why::BrokeOff => crashed("its process broke off the talk in the middle of it"),
            Why::FilledDisk => too_large(limits),
            Why::Nonsense(error) => {
                crashed(format!("its process answered nonsense: {error}")).with_source(error)
            }
            Why::Ended => self.explain_end(limits, stop),
        }
    }

    fn explain_end(self, limits: &Limits, stop: &Stop) -> Error {
        let Some(signal) = self.status.signal() else {
            if self.wanted_memory(limits) {
                return too_much_memory(limits);
            }
            let code = self.status.code().unwrap_or_default();
            return crashed(format!(
                "its process ended by itself, with the exit code {code}, in the middle of it"
            ));
        };
        match signal {
            libc::SIGXFSZ => too_large(limits),
            libc::SIGXCPU => Error::new(
                ErrorKind::Timeout,
                format!(
                    "it used the processor for longer than {} s; `timeout` sets how long it may take",
                    stop.timeout().as_secs_f64()
                ),
            ),
            libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS if self.wanted_memory(limits) => {
                too_much_memory(limits)
            }
            libc::SIGKILL => crashed(
                "its process was killed (SIGKILL), as the kernel does when the machine is out of memory; `limits.memory` sets how much conversions may take",
            ),
            libc::SIGSYS => crashed(
                "its process was ended (SIGSYS) for a call to the kernel that no conversion needs",
            ),
            signal => crashed(format!(
                "its process crashed ({}): the image or an operation on it hit a bug",
                name(signal)
            )),
        }
    }

    fn wanted_memory(&self, limits: &Limits) -> bool {
        let words = self.last_words.to_ascii_lowercase();
        self.peak_bytes >= limits.memory || WANT_OF_MEMORY.iter().any(|want| words.contains(want))
    }
}

fn crashed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Crashed, message)
}

fn too_large(limits: &Limits) -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "its temporary files take more than {}, which `limits.scratch` sets",
            human_bytes(limits.scratch_bytes)
        ),
    )
}

fn too_much_memory(limits: &Limits) -> Error {
    Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "it takes more memory than {}, which `limits.memory` sets",
            human_bytes(limits.memory)
        ),
    )
    .wanting_memory(true)
}

/// A number of bytes as people say it.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole} {name}"),
                (whole, tenth) => format!("{whole}.{tenth} {name}"),
            };
        }
    }
    format!("{bytes} bytes")
}

fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_end_has_its_word() {
        let limits = Limits {
            memory: 3 << 29,
            scratch_bytes: 1 << 20,
            ..Limits::default()
        };
        let stop = Stop::after(Duration::from_secs(2));
        let signal = |signal| ExitStatus::from_raw(signal);
        for (status, peak_bytes, last_words, kind, expected) in [
            (
                signal(libc::SIGSEGV),
                0,
                "",
                ErrorKind::Crashed,
                "(SIGSEGV)",
            ),
            (
                signal(libc::SIGSEGV),
                2 << 30,
                "",
                ErrorKind::LimitExceeded,
                "more memory than 1.5 GiB, which `limits.memory`",
            ),
            (
                signal(libc::SIGABRT),
                0,
                "",
                ErrorKind::Crashed,
                "(SIGABRT)",
            ),
            (
                signal(libc::SIGABRT),
                0,
                "memory allocation of 9 bytes failed",
                ErrorKind::LimitExceeded,
                "`limits.memory`",
            ),
            (
                signal(libc::SIGXFSZ),
                0,
                "",
                ErrorKind::LimitExceeded,
                "more than 1 MiB, which `limits.scratch`",
            ),
            (
                signal(libc::SIGXCPU),
                0,
                "",
                ErrorKind::Timeout,
                "longer than 2 s",
            ),
            (
                signal(libc::SIGKILL),
                0,
                "",
                ErrorKind::Crashed,
                "(SIGKILL)",
            ),
            (signal(libc::SIGSYS), 0, "", ErrorKind::Crashed, "(SIGSYS)"),
            (signal(40), 0, "", ErrorKind::Crashed, "(signal 40)"),
            (
                ExitStatus::from_raw(7 << 8),
                0,
                "",
                ErrorKind::Crashed,
                "exit code 7",
            ),
        ] {
            let death = Death {
                status,
                peak_bytes,
                last_words: last_words.to_owned(),
            };
            let error = death.explain(Why::Ended, &limits, &stop);
            assert_eq!(error.kind(), kind, "{status}: {error}");
            assert!(error.to_string().contains(expected), "{status}: {error}");
        }
    }

    #[test]
    fn sizes_are_as_people_say_them() {
        for (size, expected) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (4 << 30, "4 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(human_bytes(size), expected);
        }
    }
}
