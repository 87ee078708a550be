//! What a child takes from itself before it touches bytes of others'.
//!
//! Nothing here comes back: a process that is confined stays so until its end.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;

use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::message::{Ready, Setup};
use crate::error::{Error, ErrorKind, Result};

/// The descriptors that a child may have open: for the mailboxes, and for what libraries open.
const DESCRIPTORS: u64 = 64;

/// What a child needs beside the pixels that it may hold: for coders, their threads, and the source's bytes.
const ROOM: u64 = 1 << 30;

/// Ends when its parent does, shows nobody its memory, and closes every descriptor but the standard ones.
///
/// To be called before anything else.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the C library has no safe call for it")]
pub(super) fn alone() -> io::Result<()> {
    use rustix::process::{
        DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal, setsid,
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setsid()?;
    // SAFETY: the program has just begun, and nothing of it has opened a descriptor that it will use.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has a process group of its own.
#[cfg(not(target_os = "linux"))]
pub(super) fn alone() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Bounds what the kernel counts. `held` bytes of address space are taken already.
pub(super) fn limit(setup: &Setup) -> io::Result<()> {
    let set = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    set(Resource::Core, 0)?;
    set(Resource::Nofile, DESCRIPTORS)?;
    set(
        Resource::Fsize,
        setup.limits.scratch_bytes.max(setup.limits.output_bytes),
    )?;
    let space = held()
        .saturating_add(setup.limits.memory)
        .saturating_add(ROOM);
    set(
        Resource::As,
        space.saturating_add(setup.limits.source_bytes),
    )?;
    Ok(())
}

/// How much address space this process has.
fn held() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm");
    let pages = pages
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    pages
        .unwrap_or(0)
        .saturating_mul(rustix::param::page_size() as u64)
}

/// Shuts the file system and the kernel. To be called when all libraries have started.
#[cfg(target_os = "linux")]
pub(super) fn shut(setup: &Setup) -> Result<Ready> {
    let failed = |what: &'static str| {
        move |error: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("{what} can't be set up: {error}");
            Error::new(ErrorKind::Internal, message).with_source(error)
        }
    };
    // A process of root's has no more rights than any other's from here on.
    let none = rustix::thread::CapabilitySet::empty();
    let none = rustix::thread::CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, none)
        .map_err(|error| failed("the process's rights")(error.into()))?;
    let landlock = if setup.open.files {
        0
    } else {
        let more = files::More {
            read_only: setup.read_only.iter().map(PathBuf::from).collect(),
            writable: PathBuf::from(&setup.scratch),
            program: None,
        };
        files::restrict(more).map_err(failed("Landlock"))?
    };
    let seccomp = !setup.open.calls && calls::restrict(false).map_err(failed("seccomp"))?;
    Ok(Ready { landlock, seccomp })
}

/// There is nothing of the kind here.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub(super) fn shut(_: &Setup) -> Result<Ready> {
    Ok(Ready::default())
}

/// Shuts everything but a program, which this process is to become, and the directory that it is in.
pub(super) fn shut_around(
    program: &std::path::Path,
) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    const SECONDS: u64 = 600;
    const MEMORY: u64 = 4 << 30;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Cpu, SECONDS),
        (Resource::As, MEMORY),
        (Resource::Fsize, MEMORY),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    #[cfg(target_os = "linux")]
    {
        let here = std::env::current_dir()?;
        let program = program.canonicalize()?;
        let none = rustix::thread::CapabilitySet::empty();
        let none = rustix::thread::CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        rustix::thread::set_capabilities(None, none)?;
        files::restrict(files::More {
            read_only: [
                "/etc/ghostscript",
                "/etc/papersize",
                "/usr/local/share/ghostscript",
            ]
            .map(PathBuf::from)
            .to_vec(),
            writable: here,
            program: Some(program),
        })?;
        calls::restrict(true)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = program;
    Ok(())
}
