//! ImageMagick's tables of options, and its own readers of what may stand in an argument.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::LazyLock;

use magick_rust::bindings as im;

use super::runtime;

/// A row of ImageMagick's option table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawOption {
    /// Sign included: `-resize`, `+repage`, `(`.
    pub(crate) option: &'static str,
    pub(crate) arity: usize,
    /// Bits of [`flag`].
    pub(crate) flags: u32,
}

/// The bits of `CommandOptionFlags` in `MagickCore/option.h`.
pub(crate) mod flag {
    /// A setting of any of ImageMagick's four sorts.
    pub(crate) const SETTING: u32 = 0x000F;
    /// Works on each image by itself.
    pub(crate) const SIMPLE_OPERATOR: u32 = 0x0020;
    /// Works on the list of images.
    pub(crate) const LIST_OPERATOR: u32 = 0x0040;
    /// Steers the start of ImageMagick's programs.
    pub(crate) const GENESIS: u32 = 0x0080;
    /// Handled by ImageMagick's programs themselves.
    pub(crate) const SPECIAL: u32 = 0x0100;
    /// Of ImageMagick's other programs.
    pub(crate) const NON_MAGICK: u32 = 0x1000;
    /// Has no code any more.
    pub(crate) const DEPRECATED: u32 = 0x4000;
}

macro_rules! lists {
    ($($name:ident $raw:ident $noun:literal,)*) => {
        /// A list of values that some argument must be one of, as `magick -list` names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names are ImageMagick's, and `noun` says what is in them")]
        pub enum List {
            $($name,)*
        }

        impl List {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The list's name, as `magick -list` takes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What is in the list, in the plural.
            pub const fn noun(self) -> &'static str {
                match self {
                    $(Self::$name => $noun,)*
                }
            }

            const fn raw(self) -> im::CommandOption {
                match self {
                    $(Self::$name => im::CommandOption::$raw,)*
                }
            }
        }
    };
}

lists! {
    AlphaChannel MagickAlphaChannel "alpha channel operations",
    AutoThreshold MagickAutoThreshold "threshold methods",
    Channel MagickChannel "channels",
    Colorspace MagickColorspace "colour spaces",
    Complex MagickComplex "complex operators",
    Compose MagickCompose "compose operators",
    Compress MagickCompress "compressions",
    Direction MagickDirection "directions",
    Dispose MagickDispose "dispose methods",
    Distort MagickDistort "distortions",
    Dither MagickDither "dither methods",
    Endian MagickEndian "byte orders",
    Evaluate MagickEvaluate "evaluate operators",
    Filter MagickFilter "filters",
    Function MagickFunction "functions",
    Gravity MagickGravity "gravities",
    Illuminant MagickIlluminant "illuminants",
    Intent MagickIntent "rendering intents",
    Interlace MagickInterlace "interlace schemes",
    Interpolate MagickInterpolate "interpolation methods",
    Kernel MagickKernel "kernels",
    Layers MagickLayer "layer methods",
    Metric MagickMetric "metrics",
    Morphology MagickMorphology "morphology methods",
    Noise MagickNoise "sorts of noise",
    Orientation MagickOrientation "orientations",
    PixelIntensity MagickPixelIntensity "measures of intensity",
    Preview MagickPreview "previews",
    SparseColor MagickSparseColor "sparse colour methods",
    Statistic MagickStatistic "statistics",
    Stretch MagickStretch "stretches of fonts",
    Style MagickStyle "styles of fonts",
    Type MagickType "types of images",
    Units MagickResolution "units of resolution",
    VirtualPixel MagickVirtualPixel "virtual pixel methods",
    Weight MagickWeight "weights of fonts",
    WordBreak MagickWordBreak "word break methods",
}

impl List {
    /// The values, in ImageMagick's order, as the library at hand has them.
    pub fn values(self) -> &'static [String] {
        static VALUES: LazyLock<HashMap<List, Vec<String>>> =
            LazyLock::new(|| List::ALL.iter().map(|list| (*list, list.read())).collect());
        VALUES.get(&self).map_or(&[], Vec::as_slice)
    }

    /// Whether ImageMagick reads this as one of the values: it compares without regard to case, `-` and `_`.
    pub(crate) fn has(self, value: &str) -> bool {
        let Ok(value) = CString::new(value) else {
            return false;
        };
        runtime::start();
        // SAFETY: the value is a C string that outlives the call.
        let parsed = unsafe {
            im::ParseCommandOption(
                self.raw(),
                im::MagickBooleanType::MagickFalse,
                value.as_ptr(),
            )
        };
        parsed >= 0
    }

    fn read(self) -> Vec<String> {
        runtime::start();
        // SAFETY: the call takes no pointer; it returns null or a null-terminated array of C strings that is ours.
        let names = unsafe { im::GetCommandOptions(self.raw()) };
        let mut values = Vec::new();
        if names.is_null() {
            return values;
        }
        for index in 0.. {
            // SAFETY: the array ends with a null, and the loop ends there.
            let name = unsafe { *names.add(index) };
            if name.is_null() {
                break;
            }
            values.push(runtime::lossy(name));
        }
        // SAFETY: the array came from `GetCommandOptions`, and its names are copied.
        unsafe { im::DestroyStringList(names) };
        // It stands for no choice, and means nothing to who looks for one.
        values.retain(|value| value != "Undefined");
        values
    }
}

/// Every row of the table.
pub(crate) fn all() -> impl Iterator<Item = RawOption> {
    runtime::start();
    // SAFETY: the call takes no pointer; it returns null or a null-terminated array of C strings that is ours.
    let names = unsafe { im::GetCommandOptions(im::CommandOption::MagickCommand) };
    let mut rows = Vec::new();
    if names.is_null() {
        return rows.into_iter();
    }
    for index in 0.. {
        // SAFETY: the array ends with a null, and the loop ends there.
        let name = unsafe { *names.add(index) };
        if name.is_null() {
            break;
        }
        // SAFETY: `name` is a C string; the row found for it is in a static table of the library.
        let row = unsafe { im::GetCommandOptionInfo(name) };
        // SAFETY: the call never returns null: for an unknown name it returns the table's last row, with a null name.
        let row = unsafe { &*row };
        if row.mnemonic.is_null() {
            continue;
        }
        // SAFETY: the table's names are C strings that live as long as the library, which is never unloaded.
        let option: &'static CStr = unsafe { CStr::from_ptr(row.mnemonic) };
        if let (Ok(option), Ok(arity), Ok(flags)) = (
            option.to_str(),
            usize::try_from(row.type_),
            u32::try_from(row.flags),
        ) {
            rows.push(RawOption {
                option,
                arity,
                flags,
            });
        }
    }
    // SAFETY: the array came from `GetCommandOptions`, and no name in it is used any more: rows hold the static ones.
    unsafe { im::DestroyStringList(names) };
    rows.into_iter()
}

/// Whether ImageMagick reads this as a [geometry](https://imagemagick.org/script/command-line-processing.php#geometry).
pub(crate) fn is_geometry(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    // SAFETY: the argument is a C string that outlives the call.
    unsafe { im::IsGeometry(argument.as_ptr()) == im::MagickBooleanType::MagickTrue }
}

/// Which numbers ImageMagick finds in a geometry: flags of [`number`].
pub(crate) fn numbers_in_geometry(argument: &str) -> u32 {
    let Ok(argument) = CString::new(argument) else {
        return 0;
    };
    runtime::start();
    let mut geometry = std::mem::MaybeUninit::<im::GeometryInfo>::zeroed();
    // SAFETY: both pointers outlive the call, and zeros are a value of a struct of numbers.
    unsafe { im::ParseGeometry(argument.as_ptr(), geometry.as_mut_ptr()) }
}

/// What ImageMagick finds in the geometry of a rectangle: flags of [`number`], and the horizontal offset.
pub(crate) fn rectangle(argument: &str) -> (u32, isize) {
    let Ok(argument) = CString::new(argument) else {
        return (0, 0);
    };
    runtime::start();
    let (mut x, mut y, mut width, mut height) = (0, 0, 0, 0);
    // SAFETY: all pointers outlive the call.
    let flags = unsafe {
        im::GetGeometry(
            argument.as_ptr(),
            &raw mut x,
            &raw mut y,
            &raw mut width,
            &raw mut height,
        )
    };
    (flags, x)
}

/// Bits of `GeometryFlags` in `MagickCore/geometry.h`.
pub(crate) mod number {
    /// The first number: a radius, a width.
    pub(crate) const RHO: u32 = 0x0004;
    /// The second number: sigma, a height.
    pub(crate) const SIGMA: u32 = 0x0008;
}

/// The size that a geometry makes of another, as `-resize` reads it; `None` where that needs an image to tell.
pub(crate) fn resized(geometry: &str, (width, height): (u64, u64)) -> Option<(u64, u64)> {
    if geometry.contains("%[") || !is_geometry(geometry) {
        return None;
    }
    let geometry = CString::new(geometry).ok()?;
    let (mut x, mut y) = (0, 0);
    let (mut width, mut height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
    // SAFETY: all pointers outlive the call.
    unsafe {
        im::ParseMetaGeometry(
            geometry.as_ptr(),
            &raw mut x,
            &raw mut y,
            &raw mut width,
            &raw mut height,
        )
    };
    Some((width as u64, height as u64))
}

/// Whether ImageMagick reads this as numbers of images in a list, such as `0`, `1-3` or `0,-1`.
pub(crate) fn is_scenes(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    // SAFETY: the argument is a C string that outlives the call.
    let status =
        unsafe { im::IsSceneGeometry(argument.as_ptr(), im::MagickBooleanType::MagickFalse) };
    status == im::MagickBooleanType::MagickTrue
}

/// Whether ImageMagick reads this as channels, such as `RGB` or `Red,Alpha`.
pub(crate) fn is_channels(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    // SAFETY: the argument is a C string that outlives the call.
    unsafe { im::ParseChannelOption(argument.as_ptr()) >= 0 }
}

/// Whether ImageMagick reads this as numbers with commas or blanks between.
pub(crate) fn is_numbers(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    let exception = runtime::Exception::new();
    let mut count = 0;
    // SAFETY: all pointers outlive the call; what it returns is null or ours.
    let numbers = unsafe {
        im::StringToArrayOfDoubles(argument.as_ptr(), &raw mut count, exception.as_ptr())
    };
    if numbers.is_null() {
        return false;
    }
    // SAFETY: not null, ours, and not used any more.
    unsafe { im::RelinquishMagickMemory(numbers.cast()) };
    true
}

/// Whether ImageMagick can make a [kernel](https://imagemagick.org/script/command-line-options.php#morphology) of this.
///
/// It makes it to find out. So callers see to it that the kernel is small, and that none of its parts is longer than
/// [`KERNEL_PART`].
pub(crate) fn is_kernel(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    let exception = runtime::Exception::new();
    // SAFETY: both pointers outlive the call; what it returns is null or ours.
    let kernel = unsafe { im::AcquireKernelInfo(argument.as_ptr(), exception.as_ptr()) };
    if kernel.is_null() {
        return false;
    }
    // SAFETY: not null, ours, and not used any more.
    unsafe { im::DestroyKernelInfo(kernel) };
    true
}

/// How long the size of a kernel, or the arguments of a named one, may be.
///
/// ImageMagick copies them into a buffer of `MagickPathExtent` (4096) bytes on the stack without a look at their length.
pub(crate) const KERNEL_PART: usize = 4000;

/// Whether ImageMagick reads this as a [colour](https://imagemagick.org/script/color.php).
pub(crate) fn is_color(argument: &str) -> bool {
    let Ok(argument) = CString::new(argument) else {
        return false;
    };
    runtime::start();
    let mut color = std::mem::MaybeUninit::<im::PixelInfo>::zeroed();
    let exception = runtime::Exception::new();
    // SAFETY: all pointers outlive the call, which fills `color` and reads none of it.
    let status = unsafe {
        im::QueryColorCompliance(
            argument.as_ptr(),
            im::ComplianceType::All,
            color.as_mut_ptr(),
            exception.as_ptr(),
        )
    };
    status == im::MagickBooleanType::MagickTrue
}

/// Splits a drawing as ImageMagick's vector language does.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let Ok(text) = CString::new(text) else {
        return Vec::new();
    };
    let mut tokens = Vec::new();
    // No token is longer than the text it comes from.
    let mut token = vec![0_u8; text.as_bytes().len() + 2];
    let mut rest = text.as_ptr();
    loop {
        // SAFETY: `rest` points into `text`, at its closing NUL at the latest.
        if unsafe { *rest } == 0 {
            return tokens;
        }
        let start = rest;
        // SAFETY: `rest` is a C string, and `token` holds the extent that is said; the call moves `rest` on within it.
        unsafe {
            im::GetNextToken(
                start,
                ptr::from_mut(&mut rest),
                token.len(),
                token.as_mut_ptr().cast(),
            );
        }
        if let Ok(word) = CStr::from_bytes_until_nul(&token)
            && !word.is_empty()
        {
            tokens.push(word.to_string_lossy().into_owned());
        }
        if rest == start {
            return tokens;
        }
    }
}
