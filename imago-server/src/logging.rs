//! What a log line looks like, and the request that it belongs to.

use std::io::Write as _;

use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{self, Key, Value, VisitSource};

tokio::task_local! {
    /// The id of the request that the current task works on.
    pub(crate) static REQUEST_ID: String;
}

/// Sends log lines to stderr, from level `info` on unless `IMAGO_LOG` or `RUST_LOG` says otherwise, panics included.
pub fn init() {
    let filter = ["IMAGO_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "info".to_owned());
    env_logger::Builder::new()
        .parse_filters(&filter)
        .format(line)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        log::error!("{panic}\n{backtrace}");
    }));
}

/// `2026-11-23T01:26:42.120Z INFO  imago_server::http: the message job.id=… request.id=…`
fn line(formatter: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let time = formatter.timestamp_millis();
    write!(
        formatter,
        "{time} {:<5} {}: {}",
        record.level(),
        record.target(),
        record.args()
    )?;
    let mut pairs = Pairs(Ok(()), formatter);
    // A visitor that fails keeps its error in itself.
    drop(record.key_values().visit(&mut pairs));
    pairs.0?;
    // Absent where the line belongs to no request.
    let request = REQUEST_ID.try_with(|id| write!(formatter, " request.id={id}"));
    request.unwrap_or(Ok(()))?;
    writeln!(formatter)
}

struct Pairs<'a>(std::io::Result<()>, &'a mut Formatter);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if self.0.is_ok() {
            let value = value.to_string();
            // What clients chose must neither forge a pair nor a line.
            let plain = value
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"');
            self.0 = if plain && !value.is_empty() {
                write!(self.1, " {key}={value}")
            } else {
                write!(self.1, " {key}={value:?}")
            };
        }
        Ok(())
    }
}
