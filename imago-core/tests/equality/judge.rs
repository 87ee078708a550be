//! Runs a case through both, and compares.

use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use imago_core::storage::{Get, Location, ObjectHeaders, Stores};
use imago_core::{Action, Converter, Fidelity};
use tokio::runtime::Runtime;

use crate::cases::Case;
use crate::sources::magick;

/// Below this, in decibels, pixels count as different: a sixteenth of a step of 255 in the mean would be 72.
pub(crate) const LEAST: f64 = 50.0;

/// How much larger or smaller a file may be.
const MOST_BYTES: f64 = 0.05;

/// Files shorter than this are mostly header, and a byte of pixels is many percent of the rest.
const SHORT: usize = 1600;

/// How a case went.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) case: Case,
    pub(crate) engine: String,
    /// How near the pixels are before they are encoded, in decibels. Infinite for equal ones.
    pub(crate) psnr: f64,
    /// The length of the file, by that of `magick`'s.
    pub(crate) size: f64,
    pub(crate) same_bytes: bool,
    pub(crate) wrong: Vec<String>,
}

/// Both sides, ready.
pub(crate) struct Judge<'a> {
    runtime: Runtime,
    converter: Converter,
    stores: Stores,
    inputs: &'a Path,
}

/// What is compared of files: a name, and the escape of ImageMagick's that tells it.
const FIELDS: &[(&str, &str)] = &[
    ("format", "%m"),
    ("size", "%wx%h"),
    ("page", "%g"),
    ("colorspace", "%[colorspace]"),
    ("channels", "%[channels]"),
    ("depth", "%z"),
    ("profiles", "%[profiles]"),
    ("icc", "%[profile:icc]"),
    ("exif", "%[EXIF:*]"),
    ("quality", "%Q"),
    ("sampling", "%[jpeg:sampling-factor]"),
    ("interlace", "%[interlace]"),
    ("density", "%x x %y %U"),
    ("orientation", "%[orientation]"),
    ("comment", "%c"),
    ("gamma", "%[gamma]"),
];

impl<'a> Judge<'a> {
    pub(crate) fn new(inputs: &'a Path) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let stores = Stores::builder().memory(true).build();
        let stores = stores.expect("stores in memory need nothing");
        let builder = Converter::builder().stores(stores.clone()).upright(false);
        let converter = runtime
            .block_on(builder.build())
            .expect("a converter starts");
        let headers = ObjectHeaders::new("image/x").expect("a plain media type");
        for entry in std::fs::read_dir(inputs).expect("the folder of sources can be read") {
            let path = entry.expect("the folder of sources can be read").path();
            let name = path
                .file_name()
                .expect("a file has a name")
                .to_string_lossy();
            let bytes = std::fs::read(&path).expect("a source can be read");
            let url = locate(&format!("memory://in/{name}"));
            let put = stores.put(&url, Bytes::from(bytes), &headers);
            runtime.block_on(put).expect("memory takes all");
        }
        Self {
            runtime,
            converter,
            stores,
            inputs,
        }
    }

    /// Runs a case, with files in a folder that is made for it.
    pub(crate) fn judge(&self, case: Case, folder: &Path) -> Verdict {
        std::fs::create_dir(folder).expect("a folder can be created");
        let file = |name: &str| folder.join(name).display().to_string();
        let coded = format!("theirs.{}", case.format);
        let mut words = vec![case.source.clone()];
        words
            .extend(shell_words::split(&case.chain.replace('#', "\\#")).expect("chains are right"));
        // What precedes encoding is written in eight bits, as encoders see it.
        words.extend(["-write", &format!("pam:{}", file("theirs.pam"))].map(str::to_owned));
        words.push(file(&coded));
        magick(self.inputs, &words);

        let mut wrong = Vec::new();
        let (engine, ours) = self.convert(&case, case.format, Fidelity::Exact);
        let (_, pixels) = self.convert(&case, "pam", Fidelity::Exact);
        let theirs = std::fs::read(folder.join(&coded)).expect("`magick` wrote it");
        let expected = std::fs::read(folder.join("theirs.pam")).expect("`magick` wrote it");
        if case.engine.is_some_and(|expected| expected != engine) {
            wrong.push(format!("it was run by {engine}"));
        }
        let psnr = psnr(&pixels, &expected).unwrap_or_else(|why| {
            wrong.push(why);
            0.0
        });
        if psnr < LEAST {
            wrong.push(format!(
                "the pixels are {psnr:.1} dB apart, before encoding"
            ));
        }
        let same_bytes = ours == theirs;
        #[expect(clippy::cast_precision_loss, reason = "files are short")]
        let size = ours.len() as f64 / theirs.len() as f64;
        // Nobody minds a smaller file where nothing is lost.
        let lossless = case.format == "png";
        let is_off = size > 1.0 + MOST_BYTES || (size < 1.0 - MOST_BYTES && !lossless);
        if is_off && theirs.len() > SHORT {
            wrong.push(format!(
                "the file has {} bytes, but from `magick` {}",
                ours.len(),
                theirs.len()
            ));
        }
        if !same_bytes {
            let name = format!("ours.{}", case.format);
            std::fs::write(folder.join(&name), &ours).expect("a file can be written");
            wrong.extend(differences(folder, &name, &coded));
        }
        Verdict {
            case,
            engine,
            psnr,
            size,
            same_bytes,
            wrong,
        }
    }

    /// Converts by Imago: what did it, and the file.
    pub(crate) fn convert(
        &self,
        case: &Case,
        format: &str,
        fidelity: Fidelity,
    ) -> (String, Vec<u8>) {
        let outfile = format!("memory://out/{:?}.{format}", std::thread::current().id());
        let action = Action::new(format!("memory://in/{}", case.source), &outfile)
            .operations([&case.chain])
            .fidelity(fidelity);
        self.runtime.block_on(async {
            let outcome = self.converter.convert(&action).await;
            let outcome = outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
            let bytes = match self.stores.get(&locate(&outfile), None, u64::MAX).await {
                Ok(Get::Object { body, .. }) => {
                    let parts: Vec<Bytes> = body.try_collect().await.expect("memory reads on");
                    parts.concat()
                }
                other => panic!("{outfile} is said to be written, but: {other:?}"),
            };
            (outcome.engine.as_str().to_owned(), bytes)
        })
    }
}

fn locate(url: &str) -> Location {
    Location::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// What `magick` tells differently of two files.
fn differences(folder: &Path, ours: &str, theirs: &str) -> Vec<String> {
    let mut format = String::new();
    for (_, escape) in FIELDS {
        format.push_str(escape);
        format.push('\u{1}');
    }
    let words = ["identify", "-quiet", "-format", &format, ours, theirs].map(str::to_owned);
    let printed = magick(folder, &words);
    let values: Vec<_> = printed.split('\u{1}').collect();
    let (ours, theirs) = values.split_at(FIELDS.len().min(values.len()));
    FIELDS
        .iter()
        .zip(ours.iter().zip(theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|((name, _), (ours, theirs))| {
            format!("{name} is `{ours}`, but from `magick` `{theirs}`")
        })
        .collect()
}

/// How near two PAM files are. Colours count by their alpha: those of transparent pixels can't be seen.
pub(crate) fn psnr(ours: &[u8], theirs: &[u8]) -> Result<f64, String> {
    const END: &[u8] = b"ENDHDR\n";
    let split = |pam: &[u8]| {
        let at = pam.windows(END.len()).position(|window| window == END);
        let at = at.expect("a PAM file has a header") + END.len();
        (String::from_utf8_lossy(&pam[..at]).into_owned(), at)
    };
    let ((head, start), (expected, their_start)) = (split(ours), split(theirs));
    if head != expected {
        return Err(format!(
            "before encoding it is {head:?}, but from `magick` {expected:?}"
        ));
    }
    let alpha = head.contains("_ALPHA");
    let depth = head.lines().find_map(|line| line.strip_prefix("DEPTH "));
    let depth: usize = depth
        .and_then(|depth| depth.parse().ok())
        .expect("it has a depth");
    let bytes = if head.contains("MAXVAL 65535") { 2 } else { 1 };
    let seen = |pixel: &[u8]| -> Vec<f64> {
        let sample = |bytes: &[u8]| match *bytes {
            [high, low] => f64::from(u16::from_be_bytes([high, low])) / 257.0,
            _ => f64::from(bytes[0]),
        };
        let mut seen: Vec<_> = pixel.chunks_exact(bytes).map(sample).collect();
        if alpha {
            let share = seen[depth - 1] / 255.0;
            for color in &mut seen[..depth - 1] {
                *color *= share;
            }
        }
        seen
    };
    let ours = ours[start..].chunks_exact(depth * bytes).flat_map(seen);
    let theirs = theirs[their_start..]
        .chunks_exact(depth * bytes)
        .flat_map(seen);
    let (mut squares, mut count) = (0.0, 0.0);
    for (one, other) in ours.zip(theirs) {
        squares += (one - other).powi(2);
        count += 1.0;
    }
    Ok(if squares == 0.0 {
        f64::INFINITY
    } else {
        10.0 * (255.0 * 255.0 * count / squares).log10()
    })
}
