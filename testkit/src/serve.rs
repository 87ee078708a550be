//! The listening half of all servers inside the test process.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::runtime::runtime;

/// The body of an answer.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// A listening server; dropping it closes its port and its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    task: AbortHandle,
}

impl Listener {
    /// The address with the port that the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves requests on a free loopback port. A handler's error closes the connection without an answer.
pub(crate) fn serve<H, F>(handler: H) -> Listener
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    serve_at(Ipv4Addr::LOCALHOST.into(), handler)
}

/// Serves requests on a free port of an address of this machine.
pub(crate) fn serve_at<H, F>(address: IpAddr, handler: H) -> Listener
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    // Bound here and not in the task, so that a client may connect from now on.
    let listener = StdTcpListener::bind((address, 0)).expect("a port is free");
    listener
        .set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let handler = Arc::new(handler);
    let task = runtime().spawn(async move {
        let listener = TcpListener::from_std(listener).expect("the runtime does I/O");
        // Dropped with this task, and all connections with it.
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let handler = Arc::clone(&handler);
            connections.spawn(async move {
                let service = service_fn(move |request| handler(request));
                // Clients go away in the middle of requests, some tests on purpose.
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Listener {
        address,
        task: task.abort_handle(),
    }
}

/// A body that is known as a whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}
