//! Who may begin: each conversion pays for the memory that it will take, out of what there is for all.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many may pass one that waits for more than is free, before all behind it wait too.
const MOST_PASSED: u32 = 100;

/// Memory that conversions pay with.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    price: u64,
    passed: u32,
    granted: oneshot::Sender<Grant>,
}

/// Memory that was paid, until this is dropped.
#[derive(Debug)]
pub(crate) struct Grant {
    budget: Arc<Budget>,
    price: u64,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Arc<Self> {
        let waiting = VecDeque::new();
        Arc::new(Self {
            total,
            state: Mutex::new(State {
                free: total,
                waiting,
            }),
        })
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes so much if it is free, and nobody has waited too long for it. More than there is counts as all.
    pub(crate) fn try_take(self: &Arc<Self>, price: u64) -> Option<Grant> {
        let price = price.min(self.total);
        let mut state = self.state();
        if state.free < price || state.waiting.iter().any(Waiting::is_next) {
            return None;
        }
        for waiting in &mut state.waiting {
            waiting.passed += 1;
        }
        state.free -= price;
        drop(state);
        Some(Grant {
            budget: Arc::clone(self),
            price,
        })
    }

    /// Takes so much as soon as it is free. Who wants less passes who wants more, but not for ever.
    pub(crate) async fn take(self: &Arc<Self>, price: u64) -> Grant {
        let price = price.min(self.total);
        loop {
            let receiver = {
                if let Some(grant) = self.try_take(price) {
                    return grant;
                }
                let (granted, receiver) = oneshot::channel();
                let mut state = self.state();
                state.waiting.push_back(Waiting {
                    price,
                    passed: 0,
                    granted,
                });
                receiver
            };
            // It may have become free between the try and the wait.
            self.grant();
            if let Ok(grant) = receiver.await {
                return grant;
            }
        }
    }

    /// Lets in whom what is free is enough for.
    fn grant(self: &Arc<Self>) {
        let mut state = self.state();
        let mut at = 0;
        while let Some(waiting) = state.waiting.get(at) {
            let price = waiting.price;
            let (gone, next) = (waiting.granted.is_closed(), waiting.is_next());
            if gone {
                state.waiting.remove(at);
            } else if price <= state.free
                && let Some(next) = state.waiting.remove(at)
            {
                for passed in state.waiting.iter_mut().take(at) {
                    passed.passed += 1;
                }
                state.free -= price;
                let grant = Grant {
                    budget: Arc::clone(self),
                    price,
                };
                if let Err(unwanted) = next.granted.send(grant) {
                    // Its drop would wait for the lock that is held here.
                    state.free += unwanted.price;
                    unwanted.forget();
                }
            } else if next {
                return;
            } else {
                at += 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_next(&self) -> bool {
        self.passed >= MOST_PASSED && !self.granted.is_closed()
    }
}

impl Grant {
    pub(crate) fn price(&self) -> u64 {
        self.price
    }

    /// Gives nothing back.
    fn forget(mut self) {
        self.price = 0;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.price > 0 {
            self.budget.state().free += self.price;
            self.budget.grant();
        }
    }
}

/// The memory that this process may take: the machine's, or less where a control group says so.
pub(crate) fn memory() -> u64 {
    const UNKNOWN: u64 = 8 << 30;
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let bounds = group_files(&groups).into_iter().filter_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        // `max` stands for no bound, and so does a number beyond all memory.
        text.trim().parse::<u64>().ok()
    });
    machine.into_iter().chain(bounds).min().unwrap_or(UNKNOWN)
}

/// The machine's memory by `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that say what the control groups named by `/proc/self/cgroup`, and those above them, may take.
fn group_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(path).ancestors() {
            let group = group.to_str().unwrap_or_default().trim_end_matches('/');
            files.push(format!("{root}{group}/{file}"));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_work_passes_large_but_not_for_ever() {
        let budget = Budget::new(100);
        let mut held = Some(budget.try_take(60).expect("it is free"));
        assert!(budget.try_take(41).is_none());
        let large = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.take(90).await }
        });
        while budget.state().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..MOST_PASSED {
            drop(budget.take(40).await);
        }
        assert!(
            budget.try_take(1).is_none(),
            "the large one is passed for ever"
        );
        held.take();
        let large = large.await.expect("it is let in");
        assert_eq!(large.price(), 90);
        assert!(budget.try_take(11).is_none());
        drop(large);
        assert_eq!(budget.try_take(500).expect("all is free").price(), 100);
    }

    #[tokio::test]
    async fn who_stops_waiting_is_in_nobodys_way() {
        let budget = Budget::new(100);
        let held = budget.try_take(100).expect("it is free");
        for _ in 0..3 {
            let given_up = tokio::time::timeout(std::time::Duration::ZERO, budget.take(100)).await;
            assert!(given_up.is_err());
        }
        drop(held);
        assert_eq!(budget.take(100).await.price(), 100);
        assert_eq!(budget.state().free, 100);
    }

    #[test]
    fn control_groups_say_where_their_bounds_are() {
        assert_eq!(
            total("MemTotal:       24684084 kB\nMemFree: 1 kB\n"),
            Some(24_684_084 << 10)
        );
        assert_eq!(
            group_files("4:memory:/a/b\n3:cpuset:/\n0::/c\nnothing"),
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert!(memory() > 0);
    }
}
