//! Where the rows of a source come from: from its decoder, or from memory, if it has been decoded before.

use super::jpeg;
use super::plan::{self, Part};
use super::raster::Rows;
use crate::engine::magick::lane::fits;
use crate::engine::magick::libjpeg::Reader;
use crate::engine::{Decoded, Format, Input, Layout, Stop};
use crate::error::Result;
use crate::operation::Step;

/// How many rows are decoded at once: as many as JPEG codes together, at most.
const BAND: usize = 16;

/// A source of pixels, of which nothing has been read yet.
pub(super) enum Coded<'a> {
    File(Reader<'a>),
    Memory { decoded: &'a Decoded, done: usize },
}

impl<'a> Coded<'a> {
    /// The pixels that are there, or a decoder for them.
    pub(super) fn open(
        bytes: &'a [u8],
        decoded: Option<&'a Decoded>,
        stop: &'a Stop,
    ) -> Option<Self> {
        match decoded {
            Some(decoded) => Some(Self::Memory { decoded, done: 0 }),
            None => Reader::open(bytes, stop).map(Self::File),
        }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            Self::File(reader) => reader.size(),
            Self::Memory { decoded, .. } => {
                let Layout { width, height, .. } = decoded.layout;
                (width as usize, height as usize)
            }
        }
    }

    /// 1 for gray, 3 for RGB.
    pub(super) fn channels(&self) -> usize {
        match self {
            Self::File(reader) => Reader::channels(reader),
            Self::Memory { decoded, .. } => decoded.layout.channels.into(),
        }
    }

    /// Starts to decode, in full size.
    pub(super) fn start(&mut self) -> Option<()> {
        match self {
            Self::File(reader) => reader.start(8),
            Self::Memory { .. } => Some(()),
        }
    }

    /// Whether the image was whole, as far as it was read. What is in memory was.
    pub(super) fn finish(self) -> bool {
        match self {
            Self::File(reader) => reader.finish(),
            Self::Memory { .. } => true,
        }
    }
}

impl Rows for Coded<'_> {
    fn width(&self) -> usize {
        self.size().0
    }

    fn height(&self) -> usize {
        self.size().1
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        match self {
            Self::File(reader) => Rows::read(reader, rows),
            Self::Memory { decoded, done } => {
                rows.copy_from_slice(&decoded.samples[*done..*done + rows.len()]);
                *done += rows.len();
                Ok(())
            }
        }
    }
}

/// How the pixels of a source would lie, if the native engine would decode it for these steps. It is found in the header.
pub(crate) fn layout(source: &Input, steps: &[Step], format: &Format) -> Option<Layout> {
    if !plan::is_worth_it(steps.iter().map(Part::of), format) {
        return None;
    }
    let layout = match source {
        Input::Object {
            bytes,
            selector: None,
            ..
        } => jpeg::layout(bytes)?,
        _ => return None,
    };
    fits((layout.width as usize, layout.height as usize)).then_some(layout)
}

/// Decodes all rows of a source, and says whether they are sound.
pub(crate) fn decode(
    source: &Input,
    layout: Layout,
    stop: &Stop,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let Input::Object { bytes, .. } = source else {
        return Ok(false);
    };
    let Some(mut reader) = Reader::open(bytes, stop) else {
        return Ok(false);
    };
    let (width, height) = reader.size();
    let channels = Reader::channels(&reader);
    let is_as_told = (width, height) == (layout.width as usize, layout.height as usize)
        && channels == usize::from(layout.channels);
    if !is_as_told || !fits((width, height)) || reader.start(8).is_none() {
        return Ok(false);
    }
    let mut band = vec![0; BAND * width * channels];
    let mut left = height;
    while left > 0 {
        let count = left.min(BAND);
        let rows = &mut band[..count * width * channels];
        let read = Reader::read(&mut reader, rows);
        stop.check()?;
        if read.is_none() {
            return Ok(false);
        }
        write(rows)?;
        left -= count;
    }
    Ok(reader.finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use testkit::images;

    use super::*;
    use crate::engine::{Conversion, native};

    fn object(bytes: Bytes) -> Input {
        Input::Object {
            bytes,
            name: String::new(),
            extension: None,
            selector: None,
        }
    }

    fn small() -> [Step; 1] {
        [Step::new("-resize", &["10x10!"])]
    }

    /// The samples of a source, if they are sound.
    fn samples(source: &Input, layout: Layout) -> Option<Vec<u8>> {
        let mut samples = Vec::new();
        let stop = Stop::after(Duration::from_secs(60));
        let is_sound = decode(source, layout, &stop, &mut |rows| {
            samples.extend_from_slice(rows);
            Ok(())
        });
        is_sound.expect("it is not stopped").then_some(samples)
    }

    #[test]
    fn what_is_decoded_is_what_the_command_decodes() {
        for (options, pixels, channels) in [
            (&[][..], "rgb:-", 3),
            (&["-interlace", "Plane"], "rgb:-", 3),
            (&["-sampling-factor", "2x1"], "rgb:-", 3),
            (&["-colorspace", "Gray"], "gray:-", 1),
        ] {
            let png = images::make("png", 61, 43);
            let jpeg = images::magick_with([&["-"], options, &["jpeg:-"]].concat(), &png).stdout;
            let expected = images::magick_with(["jpeg:-", "-depth", "8", pixels], &jpeg).stdout;
            let source = object(jpeg.into());
            let layout = layout(&source, &small(), &Format::Jpeg).expect("it is for the lane");
            let told = (layout.width, layout.height, layout.channels);
            assert_eq!(told, (61, 43, channels), "{options:?}");
            assert!(samples(&source, layout) == Some(expected), "{options:?}");
        }
    }

    #[test]
    fn what_is_not_whole_or_not_as_told_is_not_decoded() {
        let jpeg = images::make("jpeg", 60, 40);
        let whole = object(jpeg.clone());
        let layout = layout(&whole, &small(), &Format::Jpeg).expect("it is for the lane");
        assert!(samples(&whole, layout).is_some());
        let half = object(jpeg.slice(..jpeg.len() / 2));
        assert_eq!(samples(&half, layout), None);
        let other = Layout {
            width: 40,
            height: 60,
            ..layout
        };
        assert_eq!(samples(&whole, other), None);
        assert_eq!(samples(&object(images::make("png", 60, 40)), layout), None);
    }

    #[test]
    fn pixels_that_are_there_are_not_decoded_again() {
        let source = object(images::make("jpeg", 60, 40));
        let layout = layout(&source, &small(), &Format::Jpeg).expect("it is for the lane");
        let length = usize::try_from(layout.bytes()).expect("it is small");
        // What the source is not.
        let white = Decoded {
            layout,
            samples: vec![255; length].into(),
        };
        let converted = native::convert(&Conversion {
            inputs: &[source],
            decoded: Some(&white),
            steps: &small(),
            format: &Format::Jpeg,
            separate: false,
            animations: true,
            cmyk: None,
            upright: true,
            native: true,
            stop: &Stop::after(Duration::from_secs(60)),
        });
        let converted = converted
            .expect("it goes well")
            .expect("it is for the lane");
        let pixels = images::magick_with(
            ["jpeg:-", "-depth", "8", "rgb:-"],
            &converted.files[0].bytes,
        );
        assert!(pixels.stdout.iter().all(|sample| *sample >= 254));
    }
}
