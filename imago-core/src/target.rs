//! Where results go: one place, or one for each of several images.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Location, Scheme};

/// An `outfile`: a URL, which may hold a place for a number, and which a format's name may precede.
///
/// `%d` is the number of the image, and `%03d` the number in three digits, as ImageMagick has them. It counts only where no
/// letter or digit follows, so the `%d0%bf` of an encoded URL is none.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `PNG8` of `PNG8:s3://bucket/a.png`.
    prefix: Option<String>,
    url: String,
    /// Where in the URL the number goes, how long its place is, and in how many digits.
    place: Option<(usize, usize, usize)>,
    first: Location,
}

impl Target {
    pub(crate) fn parse(outfile: &str) -> Result<Self> {
        let (prefix, url) = split_prefix(outfile);
        let place = find_place(url);
        let first = Location::parse(&number(url, place, 0))?;
        Ok(Self {
            prefix: prefix.map(str::to_owned),
            url: url.to_owned(),
            place,
            first,
        })
    }

    /// The name of the format that precedes the URL.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// The place of the first image, or of the only one.
    pub(crate) fn first(&self) -> &Location {
        &self.first
    }

    /// Whether each image goes to a place of its own.
    pub(crate) fn is_numbered(&self) -> bool {
        self.place.is_some()
    }

    /// The URL for an image with this number, or for all in one file.
    ///
    /// Without a place for it the number goes before the extension, as `magick` does it: `out-0.jpg`.
    pub(crate) fn url(&self, scene: Option<usize>) -> Result<String> {
        let Some(scene) = scene else {
            return Ok(self.url.clone());
        };
        if self.place.is_some() {
            return Ok(number(&self.url, self.place, scene));
        }
        let is_http = matches!(self.first.scheme(), Scheme::Http | Scheme::Https);
        if is_http && self.url.contains(['?', '#']) {
            return Err(Error::new(
                ErrorKind::OperationFailed,
                format!(
                    "there are several images and one URL, `{}`, which can't be numbered because it has a query; choose one image, or join them, as with `append`",
                    self.first
                ),
            ));
        }
        let name = self.url.rfind('/').map_or(0, |slash| slash + 1);
        let dot = self.url[name..].rfind('.').filter(|dot| *dot > 0);
        let at = dot.map_or(self.url.len(), |dot| name + dot);
        Ok(format!("{}-{scene}{}", &self.url[..at], &self.url[at..]))
    }
}

/// Splits `PNG8:s3://bucket/a.png` before the URL. A URL's own scheme is no format: `//` follows it.
fn split_prefix(outfile: &str) -> (Option<&str>, &str) {
    match outfile.split_once(':') {
        Some((prefix, url))
            if !url.starts_with("//")
                && url
                    .split_once("://")
                    .is_some_and(|(scheme, _)| is_word(scheme))
                && is_word(prefix) =>
        {
            (Some(prefix), url)
        }
        _ => (None, outfile),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Finds `%d` or `%0Nd`.
fn find_place(url: &str) -> Option<(usize, usize, usize)> {
    url.match_indices('%').find_map(|(at, _)| {
        let rest = &url[at + 1..];
        let digits = match rest.as_bytes() {
            [b'0', digits @ b'1'..=b'9', ..] => usize::from(digits - b'0'),
            _ => 0,
        };
        let length = if digits > 0 { 3 } else { 1 };
        let after = rest.get(length - 1..)?.strip_prefix('d')?;
        let alone = !after.starts_with(|next: char| next.is_alphanumeric());
        alone.then_some((at, length + 1, digits))
    })
}

fn number(url: &str, place: Option<(usize, usize, usize)>, scene: usize) -> String {
    match place {
        Some((at, length, digits)) => {
            format!("{}{scene:0digits$}{}", &url[..at], &url[at + length..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_as_magick_names_them() {
        for (outfile, scene, expected) in [
            ("s3://b/a.jpg", None, "s3://b/a.jpg"),
            ("s3://b/a.jpg", Some(2), "s3://b/a-2.jpg"),
            ("s3://b/dir.x/a", Some(2), "s3://b/dir.x/a-2"),
            ("s3://b/.hidden", Some(0), "s3://b/.hidden-0"),
            ("s3://b/a-%d.jpg", Some(12), "s3://b/a-12.jpg"),
            ("s3://b/a-%03d.jpg", Some(12), "s3://b/a-012.jpg"),
            ("s3://b/%d/a", Some(1), "s3://b/1/a"),
            ("s3://b/page-%02d", Some(1), "s3://b/page-01"),
            ("PNG8:s3://b/a.png", None, "s3://b/a.png"),
            // No places for numbers.
            ("s3://b/100%done.jpg", Some(1), "s3://b/100%done-1.jpg"),
            ("s3://b/a%20dog.jpg", None, "s3://b/a%20dog.jpg"),
            ("https://h/%d0%bf.jpg", None, "https://h/%d0%bf.jpg"),
            ("s3://b/50%.jpg", None, "s3://b/50%.jpg"),
            ("s3://b/é%", None, "s3://b/é%"),
            ("s3://b/%é", None, "s3://b/%é"),
            ("s3://b/%0é", None, "s3://b/%0é"),
        ] {
            let target =
                Target::parse(outfile).unwrap_or_else(|error| panic!("{outfile}: {error}"));
            assert_eq!(target.url(scene).expect(outfile), expected, "{outfile}");
        }
    }

    #[test]
    fn a_format_may_precede_the_url() {
        for (outfile, prefix) in [
            ("PNG8:s3://b/a.png", Some("PNG8")),
            ("png24:file:///a.png", Some("png24")),
            ("s3://b/a.png", None),
            ("s3://b/PNG8:a.png", None),
        ] {
            let target =
                Target::parse(outfile).unwrap_or_else(|error| panic!("{outfile}: {error}"));
            assert_eq!(target.prefix(), prefix, "{outfile}");
        }
    }

    #[test]
    fn a_signed_url_is_not_numbered() {
        let target = Target::parse("https://host/a.jpg?signature=x").expect("a URL");
        assert!(target.url(None).is_ok());
        let error = target
            .url(Some(0))
            .expect_err("its signature is for one name");
        assert!(!error.to_string().contains("signature"), "{error}");
    }
}
