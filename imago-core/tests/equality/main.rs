//! The fast lane's results are ImageMagick's: what it claims is run through it and through the `magick` program, and the
//! pixels before encoding, the metadata and the files' sizes compared.
//!
//! What this proves is in `docs/equality.md`, which it writes. `IMAGO_CASES=resize` runs only cases whose names hold that.

mod cases;
mod judge;
mod random;
mod report;
mod sources;

use std::path::Path;
use std::sync::Mutex;

use cases::Case;
use imago_core::Fidelity;
use judge::Verdict;

#[test]
fn every_claim_of_the_fast_lane_holds() {
    let filter = std::env::var("IMAGO_CASES").unwrap_or_default();
    let all = cases::all();
    let whole = filter.is_empty();
    let cases = all
        .into_iter()
        .filter(|case| case.to_string().contains(&filter))
        .collect();
    let verdicts = run(cases);
    fail_on(&verdicts);
    if whole && let Some(note) = report::check(&verdicts) {
        println!("{note}");
    }
}

/// Chains that nobody thought of: the seed is fixed, so that they are the same in each run.
#[test]
fn random_chains_are_equal_too() {
    let count = std::env::var("IMAGO_RANDOM_CASES").map_or(60, |count| {
        count
            .parse()
            .expect("IMAGO_RANDOM_CASES is a number of cases")
    });
    fail_on(&run(random::cases(count)));
}

/// Less than exact is asked for: the size is the same, and the picture is about that.
#[test]
fn fast_is_near() {
    let folder = tempfile::tempdir().expect("a folder for temporary files can be created");
    sources::make(folder.path());
    let judge = judge::Judge::new(folder.path());
    for (source, chain, differs) in [
        ("large.jpg", "-resize 60%", false),
        ("large.jpg", "-resize 50%", true),
        ("large.jpg", "-resize 200x200", true),
        ("large.jpg", "-thumbnail 100x100", true),
        ("large.jpg", "-resize 1000x20!", false),
        ("turned-6.jpg", "-auto-orient -resize 60x60", true),
        ("photo.png", "-resize 60x60", false),
    ] {
        let case = Case::new(source, chain, "pam");
        let (_, exact) = judge.convert(&case, "pam", Fidelity::Exact);
        let (_, fast) = judge.convert(&case, "pam", Fidelity::Fast);
        let near = judge::psnr(&fast, &exact).unwrap_or_else(|why| panic!("{case}: {why}"));
        assert_eq!(near.is_finite(), differs, "{case}: {near} dB");
        assert!(near > 28.0, "{case}: {near} dB");
    }
}

fn fail_on(verdicts: &[Verdict]) {
    let wrong: Vec<_> = verdicts
        .iter()
        .filter(|verdict| !verdict.wrong.is_empty())
        .map(|verdict| format!("{}\n    {}", verdict.case, verdict.wrong.join("\n    ")))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        verdicts.len(),
        wrong.join("\n")
    );
}

/// Runs cases, as many at once as there are processors.
fn run(cases: Vec<Case>) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder for temporary files can be created");
    let inputs = folder.path().join("in");
    std::fs::create_dir(&inputs).expect("a folder can be created");
    sources::make(&inputs);
    let judge = judge::Judge::new(&inputs);
    let queue = Mutex::new(cases.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no thread panics here").next();
                    let Some((index, case)) = next else { break };
                    let place = folder.path().join(index.to_string());
                    let verdict = judge.judge(case, &place);
                    done.lock()
                        .expect("no thread panics here")
                        .push((index, verdict));
                }
            });
        }
    });
    let mut verdicts = done.into_inner().expect("no thread panics here");
    verdicts.sort_by_key(|(index, _)| *index);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

/// The repository's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
}
