//! What the kit's own clients of the object stores share.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, ReqwestConnector};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::block_on;

/// All but the characters that signatures leave alone, and the slash.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// An object as it was served.
#[derive(Clone, Debug)]
pub struct Object {
    /// The body.
    pub bytes: Bytes,
    /// The answer's headers, all of them.
    pub headers: HeaderMap,
}

impl Object {
    /// The header `name`; none if it is not there or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Content-Type`.
    pub fn content_type(&self) -> Option<&str> {
        self.header("content-type")
    }

    /// The `ETag`, with its quotes.
    pub fn e_tag(&self) -> Option<&str> {
        self.header("etag")
    }
}

/// An answer that was read as a whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) object: Object,
}

impl Answer {
    /// Tells whether there is an object. Any failure but its absence is the test's.
    pub(crate) fn found(&self, key: &str) -> bool {
        match self.status {
            StatusCode::NOT_FOUND => false,
            status if status.is_success() => true,
            status => panic!("the server answers {status} for `{key}`: {}", self.text()),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.object.bytes).into_owned()
    }
}

/// A client for loopback addresses.
pub(crate) fn new() -> HttpClient {
    ReqwestConnector::default()
        .connect(&ClientOptions::new().with_allow_http(true))
        .expect("an HTTP client can be made")
}

/// Sends a request and reads its answer.
pub(crate) fn send(client: &HttpClient, request: HttpRequest) -> Result<Answer, String> {
    block_on(send_async(client, request))
}

/// As [`send`], without blocking.
pub(crate) async fn send_async(
    client: &HttpClient,
    request: HttpRequest,
) -> Result<Answer, String> {
    let response = client.execute(request).await.map_err(|e| e.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?;
    Ok(Answer {
        status: parts.status,
        object: Object {
            bytes: body.to_bytes(),
            headers: parts.headers,
        },
    })
}

/// A key as it stands in a URL's path.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string()
}
