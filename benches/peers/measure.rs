//! One task: every peer started anew, its results looked at, then rounds in which each has its turn.

use std::path::Path;
use std::time::{Duration, Instant};

use testkit::images;

use crate::memory;
use crate::peer::{Kind, Peer, Places, Request};
use crate::task::Task;
use crate::worker::IN_FLIGHT;

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How long one turn is to last, unless a single unit takes longer.
    pub(crate) turn: Duration,
    /// After so long no other round begins.
    pub(crate) task: Duration,
    /// At least and at most.
    pub(crate) rounds: (usize, usize),
}

/// What one peer did at one task.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    /// Milliseconds for a picture, one after the other, for each round.
    pub(crate) serial: Vec<f64>,
    /// Pictures a second with both cores busy, for each round.
    pub(crate) parallel: Vec<f64>,
    /// The worst of its pictures against `magick`'s, in decibels, before the encoder.
    pub(crate) psnr: Option<f64>,
    /// Of all results.
    pub(crate) bytes: u64,
    /// Resident before its first picture, where it is a process that stays.
    pub(crate) idle: u64,
    /// Resident at most, in its first unit.
    pub(crate) peak: u64,
}

/// Figures of one task, and who is not among them, with the reason.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) task: Task,
    pub(crate) measured: Vec<Measured>,
    pub(crate) missing: Vec<(Kind, String)>,
}

struct Runner {
    peer: Box<dyn Peer>,
    measured: Measured,
    /// Units for a turn: one after the other, and with both cores.
    units: (usize, usize),
}

/// Measures one task.
pub(crate) fn measure(
    task: Task,
    kinds: &[Kind],
    places: &Places,
    effort: Effort,
    say: &mut dyn FnMut(&str),
) -> Table {
    let kept = places.folder.join("kept");
    std::fs::create_dir_all(&kept).expect("results can be kept");
    let reference = kept.join(format!("{}-reference", task.name));
    let mut missing = Vec::new();
    if let Err(error) = make_reference(&task, places, &reference) {
        missing.push((Kind::Magick, format!("no reference: {error}")));
    }
    let mut runners = Vec::new();
    for &kind in kinds.iter().filter(|kind| kind.takes(&task)) {
        match prepare(kind, &task, places, effort, &reference) {
            Ok(runner) => runners.push(runner),
            Err(reason) => {
                say(&format!("{}: {}: {reason}", task.name, kind.name()));
                missing.push((kind, reason));
            }
        }
    }
    let started = Instant::now();
    for round in 0..effort.rounds.1 {
        // On a busy machine fewer rounds are better than no end.
        let enough = round >= effort.rounds.0 || started.elapsed() > 2 * effort.task;
        if round > 0 && enough && started.elapsed() > effort.task {
            break;
        }
        for parallel in [false, true] {
            runners.retain_mut(|runner| match turn(runner, &task, parallel) {
                Ok(()) => true,
                Err(reason) => {
                    say(&format!(
                        "{}: {}: {reason}",
                        task.name,
                        runner.measured.kind.name()
                    ));
                    missing.push((runner.measured.kind, reason));
                    false
                }
            });
        }
    }
    say(&format!(
        "{}: {} rounds in {:.0} s",
        task.name,
        runners
            .first()
            .map_or(0, |runner| runner.measured.serial.len()),
        started.elapsed().as_secs_f64()
    ));
    Table {
        task,
        measured: runners.into_iter().map(|runner| runner.measured).collect(),
        missing,
    }
}

/// Starts a peer, and takes from its first unit what needs no repetition.
fn prepare(
    kind: Kind,
    task: &Task,
    places: &Places,
    effort: Effort,
    reference: &Path,
) -> Result<Runner, String> {
    let mut peer = kind.start(places)?;
    let idle = peer.process().map_or(0, memory::resident);
    let keep = places
        .folder
        .join("kept")
        .join(format!("{}-{kind:?}", task.name));
    let request = Request {
        task,
        units: 1,
        parallel: false,
        keep: Some(&keep),
    };
    let first = peer.run(request)?;
    let peak = match peer.process() {
        Some(process) => memory::peak(process),
        None => first.peak.unwrap_or(0),
    };
    // A palette is part of what a GIF's encoder does, and frames are not all whole.
    let psnr = if task.animated {
        None
    } else {
        let lossless = task.lossless();
        peer.run(Request {
            task: &lossless,
            ..request
        })?;
        worst(task, reference, &keep)?
    };
    // Warm by now, which the first was not.
    let again = peer.run(Request {
        keep: None,
        ..request
    })?;
    let wanted = effort.turn.as_secs_f64() * 1000.0 / again.total_ms;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and small"
    )]
    let serial = (wanted as usize).max(1);
    // Two cores do twice as much; and no core is idle at the end for want of a unit.
    let both = (2 * serial).next_multiple_of(IN_FLIGHT);
    Ok(Runner {
        measured: Measured {
            kind,
            version: peer.version(),
            serial: Vec::new(),
            parallel: Vec::new(),
            psnr,
            bytes: first.bytes,
            idle,
            peak,
        },
        peer,
        units: (serial, both),
    })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pictures are small")]
fn turn(runner: &mut Runner, task: &Task, parallel: bool) -> Result<(), String> {
    let (serial, both) = runner.units;
    let units = if parallel { both } else { serial };
    let timing = runner.peer.run(Request {
        task,
        units,
        parallel,
        keep: None,
    })?;
    let pictures = (units * task.pictures()) as f64;
    if parallel {
        let rate = pictures * 1000.0 / timing.total_ms;
        runner.measured.parallel.push(rate);
    } else {
        runner.measured.serial.push(timing.total_ms / pictures);
    }
    Ok(())
}

/// What the `magick` command makes of the task, without loss.
fn make_reference(task: &Task, places: &Places, keep: &Path) -> Result<(), String> {
    if task.animated {
        return Ok(());
    }
    let mut magick = Kind::Magick.start(places)?;
    let lossless = task.lossless();
    magick.run(Request {
        task: &lossless,
        units: 1,
        parallel: false,
        keep: Some(keep),
    })?;
    Ok(())
}

/// The least likeness of a picture to its reference.
fn worst(task: &Task, reference: &Path, keep: &Path) -> Result<Option<f64>, String> {
    let mut worst: Option<f64> = None;
    for source in 0..task.sources.len() {
        for output in 0..task.outputs.len() {
            let [one, other] =
                [reference, keep].map(|keep| crate::kept(keep, source, output, "png"));
            let psnr = psnr(&one, &other)?;
            worst = Some(worst.map_or(psnr, |worst| worst.min(psnr)));
        }
    }
    Ok(worst)
}

/// By `magick compare`; infinite where there is no difference.
fn psnr(one: &Path, other: &Path) -> Result<f64, String> {
    let (expected, size) = (size(one)?, size(other)?);
    // Which `compare` would make up for.
    if size != expected {
        return Err(format!(
            "its picture is {size:?} pixels and that of `magick` {expected:?}"
        ));
    }
    let output = images::command()
        .args(["compare", "-metric", "PSNR"])
        .args([one, other])
        .arg("null:")
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(f64::INFINITY);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let number = text.split_whitespace().next().unwrap_or_default();
    number
        .parse()
        .map_err(|_| format!("its picture can't be compared with that of `magick`: {text}"))
}

/// Width and height of a PNG file, which have their fixed place in it.
fn size(file: &Path) -> Result<(u32, u32), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let number = |start: usize| {
        let bytes = bytes.get(start..start + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    number(16)
        .zip(number(20))
        .ok_or_else(|| format!("`{}` is no PNG file", file.display()))
}
