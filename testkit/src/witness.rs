//! Witnesses that nobody touched what nobody may touch: the files of a folder, and a port.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

/// Notes whoever opens, makes, changes or removes a file of a folder, in whatever process.
///
/// The kernel notes it before the call returns, so what is not noted when an answer came did not happen for it. On other
/// systems than Linux it notes nothing.
#[derive(Debug)]
pub struct Watch(events::Events);

impl Watch {
    /// Watches a folder, but not those within it.
    pub fn of(folder: &Path) -> Self {
        Self(events::Events::of(folder))
    }

    /// The names of the files that were touched since it was asked last; `.` for the folder itself.
    pub fn touched(&mut self) -> Vec<String> {
        let mut names = self.0.take();
        names.dedup();
        names
    }
}

#[cfg(target_os = "linux")]
mod events {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
    use rustix::io::Errno;

    #[derive(Debug)]
    pub(super) struct Events(OwnedFd);

    impl Events {
        pub(super) fn of(folder: &Path) -> Self {
            let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
                .expect("the kernel watches files");
            // Not whether a file is closed or its properties are asked for: that follows, or tells nothing.
            let all = WatchFlags::OPEN
                | WatchFlags::ACCESS
                | WatchFlags::MODIFY
                | WatchFlags::ATTRIB
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVE;
            add_watch(&events, folder, all).expect("the folder can be watched");
            Self(events)
        }

        pub(super) fn take(&mut self) -> Vec<String> {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(&self.0, &mut buffer);
            let mut names = Vec::new();
            loop {
                match reader.next() {
                    Ok(event) => names.push(
                        event
                            .file_name()
                            .map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned()),
                    ),
                    Err(Errno::WOULDBLOCK) => return names,
                    Err(error) => panic!("the watch can't be read: {error}"),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod events {
    #[derive(Debug)]
    pub(super) struct Events;

    impl Events {
        pub(super) fn of(_: &std::path::Path) -> Self {
            Self
        }

        pub(super) fn take(&mut self) -> Vec<String> {
            Vec::new()
        }
    }
}

/// A port that nobody may connect to.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Default for Port {
    fn default() -> Self {
        Self::open()
    }
}

impl Port {
    /// Listens on a free port of every address of this machine: `127.0.0.1`, `127.0.0.2`, `::1`.
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
            .expect("a port is free");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        Self { listener, address }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// What came over the connections that were made since it was asked last, the beginning of each. They are closed.
    pub fn connections(&self) -> Vec<String> {
        let mut connections = Vec::new();
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let mut bytes = [0; 512];
                    // Whoever connected may send nothing; it has connected all the same.
                    stream
                        .set_nonblocking(false)
                        .and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(200))))
                        .expect("a socket takes a time-out");
                    let read = stream.read(&mut bytes).unwrap_or_default();
                    connections.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return connections,
                Err(error) => panic!("the port can't be listened on: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpStream;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_touched_file_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "sesame").unwrap();
        let mut watch = Watch::of(folder.path());
        assert_eq!(watch.touched(), Vec::<String>::new());
        fs::read(&file).unwrap();
        assert_eq!(watch.touched(), ["secret"]);
        fs::write(folder.path().join("new"), "").unwrap();
        assert_eq!(watch.touched(), ["new"]);
        assert!(fs::metadata(&file).is_ok());
        assert_eq!(watch.touched(), Vec::<String>::new());
    }

    #[test]
    fn a_connection_is_noted() {
        let port = Port::open();
        assert_eq!(port.connections(), Vec::<String>::new());
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        std::io::Write::write_all(&mut &stream, b"GET /").unwrap();
        assert_eq!(port.connections(), ["GET /"]);
    }
}
