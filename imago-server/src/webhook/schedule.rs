//! When a webhook that was not taken is sent again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two tries, but for those that the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How long after its first try a webhook is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long to wait before the next try; none when it is time to give up.
///
/// `tries` have been made, the first of them `age` ago. `asked` is the pause that the receiver asked for by `Retry-After`.
/// `random`, from 0 to 1, makes the pause shorter by up to half, so that what failed together does not come back together.
/// The last try is made when [`GIVE_UP_AFTER`] is over.
pub fn next_try(
    tries: u32,
    age: Duration,
    asked: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let left = GIVE_UP_AFTER
        .checked_sub(age)
        .filter(|left| !left.is_zero())?;
    let doublings = tries.saturating_sub(1).min(16);
    let pause = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
    let pause = pause.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0);
    Some(pause.max(asked.unwrap_or_default()).min(left))
}

/// A number from 0 to 1 for [`next_try`]. It is no secret.
pub fn random() -> f64 {
    let bits = RandomState::new().hash_one(0) % 1024;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / 1023.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds = |tries, age, asked: Option<u64>, random| {
            let asked = asked.map(Duration::from_secs);
            next_try(tries, Duration::from_secs(age), asked, random)
                .map(|pause| pause.as_secs_f64())
        };
        for (tries, age, asked, random, expected) in [
            (1, 0, None, 0.0, Some(5.0)),
            (1, 0, None, 1.0, Some(2.5)),
            (2, 5, None, 0.0, Some(10.0)),
            (2, 5, Some(3), 0.0, Some(10.0)),
            (2, 5, Some(120), 0.0, Some(120.0)),
            (10, 2555, None, 0.0, Some(2560.0)),
            (11, 5115, None, 0.0, Some(3600.0)),
            (u32::MAX, 5115, None, 0.0, Some(3600.0)),
            (11, 5115, Some(7200), 0.0, Some(7200.0)),
            (30, 86_300, None, 0.0, Some(100.0)),
            (30, 86_300, Some(7200), 0.0, Some(100.0)),
            (31, 86_400, None, 0.0, None),
            (31, 90_000, Some(1), 0.0, None),
            (0, 0, None, 0.0, Some(5.0)),
        ] {
            assert_eq!(
                seconds(tries, age, asked, random),
                expected,
                "{tries} tries, {age} s, {asked:?}, {random}"
            );
        }
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&random()));
        }
    }

    #[test]
    fn the_last_try_is_a_day_after_the_first() {
        let (mut tries, mut age) = (1, Duration::ZERO);
        while let Some(pause) = next_try(tries, age, None, 0.0) {
            age += pause;
            tries += 1;
        }
        assert_eq!((tries, age), (34, GIVE_UP_AFTER));
    }
}
