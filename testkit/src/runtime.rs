//! The kit's own runtime, apart from the tests' runtimes: a test that blocks cannot stop the kit's servers.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// The runtime of all scripted servers and of [`block_on`].
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("testkit")
            .enable_all()
            .build()
            .expect("a runtime can be built")
    })
}

/// Waits for `future` on a thread of its own, so also inside a test's runtime, where blocking on a future is refused.
pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    thread::scope(|scope| {
        scope
            .spawn(|| runtime().block_on(future))
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}
