//! How large an image is, read before its pixels.

use std::time::Duration;

use magick_rust::bindings as im;

use super::source::Source;
use super::wand::Wand;
use super::{options, text};
use crate::engine::price::Header;
use crate::engine::{Input, Stop};

/// What the header of an input says; `None` where it says nothing, as a generator's or a damaged one's.
///
/// What is wrong with an image is found out, and told, when it is read.
pub(crate) fn header(input: &Input, stop: &Stop) -> Option<Header> {
    let (bytes, format, frames) = match input {
        Input::Generated(_) => return None,
        Input::Pages { pages, .. } => (&pages.pnm, "PNM".to_owned(), None),
        Input::Object {
            bytes, selector, ..
        } => {
            let source = Source::of(input).ok()?;
            let (_, format) = source.object()?;
            // Of a selector only numbers of frames say something here: what else there is cuts what was read in whole.
            let frames = selector.as_deref().filter(|selector| {
                format.in_memory && options::is_scenes(selector) && !selector.contains('x')
            });
            (bytes, format.name.clone(), frames)
        }
    };
    let hasty = Stop::after(stop.left().min(MOST_TIME));
    hasty.start();
    let mut wand = Wand::new(&hasty);
    wand.ping(bytes, &format, frames).ok()?;
    let mut header = Header::default();
    for image in text::images(&wand) {
        // SAFETY: the image is the wand's, which works on nothing else meanwhile.
        let (width, height) = unsafe { ((*image).columns as u64, (*image).rows as u64) };
        // SAFETY: as above.
        let page = unsafe { (*image).page };
        // SAFETY: as above. Read as numbers: what a file says goes in unchecked, and may be none of the enumeration's.
        let colorspace = unsafe { (&raw const (*image).colorspace).cast::<u32>().read() };
        header.frames += 1;
        header.width = header.width.max(width);
        header.height = header.height.max(height);
        header.pixels = header.pixels.saturating_add(width.saturating_mul(height));
        header.canvas.0 = header.canvas.0.max(page.width as u64);
        header.canvas.1 = header.canvas.1.max(page.height as u64);
        let channels = match colorspace {
            colorspace if colorspace == im::ColorspaceType::CMYK as u32 => 4,
            colorspace if colorspace == im::ColorspaceType::GRAY as u32 => 1,
            _ => 3,
        };
        header.least_channels = header.least_channels.max(channels);
        // Transparency, and the index of colours in a palette, of which some formats tell with the pixels only.
        let more = if format == "JPEG" || format == "PNM" {
            0
        } else {
            2
        };
        header.most_channels = header.most_channels.max(channels + more);
    }
    (header.frames > 0).then_some(header)
}

/// How long a header may take. ImageMagick counts all images anew at each, and, as long as it looks for no pixels, goes on
/// behind the most that there may be: a small file can hold many. What has no header by then is found out when it is read.
const MOST_TIME: Duration = Duration::from_secs(2);

/// How much memory a channel of a pixel takes.
pub(crate) const CHANNEL: u64 = size_of::<im::Quantum>() as u64;
