//! Memory that a parent and its child share: a mailbox for each direction, and a page of flags.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::ptr;

use bytes::Bytes;
use rustix::mm::{self, MapFlags, ProtFlags};

use crate::engine::Signals;

/// What a mailbox keeps from one message to the next: to take memory from the kernel and give it back costs time.
const KEPT: u64 = 16 << 20;

/// The size of the page of flags.
const PAGE: usize = 4096;

/// A file in memory that one side writes messages into, and the other reads.
///
/// Neither side maps what the other may write: the parent reads and writes, and copies what it wants to keep.
#[derive(Debug)]
pub(super) struct Mailbox {
    file: File,
}

impl Mailbox {
    pub(super) fn new(name: &str) -> io::Result<Self> {
        Ok(Self::from(anonymous_file(name)?))
    }

    /// Writes a message over the last one, and gives its length.
    pub(super) fn write(&mut self, parts: &[&[u8]]) -> io::Result<u64> {
        let mut at = 0;
        for part in parts {
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(at)
    }

    /// How long it is.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads so many bytes, which must be there, from a place on.
    pub(super) fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// A message of the other side's, without a copy. That side must leave it alone as long as it is looked at.
    pub(super) fn map(&self, length: usize) -> io::Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let flags = MapFlags::SHARED;
        // SAFETY: the kernel chooses the place, and the mapping is unmapped by its owner only.
        let start = unsafe {
            mm::mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ,
                flags,
                &self.file,
                0,
            )?
        };
        Ok(Bytes::from_owner(Mapping {
            start: start.cast(),
            length,
        }))
    }

    /// Gives memory back after a large message. The other side must not look at it.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        if self.len()? > KEPT {
            self.file.set_len(0)?;
        }
        Ok(())
    }
}

impl From<OwnedFd> for Mailbox {
    fn from(file: OwnedFd) -> Self {
        Self { file: file.into() }
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes of a mailbox, mapped to be read.
struct Mapping {
    start: *const u8,
    length: usize,
}

// SAFETY: the bytes belong to the mapping alone, are only read, and can be unmapped on any thread.
unsafe impl Send for Mapping {}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` is a mapping of this length, which lives as long as this does.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it came from `mmap` with this length, and nothing refers to it any more.
        let unmapped = unsafe { mm::munmap(self.start.cast_mut().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

/// A page of [`Signals`] that both sides see.
#[derive(Debug)]
pub(super) struct SharedSignals {
    file: OwnedFd,
    page: *mut Signals,
}

// SAFETY: what it points at is made of atomics.
unsafe impl Send for SharedSignals {}

impl SharedSignals {
    pub(super) fn new() -> io::Result<Self> {
        let file = File::from(anonymous_file("imago-signals")?);
        file.set_len(PAGE as u64)?;
        let file = OwnedFd::from(file);
        // Were the other side to make it shorter, a look at it would be the end of this process.
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{SealFlags, fcntl_add_seals};
            fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        }
        Self::open(file)
    }

    /// The page in a file that [`new`](Self::new) made.
    pub(super) fn open(file: OwnedFd) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, and the page is unmapped by its owner only.
        let page = unsafe {
            mm::mmap(
                ptr::null_mut(),
                PAGE,
                protection,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        Ok(Self {
            file,
            page: page.cast(),
        })
    }

    pub(super) fn get(&self) -> &Signals {
        // SAFETY: the page is mapped as long as this lives, and whatever the other side writes is a value of its atomics.
        unsafe { &*self.page }
    }

    /// The signals for as long as the process lives.
    pub(super) fn leak(self) -> &'static Signals {
        let page = self.page;
        std::mem::forget(self);
        // SAFETY: as in `get`, and the page is never unmapped now.
        unsafe { &*page }
    }
}

impl AsFd for SharedSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SharedSignals {
    fn drop(&mut self) {
        // SAFETY: it came from `mmap` with this length, and nothing refers to it any more.
        let unmapped = unsafe { mm::munmap(self.page.cast(), PAGE) };
        debug_assert!(unmapped.is_ok());
    }
}

/// A file that has no name, in memory.
#[cfg(target_os = "linux")]
fn anonymous_file(name: &str) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create(
        name,
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?)
}

/// A file that has no name.
#[cfg(not(target_os = "linux"))]
fn anonymous_file(_: &str) -> io::Result<OwnedFd> {
    tempfile::tempfile().map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut mailbox = Mailbox::new("test").expect("a mailbox");
        let length = mailbox
            .write(&[b"one", b"", b"two"])
            .expect("it is written");
        assert_eq!((length, mailbox.len().expect("a length")), (6, 6));
        assert_eq!(mailbox.read(3, 3).expect("it is read"), b"two");
        assert!(mailbox.read(4, 3).is_err());
        assert_eq!(mailbox.map(6).expect("it is mapped"), &b"onetwo"[..]);
        let large = vec![7; usize::try_from(KEPT).expect("a size") + 1];
        mailbox.write(&[&large]).expect("it is written");
        mailbox.trim().expect("it is trimmed");
        assert_eq!(mailbox.len().expect("a length"), 0);
    }

    #[test]
    fn signals_are_seen_on_the_other_side() {
        let here = SharedSignals::new().expect("a page");
        let file = here.as_fd().try_clone_to_owned().expect("a descriptor");
        let there = SharedSignals::open(file).expect("a page");
        assert!(there.get().canceled.load(Ordering::Relaxed) == 0);
        here.get().canceled.store(1, Ordering::Relaxed);
        assert_eq!(there.get().canceled.load(Ordering::Relaxed), 1);
        #[cfg(target_os = "linux")]
        {
            let file = File::from(here.as_fd().try_clone_to_owned().expect("a descriptor"));
            assert!(file.set_len(0).is_err(), "it can be cut off");
        }
    }
}
