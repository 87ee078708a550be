//! Objects behind HTTP URLs, presigned ones among them.
//!
//! `object_store` has an HTTP store, but it drops the query, needs a length in advance and follows any redirect.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::allow::AllowList;
use super::client::{Silent, is_transient, upload_allowance};
use super::egress::Egress;
use super::location::public;
use super::{Get, ObjectHeaders, Retry, Stored};
use crate::{Error, ErrorKind, Result};

/// As many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// As long as a server may make a retry wait by `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The client for HTTP URLs. It sends no credentials but what stands in the URL.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    retry: Retry,
    egress: Egress,
    allow: AllowList,
}

/// One request, to be made as often as needed.
struct Request<'a> {
    method: Method,
    headers: HeaderMap,
    body: Option<&'a Bytes>,
}

/// Why one try failed.
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl Http {
    pub(super) fn new(retry: Retry, egress: Egress, allow: AllowList) -> Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("imago/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would connect in our place, to addresses that nobody checked.
            .no_proxy()
            .referer(false)
            .connect_timeout(retry.connect_timeout)
            .dns_resolver(egress)
            .build()
            .map_err(|e| {
                Error::new(ErrorKind::Internal, "the HTTP client cannot be set up").with_source(e)
            })?;
        Ok(Self {
            client,
            retry,
            egress,
            allow,
        })
    }

    /// What is known before any request: a literal address that may not be asked.
    pub(super) fn check(&self, url: &Url) -> Result<()> {
        self.egress.check(url)
    }

    pub(super) async fn get(
        &self,
        url: &Url,
        if_none_match: Option<&str>,
        max_bytes: u64,
    ) -> Result<Get> {
        let mut headers = HeaderMap::new();
        if let Some(e_tag) = if_none_match {
            // An ETag came out of such a header and fits into one again.
            let value = HeaderValue::from_str(e_tag).map_err(|e| {
                Error::new(ErrorKind::Internal, "the ETag fits into no header").with_source(e)
            })?;
            headers.insert(header::IF_NONE_MATCH, value);
        }
        let request = Request {
            method: Method::GET,
            headers,
            body: None,
        };
        let response = self.send(url, &request).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if if_none_match.is_some() => Ok(Get::NotModified),
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
                Ok(self.object(url, response, max_bytes))
            }
            status => Err(answered(url, status)),
        }
    }

    fn object(&self, url: &Url, response: Response, max_bytes: u64) -> Get {
        let size = response.content_length();
        let patience = self.retry.read_timeout;
        let shown = public(url);
        let e_tag = e_tag(&response);
        let body = futures_util::stream::try_unfold(response, move |mut response| {
            let shown = shown.clone();
            async move {
                let broken = |what: &str| {
                    let message = format!("`{shown}` {what} in the middle of its answer");
                    Error::new(ErrorKind::StoreUnavailable, message)
                };
                match timeout(patience, response.chunk()).await {
                    Ok(Ok(Some(bytes))) => Ok(Some((bytes, response))),
                    Ok(Ok(None)) => Ok(None),
                    Ok(Err(e)) => Err(broken("broke off").with_source(e.without_url())),
                    Err(_) => Err(broken("fell silent").with_source(Silent(patience))),
                }
            }
        });
        Get::object(e_tag, size, body.boxed(), max_bytes, &public(url))
    }

    pub(super) async fn put(
        &self,
        url: &Url,
        body: &Bytes,
        object: &ObjectHeaders,
    ) -> Result<Stored> {
        let mut headers = HeaderMap::new();
        for (name, value) in object.for_http() {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) else {
                let message = format!("the header `{name}` cannot be sent");
                return Err(Error::new(ErrorKind::InvalidHeader, message));
            };
            headers.insert(name, value);
        }
        let request = Request {
            method: Method::PUT,
            headers,
            body: Some(body),
        };
        let response = self.send(url, &request).await?;
        match response.status() {
            StatusCode::OK
            | StatusCode::CREATED
            | StatusCode::ACCEPTED
            | StatusCode::NO_CONTENT => Ok(Stored {
                e_tag: e_tag(&response),
            }),
            status => Err(answered(url, status)),
        }
    }

    /// Sends a request until an answer comes that will not change, or the tries or the time are used up.
    async fn send(&self, url: &Url, request: &Request<'_>) -> Result<Response> {
        let upload = upload_allowance(request.body.map_or(0, Bytes::len));
        let deadline = Instant::now() + self.retry.limit + upload;
        let mut tries = 1;
        loop {
            let sent = timeout_at(deadline, self.follow(url, request, upload)).await;
            let failure = match sent {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(silent(url, self.retry.limit)),
            };
            let pause = failure
                .retry_after
                .unwrap_or_else(|| jitter(self.retry.pause(tries)));
            if !failure.error.kind().is_transient()
                || tries >= self.retry.tries
                || Instant::now() + pause >= deadline
            {
                return Err(failure.error);
            }
            log::debug!(
                "try {tries} of {} failed: {}",
                self.retry.tries,
                failure.error
            );
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// One try, with its redirects.
    async fn follow(
        &self,
        url: &Url,
        request: &Request<'_>,
        upload: Duration,
    ) -> Result<Response, Failure> {
        let mut target = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(&target, request, upload).await?;
            let status = response.status();
            if !redirects(status, &request.method) {
                if !is_transient(status.as_u16()) {
                    return Ok(response);
                }
                let retry_after = retry_after(&response);
                let error = answered(&target, status);
                return Err(Failure { error, retry_after });
            }
            target = self.redirected(&target, &response)?;
        }
        Err(Error::new(
            ErrorKind::Store,
            format!(
                "`{}` redirects more than {MAX_REDIRECTS} times",
                public(url)
            ),
        )
        .into())
    }

    async fn once(&self, url: &Url, request: &Request<'_>, upload: Duration) -> Result<Response> {
        self.check(url)?;
        let mut builder = self
            .client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if let Some(body) = request.body {
            builder = builder.body(body.clone());
        }
        let patience = self.retry.read_timeout + upload;
        match timeout(patience, builder.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) => Err(self
                .egress
                .refusal(url, &e)
                .unwrap_or_else(|| unreached(url, e))),
            Err(_) => Err(silent(url, patience)),
        }
    }

    /// The target of a redirect, if it may be followed.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url> {
        let refuse = |why: &str| {
            let message = format!("the redirect of `{}` is not followed: {why}", public(from));
            Error::new(ErrorKind::Store, message)
        };
        let target = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| refuse("it names no target"))?;
        let mut target = from
            .join(target)
            .map_err(|e| refuse("its target is no URL").with_source(e))?;
        match target.scheme() {
            "https" => {}
            "http" if from.scheme() == "http" => {}
            "http" => return Err(refuse("it leads from https to http")),
            _ => return Err(refuse("its target is not HTTP")),
        }
        target.set_fragment(None);
        if target.origin() != from.origin() && has_user_info(&target) {
            // Whoever redirects does not choose the credentials that another host is shown.
            if target.set_username("").is_err() || target.set_password(None).is_err() {
                return Err(refuse("its target is no URL"));
            }
        }
        if !self.allow.allows_http(&target) {
            return Err(Error::new(
                ErrorKind::StoreNotAllowed,
                format!(
                    "`{}` redirects to `{}`, which the configuration does not allow",
                    public(from),
                    public(&target)
                ),
            ));
        }
        Ok(target)
    }
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// A PUT goes on only where the server says that it remains one.
fn redirects(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        307 | 308 => true,
        301..=303 => method == Method::GET,
        _ => false,
    }
}

fn e_tag(response: &Response) -> Option<String> {
    let value = response.headers().get(header::ETAG)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = Duration::from_secs(value.trim().parse().ok()?);
    Some(seconds.min(MAX_RETRY_AFTER))
}

/// Between half the pause and the whole, so that many clients do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1024;
    pause / 2 + pause / 2048 * u32::try_from(random).unwrap_or(0)
}

fn unreached(url: &Url, error: reqwest::Error) -> Error {
    // Its text would show the whole URL, signed query included.
    let error = error.without_url();
    let (kind, what) = if error.is_builder() {
        (ErrorKind::InvalidUrl, "cannot be asked for")
    } else if error.is_timeout() {
        (ErrorKind::StoreUnavailable, "did not answer in time")
    } else if error.is_connect() {
        (ErrorKind::StoreUnavailable, "could not be reached")
    } else {
        (ErrorKind::StoreUnavailable, "broke off the connection")
    };
    Error::new(kind, format!("`{}` {what}", public(url))).with_source(error)
}

fn silent(url: &Url, patience: Duration) -> Error {
    Error::new(
        ErrorKind::StoreUnavailable,
        format!("`{}` did not answer in time", public(url)),
    )
    .with_source(Silent(patience))
}

fn answered(url: &Url, status: StatusCode) -> Error {
    let url = public(url);
    let code = status.as_u16();
    match code {
        404 | 410 => Error::new(ErrorKind::NotFound, format!("there is no object `{url}`")),
        401 | 403 => Error::new(
            ErrorKind::AccessDenied,
            format!(
                "the server of `{url}` refuses access with {code}; a presigned URL may have expired"
            ),
        ),
        _ if is_transient(code) => Error::new(
            ErrorKind::StoreUnavailable,
            format!("the server of `{url}` answered {code}"),
        ),
        _ => Error::new(
            ErrorKind::Store,
            format!("the server of `{url}` answered {code}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_never_leave_https_or_carry_credentials_along() {
        let http = Http::new(
            Retry::default(),
            Egress::public_only(),
            AllowList::default(),
        )
        .unwrap();
        for (from, to, expected) in [
            (
                "https://a.example/x",
                "https://b.example/y?q=%2F",
                Some("https://b.example/y?q=%2F"),
            ),
            (
                "https://a.example/x/y",
                "../z#top",
                Some("https://a.example/z"),
            ),
            (
                "https://u:p@a.example/x",
                "/y",
                Some("https://u:p@a.example/y"),
            ),
            (
                "https://u:p@a.example/x",
                "https://b.example/",
                Some("https://b.example/"),
            ),
            (
                "https://u:p@a.example/x",
                "https://a.example/y",
                Some("https://a.example/y"),
            ),
            (
                "https://a.example/x",
                "https://u:p@b.example/y",
                Some("https://b.example/y"),
            ),
            (
                "http://a.example/x",
                "https://a.example/x",
                Some("https://a.example/x"),
            ),
            (
                "http://a.example/x",
                "http://b.example/x",
                Some("http://b.example/x"),
            ),
            ("https://a.example/x", "http://a.example/x", None),
            (
                "https://a.example/x",
                "//b.example/y",
                Some("https://b.example/y"),
            ),
            ("https://a.example/x", "ftp://a.example/x", None),
            ("https://a.example/x", "file:///etc/passwd", None),
            ("https://a.example/x", "https://[bad/", None),
        ] {
            let response = http::Response::builder()
                .header("location", to)
                .body("")
                .unwrap();
            let target = http.redirected(&Url::parse(from).unwrap(), &response.into());
            assert_eq!(
                target.ok().as_ref().map(Url::as_str),
                expected,
                "{from} to {to}"
            );
        }
    }
}
