//! The fast lane: pixels without ImageMagick, where its result is known to come out.
//!
//! The native engine decodes, resamples, moves pixels about and encodes. Everything else of an image stays with ImageMagick,
//! in a [stand-in](StandIn) of one pixel. What the native engine is not sure of it leaves alone: from the start, or,
//! when it has made a picture smaller, from there on.

mod alpha;
mod blur;
mod deep;
mod encode;
mod filter;
mod jpeg;
mod lanes;
mod page;
mod plan;
mod planar;
mod planes;
mod png;
mod raster;
mod resample;
mod sample;
mod scale;
mod shared;
mod source;
mod turn;
mod webp;

pub(crate) use filter::Filter;
pub(crate) use page::Page;
pub(crate) use raster::{Depth, Raster};
pub(crate) use shared::{decode, layout};

use std::borrow::Cow;

use super::magick::lane::{StandIn, fits};
use super::{Conversion, Converted, Engine, Fidelity, Format, Input, Stop, colour};
use crate::error::Result;
use crate::operation::Step;
use blur::Blur;
use encode::{encode, encode_png};
use plan::{Part, Turn};
use raster::{Lines, Rows, Sampled};
use resample::To;
use source::Source;

/// Planes are resampled where at least so many pixels become one: near a picture's own size it shows that their samples
/// are not rounded to RGB before.
const LEAST_SHRUNK: usize = 2;

/// All eighths of a size.
const WHOLE: u32 = 8;

/// Runs a conversion, if it is one for the fast lane.
pub(super) fn convert(conversion: &Conversion<'_>) -> Result<Option<Converted>> {
    if conversion.inputs.is_empty() || !is_worth_it(conversion) {
        return Ok(None);
    }
    let Input::Object {
        bytes,
        name,
        selector: None,
        ..
    } = &conversion.inputs[0]
    else {
        return Ok(None);
    };
    let Some(opened) = Source::open(bytes, conversion.decoded, conversion.stop) else {
        return Ok(None);
    };
    let size = opened.source.size();
    if !fits(size) {
        return Ok(None);
    }
    let stand_in = StandIn::read(conversion, &opened.tiny, opened.format, bytes, size, name);
    let Some(stand_in) = stand_in else {
        return Ok(None);
    };
    let is_indexed = opened.source.is_indexed();
    let pixels = match opened.source {
        Source::Png(lines) if lines.is_deep() => match lines.read_deep(conversion.stop) {
            Some(raster) => Pixels::Fine(raster),
            None => return Ok(None),
        },
        source => Pixels::Coded(source),
    };
    let lane = Lane {
        is_indexed,
        pixels,
        turn: Turn::NONE,
        resized: false,
        is_damaged: false,
        stand_in,
        conversion,
    };
    lane.run()
}

/// Whether the native engine would take much of the work, from the steps alone.
fn is_worth_it(conversion: &Conversion<'_>) -> bool {
    expect(conversion.steps, conversion.format) != Engine::Magick
}

/// What would run these steps on a source for the native engine.
fn expect(steps: &[Step], format: &Format) -> Engine {
    let done = count(steps);
    let resizes = steps[..done].iter().any(|step| Part::of(step).resizes());
    if done == steps.len() && has_encoder(format) {
        Engine::Native
    } else if resizes {
        Engine::NativeMagick
    } else {
        Engine::Magick
    }
}

/// Whether pixels are encoded natively in a format.
fn has_encoder(format: &Format) -> bool {
    matches!(format, Format::Jpeg | Format::Png | Format::WebP)
}

/// Whether more than eight bits of a sample may show: where pixels are sharpened or handed over, as all but moving them about
/// may bring out what lies between two of 256 steps, and where an encoder does not round.
fn is_fine(conversion: &Conversion<'_>) -> bool {
    let shows = |step: &Step| {
        matches!(
            Part::of(step),
            Part::Blur(_) | Part::Flatten | Part::AlphaRemove | Part::Magick
        )
    };
    *conversion.format != Format::Jpeg || conversion.steps.iter().any(shows)
}

/// How many of some steps the native engine does, if the source is for it.
///
/// What steps print tells more of an image than its pixels and metadata, so where some do, ImageMagick has it all.
pub(super) fn count(steps: &[Step]) -> usize {
    if steps.iter().any(plan::prints) {
        return 0;
    }
    let magick = steps.iter().position(|step| Part::of(step) == Part::Magick);
    magick.unwrap_or(steps.len())
}

/// What would run steps on an object of whose name this is the end.
pub(super) fn outlook(extension: Option<&str>, steps: &[Step], format: &Format) -> Engine {
    let source = extension.and_then(Format::from_extension);
    match source {
        Some(Ok(Format::Jpeg | Format::Png | Format::WebP)) => expect(steps, format),
        _ => Engine::Magick,
    }
}

/// A conversion under way.
struct Lane<'a> {
    pixels: Pixels<'a>,
    /// How they are yet to be turned: what comes after is cheaper on a smaller picture.
    turn: Turn,
    /// Whether ImageMagick would have the image as indexes into a table of grays still, and resize it with another filter.
    is_indexed: bool,
    /// Whether the picture has been resized, and so is worth handing over.
    resized: bool,
    /// Whether the source turned out to be damaged, so that the whole conversion is ImageMagick's.
    is_damaged: bool,
    stand_in: StandIn<'a>,
    conversion: &'a Conversion<'a>,
}

enum Pixels<'a> {
    Coded(Source<'a>),
    Raster(Raster),
    /// With sixteen bits a sample, where what comes after may show more than eight.
    Fine(Raster<u16>),
}

/// Resamples rows to another size, in sixteen bits or in eight.
fn resample(rows: &mut dyn Rows, to: &To, is_fine: bool, stop: &Stop) -> Result<Pixels<'static>> {
    Ok(if is_fine {
        Pixels::Fine(resample::resample(rows, to, stop)?)
    } else {
        Pixels::Raster(resample::resample(rows, to, stop)?)
    })
}

impl Pixels<'_> {
    fn rows(&mut self) -> Box<dyn Rows + '_> {
        match self {
            Self::Coded(reader) => Box::new(reader),
            Self::Raster(raster) => Box::new(Lines::of(&*raster)),
            Self::Fine(raster) => Box::new(Lines::of(raster.to_eight())),
        }
    }
}

impl Lane<'_> {
    fn run(mut self) -> Result<Option<Converted>> {
        let conversion = self.conversion;
        let facts = self.stand_in.facts()?;
        if !facts.is_plain || facts.is_gray != (self.channels() <= 2) {
            return Ok(None);
        }
        if conversion.upright
            && colour::wants_upright(conversion.format.name(), conversion.steps)
            && (2..=8).contains(&facts.orientation)
        {
            self.auto_orient()?;
            self.stand_in.remark(
                "the image was put upright before the first operation, as by `-auto-orient`",
            );
        }
        let mut steps = conversion.steps;
        while let Some((step, rest)) = steps.split_first() {
            conversion.stop.check()?;
            if self.step(step)?.is_none() {
                break;
            }
            steps = rest;
        }
        if self.is_damaged || (!self.resized && !steps.is_empty()) {
            return Ok(None);
        }
        if self.lay_out()?.is_none() {
            return Ok(None);
        }
        // ImageMagick's encoder for PNG makes more of a table of colours than is known here.
        let is_ready = !self.is_indexed || *conversion.format != Format::Png;
        if steps.is_empty() && has_encoder(conversion.format) && !conversion.separate && is_ready {
            if let Pixels::Fine(raster) = &self.pixels
                && *conversion.format == Format::Png
                && self.stand_in.is_deep()
                && png::is_deep(raster)
            {
                let encoded = encode_png(&mut self.stand_in, conversion, raster)?;
                return match encoded {
                    Some(bytes) => Ok(Some(self.stand_in.encoded(bytes, raster, Engine::Native))),
                    None => self.stand_in.finish(raster, steps, conversion).map(Some),
                };
            }
            let eight = match &self.pixels {
                Pixels::Fine(raster) if *conversion.format == Format::Png => {
                    Cow::Owned(raster.cut_to_eight())
                }
                Pixels::Fine(raster) => Cow::Owned(raster.to_eight()),
                Pixels::Raster(raster) => Cow::Borrowed(raster),
                Pixels::Coded(_) => return Ok(None),
            };
            if let Some(bytes) = encode(&mut self.stand_in, conversion, &eight)? {
                let converted = self.stand_in.encoded(bytes, &eight, Engine::Native);
                return Ok(Some(converted));
            }
        }
        if self.is_indexed {
            return Ok(None);
        }
        match &self.pixels {
            Pixels::Fine(raster) => self.stand_in.finish(raster, steps, conversion).map(Some),
            Pixels::Raster(raster) => self.stand_in.finish(raster, steps, conversion).map(Some),
            Pixels::Coded(_) => Ok(None),
        }
    }

    /// Runs a step. `None` for one that is ImageMagick's.
    fn step(&mut self, step: &Step) -> Result<Option<()>> {
        match Part::of(step) {
            Part::Magick => return Ok(None),
            Part::Apart => self.stand_in.apply(step)?,
            Part::AutoOrient => self.auto_orient()?,
            Part::Turn(turn) => {
                let page = self.stand_in.page().turned(turn, self.size());
                self.turn = self.turn.then(turn);
                self.stand_in.set_page(page);
            }
            Part::Resize(geometry)
            | Part::Thumbnail(geometry)
            | Part::Sample(geometry)
            | Part::Scale(geometry) => {
                let facts = self.stand_in.facts()?;
                let Some(size) = self.stand_in.resized(geometry, self.size()) else {
                    return Ok(None);
                };
                return match (Part::of(step), facts.filter) {
                    (Part::Sample(_), _) => self.sample(size),
                    (Part::Scale(_), _) => self.scale(size),
                    (Part::Resize(_), Ok(filter)) => self.resize(size, filter),
                    (_, Ok(filter)) => self.thumbnail(size, filter),
                    (_, Err(())) => Ok(None),
                };
            }
            Part::Flatten => return self.flatten(),
            Part::AlphaOff => return self.without_alpha(false, step),
            Part::AlphaRemove => return self.without_alpha(true, step),
            Part::Crop(geometry) => return self.crop(geometry),
            Part::Extent(geometry) => return self.extent(geometry),
            Part::Blur(blur) => return self.blur(blur),
        }
        Ok(Some(()))
    }

    fn channels(&self) -> usize {
        match &self.pixels {
            Pixels::Coded(source) => source.channels(),
            Pixels::Raster(raster) => raster.channels,
            Pixels::Fine(raster) => raster.channels,
        }
    }

    /// The size of the picture, turned as it is to be.
    fn size(&self) -> (usize, usize) {
        let (width, height) = match &self.pixels {
            Pixels::Coded(source) => source.size(),
            Pixels::Raster(raster) => (raster.width, raster.height),
            Pixels::Fine(raster) => (raster.width, raster.height),
        };
        if self.turn.transposes() {
            (height, width)
        } else {
            (width, height)
        }
    }

    fn auto_orient(&mut self) -> Result<()> {
        let turn = Turn::upright(self.stand_in.facts()?.orientation);
        let page = self.stand_in.page().turned(turn, self.size());
        self.turn = self.turn.then(turn);
        self.stand_in.apply(&Step::new("-auto-orient", &[]))?;
        self.stand_in.set_page(page);
        Ok(())
    }

    fn resize(&mut self, size: (usize, usize), filter: Option<Filter>) -> Result<Option<()>> {
        let from = self.size();
        if !fits(size) {
            return Ok(None);
        }
        if size == from && filter.is_none() {
            return Ok(Some(()));
        }
        let enlarges = factor(from.0, size.0) * factor(from.1, size.1) > 1.0;
        let has_alpha = self.channels().is_multiple_of(2);
        let filter = filter.unwrap_or(if self.is_indexed || has_alpha || enlarges {
            Filter::Mitchell
        } else {
            Filter::Lanczos
        });
        let to = self.to(from, size, filter);
        let stop = self.conversion.stop;
        let page = self.stand_in.page().scaled(from, size);
        self.stand_in.set_page(page);
        let is_fine = is_fine(self.conversion);
        let eighths = self.eighths(from, size);
        let is_much_smaller = size.0 * size.1 <= from.0 * from.1 / LEAST_SHRUNK;
        if is_much_smaller
            && eighths >= WHOLE / 2
            && let Some(result) = self.resample_planes(eighths, &to)
        {
            return self.take(result);
        }
        self.replace(eighths, |pixels| match pixels {
            Pixels::Fine(raster) => Ok(Pixels::Fine(deep::resample(raster, &to, stop)?)),
            _ => resample(&mut *pixels.rows(), &to, is_fine, stop),
        })
    }

    /// Resamples a picture that is coded in planes. `None` if it is not, or not for that.
    fn resample_planes(&mut self, eighths: u32, to: &To) -> Option<Result<Pixels<'static>>> {
        let Pixels::Coded(source) = &mut self.pixels else {
            return None;
        };
        let planes = source.start_planes(eighths)?;
        let stop = self.conversion.stop;
        let resampled = if is_fine(self.conversion) {
            planar::resample(source, planes, to, stop).map(|done| done.map(Pixels::Fine))
        } else {
            planar::resample(source, planes, to, stop).map(|done| done.map(Pixels::Raster))
        };
        let resampled = resampled.transpose();
        if resampled.is_none() {
            source.rewind()?;
        }
        resampled
    }

    /// As ImageMagick makes thumbnails: large pictures lose pixels first, then there are means, and a filter at last.
    fn thumbnail(&mut self, size: (usize, usize), filter: Option<Filter>) -> Result<Option<()>> {
        let from = self.size();
        if size != from {
            let times = |times: usize| (times * size.0, times * size.1);
            let shrinks = |times: usize| from.0 / size.0 > times && from.1 / size.1 > times;
            if !fits(times(4)) {
                return Ok(None);
            }
            let stop = self.conversion.stop;
            let sampled = if shrinks(4) { times(4) } else { from };
            let meant = if shrinks(2) { times(2) } else { sampled };
            let mean = self.to(sampled, meant, Filter::Box);
            let last = self.to(meant, size, filter.unwrap_or(Filter::LanczosSharp));
            let columns = along(from.0, sampled.0, 0.5);
            let lines = along(from.1, sampled.1, 0.5);
            let (columns, lines) = self.turn.axes(columns, lines, from);
            let eighths = self.eighths(from, size);
            let is_fine = is_fine(self.conversion);
            let done = self.replace(eighths, |pixels| {
                if let Pixels::Fine(raster) = pixels {
                    let sampled = shrinks(4).then_some((&columns[..], &lines[..]));
                    let mean = shrinks(2).then_some(&mean);
                    let thumbnail = deep::thumbnail(raster, sampled, mean, &last, stop)?;
                    return Ok(Pixels::Fine(thumbnail));
                }
                let mut rows = pixels.rows();
                if eighths < WHOLE || !shrinks(2) {
                    return resample(&mut *rows, &last, is_fine, stop);
                }
                let raster: Raster = if shrinks(4) {
                    let mut rows = Sampled::new(&mut *rows, columns, lines);
                    let raster = resample::resample(&mut rows, &mean, stop)?;
                    rows.drain()?;
                    raster
                } else {
                    resample::resample(&mut *rows, &mean, stop)?
                };
                resample(&mut Lines::of(&raster), &last, is_fine, stop)
            })?;
            if done.is_none() {
                return Ok(None);
            }
        }
        // The rest of it concerns properties and profiles.
        let step = Step::new("-thumbnail", &["1x1!"]);
        self.stand_in.apply(&step)?;
        Ok(Some(()))
    }

    /// At how many eighths of its size the picture is to be decoded: fewer only where that may show.
    fn eighths(&self, from: (usize, usize), size: (usize, usize)) -> u32 {
        let is_enough =
            |part: usize| from.0.div_ceil(part) >= size.0 && from.1.div_ceil(part) >= size.1;
        let is_coded = matches!(&self.pixels, Pixels::Coded(source) if !source.is_decoded());
        if !is_coded || self.conversion.fidelity == Fidelity::Exact {
            return WHOLE;
        }
        // Those that libjpeg has fast transforms for.
        let enough = [1, 2, 4].into_iter().find(|part| is_enough(8 / part));
        enough.map_or(WHOLE, |part| u32::try_from(part).unwrap_or(WHOLE))
    }

    /// What to resample the pixels as they lie to, for a picture of one size that is to get another.
    fn to(&self, from: (usize, usize), size: (usize, usize), filter: Filter) -> To {
        let across_first = factor(from.0, size.0) > factor(from.1, size.1);
        let transposes = self.turn.transposes();
        let (width, height) = if transposes { (size.1, size.0) } else { size };
        To {
            width,
            height,
            filter,
            across_first: across_first != transposes,
        }
    }

    /// Makes other pixels of those that are there. If they are coded still, they are decoded at so many eighths of their size.
    fn replace(
        &mut self,
        eighths: u32,
        make: impl FnOnce(&mut Pixels<'_>) -> Result<Pixels<'static>>,
    ) -> Result<Option<()>> {
        if let Pixels::Coded(reader) = &mut self.pixels {
            self.is_damaged |= reader.start(eighths).is_none();
            if self.is_damaged {
                return Ok(None);
            }
        }
        let result = make(&mut self.pixels);
        self.take(result)
    }

    /// Goes on with pixels that were made of those that are there.
    fn take(&mut self, result: Result<Pixels<'static>>) -> Result<Option<()>> {
        self.conversion.stop.check()?;
        let Ok(pixels) = result else {
            self.is_damaged = true;
            return Ok(None);
        };
        let before = std::mem::replace(&mut self.pixels, pixels);
        if let Pixels::Coded(reader) = before {
            self.is_damaged |= !reader.finish();
        }
        self.is_indexed = false;
        self.resized = true;
        Ok((!self.is_damaged).then_some(()))
    }

    /// Sees to it that the pixels are decoded, and lie as the picture is to be seen.
    fn lay_out(&mut self) -> Result<Option<()>> {
        if let Pixels::Coded(reader) = &self.pixels {
            let (width, height) = reader.size();
            let (was_indexed, was_resized) = (self.is_indexed, self.resized);
            let channels = reader.channels();
            let decoded = self.replace(WHOLE, |pixels| {
                let mut raster = Raster::new(width, height, channels);
                pixels.rows().read(&mut raster.samples)?;
                raster.look_for_colors();
                Ok(Pixels::Raster(raster))
            })?;
            (self.is_indexed, self.resized) = (was_indexed, was_resized);
            if decoded.is_none() {
                return Ok(None);
            }
        }
        let turn = std::mem::replace(&mut self.turn, Turn::NONE);
        match &mut self.pixels {
            _ if turn == Turn::NONE => {}
            Pixels::Raster(raster) => *raster = turn::turn(raster, turn),
            Pixels::Fine(raster) => *raster = turn::turn(raster, turn),
            Pixels::Coded(_) => {}
        }
        Ok(Some(()))
    }

    fn crop(&mut self, geometry: &str) -> Result<Option<()>> {
        self.stand_in.facts()?;
        let (width, height) = self.size();
        let Some(region) = self.stand_in.gravitated(geometry, (width, height)) else {
            return Ok(None);
        };
        let is_simple = region.is_placed && !region.is_special;
        if !is_simple || !self.stand_in.page().is_covered((width, height)) {
            return Ok(None);
        }
        let (Some((x, cut_width)), Some((y, cut_height))) = (
            turn::inside(region.x, region.width, width),
            turn::inside(region.y, region.height, height),
        ) else {
            return Ok(None);
        };
        if self.lay_out()?.is_none() {
            return Ok(None);
        }
        match &mut self.pixels {
            Pixels::Raster(raster) => *raster = turn::cut(raster, x, y, cut_width, cut_height),
            Pixels::Fine(raster) => *raster = turn::cut(raster, x, y, cut_width, cut_height),
            Pixels::Coded(_) => {}
        }
        let offset = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
        self.stand_in.set_page(Page {
            x: offset(x),
            y: offset(y),
            ..Page::of((width, height))
        });
        Ok(Some(()))
    }

    fn blur(&mut self, blur: Blur) -> Result<Option<()>> {
        // Beside alpha it means to weigh, and of indexes into a table nothing.
        if self.is_indexed || self.channels().is_multiple_of(2) {
            return Ok(None);
        }
        if self.lay_out()?.is_none() {
            return Ok(None);
        }
        if let Pixels::Raster(raster) = &self.pixels {
            self.pixels = Pixels::Fine(raster.to_sixteen());
        }
        if let Pixels::Fine(raster) = &mut self.pixels {
            blur.apply(raster, self.conversion.stop)?;
        }
        Ok(Some(()))
    }

    fn extent(&mut self, geometry: &str) -> Result<Option<()>> {
        let facts = self.stand_in.facts()?;
        let region = self.stand_in.gravitated(geometry, self.size());
        let (Some(region), Some(ground)) = (region, facts.background) else {
            return Ok(None);
        };
        let size = (region.width, region.height);
        let is_gray = ground[0] == ground[1] && ground[1] == ground[2];
        // To draw over means to mix, then.
        if self.channels().is_multiple_of(2) {
            return Ok(None);
        }
        let (from, page) = (self.size(), self.stand_in.page());
        if !facts.composes_over || !fits(size) || !page.is_covered(from) {
            return Ok(None);
        }
        if self.lay_out()?.is_none() || (self.channels() == 1 && !is_gray) {
            return Ok(None);
        }
        let at = (-region.x, -region.y);
        match &mut self.pixels {
            Pixels::Raster(raster) => *raster = turn::place(raster, at, size, ground),
            Pixels::Fine(raster) => *raster = turn::place(raster, at, size, ground),
            Pixels::Coded(_) => {}
        }
        self.stand_in.set_page(page.scaled(from, size));
        self.is_indexed = false;
        Ok(Some(()))
    }
}

/// Which samples are taken when a side gets another length: those at a place, from 0 to 1, in what they stand for.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of images are far below 2^52, and positions are within the image"
)]
fn along(from: usize, to: usize, place: f64) -> Vec<usize> {
    const EPSILON: f64 = 1.0e-12;
    (0..to)
        .map(|at| ((at as f64 + (place - EPSILON)) * from as f64 / to as f64) as usize)
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of images are far below 2^52"
)]
fn factor(from: usize, to: usize) -> f64 {
    to as f64 * (1.0 / from as f64)
}
