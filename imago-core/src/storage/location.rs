//! The URL of an object, taken apart without changing what it names.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Error, ErrorKind, Result};

/// The longest key that S3, GCS and Azure take, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Where an object lies: a parsed URL.
///
/// In `s3://`, `gs://`, `az://`, `abfs://`, `abfss://` and `memory://` URLs everything behind the bucket is the key, byte
/// for byte, as the AWS command line reads it: `s3://photos/a b+c%20d?e#f.jpg` names the key `a b+c%20d?e#f.jpg`. Nothing
/// is decoded and nothing needs to be encoded. A key that `object_store` cannot ask for is refused, never changed.
/// `http://`, `https://` and `file://` URLs follow their standards.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    url: String,
    target: Target,
    name: String,
}

/// What kind of store a [`Location`] lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// `s3://bucket/key`: Amazon S3 and what speaks its protocol.
    S3,
    /// `gs://bucket/key`: Google Cloud Storage.
    Gcs,
    /// `az://container/key`, `abfs[s]://container/key` and `abfs[s]://container@account.dfs.core.windows.net/key`: Azure
    /// Blob Storage.
    Azure,
    /// `file:///absolute/path`, below a configured root.
    File,
    /// `memory://bucket/key`, for tests.
    Memory,
    /// `http://`, presigned URLs included.
    Http,
    /// `https://`, presigned URLs included.
    Https,
}

/// A bucket or container; `account` is Azure's storage account, where the URL names one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BucketName {
    pub(super) scheme: Scheme,
    pub(super) account: Option<String>,
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Bucket { bucket: BucketName, key: Path },
    File(PathBuf),
    Http(Box<Url>),
}

impl Scheme {
    /// The scheme as URLs write it; the first of them where there are several.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
            Self::File => "file",
            Self::Memory => "memory",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Location {
    /// Takes a URL apart.
    ///
    /// Refused with [`ErrorKind::InvalidUrl`]: other schemes; credentials or a port in a bucket's URL; keys with empty,
    /// `.` or `..` segments, with `/` at an end, with control characters or of more than 1,024 bytes; relative file
    /// URLs and those of other hosts; control characters in an HTTP URL.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(not_a_url(url));
        };
        let (target, name) = match scheme.to_ascii_lowercase().as_str() {
            "s3" => bucket_and_key(url, Scheme::S3, rest)?,
            "gs" => bucket_and_key(url, Scheme::Gcs, rest)?,
            "az" | "abfs" | "abfss" => bucket_and_key(url, Scheme::Azure, rest)?,
            "memory" => bucket_and_key(url, Scheme::Memory, rest)?,
            "file" => file(url, rest)?,
            "http" | "https" => http(url, rest)?,
            _ => return Err(not_a_url(url)),
        };
        Ok(Self {
            url: url.to_owned(),
            target,
            name,
        })
    }

    /// The kind of store.
    pub fn scheme(&self) -> Scheme {
        match &self.target {
            Target::Bucket { bucket, .. } => bucket.scheme,
            Target::File(_) => Scheme::File,
            Target::Http(url) if url.scheme() == "http" => Scheme::Http,
            Target::Http(_) => Scheme::Https,
        }
    }

    /// What stands behind the last dot of the last segment, in the case it was written: `jpg`. None without a dot,
    /// with nothing behind it, or with nothing before it (`.jpg`).
    ///
    /// Of HTTP URLs, the path counts, without the query and percent-decoded.
    pub fn extension(&self) -> Option<&str> {
        let (stem, extension) = self.name.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then_some(extension)
    }

    /// The last segment: the name that the object would have as a file, `a b.jpg`.
    ///
    /// Of HTTP URLs, the path counts, without the query and percent-decoded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL as it was given. It may hold secrets (a signed query, a password): show [`Display`](fmt::Display) instead.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

/// Fit for logs and messages: of HTTP URLs without query and user info.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Http(url) => f.write_str(&public(url)),
            _ => f.write_str(&self.url),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl std::str::FromStr for Location {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Self::parse(url)
    }
}

/// The URL without what may be secret.
pub(super) fn public(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn bucket_and_key(url: &str, scheme: Scheme, rest: &str) -> Result<(Target, String)> {
    let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, account) = match authority.split_once('@') {
        // Hadoop's way: the container takes the place of the user, the account's host follows.
        Some((container, host)) if scheme == Scheme::Azure && !container.contains(':') => {
            let account = host
                .strip_suffix(".dfs.core.windows.net")
                .or_else(|| host.strip_suffix(".blob.core.windows.net"))
                .filter(|account| !account.is_empty() && !account.contains('.'))
                .ok_or_else(|| {
                    invalid(url, "behind the `@` stands the account's host, as in `abfss://container@account.dfs.core.windows.net/key`")
                })?;
            if !account.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(invalid(
                    url,
                    "a storage account's name is made of letters and digits",
                ));
            }
            (container, Some(account.to_ascii_lowercase()))
        }
        // What stands before the `@` is probably a secret, so the message must not repeat the URL.
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                format!(
                    "a `{scheme}://` URL must not hold credentials before its bucket; they belong in the configuration, and the URL looks like `{scheme}://bucket/key`"
                ),
            ));
        }
        None => (authority, None),
    };
    if let Some((_, port)) = name.split_once(':') {
        let reason = if port.bytes().all(|b| b.is_ascii_digit()) {
            "it must not name a port: the endpoint belongs in the configuration"
        } else {
            "the bucket's name must not contain a colon"
        };
        return Err(invalid(url, reason));
    }
    check_bucket(url, scheme, name)?;
    check_key(url, scheme, key)?;
    // Only a raw key: `Path::from` would encode it, and the store would be asked for another object.
    let path = Path::parse(key).map_err(|e| invalid(url, "its key is refused").with_source(e))?;
    if path.as_ref() != key {
        return Err(invalid(url, "its key cannot be asked for unchanged"));
    }
    let name_in_bucket = last_segment(key);
    let bucket = BucketName {
        scheme,
        account,
        name: name.to_owned(),
    };
    Ok((Target::Bucket { bucket, key: path }, name_in_bucket))
}

/// The bucket becomes part of the store's URL, so nothing may be in it that means something there.
fn check_bucket(url: &str, scheme: Scheme, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(
            url,
            &format!("it names no bucket, as in `{scheme}://bucket/key`"),
        ));
    }
    let rest = match scheme {
        // `$root`, `$web` and `$logs` are Azure's own containers.
        Scheme::Azure => name.strip_prefix('$').unwrap_or(name),
        _ => name,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if rest.is_empty() || name.len() > 255 || !rest.bytes().all(allowed) || rest.starts_with('.') {
        return Err(invalid(
            url,
            &format!(
                "`{name}` is no bucket's name: letters, digits, `-`, `_` and `.` make one, beginning with a letter or digit"
            ),
        ));
    }
    Ok(())
}

fn check_key(url: &str, scheme: Scheme, key: &str) -> Result<()> {
    let refuse = |reason: &str| Err(invalid(url, reason));
    if key.is_empty() {
        return refuse(&format!(
            "it names no object, as in `{scheme}://bucket/key`"
        ));
    }
    if key.starts_with('/') {
        return refuse("its key begins with `/`, which no store can be asked for");
    }
    if key.ends_with('/') {
        return refuse("its key ends with `/`, which names a folder and no object");
    }
    if key.bytes().any(|b| b.is_ascii_control()) {
        return refuse("its key contains a control character");
    }
    if key.len() > MAX_KEY_BYTES {
        return refuse(&format!(
            "its key has {} bytes and stores take {MAX_KEY_BYTES}",
            key.len()
        ));
    }
    for segment in key.split('/') {
        match segment {
            "" => return refuse("its key contains `//`, which no store can be asked for"),
            "." | ".." => {
                return refuse(&format!("its key contains the segment `{segment}`"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn file(url: &str, rest: &str) -> Result<(Target, String)> {
    let refuse = |reason: &str| Err(invalid(url, reason));
    if rest.bytes().any(|b| b.is_ascii_control()) {
        return refuse("it contains a control character");
    }
    let path = match rest.split_once('/') {
        Some((host, _)) if host.is_empty() || host.eq_ignore_ascii_case("localhost") => {
            &rest[host.len()..]
        }
        Some((host, _)) if !matches!(host, "." | "..") => {
            return refuse(
                "its host is not this machine; a file URL has three slashes, as in `file:///data/in.jpg`",
            );
        }
        _ => return refuse("it is not absolute, as `file:///data/in.jpg` is"),
    };
    if path.contains(['?', '#']) {
        return refuse("a `?` or `#` in a file's name is written `%3F` or `%23`");
    }
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return refuse("its path is not UTF-8");
    };
    // Decoded only now, and a slash that was encoded is none: `%2F` would make two names of one.
    if rest.to_ascii_lowercase().contains("%2f") {
        return refuse("a file's name cannot contain `/`, nor its encoding `%2F`");
    }
    if path.bytes().any(|b| b.is_ascii_control()) {
        return refuse("its path contains a control character");
    }
    if path.ends_with('/') {
        return refuse("it ends with `/`, which names a folder and no file");
    }
    let name = last_segment(&path);
    Ok((Target::File(FilePath::new(path.as_ref()).to_owned()), name))
}

fn http(url: &str, rest: &str) -> Result<(Target, String)> {
    let example = "as in `https://images.example.com/in.jpg`";
    // The parser drops tabs and newlines and trims blanks; another URL than the given one must not be asked for.
    if url.bytes().any(|b| b.is_ascii_control()) || url.trim() != url {
        return Err(http_invalid(
            "a control character, or a blank at an end",
            example,
        ));
    }
    // The parser would skip slashes until it finds something to take for the host.
    if rest.is_empty() || rest.starts_with(['/', '\\']) {
        return Err(http_invalid("no host", example));
    }
    let mut parsed =
        Url::parse(url).map_err(|e| http_invalid("a mistake", example).with_source(e))?;
    if parsed.host().is_none() {
        return Err(http_invalid("no host", example));
    }
    parsed.set_fragment(None);
    let path = percent_decode_str(parsed.path()).decode_utf8_lossy();
    let name = last_segment(&path);
    Ok((Target::Http(Box::new(parsed)), name))
}

fn last_segment(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// For URLs that hold no secrets.
fn invalid(url: &str, reason: &str) -> Error {
    Error::new(
        ErrorKind::InvalidUrl,
        format!("the URL `{url}` does not name an object: {reason}"),
    )
}

/// HTTP URLs may hold secrets anywhere as long as they do not parse, so the message leaves them out.
fn http_invalid(what: &str, example: &str) -> Error {
    Error::new(
        ErrorKind::InvalidUrl,
        format!("the HTTP URL contains {what}; expected a whole URL, {example}"),
    )
}

fn not_a_url(url: &str) -> Error {
    // Of `scheme:rest`, only what is surely no secret.
    let shown = match url.split_once(':') {
        Some((scheme, _))
            if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            format!("one that begins with `{}:`", shorten(scheme))
        }
        _ => format!("`{}`", shorten(url)),
    };
    Error::new(
        ErrorKind::InvalidUrl,
        format!(
            "expected a URL with one of the schemes s3, gs, az, abfs, abfss, file, http and https, as in `s3://bucket/in.jpg`, not {shown}"
        ),
    )
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "location_tests.rs"]
mod tests;
