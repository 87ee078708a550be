//! What the fast lane claims, written out.

use std::fmt;

/// One chain on one source.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) source: String,
    pub(crate) chain: String,
    /// The format of the result: `jpg`.
    pub(crate) format: &'static str,
    /// What has to run it, where that is part of the claim.
    pub(crate) engine: Option<&'static str>,
}

impl Case {
    pub(crate) fn new(source: &str, chain: &str, format: &'static str) -> Self {
        Self {
            source: source.to_owned(),
            chain: chain.to_owned(),
            format,
            engine: None,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.source, self.format, self.chain)
    }
}

/// Chains that the native engine does to the end.
const NATIVE: &[&str] = &[
    "-resize 200x200",
    "-resize 200x200!",
    "-resize 200x200^",
    "-resize 200x200>",
    "-resize 200x200<",
    "-resize 900x900<",
    "-resize 200",
    "-resize x77",
    "-resize 200x",
    "-resize 50%",
    "-resize 37.5%x20%",
    "-resize 150%",
    "-resize 10000@",
    "-resize 10000@>",
    "-resize 3x2!",
    "-resize 1x1!",
    "-resize 500x7!",
    "-resize 7x500!",
    "-resize 451x100!",
    "-resize 100x300!",
    "-resize 451x300!",
    "-filter Lanczos -resize 130%",
    "-filter Mitchell -resize 60%",
    "-filter Catrom -resize 60%",
    "-filter Triangle -resize 60%",
    "-filter Box -resize 30%",
    "-filter Hermite -resize 70%",
    "-filter Lanczos2 -resize 40%",
    "-filter LanczosSharp -resize 40%",
    "-thumbnail 100x100",
    "-thumbnail 100x100^",
    "-thumbnail 40x40!",
    "-thumbnail 200x120!",
    "-thumbnail 600x600",
    "-resize 60% -resize 70%",
    "-resize 200x200 -strip",
    "-resize 200x200 -quality 60",
    "-quality 95 -resize 200x200",
    "-resize 200x200 -quality 75 -sampling-factor 4:2:2",
    "-resize 200x200 -interlace Plane",
    "-resize 200x200 -density 300 -units PixelsPerInch",
    "-resize 200x200 -define jpeg:restart-interval=4 -quality 70",
    "-auto-orient",
    "-auto-orient -resize 200x200",
    "-auto-orient -thumbnail 70x70^ -gravity center -extent 70x70",
    "-strip -quality 50",
    "-flip",
    "-flop",
    "-rotate 90",
    "-rotate -90 -resize 40%",
    "-rotate 180",
    "-transpose",
    "-transverse -resize 120x40!",
    "-crop 100x80+30+20",
    "-crop 100x80+30+20 +repage",
    "-crop 100x80-30+20 +repage",
    "-gravity center -crop 60%x70%+3-4 +repage",
    "-gravity southeast -crop 33x44+5+6 +repage -resize 200%",
    "-resize 200x200^ -gravity center -extent 200x200",
    "-resize 200x200 -gravity center -background white -extent 200x200",
    "-resize 200x200 -gravity southeast -background #102030 -extent 220x240",
    "-extent 500x320-20-10",
    "-resize 50% -extent 100x90+10+20",
    "-resize 200x200 -crop 90x70+11+13 +repage -flip -quality 83 -strip",
    "-blur 3",
    "-blur 0x8 -quality 85",
    "-blur 0.5x0.3 -rotate 90",
    "-resize 50% -blur 0x2 -resize 50%",
    "-resize 200x200 -unsharp 0x0.75",
    "-resize 200x200 -unsharp 0x0.75+0.75+0.008",
    "-auto-orient -thumbnail 150x150 -unsharp 2x1.5+0.7+0",
    "-unsharp 0x6+0.5+0",
    "-sample 50%",
    "-sample 133x97!",
    "-sample 170%",
    "-define sample:offset=0x80 -sample 100x100",
    "-define sample:offset=100 -sample 77x",
    "-auto-orient -rotate 90 -sample 60% -resize 80%",
    "-sample 40% -extent 220x190-9-7",
    "-resize 70% -sample 50%",
    "-scale 50%",
    "-scale 133x97!",
    "-scale 170%",
    "-scale 451x100!",
    "-scale 100x300!",
    "-scale 3x500!",
    "-scale 1x1!",
    "-rotate 90 -scale 60%",
    "-scale 300x -scale 200x -quality 60",
    "-resize 70% -scale 50% -flop",
    "-alpha off -resize 40%",
    "-background #102030 -alpha remove -resize 50%",
    "-resize 45% -background white -flatten",
    "-background white -flatten -resize 140%",
    "-crop 100x80+30+20 +repage -layers flatten",
];

/// Chains whose beginning the native engine does.
const BEGINNINGS: &[&str] = &[
    "-resize 200x200 -sharpen 0x0.75",
    "-resize 200x200 -unsharp 0x0.75+0.75+0.008 -fill white -gravity south -annotate +0+20 Imago",
    "-resize 200x200 -modulate 110,90 -strip",
    "-auto-orient -resize 200x200 -colorspace Gray",
    "-resize 50% -gaussian-blur 0x2 -resize 50%",
    "-thumbnail 120x120 -bordercolor navy -border 4",
    "-resize 200x200 ( +clone -negate ) +append",
    "-resize 200x200 -rotate 30",
    "-resize 200x200 -define jpeg:dct-method=islow",
    "-resize 200x200 -define jpeg:optimize-coding=false",
    "-resize 200x200 -define jpeg:extent=9kb",
];

/// A few chains for sources that are like others but in one thing.
const FEW: &[&str] = &[
    "-resize 60%",
    "-resize 130x130!",
    "-resize 220%",
    "-thumbnail 64x64",
    "-auto-orient -resize 90x90 -strip",
    "-auto-orient -thumbnail 30x50!",
    "-quality 80",
    "-rotate 90 -crop 50x60+2+3 +repage",
    "-gravity center -extent 60x50",
    "-blur 0x3",
    "-resize 80% -unsharp 0x1+1.2",
];

/// For sources with alpha, palettes and the like.
const PNG: &[&str] = &[
    "-resize 50%",
    "-resize 130x99!",
    "-resize 170%",
    "-thumbnail 64x64",
    "-resize 70x70^ -gravity center -crop 70x70+0+0 +repage -strip",
    "-resize 100x100 -background #224466 -flatten",
    "-rotate 90 -resize 40%",
    "-filter Lanczos -resize 60% -quality 80",
    "-resize 90x90 -blur 2x2",
    "-resize 90x90 -unsharp 0x1",
];

/// For what alpha means, and how sizes change with it.
const ALPHA: &[&str] = &[
    "-sample 90x70",
    "-sample 130%",
    "-scale 90x70",
    "-scale 130%",
    "-rotate 270 -scale 61x",
    "-resize 60% -scale 50%",
    "-background white -flatten -resize 60%",
    "-background gray30 -alpha remove -resize 60%",
    "-resize 60% -background #224466 -alpha remove -alpha off",
    "-alpha off -resize 60%",
    "-alpha off -background white -alpha remove",
    "-resize 60% -background #22446680 -flatten",
    "-resize 60% -background #224466ff -alpha remove",
    "-resize 60% -background white -flatten -blur 0x1",
    "-resize 60% -alpha off -unsharp 0x1",
    "-crop 50x40+3+4 -background white -flatten",
];

/// For results that are not encoded natively.
const OTHER: &[&str] = &["-resize 120x120 -strip", "-auto-orient -thumbnail 90x90"];

/// What there is to say of WebP.
const WEBP: &[&str] = &[
    "-strip",
    "-resize 120x120 -quality 40",
    "-resize 120x120 -quality 100",
    "-resize 60% -define webp:lossless=true -quality 70",
    "-resize 60% -define webp:lossless=True -define webp:exact=1",
    "-rotate 90 -define webp:method=6 -define webp:pass=3 -define webp:segments=2",
    "-resize 120x120 -define webp:use-sharp-yuv=true",
    "-resize 120x120 -define webp:preprocessing=2 -define webp:image-hint=photo",
    "-resize 120x120 -define webp:target-size=2500",
    "-resize 120x120 -define webp:target-psnr=38",
    "-resize 120x120 -define webp:alpha-quality=30 -define webp:alpha-filtering=2",
    "-resize 120x120 -define webp:auto-filter=true -define webp:filter-type=0",
    "-resize 120x120 -define webp:partitions=2 -define webp:thread-level=1",
    "-resize 120x120 -define webp:no-such-thing=2",
];

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for source in ["photo.jpg", "gray.jpg", "edges.jpg"] {
        let engine = |chain: &str| {
            // What is gray would get colours; and as it comes it has indexes, which are not blurred.
            let is_not = [
                "#102030",
                "-blur 3",
                "-blur 0x8",
                "-blur 0.5",
                "-unsharp 0x6",
            ];
            let is_not = is_not.iter().any(|part| chain.contains(part));
            (source == "photo.jpg" || !is_not).then_some("native")
        };
        cases.extend(
            NATIVE
                .iter()
                .map(|chain| case(source, chain, engine(chain))),
        );
    }
    cases.extend(
        BEGINNINGS
            .iter()
            .map(|chain| case("photo.jpg", chain, Some("native+magick"))),
    );
    let turned = (1..=8).map(|number| format!("turned-{number}.jpg"));
    let others = [
        "full.jpg",
        "half.jpg",
        "high.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "colorless.jpg",
        "large.jpg",
        "vivid.jpg",
        "garish.jpg",
        "text.jpg",
        "odd.jpg",
        "wide.jpg",
        "tall.jpg",
        "pixel.jpg",
        "dense.jpg",
        "profiled.jpg",
        "adobe.jpg",
    ];
    for source in turned.chain(others.map(str::to_owned)) {
        let is_narrow = ["wide.jpg", "tall.jpg", "pixel.jpg"].contains(&source.as_str());
        let engine = |chain: &str| {
            // There is nothing to crop, which ImageMagick warns of.
            // Grays as they come have indexes, which are not blurred.
            let misses = is_narrow && chain.contains("-crop")
                || source == "text.jpg" && chain == "-blur 0x3";
            (!misses).then_some("native")
        };
        cases.extend(FEW.iter().map(|chain| case(&source, chain, engine(chain))));
    }
    for source in [
        "photo.png",
        "alpha.png",
        "shape.png",
        "opaque.png",
        "gray.png",
        "gray-alpha.png",
        "palette.png",
        "dense.png",
    ] {
        for format in ["jpg", "png", "webp"] {
            let engine = |chain: &str| with_alpha(source, format, chain);
            let more = if format == "webp" { &[] } else { ALPHA };
            cases.extend(PNG.iter().chain(more).map(|chain| Case {
                format,
                ..case(source, chain, engine(chain))
            }));
        }
    }
    cases.extend(PNG.iter().map(|chain| Case {
        format: "png",
        ..case("passes.png", chain, Some("magick"))
    }));
    for source in ["deep.png", "shallow.png"] {
        cases.extend(PNG.iter().chain(ALPHA).map(|chain| Case {
            format: "png",
            ..case(source, chain, with_alpha(source, "png", chain))
        }));
    }
    for source in ["deep-photo.png", "deep-alpha.png", "deep-gray.png"] {
        for (format, chains) in [("png", PNG), ("png", ALPHA), ("webp", ALPHA), ("jpg", PNG)] {
            cases.extend(chains.iter().map(|chain| Case {
                format,
                ..case(source, chain, with_alpha(source, format, chain))
            }));
        }
    }
    for source in [
        "photo.jpg",
        "gray.jpg",
        "profiled.jpg",
        "alpha.png",
        "shape.png",
        "gray-alpha.png",
        "palette.png",
    ] {
        cases.extend(WEBP.iter().map(|chain| Case {
            format: "webp",
            ..case(source, chain, Some("native"))
        }));
    }
    for source in ["photo.webp", "lossless.webp", "profiled.webp"] {
        cases.extend(FEW.iter().map(|chain| case(source, chain, Some("native"))));
        for format in ["webp", "png"] {
            cases.extend(OTHER.iter().map(|chain| Case {
                format,
                ..case(source, chain, Some("native"))
            }));
        }
    }
    for source in ["alpha.webp", "shape.webp"] {
        for (format, chains) in [("jpg", PNG), ("webp", ALPHA)] {
            let is_not = ["-blur", "-unsharp", "-crop 50x40", "#22446680"];
            let engine = |chain: &str| {
                let is_not = is_not.iter().any(|part| chain.contains(part));
                (!is_not).then_some("native")
            };
            cases.extend(chains.iter().map(|chain| Case {
                format,
                ..case(source, chain, engine(chain))
            }));
        }
    }
    for format in ["png", "webp", "gif", "tiff", "avif"] {
        for source in ["photo.jpg", "gray.jpg", "profiled.jpg"] {
            // The number of grays in a gray picture decides.
            let engine = match format {
                "png" => (source != "gray.jpg").then_some("native"),
                "webp" => Some("native"),
                _ => Some("native+magick"),
            };
            cases.extend(OTHER.iter().map(|chain| Case {
                format,
                ..case(source, chain, engine)
            }));
        }
    }
    cases
}

/// What runs a chain on a source that may have alpha.
fn with_alpha(source: &str, format: &str, chain: &str) -> Option<&'static str> {
    // Palettes and what is gray get files in ways that are ImageMagick's.
    let many = [
        "photo.png",
        "alpha.png",
        "dense.png",
        "deep-photo.png",
        "deep-alpha.png",
    ];
    // What is gray would get colours.
    let is_gray = match source {
        "gray.png" | "deep-gray.png" => chain.ends_with("#224466 -flatten"),
        _ => source == "gray-alpha.png" && chain.contains("#224466"),
    };
    match format {
        // A background that shows what is behind it, and a picture that is not as large as its canvas.
        _ if chain.ends_with("#22446680 -flatten") => Some("native+magick"),
        _ if chain.starts_with("-crop") => Some("magick"),
        _ if is_gray => Some("native+magick"),
        // Beside alpha they are ImageMagick's.
        _ if chain.contains("-blur") || chain.contains("-unsharp") => None,
        "jpg" | "webp" => Some("native"),
        _ => many.contains(&source).then_some("native"),
    }
}

fn case(source: &str, chain: &str, engine: Option<&'static str>) -> Case {
    Case {
        engine,
        ..Case::new(source, chain, "jpg")
    }
}
