//! `imago-server convert INFILE OUTFILE [OPERATION…]`: one image, by the same code as the server's, without a server.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use imago_core::Action;

use crate::config::Config;
use crate::serve::{converter, stores};

/// What to convert.
#[derive(Debug, Args)]
pub struct Convert {
    /// Configuration file, for its `[stores]`
    #[arg(long, env = "IMAGO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Media type to store the result with [default: the output format's]
    #[arg(long, value_name = "TYPE")]
    mimetype: Option<String>,
    /// How long the conversion may take [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Where the image is read from: a path or a URL; `[0]` behind it selects a frame
    infile: String,
    /// Where the result goes: a path or a URL, whose extension says the format
    outfile: String,
    /// What is done to the image: `-resize 200x200 -quality 80` as for `magick`, or `'resize 200x200' 'quality 80'`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPERATION"
    )]
    operations: Vec<String>,
}

/// Converts one image, and gives the text that its operations produced.
///
/// It trusts its user: local paths may lie anywhere, and URLs may lead anywhere.
pub async fn convert(arguments: Convert) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut config = match &arguments.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    // One conversion has nothing to gain from a cache, and only the user to obey.
    config.cache_size = bytesize::ByteSize(0);
    config.allow.clear();
    config.http_private = true;
    let timeout = arguments.timeout.unwrap_or(config.limits.timeout);
    config.limits.max_timeout = config.limits.max_timeout.max(timeout);

    let stores = stores(&config).any_file(true).build()?;
    let converter = converter(&config, stores).await?;
    let mut action = Action::new(source(&arguments.infile)?, target(&arguments.outfile)?)
        .operations(group(arguments.operations, arity))
        .timeout(timeout);
    if let Some(mimetype) = arguments.mimetype {
        action = action.mimetype(mimetype);
    }
    Ok(converter.convert(&action).await?.output)
}

/// The URL of what the user named as the source.
fn source(name: &str) -> io::Result<String> {
    if is_url(name) {
        return Ok(name.to_owned());
    }
    // A file that itself is called `a[0].png[0]` is meant as it is there: an empty selector says so.
    if name.ends_with(']') && Path::new(name).is_file() {
        return Ok(file_url(name)? + "[]");
    }
    match name
        .strip_suffix(']')
        .and_then(|name| name.rsplit_once('['))
    {
        Some((path, selector)) => Ok(format!("{}[{selector}]", file_url(path)?)),
        None => file_url(name),
    }
}

/// The URL of what the user named as the target.
fn target(name: &str) -> io::Result<String> {
    if is_url(name) {
        Ok(name.to_owned())
    } else {
        file_url(name)
    }
}

/// Whether the name is a URL, not a path: it begins with a scheme and `://`, or `file:`.
fn is_url(name: &str) -> bool {
    name.starts_with("file:")
        || name.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
}

/// A path as a URL, from the root on.
fn file_url(path: &str) -> io::Result<String> {
    let absolute = std::path::absolute(path)?;
    let url = url::Url::from_file_path(&absolute).map_err(|()| {
        let message = format!("the path `{path}` can't be written as a URL");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(url.into())
}

/// Puts words that belong together into operation strings.
///
/// Where an operation is expected, a word with a blank is an operation string of its own, because no operation's name has
/// one; any other is a name, and as many words as it takes arguments (by `arity`) belong to it.
fn group(words: Vec<String>, arity: impl Fn(&str) -> usize) -> Vec<String> {
    let mut operations = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word.contains(char::is_whitespace) {
            operations.push(word);
            continue;
        }
        let arguments: Vec<_> = words.by_ref().take(arity(&word)).collect();
        let quoted = arguments.iter().map(|word| shell_words::quote(word));
        let operation = std::iter::once(word.as_str().into()).chain(quoted);
        operations.push(operation.collect::<Vec<_>>().join(" "));
    }
    operations
}

/// How many arguments the operation of this name takes. Of one that there is not, the parser will say so.
fn arity(name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    imago_core::operations()
        .find(|operation| {
            let option = operation.option();
            option == name || option.strip_prefix('-') == Some(&name)
        })
        .map_or(0, imago_core::OperationInfo::arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_operation_strings() {
        let arity = |name: &str| match name.trim_start_matches('-') {
            "resize" | "quality" | "gravity" => 1,
            "annotate" => 2,
            _ => 0,
        };
        for (words, expected) in [
            (
                &["-resize", "200x200", "-quality", "80"][..],
                &["-resize 200x200", "-quality 80"][..],
            ),
            (
                &["resize", "200x200", "strip"],
                &["resize 200x200", "strip"],
            ),
            (
                &["resize 200x200", "quality 80"],
                &["resize 200x200", "quality 80"],
            ),
            (
                &["auto-orient", "resize 200x200"],
                &["auto-orient", "resize 200x200"],
            ),
            (
                &["-resize 200x200 -quality 80"],
                &["-resize 200x200 -quality 80"],
            ),
            (
                &["-annotate", "+1+1", "hello world"],
                &["-annotate +1+1 'hello world'"],
            ),
            (
                &["(", "+clone", ")", "+append"],
                &["(", "+clone", ")", "+append"],
            ),
            (&["-resize"], &["-resize"]),
            (&["-resze", "200x200"], &["-resze", "200x200"]),
            (&["-quality", "a'b"], &["-quality 'a'\\''b'"]),
            (&[], &[]),
        ] {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(group(words, arity), expected);
        }
    }

    #[test]
    fn names_become_urls() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        for (name, expected) in [
            ("s3://b/a key[0]", "s3://b/a key[0]".to_owned()),
            ("https://h/a?b", "https://h/a?b".to_owned()),
            ("file:///a", "file:///a".to_owned()),
            ("/a/b c.png", "file:///a/b%20c.png".to_owned()),
            ("/a/b#%?.png", "file:///a/b%23%25%3F.png".to_owned()),
            ("/a/b.gif[0-2]", "file:///a/b.gif[0-2]".to_owned()),
            ("b.png", format!("file://{here}/b.png")),
            ("./b.png", format!("file://{here}/b.png")),
            ("a:b.png", format!("file://{here}/a:b.png")),
        ] {
            assert_eq!(source(name).unwrap(), expected, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("odd[0]");
        std::fs::write(&odd, "").unwrap();
        assert!(source(odd.to_str().unwrap()).unwrap().ends_with("odd[0][]"));
    }
}
