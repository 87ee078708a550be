//! `/`: the web console, a page that does what any client of the API can do.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::{Answer, whole};

/// Nothing from elsewhere, nothing inline, and no other site's frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `GET /`.
pub(super) fn page() -> Answer {
    file(
        "text/html; charset=utf-8",
        include_bytes!("../../console/index.html"),
    )
}

/// `GET /console.js`.
pub(super) fn script() -> Answer {
    file(
        "text/javascript; charset=utf-8",
        include_bytes!("../../console/console.js"),
    )
}

/// `GET /console.css`.
pub(super) fn style() -> Answer {
    file(
        "text/css; charset=utf-8",
        include_bytes!("../../console/console.css"),
    )
}

fn file(media_type: &'static str, content: &'static [u8]) -> Answer {
    let mut answer = whole(StatusCode::OK, media_type, Bytes::from_static(content));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
