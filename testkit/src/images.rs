//! Pictures, and the `magick` program as the judge of them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::tools;

/// A picture that resembles a photograph (smooth areas, edges and grain) as a binary PPM file.
///
/// The same size gives the same bytes.
pub fn photo(width: u32, height: u32) -> Vec<u8> {
    assert!(width > 0 && height > 0, "a picture has no empty side");
    let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
    let mut grain = Grain(1);
    let (w, h) = (f64::from(width), f64::from(height));
    for y in 0..height {
        for x in 0..width {
            let (u, v) = ((f64::from(x) + 0.5) / w, (f64::from(y) + 0.5) / h);
            let (red, green, blue) = scene(u, v, h / w);
            for channel in [red, green, blue] {
                ppm.push(to_byte(channel + grain.next()));
            }
        }
    }
    ppm
}

/// A sky with a sun, above a hill, with a house: `u` and `v` run from the top left corner to 1.
fn scene(u: f64, v: f64, aspect: f64) -> (f64, f64, f64) {
    let distance = (u - 0.75).hypot((v - 0.25) * aspect);
    let hill = 0.65 + 0.1 * (u * 7.0).sin() + 0.02 * (u * 41.0).sin();
    let wall = (0.2..0.4).contains(&u) && (0.5..0.75).contains(&v);
    let window =
        wall && ((u * 20.0).fract() - 0.5).abs() < 0.25 && ((v * 16.0).fract() - 0.5).abs() < 0.3;
    if window {
        (40.0, 45.0, 60.0)
    } else if wall {
        (190.0 - 60.0 * u, 120.0, 90.0)
    } else if v > hill {
        (60.0 + 40.0 * v, 130.0 - 60.0 * (v - hill), 50.0)
    } else if distance < 0.1 {
        (255.0, 235.0, 170.0)
    } else {
        let glow = 90.0 * (-6.0 * distance).exp();
        (90.0 + 80.0 * v + glow, 140.0 + 60.0 * v + glow, 220.0)
    }
}

/// Pseudo-random noise, the same in each run.
struct Grain(u32);

impl Grain {
    /// A value from -8 to 8, small ones more often.
    fn next(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..2 {
            // Xorshift, by Marsaglia.
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            sum += f64::from(self.0) / f64::from(u32::MAX) - 0.5;
        }
        sum * 8.0
    }
}

fn to_byte(value: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is clamped to what a byte holds"
    )]
    let byte = value.round().clamp(0.0, 255.0) as u8;
    byte
}

/// The [`photo`] in a format that the `magick` program writes, such as `jpeg`.
///
/// Made once for each process.
pub fn make(format: &str, width: u32, height: u32) -> Bytes {
    make_frames(format, 1, width, height)
}

/// Several frames, each the [`photo`] moved a bit further, in a format that holds them, such as `gif` or `tiff`.
///
/// Made once for each process.
pub fn make_frames(format: &str, frames: u32, width: u32, height: u32) -> Bytes {
    type Cache = HashMap<(String, u32, u32, u32), Bytes>;
    static CACHE: Mutex<Option<Cache>> = Mutex::new(None);
    let key = (format.to_owned(), frames, width, height);
    // Held while a picture is made, so that no other test makes the same one.
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    if let Some(picture) = cache.get(&key) {
        return picture.clone();
    }
    let mut arguments = "ppm:- -delay 10 -set delay 10".to_owned();
    for frame in 1..frames {
        let step = frame * width / frames;
        write!(arguments, " ( -clone 0 -roll +{step}+0 )").expect("a string takes all text");
    }
    // Without the dates that a file's bytes would differ by.
    write!(arguments, " -strip {format}:-").expect("a string takes all text");
    let output = magick_with(arguments.split(' '), &photo(width, height));
    let picture = Bytes::from(output.stdout);
    cache.insert(key, picture.clone());
    picture
}

/// Runs the `magick` program.
///
/// # Panics
///
/// Panics with what the program wrote if it fails.
pub fn magick<A>(arguments: A) -> Output
where
    A: IntoIterator,
    A::Item: AsRef<OsStr>,
{
    magick_with(arguments, &[])
}

/// Runs the `magick` program with a standard input, which it calls `-`.
///
/// # Panics
///
/// Panics with what the program wrote if it fails.
pub fn magick_with<A>(arguments: A, input: &[u8]) -> Output
where
    A: IntoIterator,
    A::Item: AsRef<OsStr>,
{
    let (call, output) = run(arguments, input);
    assert!(
        output.status.success(),
        "`{call}` failed, {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What the `magick` program tells by `-format` of each frame of a picture, such as `%m %w %h`.
pub fn describe(picture: &[u8], format: &str) -> Vec<String> {
    let format = format!("{format}\n");
    lines(&magick_with(["-", "-format", &format, "info:"], picture))
}

/// The signature of each frame of a picture: a hash of its pixels and size.
pub fn signatures(picture: &[u8]) -> Vec<String> {
    describe(picture, "%#")
}

/// The signature of each frame of a file.
pub fn signatures_of_file(file: &Path) -> Vec<String> {
    let arguments: [&OsStr; 4] = [
        file.as_os_str(),
        "-format".as_ref(),
        "%#\n".as_ref(),
        "info:".as_ref(),
    ];
    lines(&magick(arguments))
}

/// How far apart two pictures are: the root mean square of their pixels' differences, from 0 to 1.
///
/// # Panics
///
/// Panics if the pictures cannot be compared.
pub fn difference(one: &[u8], other: &[u8]) -> f64 {
    let folder = tempfile::tempdir().expect("a folder for temporary files can be created");
    let file = folder.path().join("one");
    std::fs::write(&file, one).expect("a temporary file can be written");
    let arguments: [&OsStr; 6] = [
        "compare".as_ref(),
        "-metric".as_ref(),
        "RMSE".as_ref(),
        file.as_os_str(),
        "-".as_ref(),
        "null:".as_ref(),
    ];
    let (call, output) = run(arguments, other);
    // It says `123.4 (0.00188)`, and ends with 1 when there is any difference.
    let text = String::from_utf8_lossy(&output.stderr);
    (|| text.split_once('(')?.1.split_once(')')?.0.parse().ok())()
        .unwrap_or_else(|| panic!("`{call}` failed, {}: {text}", output.status))
}

/// The `magick` program, to be run as the caller likes.
pub fn command() -> Command {
    Command::new(tools::program("magick"))
}

fn run<A>(arguments: A, input: &[u8]) -> (String, Output)
where
    A: IntoIterator,
    A::Item: AsRef<OsStr>,
{
    // A file and not a pipe, which would have to be written while the output is read.
    let mut file = tempfile::tempfile().expect("a temporary file can be created");
    file.write_all(input)
        .and_then(|()| file.rewind())
        .expect("a temporary file can be written");
    let mut command = command();
    command.args(arguments).stdin(Stdio::from(file));
    let output = command.output().expect("`magick` can be started");
    (format!("{command:?}"), output)
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}
