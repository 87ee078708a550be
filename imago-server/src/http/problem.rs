//! Error answers: `application/problem+json` ([RFC 9457]), and the one table from kinds of errors to status codes.
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use imago_core::ErrorKind;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, whole};
use crate::store::StoreError;

/// How many single errors an answer lists at most. Who sent 1000 bad actions has enough to do with the first of them.
pub(crate) const MOST_ERRORS: usize = 100;

/// Seconds after which a full queue or an unreachable store is worth another try.
const RETRY_AFTER_SECONDS: u64 = 5;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Culprit>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One of several things that are wrong in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Culprit {
    /// Where in the body it is, as a JSON pointer.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// An error answer's body.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// What is wrong, as a sentence.
    detail: &'a str,
    /// The same as `detail`.
    error: &'a str,
    /// What is wrong in the body, one by one.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    errors: &'a [Culprit],
}

impl Problem {
    /// An answer with this status and sentence.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Names the members of the body that are at fault: the first hundred of them.
    pub(crate) fn with_errors(mut self, mut errors: Vec<Culprit>) -> Self {
        if errors.len() > MOST_ERRORS {
            self.detail = format!(
                "{}; the first {MOST_ERRORS} of {} errors are listed",
                self.detail,
                errors.len()
            );
            errors.truncate(MOST_ERRORS);
        }
        self.errors = errors;
        self
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The path has no such method, but these.
    pub(crate) fn method_not_allowed(
        method: &hyper::Method,
        path: &str,
        allow: &'static str,
    ) -> Self {
        let detail = format!("`{path}` has no method `{method}`; it has {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
            .with_header(ALLOW, HeaderValue::from_static(allow))
    }

    /// The server ends, and takes no more work.
    pub(crate) fn draining(retry_after_seconds: u64) -> Self {
        let detail = "the server is about to stop and takes no more work; try again in a while";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(RETRY_AFTER, retry_after_seconds.max(1).into())
    }

    /// All that could look at an image is busy.
    pub(crate) fn busy() -> Self {
        let detail = "all that could look at an image is busy; try again in a while";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(RETRY_AFTER, RETRY_AFTER_SECONDS.into())
    }

    /// A fault of the server's own. What it was stands in the log.
    pub(crate) fn internal() -> Self {
        let detail = "the server failed by a fault of its own; its log says why, under this answer's `X-Request-Id`";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            StoreError::KeyReused => {
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
            }
            StoreError::Unavailable(source) => {
                log::error!("error.source":% = source; "{error}");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string()).with_header(RETRY_AFTER, RETRY_AFTER_SECONDS.into())
    }
}

impl Problem {
    /// Says when to come back.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.retain(|(name, _)| name != RETRY_AFTER);
        self.with_header(RETRY_AFTER, seconds.max(1).into())
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let document = Document {
            r#type: "about:blank",
            title: title(problem.status),
            status: problem.status.as_u16(),
            detail: &problem.detail,
            error: &problem.detail,
            errors: &problem.errors,
        };
        let body = serde_json::to_vec(&document).expect("strings and numbers are always JSON");
        let mut response = whole(problem.status, "application/problem+json", body.into());
        response.headers_mut().extend(
            problem
                .headers
                .into_iter()
                .map(|(name, value)| (Some(name), value)),
        );
        response
    }
}

/// The status's name by [RFC 9110]; the `http` crate has two older ones.
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-15
pub(super) fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// The status that answers a request for an action that fails in this way.
pub(crate) const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // All others lie with what was asked, with what is stored there, or with what the configuration allows.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(problem: Problem) -> String {
        let response = Answer::from(problem);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_body_is_the_contracts() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "1 of 2 actions can't run");
        assert_eq!(
            text(problem.clone()).await,
            concat!(
                r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"#,
                r#""detail":"1 of 2 actions can't run","error":"1 of 2 actions can't run"}"#
            )
        );
        let culprit = Culprit {
            pointer: "/actions/0/operations/0".to_owned(),
            detail: "there is no operation `resze`; did you mean `resize`?".to_owned(),
        };
        assert_eq!(
            text(problem.with_errors(vec![culprit])).await,
            concat!(
                r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"#,
                r#""detail":"1 of 2 actions can't run","error":"1 of 2 actions can't run","#,
                r#""errors":[{"pointer":"/actions/0/operations/0","#,
                r#""detail":"there is no operation `resze`; did you mean `resize`?"}]}"#
            )
        );
    }

    #[tokio::test]
    async fn a_long_list_is_cut_and_says_so() {
        let culprit = |i| Culprit {
            pointer: format!("/actions/{i}"),
            detail: "no".to_owned(),
        };
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "many")
            .with_errors((0..101).map(culprit).collect());
        assert_eq!(problem.errors.len(), 100);
        let text = text(problem).await;
        assert!(
            text.contains(r#""detail":"many; the first 100 of 101 errors are listed""#),
            "{text}"
        );
    }

    #[test]
    fn titles_are_those_of_rfc_9110() {
        for (status, expected) in [
            (400, "Bad Request"),
            (404, "Not Found"),
            (408, "Request Timeout"),
            (413, "Content Too Large"),
            (422, "Unprocessable Content"),
            (429, "Too Many Requests"),
            (599, "Error"),
        ] {
            assert_eq!(title(StatusCode::from_u16(status).unwrap()), expected);
        }
    }
}
