//! Connections: how many, how they begin, and how they end with the server.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::service::Service;
use crate::app::App;

/// The largest head of an HTTP/1 request.
const MAX_HEAD: usize = 64 << 10;

/// How often a quiet HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Accepts connections and answers their requests until `shutdown`; then waits for open requests, up to the
/// configuration's `shutdown.grace`.
pub(crate) async fn run(listener: TcpListener, shutdown: impl Future<Output = ()>, app: Arc<App>) {
    let grace = app.config.shutdown.grace;
    let header_timeout = app.config.limits.header_timeout;
    // Taken before a connection is: the kernel keeps those that are too many, and they cost us nothing.
    let permits = Arc::new(Semaphore::new(
        app.config.limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let builder = Arc::new(builder(header_timeout));
    let service = Arc::new(Service::new(app));
    let graceful = GracefulShutdown::new();
    let abort = CancellationToken::new();
    let mut backoff = Backoff::default();
    let mut shutdown = pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                let pause = backoff.after(&error);
                log::warn!(error:% = error, pause_ms = pause.as_millis(); "could not accept a connection");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(pause) => continue,
                }
            }
        };
        backoff = Backoff::default();

        let first_request = Arc::new(Notify::new());
        let handler = {
            let (service, first_request) = (Arc::clone(&service), Arc::clone(&first_request));
            service_fn(move |request: Request<Incoming>| {
                first_request.notify_one();
                let service = Arc::clone(&service);
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            })
        };
        let connection = builder
            .serve_connection(TokioIo::new(stream), handler)
            .into_owned();
        let connection = graceful.watch(connection);
        let abort = abort.clone();
        tokio::spawn(async move {
            // Also while it is not known yet which HTTP it speaks: hyper's own timer begins after that.
            let silent = async {
                let first = tokio::time::timeout(header_timeout, first_request.notified());
                if first.await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    // The client's doing, mostly: it went away, or spoke no HTTP.
                    log::debug!(error:% = error; "a connection broke off");
                },
                () = silent => log::debug!("closed a connection that sent no request"),
                () = abort.cancelled() => {}
            }
            drop(permit);
        });
    }

    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        log::warn!(grace_ms = grace.as_millis(); "closed connections whose requests were not answered in time");
        abort.cancel();
    }
}

/// The next connection, once there may be one more.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Answers are written whole; waiting for more to send along would only delay them.
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// How long to leave the listener alone after it failed.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection that was lost before it was accepted says nothing of the next one; any other failure (mostly that
    /// no file descriptor is left) will be there again if asked at once.
    fn after(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            return Duration::ZERO;
        }
        let pause = Duration::from_millis(10 << self.failures.min(7));
        self.failures += 1;
        pause.min(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second() {
        let mut backoff = Backoff::default();
        let no_descriptors = io::Error::from_raw_os_error(24);
        let pauses: Vec<_> = (0..10)
            .map(|_| backoff.after(&no_descriptors).as_millis())
            .collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
        let lost = io::Error::from(io::ErrorKind::ConnectionAborted);
        assert_eq!(backoff.after(&lost), Duration::ZERO);
    }
}
