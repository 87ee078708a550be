//! The same thing several times at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Runs `call` for each number below `calls`, so many at once; milliseconds in all, and the sum of the answers.
pub(crate) fn run(
    calls: usize,
    in_flight: usize,
    call: impl Fn(usize) -> Result<u64, String> + Sync,
) -> Result<(f64, u64), String> {
    let (next, sum) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= calls {
                return Ok(());
            }
            sum.fetch_add(call(number)?, Ordering::Relaxed);
        }
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..in_flight.min(calls))
            .map(|_| scope.spawn(work))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("nothing in it panics"))
    })?;
    Ok((started.elapsed().as_secs_f64() * 1000.0, sum.into_inner()))
}
