//! How much memory a process has used, as the kernel counts it.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::Duration;

/// What a process and its children have at most had resident, in bytes.
///
/// The sum of the peaks, which need not have been at one time.
pub(crate) fn peak(process: u32) -> u64 {
    tree(process, "VmHWM:")
}

/// What a process and its children have resident, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    tree(process, "VmRSS:")
}

/// Waits for the end of a process, and tells the most that it had resident.
///
/// The peak only grows, so what is missed is what the process takes in its last millisecond.
pub(crate) fn watch(child: &mut Child) -> u64 {
    let mut most = 0;
    while let Ok(None) = child.try_wait() {
        most = field(child.id(), "VmHWM:").unwrap_or(0).max(most);
        thread::sleep(Duration::from_millis(1));
    }
    most * 1024
}

fn tree(process: u32, name: &str) -> u64 {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, u32::try_from(field(id, "PPid:")?).ok()?)))
        .collect();
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        next += 1;
        let children = parents.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(id, _)| id));
    }
    let sizes = family.into_iter().filter_map(|id| field(id, name));
    sizes.sum::<u64>() * 1024
}

/// A number of the kernel's page on a process.
fn field(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
