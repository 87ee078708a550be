//! The cache's files.
//!
//! One version of an object is one file, `<digest>-<number>`: a header, then the bytes. It is written under a temporary
//! name and renamed when it is complete. It is not flushed to the disk, since losing it costs a request: a checksum tells
//! a file that the power's loss has torn.

use std::fs::{self, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::{Error, ErrorKind, Result};

/// SHA-256 of what identifies an object.
pub(super) type Digest = [u8; 32];

/// Begins each file, with the format's version.
const MAGIC: &[u8; 8] = b"imago\0v1";

/// Magic, checksum, and the lengths of identity, `ETag` and bytes.
const FIXED: usize = 8 + 32 + 4 + 4 + 8;

/// More than any key and any header; a length above it was not written here.
const MAX_TEXT: u32 = 64 << 10;

/// The folder, locked for this process.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    /// Held as long as the cache is open; the system lets go of it when the process ends, however it does.
    _lock: fs::File,
    next: AtomicU64,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) digest: Digest,
    number: u64,
    /// Of the whole object's identity, to be sure beyond the digest.
    identity: String,
    pub(super) e_tag: String,
    /// The file's size, header included.
    pub(super) bytes: u64,
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    finish({
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        context
    })
}

fn finish(context: Context) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// What an object takes on disk, in bytes.
pub(super) fn size(identity: &str, e_tag: &str, bytes: &Bytes) -> u64 {
    (FIXED + stored_identity(identity).len() + e_tag.len() + bytes.len()) as u64
}

/// A signed query is a secret and has no place on a disk; its digest tells it apart as well.
fn stored_identity(identity: &str) -> String {
    match identity.strip_prefix("http") {
        Some(_) if identity.contains(['?', '@']) => {
            format!("http digest {}", hex(&digest(identity.as_bytes())))
        }
        _ => identity.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

impl Disk {
    /// Locks the folder, removes what was not finished, and lists the files, least recently used first.
    pub(super) fn open(dir: &Path) -> Result<(Self, Vec<File>)> {
        let failed = |what: &str, e: io::Error| {
            Error::new(
                ErrorKind::Internal,
                format!("the cache folder `{}` {what}", dir.display()),
            )
            .with_source(e)
        };
        fs::create_dir_all(dir).map_err(|e| failed("cannot be made", e))?;
        let lock = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(|e| failed("cannot be written to", e))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => Error::new(
                ErrorKind::Internal,
                format!(
                    "the cache folder `{}` is in use by another process; give each its own",
                    dir.display()
                ),
            ),
            TryLockError::Error(e) => failed("cannot be locked", e),
        })?;
        let mut disk = Self {
            dir: dir.to_owned(),
            _lock: lock,
            next: AtomicU64::new(0),
        };
        let files = disk.scan().map_err(|e| failed("cannot be read", e))?;
        let last = files.iter().map(|file| file.number).max();
        disk.next = AtomicU64::new(last.map_or(0, |last| last + 1));
        Ok((disk, files))
    }

    fn scan(&self) -> io::Result<Vec<File>> {
        let mut found: Vec<(SystemTime, File)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // Anything that is not named as our files are is left alone: the folder may have been given by mistake.
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let Some((digest, number)) = parse_name(name) else {
                if is_temporary(name) {
                    remove_file(&path);
                }
                continue;
            };
            match inspect(&path, digest, number) {
                Ok(file) => found.push((fs::metadata(&path)?.modified()?, file)),
                Err(e) => {
                    log::debug!("the cached file {} is not whole: {e}", path.display());
                    remove_file(&path);
                }
            }
        }
        // Of two versions, the one written later; the process ended before the other was removed.
        found.sort_by_key(|(_, file)| (file.digest, file.number));
        let mut files: Vec<(SystemTime, File)> = Vec::with_capacity(found.len());
        for (used, file) in found {
            if let Some((_, older)) = files.pop_if(|(_, other)| other.digest == file.digest) {
                self.remove(&older);
            }
            files.push((used, file));
        }
        files.sort_by_key(|(used, file)| (*used, file.number));
        Ok(files.into_iter().map(|(_, file)| file).collect())
    }

    pub(super) fn write(
        &self,
        digest: Digest,
        identity: &str,
        e_tag: String,
        bytes: &Bytes,
    ) -> Result<File> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let file = File {
            digest,
            number,
            identity: stored_identity(identity),
            bytes: size(identity, &e_tag, bytes),
            e_tag,
        };
        let path = self.path(&file);
        let temporary = path.with_extension("tmp");
        let written = write_file(&temporary, &file, bytes).and_then(|()| {
            fs::rename(&temporary, &path)?;
            Ok(())
        });
        written.map_err(|e| {
            remove_file(&temporary);
            Error::new(
                ErrorKind::Internal,
                format!(
                    "the cache folder `{}` cannot be written to",
                    self.dir.display()
                ),
            )
            .with_source(e)
        })?;
        Ok(file)
    }

    /// The object's bytes, if they are those that were written.
    pub(super) fn read(&self, file: &File) -> Result<Bytes> {
        let path = self.path(file);
        let damaged = |e: io::Error| {
            Error::new(
                ErrorKind::Internal,
                format!("the cached file `{}` is not whole: {e}", path.display()),
            )
        };
        let mut opened = fs::File::open(&path).map_err(damaged)?;
        let header = read_header(&mut opened).map_err(damaged)?;
        if header.identity != file.identity || header.e_tag != file.e_tag {
            return Err(damaged(invalid("it holds another object")));
        }
        let mut bytes = Vec::new();
        let length = file.bytes.saturating_sub(header.size);
        bytes
            .try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))
            .map_err(|e| damaged(io::Error::other(e)))?;
        Read::by_ref(&mut opened)
            .take(length + 1)
            .read_to_end(&mut bytes)
            .map_err(damaged)?;
        if bytes.len() as u64 != header.length || header.checksum != checksum(file, &bytes) {
            return Err(damaged(invalid("its checksum is wrong")));
        }
        note_use(&opened);
        Ok(bytes.into())
    }

    /// Removing is quick, so it is done in place.
    pub(super) fn remove(&self, file: &File) {
        remove_file(&self.path(file));
    }

    fn path(&self, file: &File) -> PathBuf {
        self.dir
            .join(format!("{}-{:016x}", hex(&file.digest), file.number))
    }
}

fn remove_file(path: &Path) {
    if let Err(e) = fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        log::warn!(error:% = e; "a cached file could not be removed: {}", path.display());
    }
}

fn parse_name(name: &str) -> Option<(Digest, u64)> {
    let (digest, number) = name.split_once('-')?;
    if digest.len() != 64 || number.len() != 16 || !name.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((bytes, u64::from_str_radix(number, 16).ok()?))
}

fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp")
        .is_some_and(|name| parse_name(name).is_some())
}

struct Header {
    checksum: Digest,
    identity: String,
    e_tag: String,
    /// Of the object, in bytes.
    length: u64,
    /// Of the header itself, in bytes.
    size: u64,
}

fn write_file(path: &Path, file: &File, bytes: &Bytes) -> io::Result<()> {
    let mut header = Vec::with_capacity(FIXED + file.identity.len() + file.e_tag.len());
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&checksum(file, bytes));
    for text in [&file.identity, &file.e_tag] {
        let length = u32::try_from(text.len())
            .ok()
            .filter(|length| *length <= MAX_TEXT);
        let length = length.ok_or_else(|| invalid("the identity or the ETag is too long"))?;
        header.extend_from_slice(&length.to_le_bytes());
    }
    header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    header.extend_from_slice(file.identity.as_bytes());
    header.extend_from_slice(file.e_tag.as_bytes());
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    // Sources may be private, and other users of the machine are none of ours.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(path)?;
    written.write_all(&header)?;
    written.write_all(bytes)?;
    note_use(&written);
    Ok(())
}

/// The order of use outlives the process in the files' times; that they are right is not essential. The system's own
/// time of writing is too coarse to be compared with these.
fn note_use(file: &fs::File) {
    if let Err(e) = file.set_modified(SystemTime::now()) {
        log::debug!("the use of a cached file could not be noted: {e}");
    }
}

/// Of all that the file says, not only of the object's bytes.
fn checksum(file: &File, bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(file.identity.as_bytes());
    context.update(b"\0");
    context.update(file.e_tag.as_bytes());
    context.update(b"\0");
    context.update(bytes);
    finish(context)
}

/// What a file says of itself, if its length is right. Whether its bytes are is seen when they are read.
fn inspect(path: &Path, digest: Digest, number: u64) -> io::Result<File> {
    let mut opened = fs::File::open(path)?;
    let header = read_header(&mut opened)?;
    let bytes = opened.metadata()?.len();
    if bytes != header.size + header.length {
        return Err(invalid("its length is wrong"));
    }
    Ok(File {
        digest,
        number,
        identity: header.identity,
        e_tag: header.e_tag,
        bytes,
    })
}

fn read_header(file: &mut fs::File) -> io::Result<Header> {
    let mut magic = [0; 8];
    let mut checksum = [0; 32];
    let mut short = [0; 4];
    let mut long = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(invalid("it is of another kind"));
    }
    file.read_exact(&mut checksum)?;
    let mut lengths = [0; 2];
    for length in &mut lengths {
        file.read_exact(&mut short)?;
        *length = u32::from_le_bytes(short);
        if *length > MAX_TEXT {
            return Err(invalid("its header is damaged"));
        }
    }
    file.read_exact(&mut long)?;
    let mut text = |length: u32| {
        let mut bytes = vec![0; length as usize];
        file.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| invalid("its header is damaged"))
    };
    let [identity, e_tag] = lengths;
    Ok(Header {
        checksum,
        identity: text(identity)?,
        e_tag: text(e_tag)?,
        length: u64::from_le_bytes(long),
        size: FIXED as u64 + u64::from(identity) + u64::from(e_tag),
    })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
