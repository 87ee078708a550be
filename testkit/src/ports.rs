//! Ports for servers that cannot be told to choose one themselves.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below the range that systems take outgoing connections' ports from, so that none of those gets in between.
const FIRST: u64 = 11_000;
const COUNT: u64 = 20_000;

/// A loopback port that is free now, and was not given out before by this process.
///
/// Another process may still take it first: a caller starts its server again with another port then.
pub(crate) fn free() -> u16 {
    free_with(|_| true)
}

/// A port for which 10,000 more is free too.
pub(crate) fn free_with_pair() -> u16 {
    free_with(|port| port.checked_add(10_000).is_some_and(is_free))
}

fn free_with(condition: impl Fn(u16) -> bool) -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for attempt in 0..10_000_u32 {
        // A hasher with random keys is the standard library's source of chance.
        let chance = RandomState::new().hash_one(attempt);
        let port = u16::try_from(FIRST + chance % COUNT).expect("the range ends below 65,536");
        if !taken.contains(&port) && is_free(port) && condition(port) {
            taken.insert(port);
            return port;
        }
    }
    panic!("no free port was found from {FIRST} to {}", FIRST + COUNT);
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
