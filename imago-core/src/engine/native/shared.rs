//! Sources that are decoded as a whole, for several conversions.

use super::raster::Rows;
use super::source::Source;
use super::{WHOLE, expect, jpeg, planar, png, webp};
use crate::engine::magick::lane::fits;
use crate::engine::{Engine, Format, Input, Layout, Limits, Planes, Stop};
use crate::error::Result;
use crate::operation::Step;

/// How many rows are decoded at once: as many as JPEG codes together, at most.
const BAND: usize = 16;

/// How the pixels of a source would lie, if the native engine would decode it for these steps. It is found in the header.
pub(crate) fn layout(
    source: &Input,
    steps: &[Step],
    format: &Format,
    limits: &Limits,
) -> Option<Layout> {
    let Input::Object {
        bytes,
        selector: None,
        ..
    } = source
    else {
        return None;
    };
    if expect(steps, format) == Engine::Magick {
        return None;
    }
    let layout = jpeg::layout(bytes)
        .or_else(|| png::layout(bytes))
        .or_else(|| webp::layout(bytes))?;
    let (width, height) = (u64::from(layout.width), u64::from(layout.height));
    let fits = width <= limits.width && height <= limits.height && width * height <= limits.pixels;
    fits.then_some(layout)
}

/// Decodes a source and hands its rows, or bands of its planes, to `write`, in order. Says whether all of them are there, and
/// sound: of an image that is damaged it gives no reason, because each conversion has its own words for it. Planes must be
/// such that they can be resampled, see [`planar`].
pub(crate) fn decode(
    source: &Input,
    layout: Layout,
    stop: &Stop,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let Input::Object { bytes, .. } = source else {
        return Ok(false);
    };
    let Some(opened) = Source::open(bytes, None, stop) else {
        return Ok(false);
    };
    let mut source = opened.source;
    let (width, height) = source.size();
    let channels = source.channels();
    let is_as_told = (width, height) == (layout.width as usize, layout.height as usize)
        && channels == usize::from(layout.channels)
        && source.is_indexed() == layout.is_indexed;
    if !is_as_told || !fits((width, height)) {
        return Ok(false);
    }
    let is_whole = match layout.planes {
        Some(planes) => decode_planes(&mut source, planes, stop, write)?,
        None => decode_rows(&mut source, stop, write)?,
    };
    Ok(is_whole && source.finish())
}

fn decode_planes(
    source: &mut Source<'_>,
    planes: Planes,
    stop: &Stop,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    if source.start_planes(WHOLE) != Some(planes) {
        return Ok(false);
    }
    let mut reader = planar::Reader::new(source, planes);
    while !reader.is_done() {
        let band = reader.next();
        stop.check()?;
        let Ok(Some(band)) = band else {
            return Ok(false);
        };
        write(band.bytes)?;
    }
    Ok(true)
}

fn decode_rows(
    source: &mut Source<'_>,
    stop: &Stop,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    if source.start(WHOLE).is_none() {
        return Ok(false);
    }
    let stride = source.width() * source.channels();
    let mut band = vec![0; BAND * stride];
    let mut left = source.height();
    while left > 0 {
        let count = left.min(BAND);
        let rows = &mut band[..count * stride];
        let read = source.read(rows);
        stop.check()?;
        if read.is_err() {
            return Ok(false);
        }
        write(rows)?;
        left -= count;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use testkit::images;

    use super::*;
    use crate::engine::{Conversion, Decoded, Fidelity, native};

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

    /// The rows of a source whose pixels are there.
    fn rows(source: &Input, layout: Layout, samples: Vec<u8>) -> Vec<u8> {
        let Input::Object { bytes, .. } = source else {
            return Vec::new();
        };
        let decoded = Decoded {
            layout,
            samples: samples.into(),
        };
        let stop = Stop::after(Duration::from_secs(60));
        let opened = Source::open(bytes, Some(&decoded), &stop).expect("it is for the lane");
        let mut source = opened.source;
        let (width, height) = source.size();
        let mut rows = vec![0; width * height * source.channels()];
        source.read(&mut rows).expect("it is there");
        rows
    }

    #[test]
    fn what_is_decoded_is_what_the_command_decodes() {
        for (options, made, pixels, channels) in [
            (&[][..], "jpeg:-", "rgb:-", 3),
            (&["-interlace", "Plane"], "jpeg:-", "rgb:-", 3),
            (&["-sampling-factor", "2x1"], "jpeg:-", "rgb:-", 3),
            (&["-colorspace", "Gray"], "jpeg:-", "gray:-", 1),
            (&[], "png24:-", "rgb:-", 3),
            (
                &["-alpha", "on", "-channel", "A", "-evaluate", "set", "40%"],
                "png32:-",
                "rgba:-",
                4,
            ),
            (&["-colors", "200"], "png8:-", "rgb:-", 3),
            (&["-colorspace", "Gray"], "png:-", "gray:-", 1),
            (&["-quality", "70"], "webp:-", "rgb:-", 3),
            (&["-quality", "100"], "webp:-", "rgb:-", 3),
            (
                &["-alpha", "on", "-channel", "A", "-evaluate", "set", "40%"],
                "webp:-",
                "rgba:-",
                4,
            ),
        ] {
            let png = images::make("png", 61, 43);
            let file = images::magick_with([&["-"], options, &[made]].concat(), &png).stdout;
            let expected = images::magick_with(["-", "-depth", "8", pixels], &file).stdout;
            let source = object(file.into());
            let layout = layout(&source, &small(), &Format::Jpeg, &Limits::default());
            let layout = layout.unwrap_or_else(|| panic!("{made} {options:?}"));
            let told = (layout.width, layout.height, layout.channels);
            assert_eq!(told, (61, 43, channels), "{made} {options:?}");
            let samples = samples(&source, layout);
            let samples = samples.unwrap_or_else(|| panic!("{made} {options:?} is not decoded"));
            assert!(
                rows(&source, layout, samples) == expected,
                "{made} {options:?}"
            );
        }
    }

    #[test]
    fn what_is_not_whole_or_not_as_told_is_not_decoded() {
        let jpeg = images::make("jpeg", 60, 40);
        let whole = object(jpeg.clone());
        let layout = layout(&whole, &small(), &Format::Jpeg, &Limits::default())
            .expect("it is for the lane");
        assert!(samples(&whole, layout).is_some());
        let half = object(jpeg.slice(..jpeg.len() / 2));
        assert_eq!(samples(&half, layout), None);
        let other = Layout {
            width: 40,
            height: 60,
            ..layout
        };
        assert_eq!(samples(&whole, other), None);
        assert_eq!(samples(&object(images::make("gif", 60, 40)), layout), None);
        let layout = layout.without_planes().expect("it was in planes");
        assert!(samples(&whole, layout).is_some());
        let webp = images::make("webp", 60, 40);
        assert!(samples(&object(webp.clone()), layout).is_some());
        assert_eq!(samples(&object(webp.slice(..webp.len() / 2)), layout), None);
        let mut moves = vec!["-", "(", "+clone", "-negate", ")"];
        moves.extend(["-loop", "0", "webp:-"]);
        let moves = images::magick_with(moves, &webp).stdout;
        assert_eq!(samples(&object(moves.into()), layout), None);
    }

    #[test]
    fn pixels_that_are_there_are_not_decoded_again() {
        let source = object(images::make("jpeg", 60, 40));
        let layout = layout(&source, &small(), &Format::Jpeg, &Limits::default())
            .expect("it is for the lane");
        let length = usize::try_from(layout.bytes()).expect("it is small");
        // What the source is not, in light, and without colours.
        let planes = layout.planes.expect("it is in YCbCr");
        let mut samples = vec![255; length];
        for band in samples.chunks_mut(planes.band()) {
            band[planes.luma.bytes()..].fill(128);
        }
        let white = Decoded {
            layout,
            samples: samples.into(),
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
            fidelity: Fidelity::Exact,
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
