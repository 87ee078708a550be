//! `imago-server formats`: what can be read and written, as a table or as JSON.

use std::io::{self, Write};

use clap::Args;

/// How to list the formats.
#[derive(Debug, Args)]
pub struct Formats {
    /// As JSON, as `GET /api/v1/formats` answers
    #[arg(long)]
    json: bool,
    /// As where the server may run Ghostscript
    #[arg(long, env = "IMAGO_GHOSTSCRIPT")]
    ghostscript: bool,
}

/// Writes all formats, in columns: name, `r` and `w` and `+` (read, written, several images in one file), media type,
/// extensions, description.
pub fn formats(arguments: &Formats, out: &mut impl Write) -> io::Result<()> {
    if arguments.json {
        serde_json::to_writer_pretty(
            &mut *out,
            &crate::http::formats_document(arguments.ghostscript),
        )?;
        return writeln!(out);
    }
    let flag = |is_so, letter| if is_so { letter } else { '-' };
    for format in imago_core::formats() {
        let flags: String = [
            flag(
                format.read || (arguments.ghostscript && format.ghostscript),
                'r',
            ),
            flag(format.write, 'w'),
            flag(format.multi_frame, '+'),
        ]
        .iter()
        .collect();
        let mime_type = format.mime_type.as_deref().unwrap_or("-");
        let extensions = match format.extensions.join(" ") {
            none if none.is_empty() => "-".to_owned(),
            some => some,
        };
        // Some descriptions go on for lines.
        let description = format.description.lines().next().unwrap_or_default();
        writeln!(
            out,
            "{:<10} {flags} {mime_type:<28} {extensions:<18} {description}",
            format.name
        )?;
    }
    Ok(())
}
