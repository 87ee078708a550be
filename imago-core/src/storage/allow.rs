//! The list of URL prefixes that may be used.

use std::path::Component;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Location;
use super::location::{BucketName, Scheme, Target, public};
use crate::{Error, ErrorKind, Result};

/// URL prefixes; an empty list allows everything.
#[derive(Debug, Clone, Default)]
pub(super) struct AllowList(Vec<Prefix>);

/// A prefix is compared in parts, so that `s3://shop` does not allow `s3://shop-secrets/`.
#[derive(Debug, Clone)]
enum Prefix {
    Bucket { bucket: BucketName, key: String },
    File(String),
    Http(Url),
}

impl AllowList {
    pub(super) fn new(prefixes: &[String]) -> Result<Self> {
        prefixes
            .iter()
            .map(|prefix| parse(prefix))
            .collect::<Result<_>>()
            .map(Self)
    }

    pub(super) fn allows(&self, location: &Location) -> bool {
        match location.target() {
            _ if self.0.is_empty() => true,
            Target::Http(url) => self.allows_http(url),
            Target::Bucket { bucket, key } => self.0.iter().any(|prefix| {
                matches!(prefix, Prefix::Bucket { bucket: b, key: k } if b == bucket && key.as_ref().starts_with(k))
            }),
            // Links are the roots' matter; here a name that leads out of the prefix by `..` counts as outside.
            Target::File(path) => {
                let up = path.components().any(|part| part == Component::ParentDir);
                let path = path.to_str().unwrap_or_default();
                !up && self.0.iter().any(
                    |prefix| matches!(prefix, Prefix::File(prefix) if path.starts_with(prefix)),
                )
            }
        }
    }

    pub(super) fn allows_http(&self, url: &Url) -> bool {
        if self.0.is_empty() {
            return true;
        }
        // Servers may take an encoded slash or backslash for a slash, and then `..` leads out of the prefix.
        let decoded = percent_decode_str(url.path()).decode_utf8_lossy();
        if decoded.split(['/', '\\']).any(|segment| segment == "..") {
            return false;
        }
        self.0.iter().any(|prefix| {
            matches!(prefix, Prefix::Http(prefix)
                if prefix.origin() == url.origin() && url.path().starts_with(prefix.path()))
        })
    }
}

fn parse(prefix: &str) -> Result<Prefix> {
    let refuse = || {
        Error::new(
            ErrorKind::StoreNotAllowed,
            format!(
                "the allowed prefix `{prefix}` is no URL's beginning, as `s3://bucket/folder/` and `https://images.example.com/` are"
            ),
        )
    };
    let (scheme, rest) = prefix.split_once("://").ok_or_else(refuse)?;
    if matches!(scheme, "http" | "https") {
        let url = Url::parse(prefix).map_err(|e| refuse().with_source(e))?;
        if url.query().is_some() || public(&url) != url.as_str() {
            return Err(refuse());
        }
        return Ok(Prefix::Http(url));
    }
    let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
    if scheme == "file" {
        let path = percent_decode_str(key).decode_utf8().ok();
        return match path {
            Some(path) if authority.is_empty() || authority == "localhost" => {
                Ok(Prefix::File(format!("/{path}")))
            }
            _ => Err(refuse()),
        };
    }
    // A key that is surely good, to read the bucket as a location's is read.
    let location = Location::parse(&format!("{scheme}://{authority}/key"))
        .map_err(|e| refuse().with_source(e))?;
    match location.target() {
        Target::Bucket { bucket, .. } => Ok(Prefix::Bucket {
            bucket: bucket.clone(),
            key: key.to_owned(),
        }),
        Target::File(_) | Target::Http(_) => Err(refuse()),
    }
}

/// The reason why a scheme is off, and the way to turn it on.
pub(super) fn not_configured(location: &Location) -> Error {
    let message = match location.scheme() {
        Scheme::File => {
            format!("`{location}` is not allowed: no folder is configured whose files may be used")
        }
        Scheme::Memory => {
            format!("`{location}` is not allowed: stores in memory are for tests and off")
        }
        _ => format!("`{location}` is not allowed: its store is not configured"),
    };
    Error::new(ErrorKind::StoreNotAllowed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_names_end() {
        let allow = |prefix: &str, url: &str| {
            let list = AllowList::new(&[prefix.to_owned()]).unwrap();
            list.allows(&Location::parse(url).unwrap())
        };
        for (prefix, url, expected) in [
            ("s3://shop", "s3://shop/a", true),
            ("s3://shop/", "s3://shop/a", true),
            ("s3://shop", "s3://shop-secrets/a", false),
            ("s3://shop/", "gs://shop/a", false),
            ("s3://shop/in/", "s3://shop/in/a", true),
            ("s3://shop/in/", "s3://shop/inner/a", false),
            ("s3://shop/in", "s3://shop/inner/a", true),
            ("az://c/", "abfs://c/a", true),
            ("az://c/", "abfss://c@acct.dfs.core.windows.net/a", false),
            (
                "abfss://c@acct.dfs.core.windows.net/",
                "abfss://c@acct.dfs.core.windows.net/a",
                true,
            ),
            ("https://h.example/", "https://h.example/a?b=c", true),
            (
                "https://h.example",
                "https://h.example.evil.example/a",
                false,
            ),
            (
                "https://h.example/",
                "https://h.example@evil.example/a",
                false,
            ),
            ("https://h.example/", "https://user:pass@h.example/a", true),
            ("https://h.example/", "http://h.example/a", false),
            ("https://h.example/", "https://h.example:444/a", false),
            ("https://h.example/", "https://h.example:443/a", true),
            (
                "https://h.example/in/",
                "https://h.example/in/../out/a",
                false,
            ),
            (
                "https://h.example/in/",
                "https://h.example/in/%2e%2e/out/a",
                false,
            ),
            (
                "https://h.example/in/",
                "https://h.example/in/..%2fout/a",
                false,
            ),
            ("https://h.example/in/", "https://h.example/in/a..b", true),
            ("file:///data/", "file:///data/a", true),
            ("file:///data/", "file:///data/../etc/passwd", false),
            ("file:///data/", "file:///data2/a", false),
        ] {
            assert_eq!(allow(prefix, url), expected, "{prefix} {url}");
        }
    }

    #[test]
    fn a_bad_prefix_is_an_error() {
        for prefix in [
            "",
            "shop",
            "s3:shop",
            "ftp://h/",
            "https://h/?a=b",
            "https://u:p@h/",
            "s3://",
        ] {
            assert!(AllowList::new(&[prefix.to_owned()]).is_err(), "{prefix}");
        }
    }
}
