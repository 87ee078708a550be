//! `imago-server operations`: the catalogue as a table.

use std::io::{self, Write};

/// Writes all operations, in columns: form, arguments, kind, and for a refused one why.
pub fn operations(out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<[String; 4]> = imago_core::operations()
        .map(|operation| {
            [
                operation.option().to_owned(),
                operation.arguments().to_string(),
                operation.kind().as_str().to_owned(),
                operation
                    .refused()
                    .map_or_else(String::new, |why| format!("refused: {why}")),
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
        super::operations(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("OPERATION"));
        assert_eq!(lines.count(), imago_core::operations().count());
        let resize = text.lines().find(|line| line.starts_with("-resize "));
        let words: Vec<_> = resize.unwrap().split_whitespace().take(2).collect();
        assert_eq!(words, ["-resize", "1"]);
    }
}
