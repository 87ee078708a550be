//! `imago-server operations`: the catalogue as a table.

use std::io::{self, Write};

use clap::Args;

use crate::catalogue;

/// How to list the operations.
#[derive(Debug, Default, Args)]
pub struct Operations {
    /// As JSON, as `GET /api/v1/operations` answers
    #[arg(long)]
    json: bool,
    /// As a page of Markdown, which `docs/operations.md` is
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// Writes all operations, in columns: form, arguments, kind, and what it does or, for a refused one, why it is.
pub fn operations(arguments: &Operations, out: &mut impl Write) -> io::Result<()> {
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &catalogue::operations())?;
        return writeln!(out);
    }
    if arguments.markdown {
        return out.write_all(catalogue::markdown().as_bytes());
    }
    let rows: Vec<[String; 4]> = imago_core::operations()
        .map(|operation| {
            [
                operation.option().to_owned(),
                operation.arguments().to_string(),
                operation.kind().as_str().to_owned(),
                operation.refused().map_or_else(
                    || operation.summary().to_owned(),
                    |why| match operation.instead() {
                        Some(instead) => format!("refused: {why}; use {instead}"),
                        None => format!("refused: {why}"),
                    },
                ),
            ]
        })
        .collect();
    let head = ["OPERATION", "ARGUMENTS", "KIND", ""].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].len());
        cells.max().unwrap_or_default()
    };
    let widths = [0, 1, 2].map(width);
    for [option, arguments, kind, refused] in [&head].into_iter().chain(&rows) {
        let line = format!(
            "{option:0$}  {arguments:>1$}  {kind:2$}  {refused}",
            widths[0], widths[1], widths[2]
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_operation_has_its_line() {
        let mut out = Vec::new();
        super::operations(&super::Operations::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("OPERATION"));
        assert_eq!(lines.count(), imago_core::operations().count());
        let resize = text.lines().find(|line| line.starts_with("-resize "));
        let words: Vec<_> = resize.unwrap().split_whitespace().take(2).collect();
        assert_eq!(words, ["-resize", "1"]);
    }
}
