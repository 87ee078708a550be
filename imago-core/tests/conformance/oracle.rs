//! The `magick` program, which says what is right.

use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;

use testkit::images;

use crate::case::Case;

/// Runs `magick` in a folder, and gives what it printed.
pub(crate) fn magick<S: AsRef<str>>(folder: &Path, words: &[S]) -> Result<String, String> {
    let output = images::command()
        .args(words.iter().map(AsRef::as_ref))
        .current_dir(folder)
        // As in Imago; and two of them run at once.
        .envs([("MAGICK_THREAD_LIMIT", "1"), ("OMP_NUM_THREADS", "1")])
        .stdin(Stdio::null())
        .output()
        .expect("`magick` can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", output.status, complaint.trim()))
    }
}

/// Runs all cases as `magick IN CHAIN OUT`, each into a folder of its own below `results`, named by its place in the
/// list. Gives what went wrong, by place.
pub(crate) fn run(cases: &[&Case], inputs: &Path, results: &Path) -> Vec<Result<(), String>> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let queue = Mutex::new(cases.iter().enumerate());
    let done = Mutex::new(vec![Ok(()); cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((index, case)) = queue.lock().expect("no thread panics here").next()
                    else {
                        break;
                    };
                    let result = run_one(case, inputs, &results.join(index.to_string()));
                    done.lock().expect("no thread panics here")[index] = result;
                }
            });
        }
    });
    done.into_inner().expect("no thread panics here")
}

fn run_one(case: &Case, inputs: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).expect("a folder for results can be created");
    let mut words = case.oracle.clone();
    match words.iter().position(|word| word == "IN") {
        Some(at) => words[at].clone_from(&case.input),
        None => words.insert(0, case.input.clone()),
    }
    // What is a URL in Imago is a file here.
    for word in &mut words {
        *word = word.replace(crate::INPUTS_URL, "");
    }
    words.push(case.output_in(&folder.display().to_string()));
    magick(inputs, &words).map(drop)
}
