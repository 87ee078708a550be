//! A scripted HTTP server: answers what a test tells it to, also badly, and remembers what it was asked.
//!
//! ```
//! use testkit::http::{Reply, Server};
//!
//! let server = Server::start();
//! server.route("/a.jpg", Reply::ok("picture").e_tag("\"v1\""));
//! server.script("/later.jpg", [Reply::status(503), Reply::status(503), Reply::ok("picture")]);
//! server.on("PUT", "/upload", Reply::status(201));
//! let source = server.url("/a.jpg?X-Amz-Signature=abc");
//! # assert!(source.starts_with("http://127.0.0.1:"));
//! ```

use std::collections::{HashMap, VecDeque};
use std::future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use tokio::sync::watch;

use crate::serve::{self, Body, Listener};

/// Long enough that what was written before is on its way, and is not thrown away with the connection.
const BEFORE_CUT: Duration = Duration::from_millis(50);

/// A scripted server on a loopback port. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    routes: HashMap<(Method, String), VecDeque<Reply>>,
    log: Vec<Received>,
    /// How many of them were received as a whole.
    whole: watch::Sender<usize>,
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method, as `GET`.
    pub method: String,
    /// Path and query, exactly as they were received.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty as long as it was not received as a whole.
    pub body: Bytes,
    is_whole: bool,
}

impl Received {
    /// The path without the query, as it was received.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The header `name`; none if it is not there or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Server {
    /// Starts a server that answers 404 to everything.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into())
    }

    /// The same at another address of this machine.
    pub fn start_at(address: IpAddr) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let listener =
            serve::serve_at(address, move |request| answer(Arc::clone(&shared), request));
        Self { listener, state }
    }

    /// The URL of a path and query, which starts with a slash.
    pub fn url(&self, target: &str) -> String {
        assert!(target.starts_with('/'), "`{target}` starts with no slash");
        format!("http://{}{target}", self.listener.address())
    }

    /// Answers GET and HEAD at `path`, whatever the query, with `reply` from now on.
    pub fn route(&self, path: &str, reply: Reply) {
        self.script(path, [reply]);
    }

    /// Answers GET and HEAD at `path` with one reply after another; the last one stays.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies: VecDeque<Reply> = replies.into_iter().collect();
        self.set("HEAD", path, replies.clone());
        self.set("GET", path, replies);
    }

    /// Answers requests by `method` at `path` with `reply` from now on.
    pub fn on(&self, method: &str, path: &str, reply: Reply) {
        self.set(method, path, [reply].into());
    }

    fn set(&self, method: &str, path: &str, replies: VecDeque<Reply>) {
        assert!(!replies.is_empty(), "a script without replies");
        let method = method.parse().expect("the method's name is valid");
        lock(&self.state)
            .routes
            .insert((method, path.to_owned()), replies);
    }

    /// All requests so far, in the order they came in.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.state).log.clone()
    }

    /// The requests by `method` at `path`, whatever the query.
    pub fn requests_for(&self, method: &str, path: &str) -> Vec<Received> {
        let mut requests = self.requests();
        requests.retain(|request| request.method == method && request.path() == path);
        requests
    }

    /// The same once there are so many of them, received as a whole.
    pub async fn received(&self, method: &str, path: &str, count: usize) -> Vec<Received> {
        let mut whole = lock(&self.state).whole.subscribe();
        loop {
            let mut requests = self.requests_for(method, path);
            requests.retain(|request| request.is_whole);
            if requests.len() >= count {
                return requests;
            }
            whole.changed().await.expect("the server is there");
        }
    }

    /// How often `path` was asked for by GET.
    pub fn get_count(&self, path: &str) -> usize {
        self.requests_for("GET", path).len()
    }
}

/// What a [`Server`] answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    delay: Duration,
    manner: Manner,
}

/// How a reply's body is sent.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Whole,
    Chunked,
    CutAfter(usize),
    StallAfter(usize),
    Endless,
    Never,
}

impl Reply {
    /// Status 200 with a body.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(200)
        }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("the status is valid"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            manner: Manner::Whole,
        }
    }

    /// A redirect by `status` to any URL.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header(LOCATION.as_str(), to)
    }

    /// No answer at all: the connection stays open for ever.
    pub fn hang() -> Self {
        Self::status(200).manner(Manner::Never)
    }

    /// A body without an end or a length.
    pub fn endless() -> Self {
        Self::status(200).manner(Manner::Endless)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("the header's name is valid");
        let value: HeaderValue = value.parse().expect("the header's value is valid");
        self.headers.append(name, value);
        self
    }

    /// Sends an `ETag`, which has to be quoted already, and answers 304 when a request knows it.
    #[must_use]
    pub fn e_tag(self, e_tag: &str) -> Self {
        self.header(ETAG.as_str(), e_tag)
    }

    /// Sends a `Content-Type`.
    #[must_use]
    pub fn content_type(self, content_type: &str) -> Self {
        self.header("content-type", content_type)
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends the body in chunks, without a `Content-Length`.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.manner(Manner::Chunked)
    }

    /// Promises the whole body, and closes the connection after some bytes of it.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.manner(Manner::CutAfter(bytes))
    }

    /// Promises the whole body, and sends nothing more after some bytes of it.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        self.manner(Manner::StallAfter(bytes))
    }

    fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    fn is_known_to(&self, request: &HeaderMap) -> bool {
        let Some(e_tag) = self.headers.get(ETAG).and_then(|e_tag| e_tag.to_str().ok()) else {
            return false;
        };
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            // Weak comparison, as RFC 9110 wants it for this header.
            .any(|known| known.trim() == "*" || strong(known) == strong(e_tag))
    }

    async fn send(self, method: &Method, known: &HeaderMap) -> io::Result<Response<Body>> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let mut response = Response::new(serve::full(Bytes::new()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if self.status.is_success() && self.is_known_to(known) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        let has_length = match self.manner {
            Manner::Never => return future::pending().await,
            Manner::Whole | Manner::CutAfter(_) | Manner::StallAfter(_) => true,
            Manner::Chunked | Manner::Endless => false,
        };
        if has_length && !response.headers().contains_key(CONTENT_LENGTH) {
            let length = HeaderValue::from(self.body.len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        if method != Method::HEAD {
            *response.body_mut() = self.into_body();
        }
        Ok(response)
    }

    fn into_body(self) -> Body {
        let first = |bytes: usize| {
            let part = self.body.slice(..bytes.min(self.body.len()));
            stream::iter([Ok(Frame::data(part))])
        };
        match self.manner {
            Manner::Whole | Manner::Never => serve::full(self.body),
            Manner::Chunked => {
                let half = self.body.len().div_ceil(2);
                let rest = [Ok(Frame::data(self.body.slice(half..)))];
                streamed(first(half).chain(stream::iter(rest)))
            }
            Manner::CutAfter(bytes) => streamed(first(bytes).chain(stream::once(async {
                tokio::time::sleep(BEFORE_CUT).await;
                Err(io::ErrorKind::ConnectionReset.into())
            }))),
            Manner::StallAfter(bytes) => streamed(first(bytes).chain(stream::pending())),
            Manner::Endless => streamed(stream::repeat_with(|| {
                Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024])))
            })),
        }
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let (index, reply) = {
        let mut state = lock(&state);
        state.log.push(Received {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: Bytes::new(),
            is_whole: false,
        });
        let route = (parts.method.clone(), parts.uri.path().to_owned());
        let reply = match state.routes.get_mut(&route) {
            Some(replies) if replies.len() > 1 => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        };
        (state.log.len() - 1, reply)
    };
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    {
        let mut state = lock(&state);
        let received = &mut state.log[index];
        (received.body, received.is_whole) = (body, true);
        state.whole.send_modify(|whole| *whole += 1);
    }
    let reply = reply.unwrap_or_else(|| Reply::status(404));
    reply.send(&parts.method, &parts.headers).await
}

fn streamed<S>(frames: S) -> Body
where
    S: stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync + 'static,
{
    BodyExt::boxed(StreamBody::new(frames))
}

fn strong(e_tag: &str) -> &str {
    let e_tag = e_tag.trim();
    e_tag.strip_prefix("W/").unwrap_or(e_tag)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
