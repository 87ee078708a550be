//! Results, encoded as ImageMagick would.

use bytes::Bytes;

use super::raster::{Depth, Raster};
use super::{Page, jpeg, plan, png, webp};
use crate::engine::magick::lane::StandIn;
use crate::engine::magick::libwebp;
use crate::engine::{Conversion, Format};
use crate::error::Result;

/// Encodes a picture as ImageMagick would, if that is known.
pub(super) fn encode(
    stand_in: &mut StandIn<'_>,
    conversion: &Conversion<'_>,
    raster: &Raster,
) -> Result<Option<Bytes>> {
    match conversion.format {
        Format::Jpeg => {
            let is_gray = raster.gray || raster.channels <= 2;
            let mut pixel = Raster::new(1, 1, 3);
            if !is_gray {
                pixel.samples[0] = u8::MAX;
            }
            let like = stand_in.encode(conversion.format, &pixel)?;
            Ok(jpeg::encode(&like.bytes, like.quality, raster))
        }
        Format::Png => encode_png(stand_in, conversion, raster),
        Format::WebP => {
            let like = stand_in.encode(conversion.format, &Raster::<u8>::new(1, 1, 3))?;
            let settings = libwebp::Settings::new(like.quality, |key| stand_in.define(key));
            let stop = conversion.stop;
            let encoded =
                settings.and_then(|settings| webp::encode(&like.bytes, &settings, raster, stop));
            stop.check()?;
            Ok(encoded)
        }
        _ => Ok(None),
    }
}

/// Encodes a picture as PNG, with as many bits a sample as it has.
pub(super) fn encode_png<T: Depth>(
    stand_in: &mut StandIn<'_>,
    conversion: &Conversion<'_>,
    raster: &Raster<T>,
) -> Result<Option<Bytes>> {
    let size = (raster.width, raster.height);
    let is_plain = !raster.gray || raster.channels <= 2;
    let is_told = conversion.steps.iter().any(plan::is_about_png);
    if !is_plain || is_told || !stand_in.page().is_covered(size) {
        return Ok(None);
    }
    let sample = png::sample(raster);
    let page = stand_in.page();
    stand_in.set_page(Page::of((sample.width, sample.height)));
    let like = stand_in.encode(conversion.format, &sample)?;
    stand_in.set_page(page);
    Ok(png::encode(&like.bytes, like.set_quality, raster))
}
