//! Decoded pixels between processes: written by one child, sealed, and read by any number of others.
//!
//! A seal is for ever: once a file has it, nobody writes to it or changes its length, whoever still holds it. So those who
//! read it need not trust the one that wrote it with more than what the picture looks like.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use crate::error::Result;

/// A file in memory that is to be filled with pixels.
#[derive(Debug)]
pub(super) struct Blank(File);

/// A file in memory with pixels that never change.
#[derive(Debug)]
pub(crate) struct Sheet(OwnedFd);

impl Blank {
    /// A file of this length. Pixels between processes are for Linux: elsewhere files have no seals.
    #[cfg(target_os = "linux")]
    pub(super) fn new(bytes: u64) -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("imago-pixels", flags)?);
        file.set_len(bytes)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(Self(file))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(_: u64) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets nobody write to it any more. An error where somebody still has it mapped to be written.
    #[cfg(target_os = "linux")]
    pub(super) fn seal(self) -> io::Result<Sheet> {
        use rustix::fs::{SealFlags, fcntl_add_seals};
        fcntl_add_seals(&self.0, SealFlags::WRITE | SealFlags::SEAL)?;
        Ok(Sheet(self.0.into()))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn seal(self) -> io::Result<Sheet> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for Blank {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Sheet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What writes pixels, rows behind rows, into the file that a child was handed.
pub(super) fn writer(file: OwnedFd) -> impl FnMut(&[u8]) -> Result<()> {
    let file = File::from(file);
    let mut at = 0;
    move |rows| {
        file.write_all_at(rows, at)
            .map_err(|error| super::failed("there is no memory for the pixels", error))?;
        at += rows.len() as u64;
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::mailbox;
    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let blank = Blank::new(8).expect("a file in memory");
        let theirs = blank.as_fd().try_clone_to_owned().expect("a descriptor");
        let mut write = writer(theirs.try_clone().expect("a descriptor"));
        write(b"some").expect("it has room");
        write(b"rows").expect("it has room");
        write(b"x").expect_err("it must not grow");
        let sheet = blank.seal().expect("nobody has it mapped");
        let theirs = File::from(theirs);
        theirs.write_all_at(b"evil", 0).expect_err("it is sealed");
        theirs.set_len(4).expect_err("it is sealed");
        theirs.set_len(16).expect_err("it is sealed");
        let ours = sheet.as_fd().try_clone_to_owned().expect("a descriptor");
        let pixels = mailbox::map_sealed(ours, 8).expect("it can be read");
        assert_eq!(&pixels[..], b"somerows");
    }

    #[test]
    fn what_somebody_may_yet_write_to_is_not_sealed() {
        let blank = Blank::new(4096).expect("a file in memory");
        let theirs = blank.as_fd().try_clone_to_owned().expect("a descriptor");
        let mapped = mailbox::SharedSignals::open(theirs).expect("it can be mapped");
        blank.seal().expect_err("it is mapped to be written");
        drop(mapped);
    }

    #[test]
    fn what_is_shorter_than_told_is_not_mapped() {
        let sheet = Blank::new(8).and_then(Blank::seal).expect("a file");
        let ours = sheet.as_fd().try_clone_to_owned().expect("a descriptor");
        mailbox::map_sealed(ours, 9).expect_err("it has 8 bytes");
    }
}
