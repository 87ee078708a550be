//! `docs/equality.md`: what was proven, and how near the results are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::judge::{LEAST, Verdict};

const HEAD: &str = "# Equality

What the fast lane does, compared with the `magick` program: `imago-core/tests/equality` runs each of these chains on each
of these sources through both, and writes this page. Compared are the pixels before they are encoded (in decibels; 50 is
where a difference of one step in 255 would be in four of five samples), all metadata that `magick` tells, and the sizes
of the files. Chains that are drawn at random are compared beside these.

";

/// Compares the page with what was found, or writes it.
pub(crate) fn check(verdicts: &[Verdict]) -> Option<String> {
    let page = page(verdicts);
    let file = crate::root().join("docs/equality.md");
    if std::env::var_os("IMAGO_WRITE_DOCS").is_some() {
        std::fs::write(&file, page).expect("the page can be written");
        return None;
    }
    let is_fresh = std::fs::read_to_string(&file).is_ok_and(|old| old == page);
    (!is_fresh).then(|| {
        "docs/equality.md is not what this run found; `make docs` writes it anew".to_owned()
    })
}

fn page(verdicts: &[Verdict]) -> String {
    let mut page = HEAD.to_owned();
    let equal = verdicts.iter().filter(|one| one.psnr.is_infinite()).count();
    let same = verdicts.iter().filter(|one| one.same_bytes).count();
    let least = verdicts
        .iter()
        .map(|one| one.psnr)
        .fold(f64::INFINITY, f64::min);
    writeln!(
        page,
        "{} cases. In {equal} the pixels are equal, in {same} the files are the same to the byte. The farthest is at {least:.1} dB; the least allowed is {LEAST:.0}.\n",
        verdicts.len()
    )
    .expect("a string takes all text");
    page.push_str("| source | format | chain | engine | pixels | file |\n| --- | --- | --- | --- | --- | --- |\n");
    let mut by_chain: BTreeMap<(&str, &str, String), Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        let case = &verdict.case;
        let key = (case.source.as_str(), case.format, case.chain.clone());
        by_chain.entry(key).or_default().push(verdict);
    }
    for ((source, format, chain), verdicts) in by_chain {
        for verdict in verdicts {
            let pixels = if verdict.psnr.is_infinite() {
                "equal".to_owned()
            } else {
                format!("{:.0} dB", verdict.psnr)
            };
            let file = if verdict.same_bytes {
                "the same".to_owned()
            } else {
                format!("{:+.1} %", (verdict.size - 1.0) * 100.0)
            };
            writeln!(
                page,
                "| {source} | {format} | `{}` | {} | {pixels} | {file} |",
                chain.replace('|', "\\|"),
                verdict.engine
            )
            .expect("a string takes all text");
        }
    }
    page
}
