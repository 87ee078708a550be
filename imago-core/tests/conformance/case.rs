//! The cases: text files, in which a line is a case.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use imago_core::OperationInfo;

/// One chain on one input, done by Imago and by `magick`.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The file, without its ending, and the line: `resize:12`.
    pub(crate) name: String,
    /// A file of the inputs, with a selector or without: `photo.png`, `animation.gif[0]`.
    pub(crate) input: String,
    /// The format that the result's name is preceded by, as `PNG8` in `PNG8:out.png`, or nothing.
    pub(crate) prefix: String,
    /// The name of the result: `out.png`, where the case says only `png`.
    pub(crate) output: String,
    /// What Imago is given.
    pub(crate) chain: String,
    /// What `magick` is given between input and output, or with the input too, as `IN`.
    pub(crate) oracle: Vec<String>,
    /// The operations of the chain.
    pub(crate) forms: Vec<OperationInfo>,
    /// How alike the results must be.
    pub(crate) tolerance: Tolerance,
    /// Why they may differ.
    pub(crate) why: Option<String>,
    /// What may differ: names of [fields](crate::compare::FIELDS).
    pub(crate) ignored: Vec<String>,
    /// What Imago has to be able to do first.
    pub(crate) needs: Vec<String>,
}

/// How alike the pixels of both results must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tolerance {
    /// The same.
    Equal,
    /// Apart by so much at most, as the root mean square of their differences, from 0 to 1.
    Difference(f64),
    /// Random, but the mean and the deviation of each frame apart by so much at most, from 0 to 1.
    Statistics(f64),
    /// There are none: both fail.
    Failure,
    /// Imago fails, and `magick` does not: a fault that is known.
    Fault,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            input,
            output,
            chain,
            ..
        } = self;
        write!(f, "{name}: {input} -> {output}: {chain}")
    }
}

impl Case {
    /// Puts the folder, or the URL of one, of the results before the name of the result.
    pub(crate) fn output_in(&self, folder: &str) -> String {
        let Self { prefix, output, .. } = self;
        if prefix.is_empty() {
            format!("{folder}/{output}")
        } else {
            format!("{prefix}:{folder}/{output}")
        }
    }

    /// Whether its results must be the same in all that is compared.
    pub(crate) fn is_exact(&self) -> bool {
        self.tolerance == Tolerance::Equal && self.ignored.is_empty()
    }

    /// What it needs and Imago does not do yet: an operation that is refused.
    pub(crate) fn missing(&self) -> Option<&str> {
        let missing = |need: &&String| form(need).is_none_or(|form| form.refused().is_some());
        self.needs.iter().find(missing).map(String::as_str)
    }
}

/// All cases of a folder, in the order of the files' names.
///
/// # Panics
///
/// Panics, with its place, at what is no case.
pub(crate) fn read(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of cases is there")
        .map(|entry| entry.expect("the folder of cases can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file of cases is text");
        let theme = file.file_stem().and_then(|stem| stem.to_str());
        parse(theme.expect("a theme is a word"), &text, &mut cases);
    }
    cases
}

fn parse(theme: &str, text: &str, cases: &mut Vec<Case>) {
    let start = cases.len();
    for (index, line) in text.lines().enumerate() {
        let name = format!("{theme}:{}", index + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(more) = line.strip_prefix("    ") {
            let case = cases[start..]
                .last_mut()
                .unwrap_or_else(|| panic!("{name}: there is no case above"));
            say_more(&name, case, more);
            continue;
        }
        cases.push(first_line(name, line));
    }
    for case in &cases[start..] {
        assert!(
            case.is_exact() == case.why.is_none(),
            "{case}: `why` goes with results that may differ, and only with them"
        );
    }
}

/// `photo.png png -resize 50%`.
fn first_line(name: String, line: &str) -> Case {
    let (input, rest) = next_word(line);
    let (output, chain) = next_word(rest);
    assert!(
        !output.is_empty(),
        "{name}: expected an input, an output and a chain: `{line}`"
    );
    let (prefix, file) = output.split_once(':').unwrap_or(("", output));
    let file = if file.contains('.') {
        file.to_owned()
    } else {
        format!("out.{file}")
    };
    let (oracle, forms) = walk(&name, &split(chain));
    Case {
        name,
        input: input.to_owned(),
        prefix: prefix.to_owned(),
        output: file,
        chain: chain.to_owned(),
        oracle,
        forms,
        tolerance: Tolerance::Equal,
        why: None,
        ignored: Vec::new(),
        needs: Vec::new(),
    }
}

/// `threshold: 0.01`, below a case.
fn say_more(name: &str, case: &mut Case, line: &str) {
    let (key, value) = line
        .trim()
        .split_once(": ")
        .unwrap_or_else(|| panic!("{name}: expected `key: value`, but there is `{line}`"));
    let number = || -> f64 {
        let number = value.parse();
        number.unwrap_or_else(|_| panic!("{name}: `{value}` is no number"))
    };
    match key {
        "threshold" => case.tolerance = Tolerance::Difference(number()),
        "statistics" => case.tolerance = Tolerance::Statistics(number()),
        "fails" | "fault" => {
            case.tolerance = match key {
                "fails" => Tolerance::Failure,
                _ => Tolerance::Fault,
            };
            case.why = Some(value.to_owned());
        }
        "why" => case.why = Some(value.to_owned()),
        "ignore" => case.ignored = value.split_whitespace().map(str::to_owned).collect(),
        "needs" => case.needs = value.split_whitespace().map(str::to_owned).collect(),
        "oracle" => case.oracle = split(value),
        _ => panic!("{name}: there is no `{key}`"),
    }
}

fn next_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once(char::is_whitespace)
        .map_or((line, ""), |(word, rest)| (word, rest.trim()))
}

/// Words, as a shell makes them, but for `#`, which begins no comment: pasted chains have colours in quotes anyway.
fn split(chain: &str) -> Vec<String> {
    const HASH: &str = "\u{FDD0}";
    let words = shell_words::split(&chain.replace('#', HASH));
    let words = words.unwrap_or_else(|_| panic!("`{chain}` has a quote that is not closed"));
    words.iter().map(|word| word.replace(HASH, "#")).collect()
}

/// The chain as the `magick` command takes it, with a `-` where Imago lets it be left out, and its operations.
fn walk(name: &str, words: &[String]) -> (Vec<String>, Vec<OperationInfo>) {
    let (mut oracle, mut forms) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let found = form(word).unwrap_or_else(|| panic!("{name}: there is no operation `{word}`"));
        let bare = found.option().strip_prefix('-') == Some(&word.to_ascii_lowercase());
        oracle.push(if bare {
            format!("-{word}")
        } else {
            word.clone()
        });
        oracle.extend(words.by_ref().take(found.arguments()).cloned());
        forms.push(found);
    }
    (oracle, forms)
}

/// The form of an operation that a word means, refused or not.
fn form(word: &str) -> Option<OperationInfo> {
    static FORMS: LazyLock<HashMap<&str, OperationInfo>> = LazyLock::new(|| {
        imago_core::operations()
            .map(|form| (form.option(), form))
            .collect()
    });
    let lower = word.to_ascii_lowercase();
    let found = FORMS
        .get(lower.as_str())
        .or_else(|| FORMS.get(format!("-{lower}").as_str()));
    found.copied()
}
