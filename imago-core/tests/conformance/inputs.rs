//! The pictures that the cases work on, made anew for each run.

use std::path::Path;

use testkit::images;

/// Each file, and how `magick` makes it. `photo.ppm` is there before.
const INPUTS: &[(&str, &str)] = &[
    ("photo.png", "photo.ppm"),
    ("photo.jpg", "photo.ppm -resize 100x75! -quality 88"),
    (
        "b.png",
        "( -size 48x36 radial-gradient:gold-navy ) -fill none -stroke red -strokewidth 3 -draw 'line 4,4 40,30'",
    ),
    ("odd.png", "photo.ppm -crop 37x41+9+3 +repage"),
    ("one.png", "xc:#3478bc"),
    (
        "alpha.png",
        "photo.ppm ( -size 64x48 gradient:white-black ) -alpha off -compose CopyAlpha -composite",
    ),
    (
        "shape.png",
        "-size 64x48 xc:none -fill gold -stroke navy -strokewidth 2 -draw 'circle 32,24 32,8' -draw 'roundrectangle 6,6 26,20 4,4'",
    ),
    (
        "bordered.png",
        "photo.ppm -shave 4x4 -bordercolor white -border 9x6",
    ),
    (
        "deep.png",
        "-size 64x48 gradient:#012345678901-#fedcba987654 -depth 16",
    ),
    ("gray.png", "photo.ppm -colorspace Gray"),
    (
        "mask.png",
        "-size 64x48 radial-gradient:white-black -depth 8",
    ),
    ("palette.png", "photo.ppm +dither -colors 24 PNG8:"),
    (
        "bilevel.png",
        "photo.ppm -colorspace Gray -threshold 55% -type Bilevel",
    ),
    ("clut.png", "-size 1x64 gradient:gold-navy"),
    ("hald.png", "hald:3 -modulate 100,130,90"),
    (
        "text.png",
        "-size 64x48 xc:white -fill black -draw 'line 5,10 58,14' -draw 'line 5,20 58,24' -draw 'line 5,30 58,34'",
    ),
    ("photo.webp", "photo.ppm -quality 80"),
    ("photo.bmp", "photo.ppm"),
    ("photo.avif", "photo.ppm -quality 60"),
    ("photo.heic", "photo.ppm -quality 60"),
    ("photo.exr", "photo.ppm"),
    ("photo.jxl", "photo.ppm"),
    ("photo.jp2", "photo.ppm"),
    ("palette.gif", "photo.ppm -colors 32"),
    ("cmyk.jpg", "photo.ppm -colorspace CMYK -quality 90"),
    ("cmyk.tiff", "photo.ppm -colorspace CMYK -compress LZW"),
    (
        "turned.tiff",
        "photo.ppm -orient RightTop -density 300 -units PixelsPerInch",
    ),
    (
        "pages.tiff",
        "photo.ppm ( -clone 0 -negate -resize 50% ) ( -clone 0 -crop 20x30+4+5 +repage -colorspace Gray )",
    ),
    (
        // Frames smaller than the canvas, off its corner, with each way of disposal.
        "animation.gif",
        "-size 64x48 -delay 12 xc:skyblue ( -size 20x16 -page +4+6 -dispose Background xc:red ) ( -size 24x20 -page +30+10 -dispose Previous -delay 25 radial-gradient:yellow-green -colors 16 ) ( -size 18x18 -page +20+24 -dispose None xc:none -fill navy -draw 'circle 9,9 9,2' ) -loop 3",
    ),
    (
        "frames.gif",
        "-delay 10 photo.ppm ( -clone 0 -roll +16+0 ) ( -clone 0 -roll +32+0 ) -colors 32 -loop 0",
    ),
    (
        "frames.webp",
        "-delay 10 photo.ppm ( -clone 0 -roll +16+0 ) ( -clone 0 -roll +32+0 ) -loop 0 -define webp:lossless=true",
    ),
    (
        "layers.miff",
        "-size 64x48 xc:white ( -size 30x20 -page +5+8 xc:red ) ( -size 24x30 -page +28+12 xc:#0000ff80 )",
    ),
];

/// Writes all inputs into a folder.
pub(crate) fn make(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("an input can be written");
    };
    write("photo.ppm", &images::photo(64, 48));
    write("drawing.svg", DRAWING.as_bytes());
    std::thread::scope(|scope| {
        for part in INPUTS.chunks(INPUTS.len().div_ceil(2)) {
            scope.spawn(move || {
                for (name, chain) in part {
                    make_one(folder, name, chain);
                }
            });
        }
    });
    let photo = std::fs::read(folder.join("photo.jpg")).expect("it was just written");
    write("profiled.jpg", &with_segment(&photo, 0xe1, &exif()));
    write("colours.icc", &icc());
    // Imago's own, which it converts by where nothing else is said.
    write("cmyk.icc", include_bytes!("../../profiles/cmyk.icc"));
    write("srgb.icc", include_bytes!("../../profiles/srgb.icc"));
    write("grade.cdl", GRADE.as_bytes());
    write("words.txt", b"a passphrase");
}

fn make_one(folder: &Path, name: &str, chain: &str) {
    let (chain, prefix) = match chain.strip_suffix(" PNG8:") {
        Some(chain) => (chain, "PNG8:"),
        None => (chain, ""),
    };
    let chain = chain.replace('#', "\\#");
    let mut words = shell_words::split(&chain).expect("the chains above are right");
    words.push(format!("{prefix}{name}"));
    crate::oracle::magick(folder, &words).unwrap_or_else(|error| panic!("{name}: {error}"));
}

const DRAWING: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48" viewBox="0 0 64 48">
<rect width="64" height="48" fill="#fee"/><circle cx="30" cy="24" r="16" fill="teal" fill-opacity="0.6"/>
<path d="M5 40 L30 8 L58 42 Z" fill="none" stroke="#402" stroke-width="3"/></svg>"##;

const GRADE: &str = "<ColorCorrectionCollection xmlns=\"urn:ASC:CDL:v1.2\"><ColorCorrection id=\"a\"><SOPNode>\
    <Slope> 0.9 1.2 0.5 </Slope><Offset> 0.1 -0.1 0.2 </Offset><Power> 1.0 0.8 1.5 </Power></SOPNode><SATNode>\
    <Saturation> 0.85 </Saturation></SATNode></ColorCorrection></ColorCorrectionCollection>";

/// A JPEG file with one more segment at its beginning.
fn with_segment(jpeg: &[u8], marker: u8, segment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(segment.len() + 2).expect("it is short");
    let (start, rest) = jpeg.split_at(2);
    [start, &[0xff, marker], &length.to_be_bytes(), segment, rest].concat()
}

/// Exif data: the picture lies on its side, and it has a date.
fn exif() -> Vec<u8> {
    // A TIFF header, and a directory of two entries: orientation 6, and a date, whose text is behind the directory.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    exif.extend(b"\x01\x32\0\x02\0\0\0\x14\0\0\0\x26");
    exif.extend(b"\0\0\0\0");
    exif.extend(b"2024:05:06 07:08:09\0");
    exif
}

/// An ICC profile of three primaries and a gamma, as far from sRGB as Adobe's RGB.
fn icc() -> Vec<u8> {
    let fixed = |values: [u32; 3]| values.map(u32::to_be_bytes).concat();
    let xyz = |values| [b"XYZ \0\0\0\0".to_vec(), fixed(values)].concat();
    let gamma = b"curv\0\0\0\0\0\0\0\x01\x02\x33\0\0".to_vec();
    let mut name = b"desc\0\0\0\0\0\0\0\x07colour\0".to_vec();
    name.resize(name.len() + 79, 0);
    name.resize(name.len().next_multiple_of(4), 0);
    let tags = [
        (b"desc", name),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0".to_vec()),
        (b"wtpt", xyz([0xf6d6, 0x1_0000, 0xd32d])),
        (b"rXYZ", xyz([0x9c18, 0x4fa5, 0x04fc])),
        (b"gXYZ", xyz([0x348d, 0xa02c, 0x0f95])),
        (b"bXYZ", xyz([0x2631, 0x102f, 0xbe9c])),
        (b"rTRC", gamma.clone()),
        (b"gTRC", gamma.clone()),
        (b"bTRC", gamma),
    ];
    let mut table = 9_u32.to_be_bytes().to_vec();
    let mut data = Vec::new();
    let short = |length: usize| u32::try_from(length).expect("it is short");
    for (tag, value) in tags {
        table.extend(tag);
        table.extend(short(128 + 4 + 9 * 12 + data.len()).to_be_bytes());
        table.extend(short(value.len()).to_be_bytes());
        data.extend(value);
    }
    let mut header = vec![0; 128];
    let length = short(header.len() + table.len() + data.len());
    header[0..4].copy_from_slice(&length.to_be_bytes());
    header[8..12].copy_from_slice(b"\x02\x40\0\0");
    header[12..24].copy_from_slice(b"mntrRGB XYZ ");
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&fixed([0xf6d6, 0x1_0000, 0xd32d]));
    [header, table, data].concat()
}
