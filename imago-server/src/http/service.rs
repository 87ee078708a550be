//! From a request to its answer: what all requests have in common.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode, Version};
use uuid::Uuid;

use super::problem::Problem;
use super::router::{Resource, Routes};
use super::{
    Answer, body, console, convert, events, formats, health, identify, job, listing, metrics,
    openapi, operations, submit,
};
use crate::app::App;
use crate::logging::REQUEST_ID;
use crate::tokens::Caller;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole API.
#[derive(Debug)]
pub(super) struct Service {
    app: Arc<App>,
    routes: Routes,
}

impl Service {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            routes: Routes::new(),
        }
    }

    /// Answers a request, whatever happens in its handler, and logs that it did.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let begun = Instant::now();
        let id = request_id(request.headers());
        let answer = async {
            let (parts, mut body) = request.into_parts();
            let caller = Caller::of(&parts.headers, &self.app.config.tokens);
            let mut answer = AssertUnwindSafe(self.route(&parts, &mut body, caller))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Problem::internal()))
                .unwrap_or_else(Answer::from);
            let expects_continue = parts.headers.contains_key(EXPECT);
            // Who waits to be told to go on has sent nothing, and must not be told so after the answer.
            if !body.is_end_stream() && !expects_continue {
                body::discard(body);
            }
            finish(&mut answer, &parts, &id);
            let took = begun.elapsed();
            let found = self.routes.find(parts.uri.path());
            let route = found.map_or("none", |(resource, _)| resource.path());
            let metrics = &self.app.metrics;
            metrics.answered(&parts.method, route, answer.status(), took);
            log::info!(
                target: "imago_server::access",
                status = answer.status().as_u16(), duration_ms = took.as_millis(),
                token = caller.name().unwrap_or("-");
                "{} {}", parts.method, parts.uri.path().escape_debug()
            );
            answer
        };
        REQUEST_ID.scope(id.clone(), answer).await
    }

    async fn route(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        caller: Caller<'_>,
    ) -> Result<Answer, Problem> {
        let path = parts.uri.path();
        let Some((resource, id)) = self.routes.find(path) else {
            let shown: String = path.chars().take(200).collect();
            let detail = format!("there is nothing at `{shown}`");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        if !resource.allows(&parts.method) {
            return Err(Problem::method_not_allowed(
                &parts.method,
                path,
                resource.allow(),
            ));
        }
        if let Some(right) = resource.right(&parts.method) {
            caller.check(right)?;
        }
        // The large ones are apart, or each of ten thousand waiting polls would have room for the largest.
        match resource {
            Resource::Work if parts.method == Method::POST => {
                Box::pin(submit::submit(&self.app, parts, body)).await
            }
            Resource::Work => Box::pin(listing::list(&self.app, parts)).await,
            Resource::Job if parts.method == Method::DELETE => {
                Box::pin(job::remove(&self.app, parts, id)).await
            }
            Resource::Job => job::follow(&self.app, parts, id).await,
            Resource::Events => Box::pin(events::stream(&self.app, parts, id)).await,
            Resource::Retry => Box::pin(job::retry(&self.app, parts, id)).await,
            Resource::Convert => Box::pin(convert::convert(&self.app, parts, body)).await,
            Resource::Identify => Box::pin(identify::identify(&self.app, parts, body)).await,
            Resource::Formats => Ok(formats::formats(&self.app)),
            Resource::Operations => Ok(operations::list()),
            Resource::Health => Ok(health::health()),
            Resource::OpenApi => Ok(openapi::document(!self.app.config.tokens.is_empty())),
            Resource::Console => Ok(console::page()),
            Resource::ConsoleScript => Ok(console::script()),
            Resource::ConsoleStyle => Ok(console::style()),
            Resource::Metrics => Ok(Box::pin(metrics::metrics(&self.app)).await),
            Resource::Ready => Box::pin(health::ready(&self.app)).await,
        }
    }
}

/// Gives an answer the headers that all have, and takes the body from one to `HEAD`.
fn finish(answer: &mut Answer, parts: &Parts, id: &str) {
    let length = answer.body().size_hint().exact();
    let closes = answer.status() == StatusCode::REQUEST_TIMEOUT && parts.version < Version::HTTP_2;
    let is_empty = answer.status() == StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    let id = HeaderValue::from_str(id).expect("ids are letters, digits and `._-`");
    headers.insert(X_REQUEST_ID, id);
    // A job changes, and an answer kept on the way would hide it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // An answer of this status has none, by RFC 9110.
    if let Some(length) = length.filter(|_| !is_empty) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if closes {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if parts.method == Method::HEAD {
        *answer.body_mut() = Either::Left(Full::default());
    }
}

/// The caller's id if it is sane, else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return Uuid::new_v4().to_string();
    };
    let is_sane = (1..=128).contains(&id.len())
        && id
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    match id.to_str() {
        Ok(id) if is_sane => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_ids_are_taken_over() {
        let long = "x".repeat(128);
        let longer = "x".repeat(129);
        for (ids, is_taken) in [
            (&["abc-DEF_1.2"][..], true),
            (&[&long], true),
            (&[&longer], false),
            (&[""], false),
            (&["a b"], false),
            (&["a\"b"], false),
            (&["a/b"], false),
            (&["ä"], false),
            (&["one", "two"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for id in ids {
                headers.append(
                    X_REQUEST_ID,
                    HeaderValue::from_bytes(id.as_bytes()).unwrap(),
                );
            }
            let id = request_id(&headers);
            assert_eq!(
                ids.first() == Some(&id.as_str()),
                is_taken,
                "{ids:?} gave {id}"
            );
            assert!(!id.is_empty());
        }
    }
}
