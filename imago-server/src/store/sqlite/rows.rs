//! Between columns and types.

use std::time::{Duration, SystemTime};

use rusqlite::Row;
use rusqlite::types::Type;

use crate::job::{JobId, Status, Summary};

/// The columns of [`summary`].
pub(super) const SUMMARY: &str =
    "seq, id, status, priority, labels, started, finished, total, ended, running";

/// Reads what [`SUMMARY`] selects, and the job's number.
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<(i64, Summary)> {
    let seq: i64 = row.get(0)?;
    let labels: Option<String> = row.get(4)?;
    let labels = labels.map(|text| from_json(4, &text)).transpose()?;
    let (total, ended, running): (f64, f64, f64) = (row.get(7)?, row.get(8)?, row.get(9)?);
    let summary = Summary {
        id: id(row, 1)?,
        status: status(row.get(2)?),
        // What runs is a sum of many small steps, and not quite exact.
        progress: ((ended + running.max(0.0)) / total.max(1.0)).min(1.0),
        priority: row.get(3)?,
        labels: labels.unwrap_or_default(),
        created: created(seq),
        started: row.get::<_, Option<i64>>(5)?.map(time),
        finished: row.get::<_, Option<i64>>(6)?.map(time),
    };
    Ok((seq, summary))
}

/// Reads a job's name.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<JobId> {
    row.get(column).map(JobId::from_bytes)
}

/// Reads JSON that was written here.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    column: usize,
    text: &str,
) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// What is written of strings, numbers and maps of them.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and string-keyed maps are always JSON")
}

pub(super) const QUEUED: i64 = 0;
pub(super) const WORKING: i64 = 1;
pub(super) const DONE: i64 = 2;
pub(super) const ERROR: i64 = 3;
pub(super) const CANCELED: i64 = 4;

/// The status of this number.
pub(super) const fn status(number: i64) -> Status {
    match number {
        QUEUED => Status::Queued,
        WORKING => Status::Working,
        DONE => Status::Done,
        CANCELED => Status::Canceled,
        _ => Status::Error,
    }
}

/// The number of this status.
pub(super) const fn number(status: Status) -> i64 {
    match status {
        Status::Queued => QUEUED,
        Status::Working => WORKING,
        Status::Done => DONE,
        Status::Error => ERROR,
        Status::Canceled => CANCELED,
    }
}

/// How many bits of a job's number count the jobs of one microsecond.
const COUNT_BITS: u32 = 10;

/// The smallest number of a job that was accepted at this time.
pub(super) fn first_seq(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let micros = i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
    micros.min(i64::MAX >> COUNT_BITS) << COUNT_BITS
}

/// When the job of this number was accepted.
pub(super) fn created(seq: i64) -> SystemTime {
    let micros = u64::try_from(seq >> COUNT_BITS).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// The time of these milliseconds since 1970.
pub(super) fn time(milliseconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

/// The time so much later.
pub(super) fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}
