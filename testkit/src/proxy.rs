//! A recording proxy in front of a server whose own log does not tell enough.

use std::io;
use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::record::Log;
use crate::serve::{self, Body, Listener};

/// Passes requests on to `upstream` as they are, the `Host` header too, which signatures cover.
#[derive(Debug)]
pub(crate) struct Proxy {
    listener: Listener,
    log: Log,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let log = Log::default();
        let shared = log.clone();
        let listener = serve::serve(move |request| {
            let log = shared.clone();
            async move {
                let index = log.add(&request);
                let response = forward(upstream, request).await?;
                log.answered(index, response.status());
                Ok(response)
            }
        });
        Self { listener, log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }
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
