//! The directory for temporary files of a process, which is removed even if the process is killed: then by the next one.
//!
//! Some formats ImageMagick codes only by way of files. Each process has a directory of its own for them, and in it a file
//! that it keeps locked; a directory whose lock is free belongs to a process that is no more.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "imago-scratch-";
const LOCK: &str = "lock";

/// For so long a directory may be without a lock: its process is about to take it.
const GRACE: Duration = Duration::from_secs(60);

/// A directory that nobody else uses as long as this is kept.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a directory, its owner's alone, and removes those that processes before this one left behind.
    pub(crate) fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir().canonicalize()?;
        sweep(&parent);
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(16)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)?;
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            path: directory.keep(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes the directories of processes that are no more.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let owner = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let path = entry.path();
        // Others may put what they like into a directory for all: links are not followed, and only our own is removed.
        let ours = path.symlink_metadata().is_ok_and(|data| {
            data.is_dir() && data.uid() == owner && data.mode().trailing_zeros() >= 6
        });
        let named = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if ours && named && is_abandoned(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => log::info!("removed temporary files of a process that was killed"),
                Err(error) => {
                    log::warn!(error:% = error; "could not remove temporary files of a process that was killed");
                }
            }
        }
    }
}

fn is_abandoned(directory: &Path) -> bool {
    if let Ok(lock) = File::open(directory.join(LOCK)) {
        return !matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    }
    let age = directory
        .symlink_metadata()
        .and_then(|data| data.modified());
    age.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > GRACE))
}

/// A directory within another, its owner's alone.
pub(super) fn create_within(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let path = parent.join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// How many bytes the files in a directory take.
pub(super) fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    // What vanishes meanwhile takes nothing.
    let sizes = entries.filter_map(|entry| entry.metadata().ok());
    sizes.map(|data| data.blocks().saturating_mul(512)).sum()
}

/// Removes everything in a directory.
pub(super) fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_dead_are_swept_and_those_of_the_living_are_not() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let make = |name: &str| create_within(folder.path(), name).expect("a directory");
        let living = make("imago-scratch-living");
        let lock = File::create(living.join(LOCK)).expect("a lock");
        lock.lock().expect("it is free");
        let dead = make("imago-scratch-dead");
        File::create(dead.join(LOCK)).expect("a lock");
        fs::create_dir(dead.join("1")).expect("a directory");
        File::create(dead.join("1/left")).expect("a file");
        let fresh = make("imago-scratch-fresh");
        let other = make("other-dead");
        File::create(other.join(LOCK)).expect("a lock");
        let link = folder.path().join("imago-scratch-link");
        std::os::unix::fs::symlink(&other, &link).expect("a link");

        sweep(folder.path());
        assert!(!dead.exists(), "the dead one's is still there");
        for kept in [&living, &fresh, &other, &link] {
            assert!(kept.exists(), "{} is gone", kept.display());
        }
        drop(lock);
        sweep(folder.path());
        assert!(
            !living.exists(),
            "it died, and its directory is still there"
        );
    }
}
