//! The HTTP client below `object_store`: time-outs that suit large objects, and errors that keep what the store said.
//!
//! `object_store` tells the store's answer as text only. Its client can be wrapped, and an error that the wrapper returns
//! stays in the chain of sources, so answers that are no success become a [`Fault`] here, which `fault.rs` finds again.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Slower uploads than this are taken for stuck, in bytes a second.
const SLOWEST_UPLOAD: usize = 128 << 10;

/// As much of an error's answer as is read; S3's have some hundred bytes.
const MAX_FAULT_BYTES: usize = 64 << 10;

/// What a store answered when it was no success.
#[derive(Debug, Default)]
pub(super) struct Fault {
    pub(super) status: u16,
    /// The store's own word, such as `NoSuchKey`; empty where it gave none.
    pub(super) code: String,
    /// The store's sentence, for the log.
    pub(super) message: String,
    /// Where the bucket lies, if the store said so.
    pub(super) region: Option<String>,
    /// It was not the store that answered but the service that issues credentials.
    pub(super) credentials: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// The connection failed before any answer; says only what it was for.
#[derive(Debug)]
pub(super) struct Unreached {
    /// It was the service that issues credentials that did not answer.
    pub(super) credentials: bool,
    source: HttpError,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Unreached {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The other side said nothing for too long.
#[derive(Debug)]
pub(super) struct Silent(pub(super) Duration);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing came for {:?}", self.0)
    }
}

impl std::error::Error for Silent {}

/// How long sending this much may take before it counts as stuck.
pub(super) fn upload_allowance(bytes: usize) -> Duration {
    Duration::from_secs((bytes / SLOWEST_UPLOAD) as u64)
}

/// Makes the clients that [`object_store`] talks through.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) read_timeout: Duration,
    /// After a 403 of AWS's metadata service, `object_store` is to try its older protocol, so it has to see the 403.
    pub(super) imdsv1_fallback: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            inner: ReqwestConnector::default().connect(options)?,
            read_timeout: self.read_timeout,
            imdsv1_fallback: self.imdsv1_fallback,
        }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    read_timeout: Duration,
    imdsv1_fallback: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let credentials = issues_credentials(&host);
        let patience = self.read_timeout + upload_allowance(request.body().content_length());
        let response = match timeout(patience, self.inner.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(source)) => {
                let kind = source.kind();
                return Err(HttpError::new(
                    kind,
                    Unreached {
                        credentials,
                        source,
                    },
                ));
            }
            Err(_) => {
                let source = HttpError::new(HttpErrorKind::Timeout, Silent(patience));
                return Err(HttpError::new(
                    HttpErrorKind::Timeout,
                    Unreached {
                        credentials,
                        source,
                    },
                ));
            }
        };
        let response = response.map(|body| {
            HttpResponseBody::new(TimedBody {
                inner: body,
                patience: self.read_timeout,
                silence: Box::pin(sleep(self.read_timeout)),
            })
        });
        let status = response.status().as_u16();
        let fallback = self.imdsv1_fallback && status == 403 && credentials;
        if status < 300 || status == 304 || fallback {
            return Ok(response);
        }
        let fault = read_fault(response, credentials).await;
        // `object_store` repeats after `Request` errors and not after `Unknown` ones, as it does after such statuses.
        let kind = if is_transient(status) {
            HttpErrorKind::Request
        } else {
            HttpErrorKind::Unknown
        };
        Err(HttpError::new(kind, fault))
    }
}

/// Whether the same request may succeed a moment later.
pub(super) fn is_transient(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

fn is_link_local(host: &str) -> bool {
    host.starts_with("169.254.") || host.eq_ignore_ascii_case("[fd00:ec2::254]")
}

/// Credentials come from services of their own; their refusals mean something else than the store's.
fn issues_credentials(host: &str) -> bool {
    let issuer = |prefix: &str| host.starts_with(prefix);
    is_link_local(host)
        || [
            "sts.",
            "login.",
            "oauth2.",
            "metadata.google.",
            "iamcredentials.",
        ]
        .into_iter()
        .any(issuer)
}

async fn read_fault(response: HttpResponse, credentials: bool) -> Fault {
    let (parts, body) = response.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let mut text = Vec::new();
    let mut body = body.bytes_stream();
    while let Some(Ok(bytes)) = body.next().await {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_FAULT_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let element = |name: &str| element(&text, name);
    Fault {
        status: parts.status.as_u16(),
        code: header("x-ms-error-code")
            .or_else(|| element("Code"))
            .unwrap_or_default(),
        message: element("Message").unwrap_or_default(),
        region: header("x-amz-bucket-region").or_else(|| element("Region")),
        credentials,
    }
}

/// The text of the first element of this name in an XML document.
fn element(document: &str, name: &str) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(document);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name.as_bytes() => {
                let text = reader.read_text(start.name()).ok()?;
                let text = text.decode().ok()?;
                return Some(text.chars().take(500).collect());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// A body that fails when nothing comes for a while, however long it is as a whole.
struct TimedBody {
    inner: HttpResponseBody,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.silence.as_mut().reset(Instant::now() + this.patience);
            return Poll::Ready(frame);
        }
        ready!(this.silence.as_mut().poll(cx));
        Poll::Ready(Some(Err(HttpError::new(
            HttpErrorKind::Timeout,
            Silent(this.patience),
        ))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_word_is_read_from_its_answer() {
        let s3 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";
        assert_eq!(element(s3, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(s3, "Message").as_deref(), Some("gone"));
        assert_eq!(element(s3, "Region"), None);
        assert_eq!(element("<html><b>no</html>", "Code"), None);
        assert_eq!(element("not XML at all", "Code"), None);
        assert_eq!(element("", "Code"), None);
    }
}
