//! The catalogue of operations as documents: JSON for programs, Markdown for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use imago_core::{OperationInfo, OperationKind};
use schemars::JsonSchema;
use serde::Serialize;

/// An operation by its name, with its forms.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Operation {
    name: &'static str,
    kind: &'static str,
    summary: &'static str,
    forms: Vec<Form>,
}

/// One form of an operation: `-append` or `+append`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Form {
    #[serde(rename = "form")]
    option: &'static str,
    arguments: Vec<Argument>,
    example: String,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    /// What to use instead of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Argument {
    kind: &'static str,
    /// What it may be, where it is one of a list.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    values: &'static [String],
}

/// Every operation, by name.
pub(crate) fn operations() -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for info in imago_core::operations() {
        let form = form(info);
        match operations.last_mut() {
            Some(last) if last.name == info.name() => last.forms.push(form),
            _ => operations.push(Operation {
                name: info.name(),
                kind: info.kind().as_str(),
                summary: info.summary(),
                forms: vec![form],
            }),
        }
    }
    operations
}

fn form(info: OperationInfo) -> Form {
    let mut arguments: Vec<_> = info
        .argument_kinds()
        .map(|kind| Argument {
            kind: kind.as_str(),
            values: kind.list().map_or(&[], imago_core::OptionList::values),
        })
        .collect();
    // Of a form that nobody can use it matters only how many there are.
    arguments.resize_with(info.arguments(), || Argument {
        kind: "text",
        values: &[],
    });
    Form {
        option: info.option(),
        arguments,
        example: info.example(),
        refused: info.refused(),
        instead: info.instead(),
    }
}

/// `docs/operations.md`.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "# Operations\n\n\
         Every form of every operation in ImageMagick's table: what can be used, and what is refused and why. This page is\n\
         generated from the catalogue that the parser uses, by `make docs`; `imago-server operations` prints the same.\n\n\
         An operation is written with its `-` or without; `+name` is another form of it. Arguments with percent escapes such as\n\
         `%w` or `%[fx:w/2]` are checked when the image is there, all others when a job is submitted.\n",
    );
    let kinds = [
        (
            OperationKind::Setting,
            "Settings",
            "They change what later operations and the encoder do.",
        ),
        (
            OperationKind::Operator,
            "Operators on each image",
            "They work on each image by itself.",
        ),
        (
            OperationKind::ListOperator,
            "Operators on the list",
            "They work on all images together.",
        ),
        (
            OperationKind::Stack,
            "Lists of images",
            "They change which images there are, and in which list.",
        ),
        (OperationKind::Input, "Inputs", "They add images."),
        (
            OperationKind::Command,
            "Others",
            "They belong to no picture.",
        ),
    ];
    for (kind, title, about) in kinds {
        let mut rows: BTreeMap<&str, (Vec<String>, &str, String)> = BTreeMap::new();
        for info in imago_core::operations() {
            if info.kind() == kind && info.refused().is_none() {
                let row = rows
                    .entry(info.name())
                    .or_insert_with(|| (Vec::new(), info.summary(), info.example()));
                // The form with `-` is what people look for: it comes first, and its example is shown.
                if info.option().starts_with('-') {
                    row.0.insert(0, code(info.option()));
                    row.2 = info.example();
                } else {
                    row.0.push(code(info.option()));
                }
            }
        }
        if rows.is_empty() {
            continue;
        }
        line(
            &mut text,
            &format!(
                "\n## {title}\n\n{about}\n\n| forms | what it does | example |\n| --- | --- | --- |"
            ),
        );
        for (forms, summary, example) in rows.values() {
            let row = format!(
                "| {} | {} | {} |",
                forms.join(" "),
                cell(summary),
                code(example)
            );
            line(&mut text, &row);
        }
    }
    line(
        &mut text,
        "\n## Refused\n\n| form | why | instead |\n| --- | --- | --- |",
    );
    for info in imago_core::operations() {
        if let Some(why) = info.refused() {
            let instead = cell(info.instead().unwrap_or_default());
            let row = format!("| {} | {} | {instead} |", code(info.option()), cell(why));
            line(&mut text, &row);
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.replace("  |", " |"))
        .expect("a string takes all that is written to it");
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// A text in a cell of a table, where `|` would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_in_the_documents_once() {
        let forms: usize = operations()
            .iter()
            .map(|operation| operation.forms.len())
            .sum();
        assert_eq!(forms, imago_core::operations().count());
        let text = markdown();
        for info in imago_core::operations() {
            let form = code(info.option());
            assert!(text.contains(&format!("{form} ")), "{form}");
        }
    }

    /// `IMAGO_WRITE_DOCS=1 cargo test -p imago-server docs_are_fresh` writes the page anew.
    #[test]
    fn docs_are_fresh() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        if std::env::var_os("IMAGO_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).unwrap();
            std::fs::write(file, markdown()).unwrap();
        }
        let there = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            there == markdown(),
            "`docs/operations.md` is stale: run `make docs`"
        );
    }
}
