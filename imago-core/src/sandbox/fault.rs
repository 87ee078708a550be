//! Inputs that make a child misbehave, for tests: `IMAGO-FAULT:segfault` and the like, in the place of an image.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use crate::engine::magick::options;
use crate::engine::{self, Conversion, Input, Stop};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

const PREFIX: &[u8] = b"IMAGO-FAULT:";

/// Does what an input asks for, if it asks for anything. What can be refused is reported in an error's text.
pub(super) fn misbehave(bytes: &[u8], socket: &mut File) -> Result<()> {
    let Some(fault) = bytes.strip_prefix(PREFIX) else {
        return Ok(());
    };
    let fault = String::from_utf8_lossy(fault);
    let (name, argument) = fault.trim().split_once(' ').unwrap_or((fault.trim(), ""));
    let told = |what: String| Err(Error::new(ErrorKind::BadImage, what));
    match name {
        "id" => told(format!("it is process {}", std::process::id())),
        "segfault" => raise(libc::SIGSEGV),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(3),
        "panic" => panic!("a test asked for it"),
        "overflow" => told(format!("{}", overflow(1))),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "allocate" => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 64 << 20]);
            }
        }
        "fill-disk" => fill_disk(usize::MAX),
        "fill-disk-with-files" => fill_disk(1 << 20),
        "close" => {
            close(socket);
            loop {
                std::thread::park();
            }
        }
        "garbage" => {
            drop(socket.write_all(&[b'x'; 64]));
            loop {
                std::thread::park();
            }
        }
        "half" => {
            drop(socket.write_all(b"IMGF"));
            loop {
                std::thread::park();
            }
        }
        "claim" => {
            let frame = super::frame::Frame {
                kind: super::Kind::Converted,
                body: super::frame::MAX_BODY,
                total: u64::MAX,
            };
            drop(socket.write_all(&frame.to_bytes()));
            loop {
                std::thread::park();
            }
        }
        "read" => told(format!(
            "{:?}",
            std::fs::read(argument).map(|bytes| bytes.len())
        )),
        "list" => told(format!(
            "{:?}",
            std::fs::read_dir(argument).map(Iterator::count)
        )),
        "write" => told(format!("{:?}", std::fs::write(argument, "x"))),
        "connect" => told(format!(
            "{:?}",
            std::net::TcpStream::connect(argument).map(drop)
        )),
        "run" => told(format!(
            "{:?}",
            std::process::Command::new(argument).status()
        )),
        "environment" => told(format!("{:?}", std::env::vars_os().collect::<Vec<_>>())),
        "call" => told(call(argument)),
        "magick" => told(format!("{:?}", magick(argument))),
        other => told(format!("there is no fault `{other}`")),
    }
}

/// Runs words as ImageMagick's, whatever the parser would say of them, on a small picture, and gives the file that came of
/// it as text. What a step reads is read by ImageMagick, by its name.
fn magick(words: &str) -> Result<String> {
    const PICTURE: &[u8] = b"P6 4 4 255\n000000000000000000000000000000000000000000000000";
    let words = shell_words::split(words).unwrap_or_default();
    let mut words = words.into_iter();
    let mut steps = Vec::new();
    while let Some(word) = words.next() {
        let row = options::all().find(|row| row.option == word);
        let row = row.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, word))?;
        let arguments: Vec<_> = words.by_ref().take(row.arity).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        steps.push(Step::new(row.option, &arguments));
    }
    let mut inputs = vec![Input::Object {
        bytes: PICTURE.into(),
        name: String::new(),
        extension: None,
        selector: None,
    }];
    let reads = steps.iter().filter_map(Step::input);
    inputs.extend(reads.map(|input| Input::Generated(input.to_owned())));
    let stop = Stop::after(Duration::from_secs(30));
    let converted = engine::convert(&Conversion {
        inputs: &inputs,
        steps: &steps,
        format: &"ppm".parse()?,
        separate: false,
        animations: false,
        cmyk: None,
        upright: false,
        native: false,
        fidelity: crate::engine::Fidelity::Exact,
        stop: &stop,
    })?;
    let files = converted.files.iter();
    let files: Vec<_> = files
        .map(|file| file.bytes.escape_ascii().to_string())
        .collect();
    Ok(format!("{} {}", files.join(" "), converted.output))
}

#[expect(unsafe_code, reason = "it is to crash")]
fn raise(signal: libc::c_int) -> ! {
    // SAFETY: the calls take numbers. The handler that Rust sets would take this one for a fault that will come again.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(9)
    }
}

#[expect(unsafe_code, reason = "the file is closed behind its owner's back")]
fn close(socket: &File) {
    // SAFETY: the child does nothing any more but wait for its end.
    unsafe { libc::close(std::os::fd::AsRawFd::as_raw_fd(socket)) };
}

fn overflow(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let ballast = [depth; 512];
    let deeper = overflow(std::hint::black_box(depth + 1));
    deeper.wrapping_add(std::hint::black_box(ballast)[usize::try_from(depth).unwrap_or(0) % 512])
}

/// Writes files of this size into the one place there is.
fn fill_disk(size: usize) -> ! {
    let scratch = crate::engine::magick::runtime::scratch().unwrap_or(".");
    let block = vec![1; 1 << 20];
    for number in 0.. {
        let Ok(mut file) = std::fs::File::create(format!("{scratch}/{number}")) else {
            continue;
        };
        let mut written = 0;
        while written < size && file.write_all(&block).is_ok() {
            written += block.len();
        }
    }
    std::process::exit(4)
}

/// Makes a call to the kernel that nothing good is ever done with.
#[expect(unsafe_code, reason = "there is no safe way to do such a thing")]
fn call(name: &str) -> String {
    // SAFETY: none of these calls writes to memory of this process: their pointers are null.
    let status = unsafe {
        match name {
            "fork" => libc::fork(),
            "kill" => libc::kill(libc::getppid(), 0),
            "ptrace" => truncated(libc::syscall(libc::SYS_ptrace, 0, 0, 0, 0)),
            "unshare" => truncated(libc::syscall(libc::SYS_unshare, 0)),
            "socket" => libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
            "setrlimit" => {
                let limit = libc::rlimit {
                    rlim_cur: 1,
                    rlim_max: 1,
                };
                libc::setrlimit(libc::RLIMIT_CORE, &raw const limit)
            }
            _ => -2,
        }
    };
    match status {
        -1 => std::io::Error::last_os_error().to_string(),
        status => format!("done: {status}"),
    }
}

fn truncated(status: libc::c_long) -> libc::c_int {
    libc::c_int::try_from(status).unwrap_or(-2)
}
