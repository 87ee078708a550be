//! What a conversion will take of the memory, guessed from the sizes of its images and from its steps before a pixel is
//! decoded.
//!
//! One that turns out far too low is no harm, for the engine is held to it, and the conversion is done again with all of the
//! memory to itself; one that is too high makes it wait longer than it had to. So operations that are hard to foresee are
//! guessed at generously, and no image is refused by a guess.

use serde::{Deserialize, Serialize};

use super::magick::header::CHANNEL;
use super::magick::options;
use super::{Conversion, Input, Limits};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// What anything takes: coders' tables, small images.
const LEAST: u64 = 4 << 20;

/// What is thought of an image whose header says nothing: its bytes, so many times.
const UNKNOWN: u64 = 24;

/// What a generator makes where no size is said.
const GENERATED: (u64, u64) = (1024, 1024);

/// What the header of a source says: of several images the largest, and their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) frames: u64,
    pub(crate) width: u64,
    pub(crate) height: u64,
    /// Of all images together.
    pub(crate) pixels: u64,
    /// The width and height that animations are drawn on.
    pub(crate) canvas: (u64, u64),
    /// How many channels the pixels have, and how many they may turn out to have.
    pub(crate) least_channels: u64,
    pub(crate) most_channels: u64,
}

/// What a conversion will take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    /// What it takes for sure: the source's pixels.
    pub(crate) least: u64,
    /// What it may take.
    pub(crate) likely: u64,
}

/// Refuses sources whose header is over a limit.
pub(crate) fn check(headers: &[Option<Header>], limits: &Limits) -> Result<()> {
    for header in headers.iter().flatten() {
        let largest = header.width.saturating_mul(header.height);
        let table = [
            (header.width, limits.width, "pixels wide", "limits.width"),
            (header.height, limits.height, "pixels high", "limits.height"),
            (
                largest.min(header.pixels),
                limits.pixels,
                "pixels large",
                "limits.pixels",
            ),
            (
                header.frames,
                limits.frames,
                "images in one",
                "limits.frames",
            ),
            (
                header.pixels,
                limits.frame_pixels,
                "pixels large, all its images together",
                "limits.frame-pixels",
            ),
        ];
        for (size, limit, what, name) in table {
            if size > limit {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("it is {size} {what}, but `{name}` allows {limit}"),
                ));
            }
        }
    }
    Ok(())
}

/// The price of a conversion.
pub(crate) fn price(conversion: &Conversion<'_>, headers: &[Option<Header>]) -> Price {
    let inputs = conversion.inputs.iter();
    let mut bytes = 0_u64;
    for input in inputs.clone() {
        bytes = bytes.saturating_add(match input {
            Input::Object { bytes, .. } => bytes.len() as u64,
            Input::Pages { pages, .. } => pages.pnm.len() as u64,
            Input::Generated(_) => 0,
        });
    }
    let known = headers.iter().flatten();
    let least = known.clone().map(|header| {
        header
            .pixels
            .saturating_mul(header.least_channels)
            .saturating_mul(CHANNEL)
    });
    let channels = known
        .map(|header| header.most_channels)
        .max()
        .unwrap_or(0)
        .max(4);
    let mut walk = Walk {
        pixel: channels.saturating_mul(CHANNEL),
        sources: inputs
            .zip(headers)
            .map(|(input, header)| Images::of(input, *header))
            .collect(),
        size: GENERATED,
        here: Images::default(),
        outside: Vec::new(),
        peak: 0,
    };
    walk.run(conversion);
    Price {
        least: least.fold(0, u64::saturating_add),
        likely: walk
            .peak
            .saturating_mul(walk.pixel)
            .saturating_add(bytes)
            .saturating_add(LEAST),
    }
}

/// The price of finding out what an image is, which for some formats takes its pixels.
pub(crate) fn of_identity(image: &Input, headers: &[Option<Header>]) -> Price {
    let images = Images::of(image, headers.first().copied().flatten());
    let channels = headers
        .iter()
        .flatten()
        .map(|header| header.most_channels)
        .max();
    let pixel = channels.unwrap_or(5).saturating_mul(CHANNEL);
    let likely = images.one().saturating_mul(2).saturating_mul(pixel);
    Price {
        least: 0,
        likely: likely.saturating_add(LEAST),
    }
}

/// The images that are there at some step.
#[derive(Debug, Clone, Copy, Default)]
struct Images {
    count: u64,
    width: u64,
    height: u64,
    /// Of all together.
    pixels: u64,
    canvas: (u64, u64),
    /// Whether their size comes from a setting.
    generated: bool,
}

impl Images {
    fn of(input: &Input, header: Option<Header>) -> Self {
        match (input, header) {
            (_, Some(header)) => Self {
                count: header.frames,
                width: header.width,
                height: header.height,
                pixels: header.pixels,
                canvas: header.canvas,
                generated: false,
            },
            (Input::Generated(_), None) => Self {
                generated: true,
                ..Self::same(1, GENERATED.0, GENERATED.1)
            },
            (Input::Object { bytes, .. }, None) => {
                let pixels = (bytes.len() as u64).saturating_mul(UNKNOWN) / (4 * CHANNEL);
                let side = pixels.isqrt();
                Self::same(1, side, side)
            }
            (Input::Pages { pages, .. }, None) => Self::same(1, 1, pages.pnm.len() as u64),
        }
    }

    fn same(count: u64, width: u64, height: u64) -> Self {
        Self {
            count,
            width,
            height,
            pixels: count.saturating_mul(width).saturating_mul(height),
            canvas: (0, 0),
            generated: false,
        }
    }

    fn one(self) -> u64 {
        self.width.saturating_mul(self.height).min(self.pixels)
    }

    fn and(self, more: Self) -> Self {
        Self {
            count: self.count.saturating_add(more.count),
            width: self.width.max(more.width),
            height: self.height.max(more.height),
            pixels: self.pixels.saturating_add(more.pixels),
            canvas: (
                self.canvas.0.max(more.canvas.0),
                self.canvas.1.max(more.canvas.1),
            ),
            generated: false,
        }
    }

    fn resized(self, width: u64, height: u64) -> Self {
        Self {
            canvas: self.canvas,
            ..Self::same(self.count, width, height)
        }
    }
}

/// Steps gone through with sizes in the place of images.
struct Walk {
    /// Bytes of a pixel.
    pixel: u64,
    /// What is read, in order.
    sources: Vec<Images>,
    /// What `-size` says.
    size: (u64, u64),
    here: Images,
    /// The images outside of parentheses that are open.
    outside: Vec<Images>,
    /// The most pixels that there were at a time.
    peak: u64,
}

impl Walk {
    fn run(&mut self, conversion: &Conversion<'_>) {
        let mut sources = std::mem::take(&mut self.sources).into_iter();
        let settings = conversion.steps.iter().take_while(|step| step.is_setting());
        for step in settings {
            self.setting(step);
        }
        self.read(sources.next());
        if conversion.animations && self.here.count > 1 {
            self.coalesce();
        }
        for step in conversion.steps {
            if step.option == "-read" {
                let read = sources.next();
                self.read(read);
            } else {
                if step.input().is_some() {
                    // It is there as long as the step takes.
                    let more = sources.next().unwrap_or_default();
                    self.need(more.pixels.saturating_mul(2));
                }
                self.step(step);
            }
        }
        // The encoder has rows of its own, and the file that grows.
        self.need(self.here.one());
    }

    fn setting(&mut self, step: &Step) {
        if step.option == "-size"
            && let Some(size) = step.arguments.first()
        {
            self.size = options::resized(size, (0, 0)).unwrap_or(GENERATED);
        }
    }

    fn read(&mut self, images: Option<Images>) {
        let mut images = images.unwrap_or_default();
        if images.generated {
            images = Images::same(1, self.size.0, self.size.1);
        }
        self.here = self.here.and(images);
        self.need(0);
    }

    /// There is so much more at this moment than the images.
    fn need(&mut self, more: u64) {
        let outside = self.outside.iter().map(|images| images.pixels);
        let all = outside.fold(self.here.pixels, u64::saturating_add);
        self.peak = self.peak.max(all.saturating_add(more));
    }

    fn become_(&mut self, images: Images, between: u64) {
        self.need(images.one().saturating_add(between));
        self.here = images;
        self.need(0);
    }

    fn coalesce(&mut self) {
        let (width, height) = self.here.canvas;
        let (width, height) = (self.here.width.max(width), self.here.height.max(height));
        let images = self.here.resized(width, height);
        self.need(images.pixels);
        self.here = images;
    }

    fn step(&mut self, step: &Step) {
        let argument = step.arguments.first().map_or("", String::as_str);
        let (count, width, height) = (self.here.count, self.here.width, self.here.height);
        let here = self.here;
        match step.option {
            _ if step.is_setting() => self.setting(step),
            "(" => self.outside.push(std::mem::take(&mut self.here)),
            ")" => {
                let outside = self.outside.pop().unwrap_or_default();
                self.here = outside.and(self.here);
            }
            "-clone" | "+clone" => {
                let from = self.outside.last().copied().unwrap_or(here);
                self.here = here.and(from);
                self.need(0);
            }
            "-duplicate" | "+duplicate" => {
                let copies = argument
                    .split(',')
                    .next()
                    .and_then(|n| n.trim().parse().ok());
                let copies: u64 = if step.option == "-duplicate" {
                    copies.unwrap_or(1)
                } else {
                    1
                };
                let more = Images::same(copies.saturating_mul(count.max(1)), width, height);
                self.here = here.and(more);
                self.need(0);
            }
            "-morph" => {
                let between = argument.parse::<u64>().unwrap_or(1).saturating_add(1);
                self.here = Images::same(count.saturating_mul(between), width, height);
                self.need(here.pixels);
            }
            "-adaptive-resize"
            | "-geometry"
            | "-interpolative-resize"
            | "-liquid-rescale"
            | "-resize"
            | "-sample"
            | "-scale"
            | "-thumbnail"
            | "-resample" => {
                let (w, h) = if step.option == "-resample" {
                    (width.saturating_mul(4), height.saturating_mul(4))
                } else {
                    options::resized(argument, (width, height))
                        .unwrap_or((width.saturating_mul(2), height.saturating_mul(2)))
                };
                // Across first, or down: the larger of the two that it may be.
                let between = w.saturating_mul(height).max(width.saturating_mul(h));
                self.become_(here.resized(w, h), between);
            }
            "-magnify" => self.become_(
                here.resized(width.saturating_mul(2), height.saturating_mul(2)),
                0,
            ),
            "-extent" => {
                let (w, h) = options::resized(&plain(argument), (0, 0)).unwrap_or((width, height));
                let or = |new, old| if new == 0 { old } else { new };
                self.become_(here.resized(or(w, width), or(h, height)), 0);
            }
            "-border" | "-frame" | "-splice" => {
                let (w, h) =
                    options::resized(&plain(argument), (width, height)).unwrap_or((width, height));
                let grown = here.resized(
                    width.saturating_add(w.saturating_mul(2)),
                    height.saturating_add(h.saturating_mul(2)),
                );
                self.become_(grown, 0);
            }
            "-append" | "+append" | "-smush" | "+smush" => {
                let (w, h) = if step.option.starts_with('-') {
                    (width, height.saturating_mul(count))
                } else {
                    (width.saturating_mul(count), height)
                };
                self.become_(Images::same(1, w, h), 0);
            }
            "-rotate" | "-shear" => {
                let side = width.saturating_add(height);
                self.become_(
                    here.resized(side, side.div_ceil(2)),
                    side.saturating_mul(side),
                );
            }
            "-distort" | "+distort" => {
                let images = here.resized(width.saturating_mul(2), height.saturating_mul(2));
                self.become_(images, 0);
            }
            "-coalesce" | "-layers" | "-deconstruct" => {
                self.coalesce();
                self.need(self.here.pixels);
            }
            "-separate" => {
                self.here = here.resized(width, height);
                self.here.count = count.saturating_mul(5);
                self.need(here.pixels);
            }
            "-fft" | "+fft" | "-ift" | "+ift" => {
                self.here = here.and(here);
                self.need(here.one().saturating_mul(8));
            }
            // Matrices of large numbers.
            "-canny" | "-hough-lines" | "-connected-components" => {
                self.need(here.one().saturating_mul(10));
            }
            "-delete" | "+delete" | "-swap" | "+swap" | "-reverse" | "-strip" | "-set" | "+set"
            | "+repage" | "-repage" | "-noop" | "-identify" | "-print" => {}
            // An operator has its result beside the image, and often one more between them.
            _ => self.need(here.one().saturating_mul(3).max(here.pixels)),
        }
    }
}

/// A size without what says how to come to it.
fn plain(geometry: &str) -> String {
    geometry
        .chars()
        .filter(|c| !"!<>^".contains(*c))
        .collect::<String>()
        + "!"
}
