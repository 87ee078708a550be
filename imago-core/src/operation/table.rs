//! What we know of ImageMagick's options beyond its own table: one row for each name.
//!
//! A row reads: kind, name, `[arguments]` of the form with `-`, then if `+` takes some too `+[…]`, an example of the
//! arguments, and what it does. `=> refused` says which forms can't be used, why, and what to use instead.
//! Arity and existence are ImageMagick's own; a form that its table marks as deprecated needs no word here.

use super::argument::{
    Argument, ArgumentKind as Kind, Need,
    Need::{
        Any, Channels, Colored, Kernels, Listed, MethodAndCount, NotZero, Numbers, Region, Rho,
        RhoAndSigma, RhoOrSigma, Scenes, Size, Unchecked,
    },
};
use super::catalogue::OperationKind;
use crate::engine::magick::options::List;

/// What the catalogue knows of a name.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: OperationKind,
    pub(super) name: &'static str,
    /// Of the form with `-`, or without a sign.
    pub(super) minus: &'static [Argument],
    pub(super) plus: &'static [Argument],
    /// Arguments of the form with `-`, as somebody may write them.
    pub(super) example: &'static str,
    pub(super) summary: &'static str,
    pub(super) refusals: &'static [Refusal],
}

/// Why a form can't be used.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The forms that this is about.
    pub(super) forms: Forms,
    pub(super) reason: &'static str,
    /// What does the same, or comes near; empty where nothing does.
    pub(super) instead: &'static str,
}

/// Which forms of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    Both,
    Minus,
    Plus,
}

const fn argument(kind: Kind, need: Need) -> Argument {
    Argument { kind, need }
}

/// Anything that ImageMagick reads as a geometry, however little of it is there.
const GEOMETRY: Argument = argument(Kind::Geometry, Any);
/// The geometry of a rectangle, in which commas separate nothing.
const REGION: Argument = argument(Kind::Geometry, Region);
/// A geometry that ImageMagick doesn't check.
const FREE_GEOMETRY: Argument = argument(Kind::Geometry, Unchecked);
/// A geometry with a width or a height.
const SIZE: Argument = argument(Kind::Geometry, Size);
/// `radius` or `radiusxsigma`, by a number on either side.
const RADIUS: Argument = argument(Kind::Radius, RhoOrSigma);
const ANGLE: Argument = argument(Kind::Angle, Rho);
const AZIMUTH: Argument = argument(Kind::Angle, RhoAndSigma);
/// Number that begins with one, and number that only has to be a geometry.
const FIRST: Argument = argument(Kind::Number, Rho);
const NUMBER: Argument = argument(Kind::Number, Any);
const COUNT: Argument = argument(Kind::Number, NotZero);
const FREE_NUMBER: Argument = argument(Kind::Number, Unchecked);
const FIRST_PERCENT: Argument = argument(Kind::Percent, Rho);
const PERCENT: Argument = argument(Kind::Percent, Any);
const POINT: Argument = argument(Kind::Point, Any);
const NUMBERS: Argument = argument(Kind::Numbers, Numbers);
const COLOR: Argument = argument(Kind::Color, Colored);
const FREE_COLOR: Argument = argument(Kind::Color, Unchecked);
const COLORS: Argument = argument(Kind::Colors, Unchecked);
const TEXT: Argument = argument(Kind::Text, Unchecked);
const EXPRESSION: Argument = argument(Kind::Expression, Unchecked);
const KERNEL: Argument = argument(Kind::Kernel, Kernels);
const MATRIX: Argument = argument(Kind::Matrix, Kernels);
const DEFINE: Argument = argument(Kind::Define, Unchecked);
const PROPERTY: Argument = argument(Kind::Property, Unchecked);
const CHANNELS: Argument = argument(Kind::Channels, Channels);
const FONT: Argument = argument(Kind::Font, Unchecked);
const INDEXES: Argument = argument(Kind::Indexes, Scenes);
const DRAWING: Argument = argument(Kind::Drawing, Unchecked);
const MAP: Argument = argument(Kind::ThresholdMap, Unchecked);
const POINTS: Argument = argument(Kind::Points, Unchecked);
const FILE: Argument = argument(Kind::File, Unchecked);
/// An argument that the form takes and does nothing with.
const IGNORED: Argument = argument(Kind::Ignored, Unchecked);
const MORPHOLOGY: Argument = argument(Kind::Choice(List::Morphology), MethodAndCount);

const fn one_of(list: List) -> Argument {
    argument(Kind::Choice(list), Listed)
}

/// One of a list, or something else that ImageMagick takes without a word.
const fn free(list: List) -> Argument {
    argument(Kind::Choice(list), Unchecked)
}

const READS_A_FILE: &str =
    "it reads a file, and operations only see the images of their own action";
const WRITES_A_FILE: &str =
    "it writes a file; the result goes to `outfile`, and a second result is a second action";
const PROCESS_WIDE: &str = "it changes the whole process, and other actions run beside this one";
const PRINTS: &str = "it prints to the program's terminal, and a service has none";
const SCRIPTS: &str = "it belongs to ImageMagick's scripts, not to a pipeline";
const CLIPS: &str = "ImageMagick draws the path by way of another program, which is not run here";
const NO_SCREEN: &str = "it needs a screen, and a service has none";
const OTHER_PROGRAM: &str =
    "it belongs to ImageMagick's other programs and has no effect on a conversion";
const NO_CODE: &str = "ImageMagick's table has it, but there is no code behind it";
const BROKEN: &str = "ImageMagick 7 replaced it, and what is left of its code fails";
const ABORTS: &str = "ImageMagick can end the whole process at it";
const PROGRAM: &str = "it steers the `magick` program, not a picture";

macro_rules! table {
    ($($kind:ident $name:literal [$($minus:expr),*] $(+[$($plus:expr),*])? $example:literal, $summary:literal
       $(=> $forms:ident $reason:expr, $instead:literal)*;)*) => {
        /// All rows, by name.
        pub(super) const ROWS: &[Row] = &[$(Row {
            kind: OperationKind::$kind,
            name: $name,
            minus: &[$($minus),*],
            plus: &[$($($plus),*)?],
            example: $example,
            summary: $summary,
            refusals: &[$(Refusal { forms: Forms::$forms, reason: $reason, instead: $instead }),*],
        }),*];
    };
}

table! {
    Stack "(" [] "", "Begin a list of images of its own; operations up to the matching `)` see only that";
    Stack ")" [] "", "End a list of images of its own, and put its images behind the others";
    Command "--" [FILE] "", "Read the file that follows" => Both READS_A_FILE, "`read`";
    Operator "adaptive-blur" [RADIUS] "0x2", "Blur, but less near edges";
    Operator "adaptive-resize" [REGION] "200x200", "Resize with mesh interpolation: without ringing, best for small changes";
    Operator "adaptive-sharpen" [RADIUS] "0x2", "Sharpen, but only near edges";
    Setting "adjoin" [] "", "Write all images into one file where the format can; `+adjoin` one file for each";
    Setting "affine" [TEXT] "1,0,0,1,10,10", "Set the matrix that drawings are transformed by; `-draw 'affine …'` replaced it";
    Command "affinity" [FILE] "", "Map colours to those of a file" => Minus READS_A_FILE, "";
    Operator "alpha" [one_of(List::AlphaChannel)] "remove", "Turn the alpha channel on or off, extract or change it";
    Operator "annotate" [GEOMETRY, TEXT] "+10+10 'some text'", "Write a text on the image, turned and shifted by the geometry";
    Setting "antialias" [] "", "Smooth the edges of drawings and texts; `+antialias` leaves them jagged";
    ListOperator "append" [] "", "Join images top to bottom; `+append` left to right";
    Setting "attenuate" [NUMBER] "0.5", "Set how strong `+noise` is; `+attenuate` sets it back";
    Setting "authenticate" [TEXT] "secret", "Set the password that opens an encrypted document";
    Operator "auto-gamma" [] "", "Choose the gamma that makes the image's mean a middle grey";
    Operator "auto-level" [] "", "Stretch the range of values to its full extent, without clipping";
    Operator "auto-orient" [] "", "Turn the image upright, as its EXIF orientation says";
    Operator "auto-threshold" [one_of(List::AutoThreshold)] "OTSU", "Make the image black and white at a threshold chosen from its histogram";
    ListOperator "average" [] "", "Average all images into one; `-evaluate-sequence Mean` replaced it";
    Command "backdrop" [FREE_COLOR] "", "Show an image in front of a backdrop" => Both OTHER_PROGRAM, "";
    Setting "background" [COLOR] "white", "Set the colour of canvas that operations add; `+background` sets it back";
    Command "bench" [NUMBER] "", "Run the command several times and measure" => Both PROGRAM, "";
    Setting "bias" [PERCENT] "50%", "Set what is added to the result of `-convolve`";
    Operator "bilateral-blur" [RADIUS] "5x5", "Blur what is similar in colour, and keep edges";
    Setting "black-point-compensation" [] "", "Match black points in conversions between profiles; `+black-point-compensation` does not";
    Operator "black-threshold" [PERCENT] "20%", "Make black what is below the threshold, and keep the rest";
    Command "blend" [GEOMETRY] "", "Blend two images" => Both OTHER_PROGRAM, "`-compose Blend -define compose:args=50,50 -composite`";
    Setting "blue-primary" [POINT] "0.15,0.06", "Set the chromaticity of the blue primary";
    Operator "blue-shift" [FIRST] +[IGNORED] "1.5", "Make a scene look as if by moonlight; `+blue-shift` by 1.5";
    Operator "blur" [RADIUS] "0x2", "Blur by a Gaussian in two passes";
    Operator "border" [SIZE] "10x10", "Add a border in `-bordercolor`";
    Setting "bordercolor" [COLOR] "white", "Set the colour of borders; `+bordercolor` sets it back";
    Command "borderwidth" [GEOMETRY] "", "Set the border of a window" => Both OTHER_PROGRAM, "`-border 2x2`";
    Setting "box" [COLOR] "white", "Set the colour under text; `-undercolor` replaced it";
    Operator "brightness-contrast" [FIRST_PERCENT] "10x5", "Change brightness and contrast by so many percent";
    Setting "cache" [NUMBER] "", "Limit the memory for pixels" => Both PROCESS_WIDE, "";
    Operator "canny" [RADIUS] "0x1+10%+30%", "Find edges by Canny's method";
    Setting "caption" [TEXT] "'some text'", "Give the images a caption";
    Operator "cdl" [FILE] "s3://bucket/grade.cdl", "Correct colours by a colour decision list";
    Operator "channel" [CHANNELS] "RGB", "Set which channels operations change; `+channel` all again";
    ListOperator "channel-fx" [EXPRESSION] "'red<=>blue'", "Exchange, move and set channels by an expression";
    Operator "charcoal" [RADIUS] "2", "Draw the image with charcoal";
    Operator "chop" [REGION] "10x10+0+0", "Cut columns and rows out of the image";
    Operator "clahe" [REGION] "25x25%+128+3", "Equalise the histogram tile by tile, with limited contrast";
    Operator "clamp" [] "", "Cut values off that are below none or above the full one";
    Operator "clip" [] "", "Restrict operations to the first clipping path that the image carries; `+clip` ends it" => Minus CLIPS, "`-clip-mask`";
    Operator "clip-mask" [FILE] "s3://bucket/mask.png", "Restrict operations by a mask; `+clip-mask` ends it";
    Operator "clip-path" [TEXT] +[TEXT] "'#1'", "Restrict operations to a clipping path that the image carries, by its name; `+clip-path` to its outside" => Both CLIPS, "`-clip-mask`";
    Stack "clone" [INDEXES] "0", "Copy images of the outer list by their numbers; `+clone` the last one";
    ListOperator "clut" [] "", "Replace the colours of the first image by looking them up in the second";
    ListOperator "coalesce" [] "", "Make each frame of an animation whole";
    Operator "color-matrix" [MATRIX] "'0.393 0.769 0.189 0.349 0.686 0.168 0.272 0.534 0.131'", "Multiply colours by a matrix";
    Operator "color-threshold" [COLORS] "sRGB(0,50,100)-sRGB(200,255,255)", "Make white what lies in the range of colours, and black the rest";
    Operator "colorize" [PERCENT] "50%", "Mix with `-fill` by so many percent, for each channel if there are several";
    Command "colormap" [TEXT] "", "Choose the colours of a screen" => Both OTHER_PROGRAM, "";
    Operator "colors" [COUNT] "64", "Reduce the number of colours";
    Setting "colorspace" [one_of(List::Colorspace)] "Gray", "Convert to a colour space";
    ListOperator "combine" [] +[one_of(List::Colorspace)] "", "Make one image whose channels are the images; `+combine` says of which colour space";
    Setting "comment" [TEXT] "'some text'", "Give the result a comment; `+comment` takes it away";
    ListOperator "compare" [] "", "Mark how the second image differs from the first";
    ListOperator "complex" [one_of(List::Complex)] "add", "Do arithmetic with pairs of images as complex numbers";
    Setting "compose" [one_of(List::Compose)] "Multiply", "Set how images are put on one another";
    ListOperator "composite" [] "", "Put the second image on the first, by the third as a mask if there is one";
    Setting "compress" [one_of(List::Compress)] "JPEG", "Set how the result is compressed; `+compress` not at all where the format can";
    Command "concurrent" [] "", "Run several commands at once" => Both PROGRAM, "";
    Operator "connected-components" [NUMBER] "4", "Label regions of one colour, joined at 4 or 8 sides";
    Operator "contrast" [] "", "Increase the contrast; `+contrast` reduces it; `-sigmoidal-contrast` gives more control";
    Operator "contrast-stretch" [FIRST_PERCENT] "2%x1%", "Stretch the range of values, with so many black and white clipped";
    Operator "convolve" [KERNEL] "'3x3: 0,-1,0 -1,5,-1 0,-1,0'", "Multiply each neighbourhood by a kernel";
    ListOperator "copy" [GEOMETRY, GEOMETRY] "20x20+5+5 +10+10", "Copy a region of the image to another place";
    Operator "crop" [REGION] "300x200+10+10", "Cut a region out, or tiles if there is no offset";
    Operator "cycle" [NUMBER] "3", "Shift the colours of a palette by so many places";
    Setting "debug" [TEXT] "", "Log what ImageMagick does" => Both PROCESS_WIDE, "";
    Operator "decipher" [FILE] "s3://bucket/passphrase", "Decrypt pixels by a passphrase";
    ListOperator "deconstruct" [] "", "Reduce frames to where they differ; `-layers CompareAny` replaced it";
    Setting "define" [DEFINE] +[DEFINE] "jpeg:extent=100kb", "Set an option of a coder or an operation; `+define` unsets it";
    Setting "delay" [NUMBER] "20", "Set how long frames are shown, in hundredths of a second or as `ticks x per second`";
    ListOperator "delete" [INDEXES] "0", "Delete images by their numbers; `+delete` the last one";
    Setting "density" [GEOMETRY] "300", "Set the resolution, for reading vector formats and for writing";
    Setting "depth" [NUMBER] "8", "Set how many bits a value has";
    Command "descend" [] "", "Choose windows" => Both OTHER_PROGRAM, "";
    Operator "deskew" [PERCENT] "40%", "Turn a scanned page straight; `+deskew` with a threshold of 40%";
    Operator "despeckle" [] "", "Reduce speckles";
    Setting "direction" [one_of(List::Direction)] "right-to-left", "Set which way text is written";
    Command "displace" [GEOMETRY] "", "Shift pixels by a map" => Both OTHER_PROGRAM, "`-compose Displace -define compose:args=10x10 -composite`";
    Setting "display" [TEXT] +[TEXT] "", "Choose the screen" => Both NO_SCREEN, "";
    Setting "dispose" [one_of(List::Dispose)] "Background", "Set what happens to a frame before the next is shown";
    Setting "dissimilarity-threshold" [NUMBER] "", "Set when a search for an image gives up" => Both OTHER_PROGRAM, "";
    Command "dissolve" [PERCENT] "", "Dissolve one image into another" => Both OTHER_PROGRAM, "`-compose Dissolve -define compose:args=50 -composite`";
    Operator "distort" [one_of(List::Distort), NUMBERS] +[one_of(List::Distort), NUMBERS] "SRT 60", "Distort by a method and its numbers; `+distort` makes the canvas as large as it must be";
    Setting "dither" [one_of(List::Dither)] "FloydSteinberg", "Set how `-colors` and such spread errors; `+dither` not at all";
    Operator "draw" [DRAWING] "'rectangle 10,10 50,50'", "Draw by ImageMagick's vector language";
    ListOperator "duplicate" [NUMBER] "2", "Add so many copies of the last image; `+duplicate` one";
    Command "duration" [NUMBER] +[NUMBER] "", "Run the command for so long" => Both PROGRAM, "";
    Operator "edge" [RADIUS] "1", "Show edges";
    Operator "emboss" [RADIUS] "0x1", "Make the image look embossed";
    Operator "encipher" [FILE] "s3://bucket/passphrase", "Encrypt pixels by a passphrase";
    Setting "encoding" [TEXT] "Unicode", "Set in which character set texts are";
    Setting "endian" [one_of(List::Endian)] "LSB", "Set in which order the bytes of values are written";
    Operator "enhance" [] "", "Reduce noise by a digital filter";
    Operator "equalize" [] "", "Equalise the histogram";
    Operator "evaluate" [one_of(List::Evaluate), PERCENT] "Multiply 0.5", "Do arithmetic on each value with a constant";
    ListOperator "evaluate-sequence" [one_of(List::Evaluate)] "Mean", "Make one image by arithmetic over all";
    Command "exit" [] "", "End a script" => Both SCRIPTS, "";
    Operator "extent" [REGION] "200x200", "Set the canvas's size, filled with `-background`, the image placed by `-gravity`";
    Setting "extract" [FREE_GEOMETRY] "100x100+10+10", "Read this region only of formats that can";
    Setting "family" [FONT] "Helvetica", "Set the family of the font";
    Operator "features" [NUMBER] "", "Report texture features" => Both "it only adds to what `identify` prints", "`-define identify:features=1`";
    ListOperator "fft" [] "", "Transform to frequencies, as magnitude and phase; `+fft` as real and imaginary part";
    Setting "fill" [COLOR] "red", "Set the colour that shapes and texts are filled with; `+fill` none";
    Setting "filter" [one_of(List::Filter)] "Lanczos", "Set by which filter images are resized";
    ListOperator "flatten" [] "", "Put all images on one another on a `-background` canvas";
    Operator "flip" [] "", "Mirror top to bottom";
    Operator "floodfill" [GEOMETRY, COLOR] +[GEOMETRY, COLOR] "+0+0 white", "Fill with `-fill` what joins the point and is of this colour; `+floodfill` what is not";
    Operator "flop" [] "", "Mirror left to right";
    Setting "font" [FONT] "DejaVu-Sans", "Set the font by its name; `+font` the default one";
    Command "foreground" [FREE_COLOR] "", "Set the foreground of a window" => Both OTHER_PROGRAM, "";
    Setting "format" [TEXT] "'%w x %h'", "Set the format of what `identify` prints";
    Operator "frame" [REGION] "6x6+2+2", "Add a frame with bevels, in `-mattecolor`";
    Operator "function" [one_of(List::Function), NUMBERS] "Polynomial 4,-4,1", "Apply a function of several parameters to each value";
    Setting "fuzz" [PERCENT] "5%", "Set how far colours may differ and count as equal";
    ListOperator "fx" [EXPRESSION] +[EXPRESSION] "'u*0.5'", "Make an image by an expression over all images; `+fx` each image by itself";
    Operator "gamma" [NUMBER] +[NUMBER] "1.2", "Correct gamma; `+gamma` only says what it is";
    Operator "gaussian" [RADIUS] "0x2", "Blur by a Gaussian" => Both BROKEN, "`-gaussian-blur`";
    Operator "gaussian-blur" [RADIUS] "0x2", "Blur by a Gaussian in one pass over two dimensions";
    Operator "geometry" [REGION] "100x100+10+10", "Resize the last image, and set where `-composite` puts it; `+geometry` sets that back";
    Setting "gravity" [one_of(List::Gravity)] "center", "Set to which side things are placed; `+gravity` to none";
    Operator "grayscale" [one_of(List::PixelIntensity)] +[one_of(List::PixelIntensity)] "Rec709Luma", "Convert to grey by this measure of intensity";
    Setting "green-primary" [POINT] "0.3,0.6", "Set the chromaticity of the green primary";
    ListOperator "hald-clut" [] "", "Replace the colours of the first image by a Hald table in the second";
    Setting "highlight-color" [FREE_COLOR] "red", "Set the colour of what differs, for `-compare`";
    Operator "hough-lines" [RADIUS] "9x9+40", "Find straight lines";
    Command "iconGeometry" [GEOMETRY] "", "Place an icon" => Both OTHER_PROGRAM, "";
    Command "iconic" [] "", "Start as an icon" => Both OTHER_PROGRAM, "";
    Operator "identify" [] "", "Print what the image is";
    ListOperator "ift" [] "", "Transform from frequencies, as magnitude and phase; `+ift` from real and imaginary part";
    Setting "illuminant" [free(List::Illuminant)] +[free(List::Illuminant)] "D50", "Set the reference illuminant of colour spaces";
    Command "immutable" [] "", "Protect a displayed image" => Both OTHER_PROGRAM, "";
    Operator "implode" [FIRST] "0.5", "Pull pixels towards the centre, or push them away by a negative amount";
    Stack "insert" [NUMBER] "0", "Move the last image to this place; `+insert` to the first";
    Operator "integral" [] "", "Make each value the sum of all above and left of it";
    Setting "intensity" [one_of(List::PixelIntensity)] "Rec709Luma", "Set how a colour's intensity is measured";
    Setting "intent" [one_of(List::Intent)] "Perceptual", "Set the rendering intent of conversions between profiles";
    Setting "interlace" [one_of(List::Interlace)] "Plane", "Write progressively: `Plane` for JPEG, PNG and GIF";
    Setting "interline-spacing" [NUMBER] "5", "Set the space between lines of text";
    Setting "interpolate" [one_of(List::Interpolate)] "bilinear", "Set how colours between pixels are found";
    Operator "interpolative-resize" [REGION] "200x200", "Resize by `-interpolate`";
    Setting "interword-spacing" [NUMBER] "5", "Set the space between words";
    Setting "kerning" [NUMBER] "2", "Set the space between letters";
    Operator "kmeans" [RADIUS] "5", "Reduce to so many colours by clustering";
    Operator "kuwahara" [RADIUS] "2", "Smooth, and keep edges";
    Setting "label" [TEXT] "'some text'", "Give the images a label";
    Operator "lat" [RADIUS] "10x10-5%", "Make the image black and white by a threshold that follows the neighbourhood";
    ListOperator "layers" [one_of(List::Layers)] "OptimizePlus", "Compare, merge or optimise images as layers or frames";
    Operator "level" [FIRST_PERCENT] +[FIRST_PERCENT] "10%,90%", "Stretch what lies between black and white point; `+level` squeezes into it";
    Operator "level-colors" [COLORS] +[COLORS] "black,white", "Map two colours to black and white; `+level-colors` black and white to them";
    Command "limit" [TEXT, TEXT] "", "Limit what ImageMagick may use" => Both PROCESS_WIDE, "the configuration's `limits`";
    Operator "linear-stretch" [FIRST_PERCENT] "2%x1%", "Stretch the range of values, with so many black and white clipped, by whole levels";
    Operator "liquid-rescale" [REGION] "75%x100%", "Resize by removing seams that matter least";
    Command "list" [TEXT] "", "List what ImageMagick has" => Both PRINTS, "`GET /api/v1/operations` and `GET /api/v1/formats`";
    Operator "local-contrast" [FREE_GEOMETRY] "10x20%", "Increase contrast within a radius, by so many percent";
    Command "log" [TEXT] "", "Set the form of log lines" => Both PROCESS_WIDE, "";
    Setting "loop" [NUMBER] "0", "Set how often an animation is repeated; 0 without end";
    Setting "lowlight-color" [FREE_COLOR] "white", "Set the colour of what is alike, for `-compare`";
    Operator "magnify" [] "", "Double the size with sharp edges, best for pixel art";
    Operator "map" [FILE] "s3://bucket/palette.gif", "Map colours to those of a file; `-remap` replaced it";
    Command "mask" [FILE] "", "Restrict operations by a mask" => Both "ImageMagick 7 no longer has it", "`-write-mask`, `-read-mask`, `-region` or `-composite` with a mask as third image";
    Operator "matte" [] "", "Turn the alpha channel on; `+matte` off; `-alpha Set` and `-alpha Off` replaced it";
    Setting "mattecolor" [COLOR] "gray", "Set the colour of `-frame`";
    Command "maximum" [] "", "Take the largest of values" => Both "ImageMagick 7 no longer has it", "`-evaluate-sequence Max`";
    Operator "mean-shift" [RADIUS] "7x7+10%", "Move colours to the mean of those near them in place and colour";
    Operator "median" [FIRST] "3", "Take the median of the neighbourhood; `-statistic Median` replaced it";
    ListOperator "metric" [one_of(List::Metric)] "RMSE", "Set how `-compare` measures";
    Command "minimum" [] "", "Take the smallest of values" => Both "ImageMagick 7 no longer has it", "`-evaluate-sequence Min`";
    Operator "mode" [FIRST] +[TEXT] "3", "Take the commonest value of the neighbourhood; `-statistic Mode` replaced it" => Plus OTHER_PROGRAM, "";
    Operator "modulate" [PERCENT] "100,120", "Change brightness, saturation and hue, each in percent";
    Operator "moments" [] "", "Report moments" => Both "it only adds to what `identify` prints", "`-define identify:moments=true`";
    Setting "monitor" [] "", "Show progress" => Minus PRINTS, "" => Plus "it would stop Imago from stopping a conversion", "";
    Setting "monochrome" [] "", "Make the image black and white";
    ListOperator "morph" [NUMBER] "3", "Add so many images between each two, from one to the other";
    Operator "morphology" [MORPHOLOGY, KERNEL] "Dilate Disk:2", "Apply a method of morphology with a kernel";
    ListOperator "mosaic" [] "", "Put all images on one canvas that is as large as it must be";
    Operator "motion-blur" [RADIUS] "0x10+45", "Blur as if moved along an angle";
    Command "name" [TEXT] "", "Name an image" => Both OTHER_PROGRAM, "";
    Operator "negate" [] "", "Replace colours by their complements; `+negate` those that are grey only";
    Operator "noise" [FIRST] +[one_of(List::Noise)] "1", "Reduce noise, as `-statistic NonPeak` does; `+noise` adds some, such as `+noise Gaussian`";
    Command "noop" [] "", "Do nothing";
    Operator "normalize" [] "", "Stretch the range of values, with 2% black and 1% white clipped";
    Operator "opaque" [COLOR] +[COLOR] "white", "Replace this colour by `-fill`; `+opaque` all others";
    Operator "ordered-dither" [MAP] "o4x4,8", "Reduce to so many levels by a threshold map";
    Setting "orient" [one_of(List::Orientation)] "TopLeft", "Say how the image is oriented, without turning it";
    Setting "page" [FREE_GEOMETRY] "200x200+10+10", "Set the canvas of images that are read or made";
    Operator "paint" [RADIUS] "3", "Make the image look like an oil painting";
    Command "path" [TEXT] "", "Set where files are written" => Both OTHER_PROGRAM, "";
    Command "pause" [NUMBER] "", "Wait between images" => Both OTHER_PROGRAM, "";
    Setting "ping" [] "", "Read no pixels" => Minus "it leaves the pixels unread, and there would be nothing to convert", "`POST /api/v1/identify`";
    Setting "pointsize" [NUMBER] "24", "Set the size of text, in points";
    Operator "polaroid" [ANGLE] "5", "Make the image look like an instant photograph, turned by the angle; `+polaroid` by one at random";
    ListOperator "poly" [NUMBERS] "0.5,1,0.5,1", "Make one image by a polynomial: a weight and an exponent for each";
    Operator "posterize" [FIRST] "4", "Reduce each channel to so many levels";
    Setting "precision" [NUMBER] "", "Set how many digits numbers are printed with" => Both PROCESS_WIDE, "";
    Operator "preview" [one_of(List::Preview)] "Blur", "Show what an operation does at nine strengths";
    Command "print" [TEXT] "'%w x %h\\n'", "Print a text";
    ListOperator "process" [TEXT] "", "Run a module" => Both "it runs code from a file", "";
    Operator "profile" [FILE] +[TEXT] "s3://bucket/sRGB.icc", "Apply or attach a profile; `+profile` takes away those of a name, such as `+profile '*'`";
    Setting "quality" [NUMBER] "85", "Set the quality of a compression with losses, or the effort of one without";
    Setting "quantize" [one_of(List::Colorspace)] "Lab", "Set in which colour space `-colors` works";
    Setting "quiet" [] "", "Say nothing of warnings" => Both PROCESS_WIDE, "";
    Operator "raise" [REGION] +[REGION] "5x5", "Make the edges look raised; `+raise` sunken";
    Operator "random-threshold" [PERCENT] "0%x100%", "Make the image black and white by random thresholds";
    Operator "range-threshold" [PERCENT] "10%,20%,80%,90%", "Make white what lies in a range with soft edges";
    Input "read" [FILE] "s3://bucket/logo.png", "Read another image";
    Operator "read-mask" [FILE] "s3://bucket/mask.png", "Restrict what operations see; `+read-mask` ends it";
    Operator "recolor" [MATRIX] "'1 0 0 0 1 0 0 0 1'", "Multiply colours by a matrix" => Both BROKEN, "`-color-matrix`";
    Setting "red-primary" [POINT] "0.64,0.33", "Set the chromaticity of the red primary";
    Setting "regard-warnings" [] "", "Fail on warnings" => Both PROGRAM, "";
    Operator "region" [REGION] "50x50+10+10", "Restrict operations to a region; `+region` ends it";
    Operator "remap" [FILE] "s3://bucket/palette.gif", "Map colours to those of a file; `+remap` all images to common ones";
    Command "remote" [TEXT] "", "Command a display" => Both OTHER_PROGRAM, "";
    Setting "render" [] "", "Collect drawings instead of drawing; `+render` draws";
    Operator "repage" [GEOMETRY] "200x200+10+10", "Set canvas and offset; `+repage` makes the canvas the image";
    Operator "resample" [RADIUS] "72", "Resize to this resolution, the printed size kept";
    Operator "reshape" [REGION] "100x50", "Give the pixels other columns and rows, their number kept";
    Operator "resize" [REGION] "200x200", "Resize: `WxH` to fit, `WxH^` to fill, `WxH!` exactly, `WxH>` only to shrink, `50%`, `10000@` pixels";
    Setting "respect-parentheses" [] "", "Make settings within parentheses end with them";
    Setting "respect-parenthesis" [] "", "Make settings within parentheses end with them, by its older name";
    Stack "reverse" [] "", "Reverse the order of images";
    Operator "roll" [REGION] "+10+10", "Shift pixels, those beyond an edge to the opposite one";
    Operator "rotate" [ANGLE] "90", "Turn clockwise, corners filled with `-background`; `90>` only if wider than high";
    Operator "rotational-blur" [ANGLE] "10", "Blur along circles around the centre";
    Operator "sample" [REGION] "50%", "Resize by picking pixels, without mixing colours";
    Setting "sampling-factor" [GEOMETRY] "4:2:0", "Set how JPEG and such sample colour: `4:4:4`, `4:2:2`, `4:2:0`";
    Command "sans" [IGNORED] +[IGNORED] "", "Skip an argument" => Both SCRIPTS, "`-noop`";
    Command "sans0" [] "", "Skip nothing" => Both SCRIPTS, "`-noop`";
    Command "sans1" [IGNORED] +[IGNORED] "", "Skip an argument" => Both SCRIPTS, "`-noop`";
    Command "sans2" [IGNORED, IGNORED] +[IGNORED, IGNORED] "", "Skip two arguments" => Both SCRIPTS, "`-noop`";
    Operator "scale" [REGION] "50%", "Resize by averaging whole pixels, fast";
    Setting "scene" [NUMBER] "1", "Set the number of the first image";
    Command "scenes" [TEXT] "", "Choose images" => Both OTHER_PROGRAM, "a frame selector behind `infile`, as in `…[0-2]`";
    Command "screen" [] "", "Capture a screen" => Both OTHER_PROGRAM, "";
    Command "script" [FILE] "", "Run a script" => Both SCRIPTS, "";
    Setting "seed" [NUMBER] "", "Set where random numbers begin" => Both PROCESS_WIDE, "";
    Operator "segment" [RADIUS] "1x1.5", "Split into regions by histograms of the channels";
    Operator "selective-blur" [RADIUS] "0x3+10%", "Blur where contrast is below the threshold";
    Operator "separate" [] "", "Make a grey image of each channel";
    Operator "sepia-tone" [PERCENT] "80%", "Make the image look like an old photograph";
    Setting "set" [PROPERTY, TEXT] +[PROPERTY] "comment 'some text'", "Set a property, or an option as `option:…`; `+set` unsets it";
    Operator "shade" [AZIMUTH] "30x30", "Light the image as a relief, from an azimuth and an elevation; `+shade` keeps no colour";
    Operator "shadow" [RADIUS] "80x3+5+5", "Make a shadow: opacity in percent, softness and offset";
    Command "shared-memory" [] "", "Show images by shared memory" => Both OTHER_PROGRAM, "";
    Operator "sharpen" [RADIUS] "0x1", "Sharpen by a Laplacian of a Gaussian";
    Operator "shave" [REGION] "10x10", "Cut the edges off";
    Operator "shear" [ANGLE] "20x10", "Slide columns and rows along an angle each";
    Operator "sigmoidal-contrast" [FIRST] +[FIRST] "3x50%", "Increase contrast without clipping; `+sigmoidal-contrast` reduces it";
    Command "silent" [] "", "Make no sound" => Both OTHER_PROGRAM, "";
    Setting "similarity-threshold" [NUMBER] "", "Set when a search for an image succeeds" => Both OTHER_PROGRAM, "";
    Setting "size" [FREE_GEOMETRY] "200x200", "Set the size of images that are made or have none of their own";
    Operator "sketch" [RADIUS] "0x10+120", "Make the image look like a pencil sketch";
    ListOperator "smush" [NUMBER] +[NUMBER] "10", "Join images top to bottom as closely as their shapes allow; `+smush` left to right";
    Command "snaps" [NUMBER] "", "Capture several times" => Both OTHER_PROGRAM, "";
    Operator "solarize" [PERCENT] "50%", "Negate what is above the threshold";
    Operator "sort-pixels" [] "", "Sort the pixels of each row by intensity";
    Operator "sparse-color" [one_of(List::SparseColor), POINTS] "Voronoi '10,10 red 50,30 blue'", "Fill with colours that are given at a few points";
    Operator "splice" [REGION] "10x10+0+0", "Put columns and rows of `-background` into the image";
    Operator "spread" [FIRST] "5", "Exchange each pixel for one near it at random";
    Operator "statistic" [one_of(List::Statistic), FIRST] "Median 3x3", "Replace each value by a statistic of its neighbourhood";
    Command "stegano" [NUMBER] "", "Hide a watermark" => Both OTHER_PROGRAM, "";
    Command "stereo" [GEOMETRY] "", "Join two images for both eyes" => Both OTHER_PROGRAM, "";
    Operator "stretch" [one_of(List::Stretch)] "", "Set how wide the font is" => Both NO_CODE, "`-font` with the name of a narrow or wide font";
    Operator "strip" [] "", "Take profiles, comments and such away";
    Setting "stroke" [COLOR] "black", "Set the colour of lines; `+stroke` none";
    Setting "strokewidth" [NUMBER] +[IGNORED] "2", "Set how wide lines are";
    Setting "style" [one_of(List::Style)] "Italic", "Set the style of the font";
    ListOperator "subimage" [] "", "Find the second image in the first" => Both ABORTS, "`-compare`";
    Setting "subimage-search" [] "", "Find one image in another" => Both OTHER_PROGRAM, "";
    Stack "swap" [FIRST] "0,1", "Exchange two images by their numbers; `+swap` the last two";
    Operator "swirl" [ANGLE] "60", "Swirl around the centre by so many degrees";
    Setting "synchronize" [] "", "Write files through to the disk, which says nothing here";
    Setting "taint" [] "", "Mark the images as changed; `+taint` as not changed";
    Command "text-font" [FONT] "", "Choose the font of a window" => Both OTHER_PROGRAM, "`-font`";
    Setting "texture" [FILE] "", "Set a background's texture" => Minus READS_A_FILE, "";
    Operator "threshold" [PERCENT] "50%", "Make the image black and white at a threshold; `+threshold` at half";
    Operator "thumbnail" [REGION] "200x200", "Resize fast, and take away profiles but colour ones";
    Setting "tile" [FILE] "pattern:bricks", "Fill with an image; `+tile` ends it" => Plus ABORTS, "`-fill`";
    Setting "tile-offset" [GEOMETRY] "+10+10", "Shift the pattern that is filled with";
    Operator "tint" [PERCENT] +[PERCENT] "50%", "Tint the middle tones with `-fill`";
    Command "title" [TEXT] "", "Title a montage" => Both OTHER_PROGRAM, "";
    Operator "transform" [] "", "Transform by the matrix of `-affine`; `+distort AffineProjection` replaced it";
    Operator "transparent" [COLOR] +[COLOR] "white", "Make this colour transparent; `+transparent` all others";
    Setting "transparent-color" [COLOR] "white", "Set the colour that GIF and such write for transparent";
    Operator "transpose" [] "", "Mirror along the diagonal from the top left";
    Operator "transverse" [] "", "Mirror along the diagonal from the top right";
    Setting "treedepth" [FREE_NUMBER] "8", "Set how deep the colour tree of `-colors` is";
    Operator "trim" [] "", "Cut off edges that are of the corners' colour";
    Setting "type" [one_of(List::Type)] "Grayscale", "Convert to a type of image";
    Setting "undercolor" [COLOR] "white", "Set the colour under text; `+undercolor` none";
    Operator "unique" [] "", "Count the colours for `identify`" => Both "it only adds to what `identify` prints", "`-unique-colors`, or `-define identify:unique-colors=true`";
    Operator "unique-colors" [] "", "Make an image of one row with each colour once";
    Setting "units" [one_of(List::Units)] "PixelsPerInch", "Set the unit of `-density`";
    Operator "unsharp" [RADIUS] "0x0.75+0.75+0.008", "Sharpen by an unsharp mask: radius, sigma, gain and threshold";
    Command "update" [NUMBER] "", "Look whether a displayed file changed" => Both OTHER_PROGRAM, "";
    Command "use-pixmap" [] "", "Show images by pixmaps" => Both OTHER_PROGRAM, "";
    Setting "verbose" [] "", "Tell more";
    Command "version" [] "", "Print ImageMagick's version" => Both PRINTS, "";
    Setting "view" [TEXT] "", "Choose a view of FlashPix images" => Both NO_CODE, "`-define fpx:view=…`";
    Operator "vignette" [RADIUS] "0x5", "Soften the edges into `-background`";
    Setting "virtual-pixel" [one_of(List::VirtualPixel)] "Edge", "Set what lies beyond the edges";
    Command "visual" [TEXT] "", "Choose a screen's visual" => Both OTHER_PROGRAM, "";
    Command "watermark" [GEOMETRY] "", "Change the brightness by an image" => Both OTHER_PROGRAM, "`-compose Modulate -define compose:args=30 -composite`";
    Operator "wave" [RADIUS] "10x64", "Bend the image along a sine: amplitude and wave length";
    Operator "wavelet-denoise" [FIRST_PERCENT] "5%", "Reduce noise by wavelets: threshold and softness";
    Setting "weight" [free(List::Weight)] "Bold", "Set the weight of the font, by name or number";
    Operator "white-balance" [] "", "Balance colours in Lab, by the mean of the image";
    Setting "white-point" [POINT] "0.3127,0.329", "Set the chromaticity of white";
    Operator "white-threshold" [PERCENT] "80%", "Make white what is above the threshold, and keep the rest";
    Command "window" [TEXT] "", "Draw on a window" => Both OTHER_PROGRAM, "";
    Command "window-group" [TEXT] "", "Group windows" => Both OTHER_PROGRAM, "";
    Setting "word-break" [one_of(List::WordBreak)] "normal", "Set where `caption:` breaks lines";
    Command "write" [FILE] +[FILE] "", "Write the images" => Both WRITES_A_FILE, "";
    Operator "write-mask" [FILE] "s3://bucket/mask.png", "Restrict what operations change; `+write-mask` ends it";
    Stack "{" [] "", "Begin settings of their own; those up to the matching `}` end there";
    Stack "}" [] "", "End settings of their own";
}
