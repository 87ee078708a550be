//! A recording proxy in front of a server whose own log does not tell enough.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;

use crate::serve::{self, Body, Listener};

/// A request that came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The method, as `GET`.
    pub method: String,
    /// Path and query, exactly as they were received.
    pub target: String,
    /// The answer's status; none as long as there is no answer.
    pub status: Option<u16>,
}

impl Recorded {
    /// The path without the query, with its percent-encoding undone.
    pub fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        percent_decode_str(path).decode_utf8_lossy().into_owned()
    }
}

/// Passes requests on to `upstream` as they are, the `Host` header too, which signatures cover.
#[derive(Debug)]
pub(crate) struct Proxy {
    listener: Listener,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&recorded);
        let listener = serve::serve(move |request| {
            let log = Arc::clone(&log);
            async move {
                let index = record(&log, &request);
                let response = forward(upstream, request).await?;
                lock(&log)[index].status = Some(response.status().as_u16());
                Ok(response)
            }
        });
        Self { listener, recorded }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        lock(&self.recorded).clone()
    }

    /// How often `path`, without percent-encoding, was asked for.
    pub(crate) fn get_count(&self, path: &str) -> usize {
        lock(&self.recorded)
            .iter()
            .filter(|request| request.method == "GET" && request.path() == path)
            .count()
    }
}

fn record(log: &Mutex<Vec<Recorded>>, request: &Request<Incoming>) -> usize {
    let mut log = lock(log);
    log.push(Recorded {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        status: None,
    });
    log.len() - 1
}

/// A connection for each request: a pooled one could be stale after the server was killed.
async fn forward(upstream: SocketAddr, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    Ok(response.map(|body| body.map_err(io::Error::other).boxed()))
}

fn lock(log: &Mutex<Vec<Recorded>>) -> std::sync::MutexGuard<'_, Vec<Recorded>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
