//! What confined processes did, by the word of `strace`, which sees each call before any fence does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// The calls that are looked at: those that name files, reach other machines or make processes, and those that confine.
pub const CALLS: &str = "open,openat,openat2,creat,truncate,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,chmod,fchmodat,chown,mknod,socket,connect,bind,listen,execve,execveat,fork,vfork,clone,clone3,ptrace,landlock_restrict_self,seccomp";

/// Below these folders confined processes may open files: libraries, fonts, tables, and what the kernel tells of
/// the machine.
const READABLE: &[&str] = &[
    "/dev/null",
    "/dev/urandom",
    "/etc/ImageMagick-7/",
    "/etc/fonts/",
    "/etc/ld.so.cache",
    "/lib/",
    "/lib64/",
    "/proc/self/",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu/",
    "/usr/lib/",
    "/usr/local/etc/ImageMagick-7/",
    "/usr/local/lib/",
    "/usr/local/share/ImageMagick-7/",
    "/usr/local/share/fonts/",
    "/usr/share/",
    "/var/cache/fontconfig/",
];

/// What was done by processes that were confined by then.
#[derive(Debug, Default)]
pub struct Deeds {
    /// How many processes were confined.
    pub processes: usize,
    /// How often a file was opened, made or removed, by its folder.
    pub done: BTreeMap<String, usize>,
    /// How often a call was refused, by its name and what it named.
    pub refused: BTreeMap<String, usize>,
    /// What no conversion needs, and was done nevertheless.
    pub wrong: Vec<String>,
}

impl Deeds {
    /// Reads what `strace -f` wrote. Confined processes may do as they like below the folders of their own, which are
    /// those that begin so.
    pub fn read(trace: &str, own: &str) -> Self {
        let mut deeds = Self::default();
        let mut begun = HashMap::new();
        // The process that each thread belongs to, of those that are to be confined.
        let mut children = HashMap::new();
        let mut confined = HashSet::new();
        for line in trace.lines() {
            let Some((thread, text)) = line.split_once(' ') else {
                continue;
            };
            let text = text.trim_start();
            if let Some(start) = text.strip_suffix("<unfinished ...>") {
                begun.insert(thread, start.to_owned());
                continue;
            }
            let whole = match text.split_once(" resumed>") {
                Some((_, end)) => begun.remove(thread).unwrap_or_default() + end,
                None => text.to_owned(),
            };
            let Some(call) = Call::read(&whole) else {
                continue;
            };
            if call.name == "execve" && whole.contains("--imago-sandbox-child") {
                children.insert(thread.to_owned(), thread.to_owned());
                continue;
            }
            let Some(child) = children.get(thread).cloned() else {
                continue;
            };
            if call.name.starts_with("clone") && call.succeeded && whole.contains("CLONE_THREAD") {
                children.insert(call.result.to_owned(), child);
                continue;
            }
            if confined.contains(&child) {
                deeds.note(&call, &whole, own);
            } else if call.name == "seccomp" && call.succeeded && confined.insert(child) {
                deeds.processes += 1;
            }
        }
        deeds
    }

    fn note(&mut self, call: &Call<'_>, whole: &str, own: &str) {
        if call.name == "seccomp" {
            return;
        }
        if !call.succeeded {
            let what = format!("{} {}", call.name, folder(call.path));
            *self.refused.entry(what).or_default() += 1;
            return;
        }
        let is_own = call.path.starts_with(own);
        let reads = matches!(call.name, "open" | "openat")
            && !whole.contains("O_WRONLY")
            && !whole.contains("O_RDWR")
            && !whole.contains("O_CREAT");
        let is_readable = READABLE.iter().any(|known| call.path.starts_with(known));
        // A name without a folder is one in an open directory: the scratch folder, while it is emptied.
        if call.path.contains("..") || !(is_own || (reads && is_readable)) {
            self.wrong.push(whole.to_owned());
        }
        let shown = if is_own {
            format!("{own}…")
        } else {
            folder(call.path)
        };
        *self.done.entry(shown).or_default() += 1;
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} confined processes", self.processes)?;
        for (title, counts) in [("opened", &self.done), ("refused", &self.refused)] {
            for (what, count) in counts {
                writeln!(f, "{count:8} {title} {what}")?;
            }
        }
        for wrong in &self.wrong {
            writeln!(f, "wrong: {wrong}")?;
        }
        Ok(())
    }
}

/// A call to the kernel.
struct Call<'a> {
    name: &'a str,
    /// The first text among its arguments.
    path: &'a str,
    result: &'a str,
    succeeded: bool,
}

impl<'a> Call<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (name, arguments) = line.split_once('(')?;
        let (_, result) = arguments.rsplit_once(" = ")?;
        let result = result.split(' ').next().unwrap_or_default();
        Some(Self {
            name,
            path: arguments.split('"').nth(1).unwrap_or_default(),
            result,
            succeeded: !result.starts_with(['-', '?']),
        })
    }
}

/// The folder of a path: two levels of it, which are enough to tell what it is.
fn folder(path: &str) -> String {
    let end = path
        .match_indices('/')
        .nth(3)
        .map_or(path.len(), |(at, _)| at);
    path[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_told_from_refusals_and_from_what_came_before() {
        let trace = r#"
10 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3
20 execve("/proc/self/exe", ["imago-sandbox", "--imago-sandbox-child"], 0x1 /* 2 vars */ <unfinished ...>
10 socket(AF_INET, SOCK_STREAM, 0) = 4
20 <... execve resumed>) = 0
20 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY) = 3
20 openat(AT_FDCWD, "/etc/hostname", O_RDONLY) = 3
20 landlock_restrict_self(6, 0)      = 0
20 seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, {len=135, filter=0x5}) = 0
20 seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, {len=603, filter=0x5}) = 0
20 clone(child_stack=0x7, flags=CLONE_VM|CLONE_THREAD) = 21
21 openat(AT_FDCWD, "/usr/share/fonts/a.ttf", O_RDONLY) = 5
20 openat(AT_FDCWD, "/tmp/imago-x/magick-1", O_RDWR|O_CREAT|O_EXCL, 0600) = 5
20 openat(AT_FDCWD, "/etc/localtime", O_RDONLY|O_CLOEXEC) = -1 EACCES (Permission denied)
21 socket(AF_INET, SOCK_STREAM, 0) = -1 ENOSYS (Function not implemented)
"#;
        let deeds = Deeds::read(trace, "/tmp/imago-");
        assert_eq!(deeds.processes, 1);
        assert!(deeds.wrong.is_empty(), "{deeds}");
        assert_eq!(deeds.done.values().sum::<usize>(), 2, "{deeds}");
        assert_eq!(deeds.refused.values().sum::<usize>(), 2, "{deeds}");
        for wrong in [
            r#"21 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 5"#,
            r#"20 openat(AT_FDCWD, "/usr/share/a", O_WRONLY|O_CREAT, 0600) = 5"#,
            r#"20 openat(AT_FDCWD, "/tmp/imago-x/../a", O_RDONLY) = 5"#,
            "20 socket(AF_INET, SOCK_STREAM, 0) = 5",
            r#"20 execve("/bin/sh", ["sh"], 0x1) = 0"#,
            "20 clone(child_stack=NULL, flags=SIGCHLD) = 99",
        ] {
            let deeds = Deeds::read(&format!("{trace}{wrong}\n"), "/tmp/imago-");
            assert_eq!(deeds.wrong.len(), 1, "{wrong}");
        }
    }
}
