//! Every chain gives what the `magick` command gives: the cases are run through both, and the results compared.
//!
//! `cases/` holds the cases. What they prove of each operation is in `docs/conformance.md`, which this writes.
//! `IMAGO_CASES=resize` runs only cases whose names begin so.

mod case;
mod compare;
mod inputs;
mod oracle;
mod report;

use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use imago_core::storage::{Get, Location, ObjectHeaders, Stores};
use imago_core::{Action, Converter, Engine, Outcome, Result};

use case::{Case, Tolerance};
use compare::Side;

/// Where Imago finds the inputs.
pub(crate) const INPUTS_URL: &str = "memory://in/";

/// How a case went.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) case: Case,
    /// What it needs that Imago does not do yet; then it was not run.
    pub(crate) missing: Option<String>,
    pub(crate) differences: Vec<String>,
}

#[test]
fn every_case_is_as_magick_does_it() {
    let cases = case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases"));
    let filter = std::env::var("IMAGO_CASES").unwrap_or_default();
    let (cases, left_out): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.name.starts_with(&filter));
    let verdicts = run(cases);

    let mut wrong = Vec::new();
    for verdict in &verdicts {
        for difference in &verdict.differences {
            wrong.push(format!("{}\n    {difference}", verdict.case));
        }
    }
    let all = left_out.is_empty();
    if all {
        wrong.extend(report::gaps(&verdicts));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    if all && let Some(note) = report::check(&verdicts) {
        println!("{note}");
    }
}

fn run(cases: Vec<Case>) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder for temporary files can be created");
    let [inputs, ours, lane, theirs] = ["in", "imago", "lane", "magick"].map(|name| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder can be created");
        folder
    });
    inputs::make(&inputs);
    let to_run: Vec<&Case> = cases
        .iter()
        .filter(|case| case.missing().is_none())
        .collect();

    let (converted, quick, judged) = std::thread::scope(|scope| {
        let judge = scope.spawn(|| oracle::run(&to_run, &inputs, &theirs));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let converted = runtime.block_on(convert(&to_run, &inputs, &ours, false));
        let quick = runtime.block_on(convert(&to_run, &inputs, &lane, true));
        (
            converted,
            quick,
            judge.join().expect("the oracle does not panic"),
        )
    });
    let by_lane = lane_differences(&to_run, &quick, &lane, &theirs);
    let files = compare::to_describe(&ours, &theirs);
    let [imago, magick] = std::thread::scope(|scope| {
        [&ours, &theirs]
            .map(|folder| scope.spawn(|| compare::describe(folder, &to_run, &files)))
            .map(|side| side.join().expect("results can be described"))
    });
    let imago = Side {
        folder: &ours,
        described: &imago,
    };
    let magick = Side {
        folder: &theirs,
        described: &magick,
    };

    let alone = |index: usize, case: &Case| -> Vec<String> {
        match (&converted[index], &judged[index]) {
            (Err(_), Err(_)) if case.tolerance == Tolerance::Failure => Vec::new(),
            (Err(_), Ok(())) if case.tolerance == Tolerance::Fault => Vec::new(),
            (Ok(_), Ok(())) if matches!(case.tolerance, Tolerance::Failure | Tolerance::Fault) => {
                vec!["it was to fail, but works".to_owned()]
            }
            (Ok(_), Ok(())) => match &quick[index] {
                Ok(_) => compare::differences(case, index, &imago, &magick),
                Err(error) => vec![format!("with the fast lane it fails: {error}")],
            },
            (ours, theirs) => {
                let failed =
                    |side: &str, error: &dyn std::fmt::Display| format!("{side} fails: {error}");
                let ours = ours.as_ref().err().map(|error| failed("Imago", error));
                let theirs = theirs.as_ref().err().map(|error| failed("`magick`", error));
                ours.into_iter().chain(theirs).collect()
            }
        }
    };
    let mut results = to_run
        .iter()
        .zip(by_lane)
        .enumerate()
        .map(|(index, (case, by_lane))| [alone(index, case), by_lane].concat())
        .collect::<Vec<_>>()
        .into_iter();
    let missing: Vec<_> = cases
        .iter()
        .map(|case| case.missing().map(str::to_owned))
        .collect();
    cases
        .into_iter()
        .zip(missing)
        .map(|(case, missing)| Verdict {
            differences: match missing {
                Some(_) => Vec::new(),
                None => results.next().expect("all others were run"),
            },
            case,
            missing,
        })
        .collect()
}

/// How the results of the cases that the fast lane takes differ from those of `magick`, by place.
///
/// Its pixels are near, not the same, and `tests/equality` says how near before they are encoded. Here they went through an
/// encoder, which makes more of a small difference; all else must be equal.
fn lane_differences(
    cases: &[&Case],
    outcomes: &[Result<Outcome>],
    lane: &Path,
    theirs: &Path,
) -> Vec<Vec<String>> {
    let taken = |index: usize| {
        let outcome = outcomes[index].as_ref();
        outcome.is_ok_and(|outcome| outcome.engine != Engine::Magick)
    };
    let mut files = compare::to_describe(lane, theirs);
    files.retain(|(index, _)| taken(*index));
    let [imago, magick] =
        [lane, theirs].map(|folder| (folder, compare::describe(folder, cases, &files)));
    let [imago, magick] = [&imago, &magick].map(|(folder, described)| Side { folder, described });
    cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            if !taken(index) {
                return Vec::new();
            }
            let mut case = Case::clone(case);
            if case.tolerance == Tolerance::Equal {
                case.tolerance = Tolerance::Difference(ENCODED);
            }
            compare::differences(&case, index, &imago, &magick)
                .into_iter()
                .map(|difference| format!("with the fast lane: {difference}"))
                .collect()
        })
        .collect()
}

/// How far apart pixels from the fast lane may be once they are encoded, as the root mean square from 0 to 1.
const ENCODED: f64 = 0.01;

/// Runs all cases through Imago, with the fast lane or without, each into a folder of its own, named by its place in the
/// list.
async fn convert(
    cases: &[&Case],
    inputs: &Path,
    results: &Path,
    native: bool,
) -> Vec<Result<Outcome>> {
    let stores = Stores::builder()
        .memory(true)
        .build()
        .expect("stores in memory need nothing");
    let converter = Converter::builder()
        .stores(stores.clone())
        .native(native)
        .build()
        .await
        .expect("a converter starts");
    let headers = ObjectHeaders::new("image/x").expect("a plain media type");
    for name in compare::list(inputs) {
        let bytes = std::fs::read(inputs.join(&name)).expect("an input can be read");
        let url = locate(&format!("{INPUTS_URL}{name}"));
        let put = stores.put(&url, Bytes::from(bytes), &headers).await;
        put.expect("memory takes all");
    }
    let actions: Vec<Action> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let infile = if case.input.contains(':') {
                case.input.clone()
            } else {
                format!("{INPUTS_URL}{}", case.input)
            };
            let action = Action::new(infile, case.output_in(&format!("memory://out/{index}")));
            if case.chain.is_empty() {
                action
            } else {
                action.operations([&case.chain])
            }
        })
        .collect();
    let mut outcomes: Vec<_> = converter.convert_all(&actions).collect().await;
    outcomes.sort_by_key(|(index, _)| *index);
    for (index, outcome) in &outcomes {
        let files = outcome.as_ref().map_or(&[][..], |outcome| &outcome.files);
        for url in files {
            let file = results.join(url.split("memory://out/").last().unwrap_or_default());
            let folder = results.join(index.to_string());
            std::fs::create_dir_all(folder).expect("a folder for results can be created");
            std::fs::write(file, get(&stores, url).await).expect("a result can be written");
        }
    }
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn get(stores: &Stores, url: &str) -> Vec<u8> {
    match stores.get(&locate(url), None, u64::MAX).await {
        Ok(Get::Object { body, .. }) => {
            let parts: Vec<Bytes> = body.try_collect().await.expect("memory reads on");
            parts.concat()
        }
        other => panic!("{url} is said to be written, but: {other:?}"),
    }
}

fn locate(url: &str) -> Location {
    Location::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}
