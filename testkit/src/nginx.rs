//! A real web server: nginx, which serves a folder with an `ETag` each, and accepts PUT.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::process::{self, NO_VARIABLES, Process};
use crate::{client, ports, tools};

/// How often a start is tried again with another port, after another process took it.
const ATTEMPTS: u32 = 5;
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server on a loopback port. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    /// Ends with this value.
    _process: Process,
}

impl Server {
    /// Starts a server for the folder `root`.
    pub fn start(root: &Path) -> Self {
        let nginx = tools::program("nginx");
        let mut attempt = 1;
        loop {
            match start_process(&nginx, root, ports::free()) {
                Ok(server) => return server,
                Err(error) if attempt == ATTEMPTS => panic!("{error}"),
                Err(_) => attempt += 1,
            }
        }
    }

    /// The URL of a file in the folder.
    pub fn url(&self, path: &str) -> String {
        let path = client::encode_key(path);
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

fn start_process(nginx: &Path, root: &Path, port: u16) -> Result<Server, String> {
    let folder = process::new_folder();
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, configuration_for(root, port)).map_err(|e| e.to_string())?;
    let arguments = [
        "-p".as_ref(),
        folder.as_os_str(),
        "-c".as_ref(),
        configuration.as_os_str(),
        // Or it complains that it may not write the system's log.
        "-e".as_ref(),
        "stderr".as_ref(),
    ];
    let mut process = Process::start(&folder, nginx, arguments, NO_VARIABLES);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    process.wait_until(START_LIMIT, |log| {
        // The log too: if the port was taken, another server answers at it.
        log.contains("start worker process") && TcpStream::connect(address).is_ok()
    })?;
    Ok(Server {
        port,
        _process: process,
    })
}

fn configuration_for(root: &Path, port: u16) -> String {
    let root = root.display();
    format!(
        r#"
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
# Without it, a server that was started by root reads files as another user.
{user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    types {{
        image/gif gif;
        image/jpeg jpg jpeg;
        image/png png;
        image/tiff tif tiff;
        image/webp webp;
    }}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            root "{root}";
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}
    }}
}}
"#,
        user = if is_root() { "user root;" } else { "" },
    )
}

/// Tells by who owns a file that this process makes.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    tempfile::tempfile()
        .and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.uid() == 0)
}
