//! What is stored with an object besides its bytes.

use std::collections::BTreeMap;

use object_store::{Attribute, Attributes};

use super::Scheme;
use crate::{Error, ErrorKind, Result};

/// How a header that carries user metadata begins, on any store.
const METADATA_PREFIX: &str = "x-amz-meta-";

/// What S3 takes as user metadata: names and values together, in bytes. Azure takes 8 KB, GCS too.
const MAX_METADATA_BYTES: usize = 2048;

/// Keeps the whole request's head below what servers commonly take (8 KB).
const MAX_VALUE_BYTES: usize = 1024;

/// The headers that an object is stored with: its media type, `Cache-Control`, `Content-Disposition`,
/// `Content-Encoding`, `Content-Language`, and user metadata, which is written `x-amz-meta-name` whatever the store.
///
/// All are checked here: printable ASCII values of at most 1,024 bytes, less than 2,048 bytes of metadata. A metadata
/// name is made of letters, digits, `-` and `_`, begins with a letter and is stored in lowercase. Azure has no place for a
/// `-` in a name and gets a `_` instead: `x-amz-meta-job-id` becomes `job_id` there and stays `job-id` elsewhere.
///
/// `file://` has no place for any of them: they are dropped there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHeaders {
    content_type: String,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    /// By the name on Azure, where two others may become one; with it the name as written.
    metadata: BTreeMap<String, (String, String)>,
}

impl ObjectHeaders {
    /// Headers with this media type, such as `image/jpeg`.
    ///
    /// [`ErrorKind::InvalidHeader`] if it is none.
    pub fn new(content_type: &str) -> Result<Self> {
        check_value("Content-Type", content_type)?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
        if !essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        {
            return Err(invalid(format!(
                "`{content_type}` is no media type, as `image/jpeg` is"
            )));
        }
        Ok(Self {
            content_type: content_type.to_owned(),
            cache_control: None,
            content_disposition: None,
            content_encoding: None,
            content_language: None,
            metadata: BTreeMap::new(),
        })
    }

    /// Adds a header, or replaces it. Its name may be in any case.
    ///
    /// [`ErrorKind::InvalidHeader`] if no store could keep it. `a-b` and `a_b` are one metadata name: the last one stays.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<()> {
        let lower = name.to_ascii_lowercase();
        let field = match lower.as_str() {
            "content-type" => {
                self.content_type = Self::new(value)?.content_type;
                return Ok(());
            }
            "cache-control" => &mut self.cache_control,
            "content-disposition" => &mut self.content_disposition,
            "content-encoding" => &mut self.content_encoding,
            "content-language" => &mut self.content_language,
            _ => return self.insert_metadata(name, &lower, value),
        };
        check_value(name, value)?;
        *field = Some(value.to_owned());
        Ok(())
    }

    /// The media type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    fn insert_metadata(&mut self, name: &str, lower: &str, value: &str) -> Result<()> {
        let Some(key) = lower.strip_prefix(METADATA_PREFIX) else {
            return Err(invalid(format!(
                "the header `{}` is not stored; Content-Type, Cache-Control, Content-Disposition, Content-Encoding, Content-Language and `{METADATA_PREFIX}…` are",
                name.escape_default()
            )));
        };
        let name_byte =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if !key.starts_with(|c: char| c.is_ascii_lowercase()) || !key.bytes().all(name_byte) {
            return Err(invalid(format!(
                "the metadata name in `{}` must begin with a letter and go on with letters, digits, `-` and `_`, as in `{METADATA_PREFIX}job-id`",
                name.escape_default()
            )));
        }
        check_value(name, value)?;
        let folded = key.replace('-', "_");
        let others = self.metadata.iter().filter(|(other, _)| **other != folded);
        let others: usize = others
            .map(|(name, (_, value))| name.len() + value.len())
            .sum();
        let size = others + key.len() + value.len();
        if size >= MAX_METADATA_BYTES {
            return Err(invalid(format!(
                "with `{name}` the user metadata has {size} bytes, and stores take less than {MAX_METADATA_BYTES}"
            )));
        }
        self.metadata
            .insert(folded, (key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// What `object_store` takes for this kind of store.
    pub(super) fn attributes(&self, scheme: Scheme) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, self.content_type.clone().into());
        for (attribute, value) in [
            (Attribute::CacheControl, &self.cache_control),
            (Attribute::ContentDisposition, &self.content_disposition),
            (Attribute::ContentEncoding, &self.content_encoding),
            (Attribute::ContentLanguage, &self.content_language),
        ] {
            if let Some(value) = value {
                attributes.insert(attribute, value.clone().into());
            }
        }
        for (folded, (name, value)) in &self.metadata {
            let name = if scheme == Scheme::Azure {
                folded
            } else {
                name
            };
            attributes.insert(
                Attribute::Metadata(name.clone().into()),
                value.clone().into(),
            );
        }
        attributes
    }

    /// Names and values as an HTTP PUT sends them.
    pub(super) fn for_http(&self) -> Vec<(String, &str)> {
        let mut headers = vec![("content-type".to_owned(), self.content_type.as_str())];
        for (name, value) in [
            ("cache-control", &self.cache_control),
            ("content-disposition", &self.content_disposition),
            ("content-encoding", &self.content_encoding),
            ("content-language", &self.content_language),
        ] {
            if let Some(value) = value {
                headers.push((name.to_owned(), value));
            }
        }
        for (name, value) in self.metadata.values() {
            headers.push((format!("{METADATA_PREFIX}{name}"), value));
        }
        headers
    }
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// `object_store` panics on control characters, and cannot read back an object whose headers are not ASCII.
fn check_value(name: &str, value: &str) -> Result<()> {
    let name = name.escape_default();
    if value.is_empty() || value.trim() != value {
        return Err(invalid(format!(
            "the value of `{name}` must not be empty, nor begin or end with a blank"
        )));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(invalid(format!(
            "the value of `{name}` has {} bytes, over {MAX_VALUE_BYTES}",
            value.len()
        )));
    }
    if let Some(bad) = value.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(invalid(format!(
            "the value of `{name}` contains `{}`; only printable ASCII can be stored",
            bad.escape_default()
        )));
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidHeader, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_store_can_keep_is_refused() {
        for content_type in [
            "",
            "jpeg",
            "image/",
            "/jpeg",
            "image/jpeg\n",
            "image/jp eg",
            "imäge/jpeg",
            " image/jpeg",
        ] {
            let error = ObjectHeaders::new(content_type).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidHeader, "{content_type:?}");
        }
        let long = "v".repeat(1025);
        for (name, value) in [
            ("Cache-Control", "no\nstore"),
            ("Cache-Control", "a\r\nX-Evil: b"),
            ("Cache-Control", ""),
            ("Cache-Control", " no-store"),
            ("Cache-Control", "tab\there"),
            ("Content-Disposition", "attachment; filename=\"ü.jpg\""),
            ("Content-Disposition", &long),
            ("Content-Type", "nonsense"),
            ("Host", "evil.example"),
            ("Authorization", "Bearer x"),
            ("x-amz-acl", "public-read"),
            ("x-amz-meta-", "v"),
            ("x-amz-meta-a b", "v"),
            ("x-amz-meta-ä", "v"),
            ("x-amz-meta-1st", "v"),
            ("x-amz-meta-_a", "v"),
            ("x-amz-meta-a.b", "v"),
            ("x-amz-meta-a\n", "v"),
            ("x-amz-meta-a", "ü"),
            ("x-amz-meta-a", "a\0"),
        ] {
            let mut headers = ObjectHeaders::new("image/jpeg").unwrap();
            let before = headers.clone();
            let error = headers.insert(name, value).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidHeader,
                "{name:?}: {value:?}"
            );
            assert_eq!(headers, before, "{name:?}: {value:?}");
            assert!(
                !error.to_string().contains(|c: char| c.is_control()),
                "{error:?}"
            );
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let mut headers = ObjectHeaders::new("image/jpeg").unwrap();
        headers.insert("x-amz-meta-a", &"v".repeat(1000)).unwrap();
        headers.insert("x-amz-meta-b", &"v".repeat(1000)).unwrap();
        // Replacing does not add up.
        headers.insert("x-amz-meta-b", &"w".repeat(1000)).unwrap();
        let error = headers.insert("x-amz-meta-c", &"v".repeat(45)).unwrap_err();
        assert!(error.to_string().contains("2048 bytes"), "{error}");
        headers.insert("x-amz-meta-c", &"v".repeat(44)).unwrap();
    }

    #[test]
    fn names_fit_their_store() {
        let mut headers = ObjectHeaders::new("image/jpeg").unwrap();
        headers.insert("X-Amz-Meta-Job-Id", "7").unwrap();
        headers.insert("CACHE-CONTROL", "no-store").unwrap();
        let name = |scheme| {
            let attributes = headers.attributes(scheme);
            let mut names: Vec<_> = attributes
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(
            name(Scheme::S3),
            "CacheControl ContentType Metadata(\"job-id\")"
        );
        assert_eq!(
            name(Scheme::Azure),
            "CacheControl ContentType Metadata(\"job_id\")"
        );
        assert_eq!(
            headers.for_http(),
            [
                ("content-type".to_owned(), "image/jpeg"),
                ("cache-control".to_owned(), "no-store"),
                ("x-amz-meta-job-id".to_owned(), "7"),
            ]
        );
        headers.insert("x-amz-meta-job_id", "8").unwrap();
        assert_eq!(headers.for_http().last().unwrap().1, "8");
        assert_eq!(headers.for_http().len(), 3);
    }
}
