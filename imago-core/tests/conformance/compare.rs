//! How the results of both are told apart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use testkit::images;

use crate::case::{Case, Tolerance};
use crate::oracle;

/// What is compared of each frame: a name, and the escape of ImageMagick's that tells it.
const FIELDS: &[(&str, &str)] = &[
    ("format", "%m"),
    ("pixels", "%#"),
    ("size", "%wx%h"),
    ("page", "%g"),
    ("delay", "%T"),
    ("dispose", "%D"),
    ("colorspace", "%[colorspace]"),
    ("channels", "%[channels]"),
    ("type", "%[type]"),
    ("depth", "%z"),
    ("profiles", "%[profiles]"),
    ("icc", "%[profile:icc]"),
    ("quality", "%Q"),
    ("sampling", "%[jpeg:sampling-factor]"),
    ("compression", "%C"),
    ("interlace", "%[interlace]"),
    ("density", "%x x %y %U"),
    ("orientation", "%[orientation]"),
    ("comment", "%c"),
    ("label", "%l"),
    ("gamma", "%[gamma]"),
    ("mean", "%[mean]"),
    ("deviation", "%[standard-deviation]"),
];

/// Fields that follow from the pixels, and differ where those may.
const OF_PIXELS: &[&str] = &["pixels", "type", "mean", "deviation"];

/// What one side made: the frames of each file, by the case's place in the list and the file's name.
pub(crate) type Described = HashMap<(usize, String), Vec<Frame>>;

/// The fields of one frame.
type Frame = Vec<String>;

/// Describes all files below a folder of results, with one process. Files that can't be read are left out.
pub(crate) fn describe(results: &Path) -> Described {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in list(results) {
        let case = results.join(&folder);
        files.extend(list(&case).iter().map(|file| Path::new(&folder).join(file)));
    }
    let mut format = "%d/%f".to_owned();
    for (_, escape) in FIELDS {
        format.push('\t');
        format.push_str(escape);
    }
    format.push('\n');
    let output = images::command()
        .args(["identify", "-quiet", "-format", &format])
        .args(&files)
        .current_dir(results)
        .stdin(Stdio::null())
        .output()
        .expect("`magick` can be started");
    let mut described = Described::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut values = line.split('\t');
        let Some((case, file)) = values.next().and_then(|file| file.split_once('/')) else {
            panic!("`magick identify` printed `{line}`");
        };
        let case = case.parse().expect("folders are named by numbers");
        let frames = described.entry((case, file.to_owned())).or_default();
        frames.push(values.map(str::to_owned).collect());
    }
    described
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn list(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("a folder of results can be read").file_name())
        .map(|name| name.into_string().expect("results have plain names"))
        .collect();
    names.sort();
    names
}

/// One side's results.
pub(crate) struct Side<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) described: &'a Described,
}

/// How the two results of a case differ, in words.
pub(crate) fn differences(
    case: &Case,
    index: usize,
    imago: &Side<'_>,
    magick: &Side<'_>,
) -> Vec<String> {
    let folders = [imago, magick].map(|side| side.folder.join(index.to_string()));
    let [ours, theirs] = folders.each_ref().map(|folder| list(folder));
    if ours != theirs {
        return vec![format!(
            "the files are {ours:?}, but `magick` writes {theirs:?}"
        )];
    }
    let mut differences = Vec::new();
    for file in ours {
        let paths = folders.each_ref().map(|folder| folder.join(&file));
        let [ours, theirs] = paths
            .each_ref()
            .map(|path| std::fs::read(path).expect("a result can be read"));
        if ours == theirs {
            continue;
        }
        let key = (index, file.clone());
        match (imago.described.get(&key), magick.described.get(&key)) {
            (Some(ours), Some(theirs)) => {
                differences.extend(of_frames(case, ours, theirs, &paths));
            }
            // Formats that are only written.
            (None, None) => differences.extend(of_bytes(case, &file, &ours, &theirs)),
            (ours, theirs) => differences.push(format!(
                "{file}: it can be read: {}, but from `magick`: {}",
                ours.is_some(),
                theirs.is_some()
            )),
        }
    }
    differences
}

fn of_frames(case: &Case, ours: &[Frame], theirs: &[Frame], paths: &[PathBuf; 2]) -> Vec<String> {
    if ours.len() != theirs.len() {
        return vec![format!(
            "{} frames, but `magick` gives {}",
            ours.len(),
            theirs.len()
        )];
    }
    let mut differences = Vec::new();
    for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let fields = FIELDS.iter().zip(ours.iter().zip(theirs));
        for ((field, _), (ours, theirs)) in fields {
            let may_differ = case.ignored.iter().any(|ignored| ignored == field)
                || match case.tolerance {
                    Tolerance::Equal | Tolerance::Failure | Tolerance::Fault => false,
                    Tolerance::Difference(_) => OF_PIXELS.contains(field),
                    Tolerance::Statistics(most) => {
                        let far = |value: &str| value.parse::<f64>().unwrap_or(f64::NAN) / 65535.0;
                        match *field {
                            "mean" | "deviation" => (far(ours) - far(theirs)).abs() <= most,
                            field => OF_PIXELS.contains(&field),
                        }
                    }
                };
            if ours != theirs && !may_differ {
                differences.push(format!(
                    "frame {number}: {field} is `{ours}`, but `magick` gives `{theirs}`"
                ));
            }
        }
        if let Tolerance::Difference(most) = case.tolerance {
            let far = distance(paths, number);
            if far.is_none_or(|far| far > most) {
                differences.push(format!(
                    "frame {number}: apart by {far:?}, more than {most}"
                ));
            }
        }
    }
    differences
}

/// The root mean square of the differences of two frames' pixels.
fn distance(paths: &[PathBuf; 2], frame: usize) -> Option<f64> {
    let [one, other] = paths
        .each_ref()
        .map(|path| format!("{}[{frame}]", path.display()));
    let words = [
        &one,
        &other,
        "-metric",
        "RMSE",
        "-compare",
        "-format",
        "%[distortion]",
        "info:",
    ];
    oracle::magick(Path::new("/"), &words)
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Differences of files that `magick` itself does not read, but for names and dates.
fn of_bytes(case: &Case, file: &str, ours: &[u8], theirs: &[u8]) -> Option<String> {
    if case.ignored.iter().any(|ignored| ignored == "content") {
        return None;
    }
    let [ours, theirs] = [ours, theirs].map(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter(|line| !is_volatile(line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    });
    if ours == theirs {
        return None;
    }
    let differing = ours
        .iter()
        .zip(&theirs)
        .find(|(ours, theirs)| ours != theirs);
    Some(match differing {
        Some((ours, theirs)) => format!(
            "{file}: it says `{}`, but from `magick` `{}`",
            ours.escape_debug(),
            theirs.escape_debug()
        ),
        None => format!(
            "{file}: {} lines, but {} from `magick`",
            ours.len(),
            theirs.len()
        ),
    })
}

/// Whether a line of a text tells when it was made, how long that took, or what it was called.
fn is_volatile(line: &str) -> bool {
    const KEYS: &[&str] = &[
        // PDF, whose table of places follows from the length of the name.
        "/Title",
        "/CreationDate",
        "/ModDate",
        "/ID",
        "/Length",
        "<rdf:li xml:lang",
        "<xap:CreateDate",
        "<xap:ModifyDate",
        "<xap:MetadataDate",
        "<xmp:CreateDate",
        "<xmp:ModifyDate",
        "<xmp:MetadataDate",
        "<xapMM:DocumentID",
    ];
    let line = line.trim_start_matches([' ', '"']);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    KEYS.iter().any(|key| line.starts_with(key))
        || line.trim_end().split(' ').next().is_some_and(is_number)
}
