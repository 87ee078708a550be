//! How often an action is tried, and when again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How often an action was tried, and why it has to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// All tries, the present one included.
    pub begun: u32,
    /// How many of them failed in a way that may pass.
    pub failures: u32,
    /// How many of them ended with the process that ran the conversion.
    pub crashes: u32,
    /// How many of them ended with the server.
    pub losses: u32,
}

/// How often an action may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Tries that fail or crash, each counted by itself.
    pub attempts: u32,
    /// Tries that end with the server.
    pub losses: u32,
}

impl Most {
    /// Where conversions have processes of their own, the server's end says little about the action that ran: it takes
    /// more of them to suspect it.
    pub const fn new(attempts: u32, is_isolated: bool) -> Self {
        let losses = if is_isolated {
            attempts.saturating_mul(10)
        } else {
            attempts
        };
        Self { attempts, losses }
    }
}

/// The pause before the next try: exponential, and drawn from its upper half, so that what failed together does not
/// come back together.
pub fn pause(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    let longest = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    // The standard library's one source of random numbers.
    let random = RandomState::new().hash_one(tries);
    let share = f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        for (tries, longest) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (9, 256),
            (10, 300),
            (4_000_000, 300),
        ] {
            let longest = Duration::from_secs(longest);
            let pauses: Vec<_> = (0..50).map(|_| pause(tries)).collect();
            for pause in &pauses {
                assert!(
                    *pause >= longest / 2 && *pause <= longest,
                    "{tries}: {pause:?}"
                );
            }
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{tries}");
        }
    }
}
