//! Where the fast lane and ImageMagick meet: an image that ImageMagick knows everything of but its pixels.
//!
//! The native engine moves pixels and nothing else. Whatever else an image has (profiles, properties, density, and what
//! settings say of its encoding) is in a wand, in an image of one pixel that stands in for the real one, and operations
//! that change it run there. In the end either the pixels are handed over, or the native encoder is told what
//! ImageMagick's would have gone by.

use std::ffi::{CStr, c_char, c_void};

use bytes::Bytes;
use magick_rust::bindings as im;

use super::text::{self, Output};
use super::wand::{Wand, c_string};
use super::{apply, run_rest, runtime};
use crate::engine::native::{Depth, Filter, Page, Raster};
use crate::engine::{Conversion, Converted, Engine, File, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

type ParseGeometry = unsafe extern "C" fn(
    *const im::Image,
    *const c_char,
    *mut im::RectangleInfo,
    *mut im::ExceptionInfo,
) -> im::MagickStatusType;

const PLACED: u32 = im::GeometryFlags::XValue as u32 | im::GeometryFlags::YValue as u32;
const SPECIAL: u32 = im::GeometryFlags::AspectValue as u32 | im::GeometryFlags::AreaValue as u32;

/// The filters that the native engine has.
const FILTERS: &[(im::FilterType, Filter)] = &[
    (im::FilterType::Box, Filter::Box),
    (im::FilterType::Catrom, Filter::Catrom),
    (im::FilterType::Hermite, Filter::Hermite),
    (im::FilterType::Lanczos, Filter::Lanczos),
    (im::FilterType::Lanczos2, Filter::Lanczos2),
    (im::FilterType::LanczosSharp, Filter::LanczosSharp),
    (im::FilterType::Mitchell, Filter::Mitchell),
    (im::FilterType::Triangle, Filter::Triangle),
];

/// An image without pixels.
pub(crate) struct StandIn<'a> {
    wand: Wand<'a>,
    output: Output,
}

/// What the native engine has to know of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The number that EXIF has for it, from 1 for upright to 8; 0 where the file does not say.
    pub(crate) orientation: u32,
    /// Whether its colours are sRGB or gray.
    pub(crate) is_plain: bool,
    /// Whether they are grays.
    pub(crate) is_gray: bool,
    /// The filter that is set, if one is. An error for one that the native engine has not.
    pub(crate) filter: Result<Option<Filter>, ()>,
    /// The background in eight bits a channel, where it is opaque and that says it all.
    pub(crate) background: Option<[u8; 3]>,
    /// Whether drawing an opaque picture over another means to replace.
    pub(crate) composes_over: bool,
}

/// A file that ImageMagick made of a little picture.
#[derive(Debug)]
pub(crate) struct Like {
    pub(crate) bytes: Bytes,
    /// The image's quality, or the one that is set; 0 for neither.
    pub(crate) quality: usize,
    /// The quality that is set; 0 if none is.
    pub(crate) set_quality: usize,
}

/// A rectangle that may lie outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) x: isize,
    pub(crate) y: isize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Whether the geometry says where it is.
    pub(crate) is_placed: bool,
    /// Whether the geometry has flags such as `!` and `@`.
    pub(crate) is_special: bool,
}

impl<'a> StandIn<'a> {
    /// Reads the stand-in of a source. `None` for one that ImageMagick should look at as a whole.
    pub(crate) fn read(
        conversion: &Conversion<'a>,
        tiny: &[u8],
        format: &str,
        source: &[u8],
        (width, height): (usize, usize),
        name: &str,
    ) -> Option<Self> {
        let mut wand = Wand::new(conversion.stop);
        let mut output = Output::default();
        output.note(wand.read(tiny, format, None).ok()?);
        let image = wand.first_image();
        if image.is_null() {
            return None;
        }
        if !name.is_empty() {
            text::set_name(&mut wand, 0, name);
        }
        // SAFETY: the image is the wand's, here and below, and nothing else works on the wand meanwhile.
        unsafe { (*image).magick_columns = width };
        // SAFETY: as above.
        unsafe { (*image).magick_rows = height };
        // SAFETY: as above.
        unsafe { (*image).extent = source.len() as im::MagickSizeType };
        let mut stand_in = Self { wand, output };
        stand_in.set_page(Page::of((width, height)));
        Some(stand_in)
    }

    /// What is set by now. Settings reach the image when an option runs.
    pub(crate) fn facts(&mut self) -> Result<Facts> {
        self.apply(&Step::new("-noop", &[]))?;
        let image = self.wand.first_image();
        // SAFETY: `read` saw to it that there is one, and nothing works on the wand. The enumerations are read as numbers,
        // here and below: files may say what no enumeration holds.
        let orientation = unsafe { (&raw const (*image).orientation).cast::<u32>().read() };
        // SAFETY: as above.
        let colorspace = unsafe { (&raw const (*image).colorspace).cast::<u32>().read() };
        // SAFETY: as above.
        let filter = unsafe { (&raw const (*image).filter).cast::<u32>().read() };
        // SAFETY: as above.
        let compose = unsafe { (&raw const (*image).compose).cast::<u32>().read() };
        // SAFETY: as above.
        let background = unsafe { eight_bits(&raw const (*image).background_color) };
        let known = [im::ColorspaceType::sRGB, im::ColorspaceType::GRAY];
        let over = [
            im::CompositeOperator::Undefined,
            im::CompositeOperator::Over,
            im::CompositeOperator::Copy,
        ];
        Ok(Facts {
            orientation,
            is_gray: colorspace == im::ColorspaceType::GRAY as u32,
            is_plain: known.iter().any(|known| *known as u32 == colorspace),
            filter: match filter {
                0 => Ok(None),
                filter => FILTERS
                    .iter()
                    .find(|(number, _)| *number as u32 == filter)
                    .map(|(_, filter)| Some(*filter))
                    .ok_or(()),
            },
            background,
            composes_over: over.iter().any(|over| *over as u32 == compose),
        })
    }

    /// The size that a geometry makes of an image of this size.
    pub(crate) fn resized(
        &self,
        geometry: &str,
        (width, height): (usize, usize),
    ) -> Option<(usize, usize)> {
        let region = self.region(geometry, (width, height), im::ParseRegionGeometry)?;
        Some((region.width, region.height))
    }

    /// The region of an image of this size that a geometry means, as the gravity has it.
    pub(crate) fn gravitated(&self, geometry: &str, size: (usize, usize)) -> Option<Region> {
        self.region(geometry, size, im::ParseGravityGeometry)
    }

    fn region(
        &self,
        geometry: &str,
        (width, height): (usize, usize),
        parse: ParseGeometry,
    ) -> Option<Region> {
        let geometry = c_string(geometry);
        let image = self.wand.first_image();
        let exception = runtime::Exception::new();
        let mut region = im::RectangleInfo {
            width: 0,
            height: 0,
            x: 0,
            y: 0,
        };
        // SAFETY: the image is the wand's, and nothing else works on the wand, here and below.
        let before = unsafe { ((*image).columns, (*image).rows) };
        // SAFETY: as above. The size is put back before anything looks at the pixels.
        unsafe { ((*image).columns, (*image).rows) = (width, height) };
        // SAFETY: as above; all pointers outlive the call, which reads numbers of the image only.
        let flags = unsafe {
            parse(
                image,
                geometry.as_ptr(),
                &raw mut region,
                exception.as_ptr(),
            )
        };
        // SAFETY: as above.
        unsafe { ((*image).columns, (*image).rows) = before };
        (flags != 0 && region.width > 0 && region.height > 0).then_some(Region {
            x: region.x,
            y: region.y,
            width: region.width,
            height: region.height,
            is_placed: flags & PLACED != 0,
            is_special: flags & SPECIAL != 0,
        })
    }

    pub(crate) fn page(&self) -> Page {
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        let page = unsafe { (*self.wand.first_image()).page };
        Page {
            width: page.width,
            height: page.height,
            x: page.x,
            y: page.y,
        }
    }

    pub(crate) fn set_page(&mut self, page: Page) {
        let page = im::RectangleInfo {
            width: page.width,
            height: page.height,
            x: page.x,
            y: page.y,
        };
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        unsafe { (*self.wand.first_image()).page = page };
    }

    /// Runs a step that changes no pixel.
    pub(crate) fn apply(&mut self, step: &Step) -> Result<()> {
        apply(&mut self.wand, step, &mut self.output)
    }

    /// Says something about what was done of itself.
    pub(crate) fn remark(&mut self, remark: &str) {
        self.output.remark(remark);
    }

    /// Hands the pixels over, runs the steps that are left, and has ImageMagick encode.
    pub(crate) fn finish<T: Depth>(
        mut self,
        raster: &Raster<T>,
        steps: &[Step],
        conversion: &Conversion<'_>,
    ) -> Result<Converted> {
        self.fill(raster)?;
        let converted = run_rest(self.wand, steps, conversion, self.output)?;
        Ok(Converted {
            engine: Engine::NativeMagick,
            ..converted
        })
    }

    /// Puts the pixels into the image, which becomes as large as they are.
    fn fill<T: Depth>(&mut self, raster: &Raster<T>) -> Result<()> {
        let image = self.wand.first_image();
        let exception = runtime::Exception::new();
        let status = unsafe {
            // SAFETY: the image is the wand's, and nothing else works on the wand, here and below.
            im::SetImageStorageClass(image, im::ClassType::Direct, exception.as_ptr());
            im::SetImageExtent(image, raster.width, raster.height, exception.as_ptr())
        };
        if status != im::MagickBooleanType::MagickTrue {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the image can't be handed over: {}", exception.text()),
            ));
        }
        let map: &CStr = match raster.channels {
            1 => c"I",
            2 => c"IA",
            3 => c"RGB",
            _ => c"RGBA",
        };
        let depth = if T::BITS == 8 {
            im::StorageType::CharPixel
        } else {
            im::StorageType::ShortPixel
        };
        // SAFETY: as above; there are as many samples, of as many bits, as the map, the depth and the size say.
        let status = unsafe {
            im::ImportImagePixels(
                image,
                0,
                0,
                raster.width,
                raster.height,
                map.as_ptr(),
                depth,
                raster.samples.as_ptr().cast::<c_void>(),
                exception.as_ptr(),
            )
        };
        self.wand.stop().check()?;
        if status == im::MagickBooleanType::MagickTrue {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Internal,
                format!("the image can't be handed over: {}", exception.text()),
            ))
        }
    }

    /// Has ImageMagick encode a little picture: a file with everything that it would write but the pixels, and how it would
    /// have coded those.
    pub(crate) fn encode<T: Depth>(&mut self, format: &Format, little: &Raster<T>) -> Result<Like> {
        self.fill(little)?;
        // Settings reach the image when the next option runs.
        self.apply(&Step::new("-noop", &[]))?;
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        let quality = unsafe { (*self.wand.first_image()).quality };
        // SAFETY: the wand is live.
        let set_quality = unsafe { im::MagickGetCompressionQuality(self.wand.as_wand()) };
        let written = self.wand.write(format.name());
        let (bytes, warning) =
            written.map_err(|complaint| super::write_error(format, &complaint))?;
        self.output.note(warning);
        Ok(Like {
            bytes,
            quality,
            set_quality,
        })
    }

    /// Whether the image is drawn over others where pictures are merged, alpha and all.
    pub(crate) fn mixes(&self) -> bool {
        let image = self.wand.first_image();
        // SAFETY: the image is the wand's, and nothing else works on the wand. It is read as a number, as above.
        let compose = unsafe { (&raw const (*image).compose).cast::<u32>().read() };
        compose == im::CompositeOperator::Over as u32
    }

    /// Whether the image came with more than eight bits a sample.
    pub(crate) fn is_deep(&self) -> bool {
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        unsafe { (*self.wand.first_image()).depth > 8 }
    }

    /// Whether the image has an alpha channel.
    pub(crate) fn has_alpha(&self) -> bool {
        let image = self.wand.first_image();
        // SAFETY: as above.
        let alpha_trait = unsafe { (&raw const (*image).alpha_trait).cast::<u32>().read() };
        alpha_trait != im::PixelTrait::Undefined as u32
    }

    /// What a define says, if there is one. Settings reach the image when an option runs.
    pub(crate) fn define(&self, key: &str) -> Option<String> {
        let key = c_string(key);
        // SAFETY: the image is the wand's, nothing else works on the wand, and the key outlives the call.
        let value = unsafe { im::GetImageArtifact(self.wand.first_image(), key.as_ptr()) };
        (!value.is_null()).then(|| runtime::lossy(value))
    }

    /// The result that was encoded natively.
    pub(crate) fn encoded<T>(self, bytes: Bytes, raster: &Raster<T>, engine: Engine) -> Converted {
        Converted {
            files: vec![File { bytes, scene: None }],
            width: raster.width,
            height: raster.height,
            frames: 1,
            output: self.output.into_text(),
            engine,
        }
    }
}

/// A colour in eight bits a channel, where it is opaque and those say it all.
///
/// # Safety
///
/// It must be live, and nothing may change it meanwhile.
unsafe fn eight_bits(color: *const im::PixelInfo) -> Option<[u8; 3]> {
    // SAFETY: the caller's promise. It is read as a number: images may say what no enumeration holds.
    let alpha_trait = unsafe { (&raw const (*color).alpha_trait).cast::<u32>().read() };
    // SAFETY: as above.
    let [red, green, blue, alpha] =
        unsafe { [(*color).red, (*color).green, (*color).blue, (*color).alpha] };
    let byte =
        |quantum: f64| (0..=255_u8).find(|byte| (f64::from(*byte) * 257.0 - quantum).abs() < 0.001);
    let is_opaque = alpha_trait == im::PixelTrait::Undefined as u32 || alpha >= 65535.0;
    if is_opaque {
        Some([byte(red)?, byte(green)?, byte(blue)?])
    } else {
        None
    }
}

/// Whether an image of this size is within the limits.
pub(crate) fn fits((width, height): (usize, usize)) -> bool {
    let limit = |resource| {
        // SAFETY: the call takes no pointer and locks its own state.
        unsafe { im::GetMagickResourceLimit(resource) }
    };
    let (width, height) = (width as u64, height as u64);
    width <= limit(im::ResourceType::Width)
        && height <= limit(im::ResourceType::Height)
        && width.saturating_mul(height) <= limit(im::ResourceType::Area)
}
