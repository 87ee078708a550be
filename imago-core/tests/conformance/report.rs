//! `docs/conformance.md`: what the cases prove of each operation and each format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use imago_core::Format;
use testkit::images;

use crate::Verdict;
use crate::case::{Case, Tolerance};

/// Forms that run, and formats that are written, that no case has.
pub(crate) fn gaps(verdicts: &[Verdict]) -> Vec<String> {
    let forms = by_form(verdicts);
    let forms = imago_core::operations()
        .filter(|form| form.refused().is_none() && !forms.contains_key(form.option()))
        .map(|form| format!("`{}` has no case", form.option()));
    let formats = by_format(verdicts);
    let formats = writable()
        .into_iter()
        .filter(|format| !formats.contains_key(format))
        .map(|format| format!("no case writes {format}"));
    forms.chain(formats).collect()
}

/// Checks that the document says what this run found; with `IMAGO_WRITE_DOCS=1` writes it.
///
/// The table of operations is ImageMagick's, so another version's document is let be.
pub(crate) fn check(verdicts: &[Verdict]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let document = document(verdicts);
    if std::env::var_os("IMAGO_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(file.with_file_name("")).expect("`docs` can be created");
        std::fs::write(&file, document).expect("the document can be written");
        return;
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let version = version();
    if there.contains("ImageMagick 7") && !there.contains(&format!("{version}.")) {
        println!("docs/conformance.md is of another version than {version}, and was not checked");
        return;
    }
    let differing = there
        .lines()
        .zip(document.lines())
        .find(|(there, here)| there != here);
    assert!(
        there == document,
        "docs/conformance.md is stale; `make docs` writes it anew; first difference: {differing:?}"
    );
}

fn document(verdicts: &[Verdict]) -> String {
    let (forms, formats) = (by_form(verdicts), by_format(verdicts));
    let run = || verdicts.iter().filter(|verdict| verdict.missing.is_none());
    let exact = run().filter(|verdict| verdict.case.is_exact()).count();
    let all = imago_core::operations().len();
    let refused = imago_core::operations()
        .filter(|form| form.refused().is_some())
        .count();
    let waiting = verdicts.len() - run().count();
    let mut text = format!(
        "\
# Conformance

Each case is a chain that is run through Imago and through the `magick` command. The results are compared frame by frame:
pixels, size, page, delay, disposal, colour space, depth, profiles, and what the encoder was told, such as quality and
sampling. The cases are in `imago-core/tests/conformance/cases/`; the test `conformance` runs them, fails at a difference
that a case does not give its reason for, and wrote this page with {version}.

- {all} forms of operations: {tried} run and have a case, {refused} are refused with a reason.
- {run} cases: {exact} equal, {others} with a reason why not{waiting}.
- {formats} formats written.

## Operations

| form | cases | result |
| --- | --: | --- |
",
        version = version(),
        tried = all - refused,
        run = run().count(),
        others = run().count() - exact,
        waiting = if waiting == 0 { String::new() } else { format!(", and {waiting} not run yet") },
        formats = formats.len(),
    );
    for form in imago_core::operations() {
        let cases = forms.get(form.option()).map_or(&[][..], Vec::as_slice);
        let result = match form.refused() {
            Some(reason) => format!("refused: {reason}"),
            None => result(cases),
        };
        row(
            &mut text,
            &[&code(form.option()), &cases.len().to_string(), &result],
        );
    }
    text.push_str("\n## Formats written\n\n| format | cases | result |\n| --- | --: | --- |\n");
    for (format, cases) in &formats {
        row(
            &mut text,
            &[format, &cases.len().to_string(), &result(cases)],
        );
    }
    text.push_str("\n## Cases that are not equal, and why\n\n| case | chain | compared | why |\n| --- | --- | --- | --- |\n");
    for Verdict { case, missing, .. } in verdicts {
        let chain = code(&format!("{} {} {}", case.input, case.chain, case.output));
        let (how, why) = match (missing, &case.why) {
            (Some(missing), _) => ("not run yet".to_owned(), format!("needs {}", code(missing))),
            (None, Some(why)) => (compared(case), why.clone()),
            (None, None) => continue,
        };
        row(&mut text, &[&case.name, &chain, &how, &why]);
    }
    text
}

/// What a form's or a format's cases say together.
fn result(verdicts: &[&Verdict]) -> String {
    let run: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.missing.is_none())
        .collect();
    if run.is_empty() {
        return "not run yet".to_owned();
    }
    let others: Vec<_> = run
        .iter()
        .filter(|verdict| !verdict.case.is_exact())
        .collect();
    let equal = run.len() - others.len();
    let reasons: BTreeSet<_> = others
        .iter()
        .filter_map(|verdict| verdict.case.why.as_deref())
        .collect();
    let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
    match (equal, others.len()) {
        (_, 0) => "equal".to_owned(),
        (0, _) => format!("not equal: {reasons}"),
        (equal, _) => format!("equal in {equal}; otherwise: {reasons}"),
    }
}

fn compared(case: &Case) -> String {
    let mut how = match case.tolerance {
        Tolerance::Equal => String::new(),
        Tolerance::Difference(most) => format!("apart by at most {most}"),
        Tolerance::Statistics(most) => format!("mean and deviation apart by at most {most}"),
        Tolerance::Failure => "both fail".to_owned(),
        Tolerance::Fault => "Imago fails".to_owned(),
    };
    if !case.ignored.is_empty() {
        if !how.is_empty() {
            how.push_str("; ");
        }
        write!(how, "all but {}", case.ignored.join(", ")).expect("a string takes all text");
    }
    how
}

fn row(text: &mut String, cells: &[&str]) {
    for cell in cells {
        let cell = cell.replace('|', "\\|");
        write!(text, "| {cell} ").expect("a string takes all text");
    }
    text.push_str("|\n");
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The forms that occur, and the cases they are in.
fn by_form(verdicts: &[Verdict]) -> BTreeMap<&'static str, Vec<&Verdict>> {
    let mut forms: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for verdict in verdicts {
        let used: BTreeSet<_> = verdict
            .case
            .forms
            .iter()
            .map(|form| form.option())
            .collect();
        for form in used {
            forms.entry(form).or_default().push(verdict);
        }
    }
    forms
}

/// The formats that are written, and the cases that do.
fn by_format(verdicts: &[Verdict]) -> BTreeMap<String, Vec<&Verdict>> {
    let mut formats: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for verdict in verdicts {
        let Case { prefix, output, .. } = &verdict.case;
        let extension = output.rsplit('.').next().unwrap_or_default();
        let name = if prefix.is_empty() { extension } else { prefix };
        let format: Result<Format, _> = name.parse();
        if let Ok(format) = format {
            formats
                .entry(format.name().to_owned())
                .or_default()
                .push(verdict);
        }
    }
    formats
}

/// The formats of this ImageMagick that Imago writes.
fn writable() -> BTreeSet<String> {
    let list = images::magick(["-list", "format"]);
    String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, mode) = (words.next()?, words.next()?);
            // Lines between are of the descriptions. `JPEG* rw-`
            let is_mode = mode.len() == 3 && mode.as_bytes()[1] == b'w';
            let format: Format = is_mode.then(|| name.trim_end_matches('*'))?.parse().ok()?;
            Some(format.name().to_owned())
        })
        .collect()
}

/// `ImageMagick 7.1.1-43`.
fn version() -> String {
    let text = images::magick(["-version"]);
    let text = String::from_utf8_lossy(&text.stdout);
    let words: Vec<_> = text.split_whitespace().skip(1).take(2).collect();
    words.join(" ")
}
