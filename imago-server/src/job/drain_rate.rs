//! How fast the queue empties, so that clients are told when to come back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Over which time the rate is averaged: what was longer ago counts less and less.
const WINDOW: f64 = 30.0;

/// The longest and shortest times that clients are told.
const LONGEST: f64 = 600.0;
const SHORTEST: f64 = 1.0;

/// What is said while no rate is known.
const UNKNOWN: Duration = Duration::from_secs(5);

/// Counts the jobs that leave the queue, with older ones fading away.
#[derive(Debug)]
pub struct DrainRate(Mutex<Fading>);

#[derive(Debug)]
struct Fading {
    jobs: f64,
    at: Instant,
    began: Instant,
}

impl Default for DrainRate {
    fn default() -> Self {
        let at = Instant::now();
        Self(Mutex::new(Fading {
            jobs: 0.0,
            at,
            began: at,
        }))
    }
}

impl DrainRate {
    /// Notes that so many jobs left the queue.
    pub fn note(&self, jobs: u32) {
        let mut fading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fading.fade(Instant::now());
        fading.jobs += f64::from(jobs);
    }

    /// After how long a tenth of a full queue will have left it.
    pub fn retry_after(&self, limit: usize) -> Duration {
        let mut fading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fading.fade(Instant::now());
        let tenth = u32::try_from(limit.div_ceil(10)).unwrap_or(u32::MAX);
        fading.time_for(f64::from(tenth))
    }
}

impl Fading {
    fn fade(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.jobs *= (-age / WINDOW).exp();
        self.at = now;
    }

    fn time_for(&self, jobs: f64) -> Duration {
        // A server that has just started has seen less than the window.
        let seen = self.at.saturating_duration_since(self.began).as_secs_f64();
        let span = WINDOW * (1.0 - (-seen / WINDOW).exp());
        if self.jobs < 0.01 || span <= 0.0 {
            return UNKNOWN;
        }
        let seconds = jobs * span / self.jobs;
        Duration::from_secs_f64(seconds.clamp(SHORTEST, LONGEST).ceil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_follows_the_rate() {
        for (seconds, per_second, waiting, expected) in [
            (120, 10, 1000.0, 100),
            (120, 10, 5.0, 1),
            (10, 10, 1000.0, 100),
            (120, 1, 100_000.0, 600),
            (120, 0, 1000.0, 5),
        ] {
            let began = Instant::now();
            let mut fading = Fading {
                jobs: 0.0,
                at: began,
                began,
            };
            for second in 1..=seconds {
                fading.fade(began + Duration::from_secs(second));
                fading.jobs += f64::from(per_second);
            }
            let told = fading.time_for(waiting).as_secs();
            let range = expected * 9 / 10..=expected + expected / 10 + 1;
            assert!(
                range.contains(&told),
                "{seconds} s at {per_second}/s: {told} s for {waiting}"
            );
        }
    }
}
