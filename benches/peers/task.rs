//! What is measured: sources, and what is made of each of them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use testkit::images;

/// One thing to do, for every peer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Task {
    /// Its name in the report and on the command line.
    pub(crate) name: &'static str,
    /// What it is, for the report.
    #[serde(skip)]
    pub(crate) about: &'static str,
    /// Files; each is converted by itself.
    pub(crate) sources: Vec<PathBuf>,
    /// What is made of each source. Several are the renditions of one job.
    pub(crate) outputs: Vec<Output>,
    /// Sharpen and write a word on it after the resize.
    pub(crate) finish: bool,
    /// Keep all frames.
    pub(crate) animated: bool,
}

/// A size that the source is made to fit, and a format.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Output {
    pub(crate) width: u32,
    pub(crate) height: Option<u32>,
    pub(crate) format: &'static str,
    pub(crate) quality: Option<u32>,
}

impl Output {
    fn new(width: u32, height: impl Into<Option<u32>>, format: &'static str) -> Self {
        let quality = match format {
            "jpeg" | "webp" => Some(80),
            "avif" => Some(50),
            _ => None,
        };
        Self {
            width,
            height: height.into(),
            format,
            quality,
        }
    }
}

impl Task {
    /// How many pictures come out of it.
    pub(crate) fn pictures(&self) -> usize {
        self.sources.len() * self.outputs.len()
    }

    /// The same without the loss of the encoder, so that pixels can be compared.
    pub(crate) fn lossless(&self) -> Self {
        let mut task = self.clone();
        for output in &mut task.outputs {
            output.format = "png";
            output.quality = None;
        }
        task
    }

    /// The operations in Imago's language, which is ImageMagick's.
    pub(crate) fn operations(&self, output: &Output) -> Vec<String> {
        operations((output.width, output.height), output.quality, self.finish)
    }
}

/// Those that fit a picture into a size, and perhaps finish it.
pub(crate) fn operations(
    (width, height): (u32, Option<u32>),
    quality: Option<u32>,
    finish: bool,
) -> Vec<String> {
    let height = height.map(|height| height.to_string()).unwrap_or_default();
    let mut operations = vec![format!("resize {width}x{height}")];
    if finish {
        operations.extend(
            [
                "unsharp 0x0.75+0.75+0.008",
                "gravity south",
                "pointsize 32",
                "fill white",
                "annotate +0+20 Imago",
            ]
            .map(str::to_owned),
        );
    }
    operations.extend(quality.map(|quality| format!("quality {quality}")));
    operations
}

/// All tasks, with their sources made in `folder`; only the first two, a quarter as wide, for a smoke run. `photograph`
/// takes the place of the picture of 2725 × 2225 pixels.
pub(crate) fn all(folder: &Path, smoke: bool, photograph: Option<&Path>) -> Vec<Task> {
    let scale = if smoke { 4 } else { 1 };
    let photo = |width: u32, height: u32| {
        let file = folder.join(format!("{width}x{height}.jpeg"));
        write(&file, || {
            let picture = images::photo(width / scale, height / scale);
            let arguments = [
                "ppm:-",
                "-sampling-factor",
                "4:2:0",
                "-quality",
                "93",
                "-strip",
                "jpeg:-",
            ];
            images::magick_with(arguments, &picture).stdout
        });
        file
    };
    let task = |name, about, sources, outputs| Task {
        name,
        about,
        sources,
        outputs,
        finish: false,
        animated: false,
    };
    let large = photograph.map_or_else(|| photo(2725, 2225), Path::to_path_buf);
    let one = |width, height, format| vec![Output::new(width, height, format)];
    let mut tasks = vec![
        task(
            "jpeg",
            "sharp's JPEG task: a photograph of 2725 × 2225 pixels to 720 × 588, Lanczos, quality 80",
            vec![large.clone()],
            one(720 / scale, 588 / scale, "jpeg"),
        ),
        task(
            "png",
            "sharp's PNG task: 2048 × 1536 pixels with alpha to 720 × 540",
            vec![alpha(folder, 2048 / scale, 1536 / scale)],
            one(720 / scale, 540 / scale, "png"),
        ),
    ];
    if smoke {
        return tasks;
    }
    tasks.extend([
        task(
            "webp",
            "the same photograph to 720 × 588 as WebP, quality 80",
            vec![large.clone()],
            one(720, 588, "webp"),
        ),
        task(
            "avif",
            "the same photograph to 720 × 588 as AVIF, quality 50",
            vec![large.clone()],
            one(720, 588, "avif"),
        ),
        task(
            "fit-512",
            "imgproxy's shape: a set of 6 photographs of 1 to 12 megapixels, each fitted into 512 × 512, JPEG",
            [
                (1280, 853),
                (1600, 1200),
                (1500, 2250),
                (2448, 2448),
                (3264, 2448),
                (4000, 3000),
            ]
            .map(|(width, height)| photo(width, height))
            .into(),
            one(512, 512, "jpeg"),
        ),
        task(
            "renditions",
            "10 renditions, 64 to 2048 pixels wide, of one JPEG of 3000 × 2000 pixels, in one job",
            vec![photo(3000, 2000)],
            [64, 128, 256, 320, 480, 640, 960, 1280, 1600, 2048]
                .map(|width| Output::new(width, None, "jpeg"))
                .into(),
        ),
        Task {
            finish: true,
            ..task(
                "chain",
                "the first task, then an unsharp mask and a word written on the small picture",
                vec![large],
                one(720, 588, "jpeg"),
            )
        },
        Task {
            animated: true,
            ..task(
                "gif",
                "an animated GIF of 16 frames, 480 × 360 pixels to 240 × 180, completed and optimized again",
                vec![animation(folder)],
                one(240, 180, "gif"),
            )
        },
    ]);
    tasks
}

fn write(file: &Path, make: impl FnOnce() -> Vec<u8>) {
    if !file.is_file() {
        std::fs::write(file, make()).expect("a source can be written");
    }
}

/// The photograph, fading to transparent on every side, at 8 bits as sharp's own.
fn alpha(folder: &Path, width: u32, height: u32) -> PathBuf {
    let file = folder.join(format!("{width}x{height}-alpha.png"));
    write(&file, || {
        let size = format!("{width}x{height}");
        let arguments = [
            "ppm:-",
            "(",
            "-size",
            &size,
            "radial-gradient:white-black",
            ")",
            "-alpha",
            "off",
            "-compose",
            "copy-opacity",
            "-composite",
            "-depth",
            "8",
            "-strip",
            "png32:-",
        ];
        images::magick_with(arguments, &images::photo(width, height)).stdout
    });
    file
}

fn animation(folder: &Path) -> PathBuf {
    let file = folder.join("480x360.gif");
    write(&file, || images::make_frames("gif", 16, 480, 360).to_vec());
    file
}
