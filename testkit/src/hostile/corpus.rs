//! Pictures in many formats with some of their bytes changed: the same ones each time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::images;

/// A format that the `magick` program writes.
#[derive(Debug, Clone)]
pub struct Format {
    /// ImageMagick's name of it, as `JPEG`.
    pub name: String,
    /// What the names of its files end in, as `jpg`.
    pub extension: String,
}

/// Pictures to be damaged: what `magick` makes of a photograph before it is written, and what that shall show.
const PICTURES: &[(&str, &str)] = &[
    ("rgb", ""),
    ("alpha", "-channel A -fx 1-j/h +channel"),
    ("grey", "-colorspace Gray -depth 16"),
    ("palette", "-colors 7"),
    ("cmyk", "-colorspace CMYK"),
    (
        "frames",
        "-delay 5 ( -clone 0 -roll +9+0 ) ( -clone 0 -resize 50% -page +3+2 )",
    ),
];

/// Writes so many damaged pictures into a folder, and gives their names, in an order that mixes formats.
///
/// A name says how its file came to be: `000123-gif-frames-flip.gif`. The same seed, formats and `magick` give the same
/// files.
pub fn write(folder: &Path, formats: &[Format], count: usize, seed: u64) -> Vec<PathBuf> {
    fs::create_dir_all(folder).expect("the folder can be made");
    let sound = sound(formats, count);
    assert!(!sound.is_empty(), "`magick` writes none of the formats");
    let mut random = Random(seed);
    let damages = [
        Damage::Truncate,
        Damage::Flip,
        Damage::Header,
        Damage::Extreme,
        Damage::Remove,
        Damage::Repeat,
        Damage::Mix,
        Damage::Flip,
        Damage::Zero,
    ];
    (0..count)
        .map(|index| {
            // Every picture in turn, so that few files hold many formats.
            let (name, extension, bytes) = &sound[index % sound.len()];
            let damage = damages[random.below(damages.len())];
            let other = &sound[random.below(sound.len())].2;
            let bytes = damage.done_to(bytes, other, &mut random);
            let damage = format!("{damage:?}").to_lowercase();
            let file = folder.join(format!("{index:06}-{name}-{damage}.{extension}"));
            fs::write(&file, bytes).expect("a file can be written");
            file
        })
        .collect()
}

/// Every picture in every format, as many pictures as make so many files: what it is, its extension, its bytes.
fn sound(formats: &[Format], count: usize) -> Vec<(String, String, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("a folder for temporary files can be made");
    let photo = folder.path().join("photo.ppm");
    fs::write(&photo, images::photo(24, 18)).expect("a file can be written");
    let mut sound = Vec::new();
    for (picture, operations) in PICTURES {
        if sound.len() >= count {
            break;
        }
        let path = |format: &Format| {
            let name = format!("{}-{picture}", format.name.to_lowercase());
            folder.path().join(name)
        };
        // All formats by one process: it goes on when one of them can't be written.
        let mut command = images::command();
        command.arg(&photo).args(operations.split_whitespace());
        // Without dates, by which the files would differ each time.
        let undated = "-set comment words +set date:create +set date:modify +set date:timestamp";
        command.args(undated.split(' '));
        command.args(["-define", "png:exclude-chunks=date,tIME"]);
        for format in formats {
            command.arg("-write");
            command.arg(format!("{}:{}", format.name, path(format).display()));
        }
        command.arg("null:").env("SOURCE_DATE_EPOCH", "0");
        command.output().expect("`magick` can be started");
        for format in formats {
            // Several frames of a format that holds one are several files, of which any will do.
            let file = path(format);
            let numbered =
                file.with_file_name(format!("{}-{picture}-0", format.name.to_lowercase()));
            if let Ok(bytes) = fs::read(&file).or_else(|_| fs::read(&numbered))
                && !bytes.is_empty()
            {
                let name = format!("{}-{picture}", format.name.to_lowercase());
                sound.push((name, format.extension.clone(), bytes));
            }
        }
    }
    sound
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    /// The end is missing.
    Truncate,
    /// Some bits are others.
    Flip,
    /// Some bytes near the beginning are others.
    Header,
    /// A number somewhere is the largest, the smallest, or one that is nearly so.
    Extreme,
    /// Some bytes are missing.
    Remove,
    /// Some bytes are there twice.
    Repeat,
    /// It goes on as another picture does.
    Mix,
    /// Some bytes are zero.
    Zero,
}

impl Damage {
    fn done_to(self, sound: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        let length = bytes.len();
        let at = random.below(length);
        let end = at + random.below((length - at).min(64)) + 1;
        let end = end.min(length);
        match self {
            Self::Truncate => bytes.truncate(at),
            Self::Flip => {
                for _ in 0..=random.below(8) {
                    let at = random.below(length);
                    bytes[at] ^= 1 << random.below(8);
                }
            }
            Self::Header => {
                for _ in 0..=random.below(4) {
                    let at = random.below(length.min(64));
                    bytes[at] = random.byte();
                }
            }
            Self::Extreme => {
                const NUMBERS: [&[u8]; 7] = [
                    &[0xFF; 4],
                    &[0; 4],
                    &[0x7F, 0xFF, 0xFF, 0xFF],
                    &[0xFF, 0xFF, 0xFF, 0x7F],
                    &[0x80, 0, 0, 0],
                    &[0xFF, 0xFF],
                    &[0, 1],
                ];
                let number = NUMBERS[random.below(NUMBERS.len())];
                let end = (at + number.len()).min(length);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            Self::Remove => {
                bytes.drain(at..end);
            }
            Self::Repeat => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Mix => {
                bytes.truncate(at);
                bytes.extend(&other[random.below(other.len())..]);
            }
            Self::Zero => bytes[at..end].fill(0),
        }
        bytes
    }
}

/// Pseudo-random numbers: `SplitMix64`, by Steele, Lea and Flood.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a length fits");
        usize::try_from(self.next() % bound).expect("it is below a length")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_files() {
        let formats = ["PNG", "GIF", "QOI"].map(|name| Format {
            name: name.to_owned(),
            extension: name.to_lowercase(),
        });
        let write = |seed| {
            let folder = tempfile::tempdir().unwrap();
            let files = write(folder.path(), &formats, 60, seed);
            let names: Vec<_> = files
                .iter()
                .map(|file| file.file_name().unwrap().to_owned())
                .collect();
            let bytes: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
            (names, bytes)
        };
        let (names, bytes) = write(1);
        assert_eq!(names.len(), 60);
        assert_eq!((names, bytes.clone()), write(1));
        assert_ne!(bytes, write(2).1);
    }
}
