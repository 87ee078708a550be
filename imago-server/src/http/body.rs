//! Request bodies: their media type, their size, and the time that they may take.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::problem::Problem;

/// What of an unread body is thrown away, so that a client that still sends can read its answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// How large a body may be, how long it may take, and what an error answer says of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    /// The setting of `bytes`.
    pub(crate) setting: &'static str,
    /// What to do about a body that is too large.
    pub(crate) advice: &'static str,
    pub(crate) time: Duration,
}

/// Refuses a body that is not JSON by its headers. A body without `Content-Type` passes: what it is shows in parsing.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    expect_plain(headers)?;
    match headers.get(CONTENT_TYPE) {
        Some(value) if !is_json(value) => Err(unsupported(format!(
            "the body must be `Content-Type: application/json`, got `{}`",
            shown(value)
        ))),
        _ => Ok(()),
    }
}

/// Refuses a body that is no image by its headers. What it is shows in its bytes: any type of images will do, or none.
pub(crate) fn expect_image(headers: &HeaderMap) -> Result<(), Problem> {
    expect_plain(headers)?;
    match headers.get(CONTENT_TYPE) {
        Some(value) if !is_image(value) => Err(unsupported(format!(
            "the body must be an image, `Content-Type: image/…` or `application/octet-stream`, got `{}`",
            shown(value)
        ))),
        _ => Ok(()),
    }
}

/// Refuses a body that is compressed for its transport.
fn expect_plain(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail = format!(
                "the body must come without `Content-Encoding`, got `{}`",
                shown(coding)
            );
            let identity = HeaderValue::from_static("identity");
            Err(unsupported(detail).with_header(ACCEPT_ENCODING, identity))
        }
        _ => Ok(()),
    }
}

fn unsupported(detail: String) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Whether the media type is one that images have.
fn is_image(value: &HeaderValue) -> bool {
    const OTHERS: [&str; 5] = [
        "application/dicom",
        "application/eps",
        "application/octet-stream",
        "application/pdf",
        "application/postscript",
    ];
    let essence = value.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("image/") || OTHERS.contains(&essence.as_str())
}

/// Whether the media type is JSON in UTF-8.
fn is_json(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
                let charset = charset.trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            // Unknown parameters are ignored, as RFC 8259 says that there are none.
            _ => true,
        })
}

/// A header's value in an error sentence.
fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes())
        .chars()
        .take(100)
        .collect()
}

/// Reads a body within these bounds.
pub(crate) async fn read(body: &mut Incoming, bounds: Bounds) -> Result<Bytes, Problem> {
    let limit = bounds.bytes;
    let too_large = || {
        let detail = format!(
            "the body is larger than {} (`{}`); {}",
            bytesize::ByteSize(limit).display().iec(),
            bounds.setting,
            bounds.advice
        );
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(bounds.time, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let detail = format!("the body broke off: {error}");
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
        Err(_) => {
            let detail = format!(
                "the body did not arrive within {} (`limits.body-timeout`)",
                humantime::format_duration(bounds.time)
            );
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

/// Throws away, in the background and within bounds, what was not read of a body.
///
/// Without it the connection would be reset under a client that still sends, and the answer lost with it.
pub(crate) fn discard(body: Incoming) {
    tokio::spawn(async move {
        let mut limited = std::pin::pin!(Limited::new(body, LINGER_BYTES));
        let read = async { while let Some(Ok(_)) = limited.frame().await {} };
        // A client that goes on for longer loses its connection.
        drop(tokio::time::timeout(LINGER, read).await);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_images() {
        for (value, expected) in [
            ("image/png", true),
            ("Image/X-Anything; a=b", true),
            ("application/octet-stream", true),
            ("application/pdf", true),
            ("application/json", false),
            ("application/x-www-form-urlencoded", false),
            ("images/png", false),
            ("", false),
        ] {
            let header = HeaderValue::from_static(value);
            assert_eq!(is_image(&header), expected, "{value}");
        }
    }

    #[test]
    fn media_types() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("application/json; profile=x", true),
            ("application/json; charset=latin1", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
            ("application/problem+json", false),
            ("application/jsonx", false),
            ("", false),
        ] {
            assert_eq!(
                is_json(&HeaderValue::from_static(value)),
                expected,
                "{value}"
            );
        }
    }
}
