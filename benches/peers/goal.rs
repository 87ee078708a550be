//! What Imago is to reach beside the others, and what it did.

use crate::measure::{Measured, Table};
use crate::peer::Kind;
use crate::statistic::Spread;

/// A ratio that is to be at least so large.
struct Goal {
    about: &'static str,
    task: &'static str,
    ours: Kind,
    theirs: Kind,
    least: f64,
    figure: Figure,
}

/// Of what the ratio is.
enum Figure {
    /// Pictures a second with both cores: ours by theirs.
    Rate,
    /// Resident at most in the first unit: theirs by ours.
    Memory,
    /// Bytes of the results: theirs by ours.
    Size,
}

const fn rate(
    about: &'static str,
    task: &'static str,
    ours: Kind,
    theirs: Kind,
    least: f64,
) -> Goal {
    Goal {
        about,
        task,
        ours,
        theirs,
        least,
        figure: Figure::Rate,
    }
}

use Kind::{Library, LibraryFast, Magick, ServiceS3, Sharp};

const GOALS: [Goal; 14] = [
    rate("sharp's JPEG task, exact", "jpeg", Library, Sharp, 1.5),
    rate("sharp's JPEG task, exact", "jpeg", Library, Magick, 10.0),
    rate("the same, fast", "jpeg", LibraryFast, Sharp, 2.0),
    rate("sharp's PNG task", "png", Library, Sharp, 1.5),
    Goal {
        about: "its file, no larger",
        task: "png",
        ours: Library,
        theirs: Sharp,
        least: 1.0,
        figure: Figure::Size,
    },
    rate("WebP output", "webp", Library, Sharp, 1.0),
    rate("AVIF output", "avif", Library, Sharp, 1.0),
    rate(
        "10 renditions in one job",
        "renditions",
        Library,
        Sharp,
        4.0,
    ),
    rate(
        "10 renditions in one job",
        "renditions",
        Library,
        Magick,
        20.0,
    ),
    rate(
        "wand operations after the resize",
        "chain",
        Library,
        Magick,
        5.0,
    ),
    rate(
        "service over S3 against the library",
        "jpeg",
        ServiceS3,
        Library,
        0.9,
    ),
    memory("peak memory, JPEG", "jpeg"),
    memory("peak memory, PNG", "png"),
    memory("peak memory, renditions", "renditions"),
];

const fn memory(about: &'static str, task: &'static str) -> Goal {
    Goal {
        about,
        task,
        ours: Library,
        theirs: Sharp,
        least: 1.0,
        figure: Figure::Memory,
    }
}

/// The rows of the table of goals.
pub(crate) fn rows(tables: &[Table]) -> Vec<String> {
    GOALS.iter().map(|goal| goal.row(tables)).collect()
}

impl Goal {
    fn row(&self, tables: &[Table]) -> String {
        let what = match self.figure {
            Figure::Rate => "pictures a second, ours by theirs",
            Figure::Memory => "peak memory, theirs by ours",
            Figure::Size => "bytes, theirs by ours",
        };
        let (measured, verdict) = match self.ratio(tables) {
            Some(ratio) => (ratio.text(2), self.verdict(ratio)),
            None => ("not measured".to_owned(), "–"),
        };
        format!(
            "| {} | {} to {}: {what} | ≥ {} | {measured} | {verdict} |",
            self.about,
            self.ours.name(),
            self.theirs.name(),
            self.least
        )
    }

    fn verdict(&self, ratio: Spread) -> &'static str {
        if ratio.min >= self.least {
            "reached"
        } else if ratio.median >= self.least {
            "reached, not in every round"
        } else {
            "**not reached**"
        }
    }

    fn ratio(&self, tables: &[Table]) -> Option<Spread> {
        let table = tables.iter().find(|table| table.task.name == self.task)?;
        let find = |kind: Kind| table.measured.iter().find(|measured| measured.kind == kind);
        let (ours, theirs) = (find(self.ours)?, find(self.theirs)?);
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let by = |size: fn(&Measured) -> u64| {
            Spread::of([size(theirs) as f64 / size(ours).max(1) as f64])
        };
        match self.figure {
            Figure::Rate => Spread::of_ratios(&ours.parallel, &theirs.parallel),
            Figure::Memory => by(|measured| measured.peak),
            Figure::Size => by(|measured| measured.bytes),
        }
    }
}
