//! What is read, on connections of its own: SQLite's log lets readers see the last commit while the next is written.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::value::RawValue;

use super::rows::{self, SUMMARY};
use crate::job::{Action, Job, JobId};
use crate::store::{Cursor, Filter, Page};

/// A job with its actions.
pub(super) fn job(connection: &Connection, id: JobId) -> rusqlite::Result<Option<Job>> {
    // One transaction, so that the actions are those of the same moment.
    let transaction = connection.unchecked_transaction()?;
    let sql = format!("SELECT {SUMMARY} FROM jobs WHERE id = ?");
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], rows::summary)
        .optional()?;
    let Some((seq, summary)) = found else {
        return Ok(None);
    };
    let actions = connection
        .prepare_cached(
            "SELECT spec, status, output, error, result, mimetype FROM actions WHERE job = ? ORDER BY idx",
        )?
        .query_map([seq], |row| {
            let spec: String = row.get(0)?;
            let result: Option<String> = row.get(4)?;
            Ok(Action {
                spec: Arc::new(rows::from_json(0, &spec)?),
                status: rows::status(row.get(1)?),
                output: row.get(2)?,
                error: row.get(3)?,
                result: result.map(RawValue::from_string).transpose().map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(
                        4,
                        rusqlite::types::Type::Text,
                        Box::new(error),
                    )
                })?,
                stored_mimetype: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(Some(Job { summary, actions }))
}

/// A page of jobs.
pub(super) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Page> {
    let limit = filter.limit.max(1);
    let mut sql = format!("SELECT {SUMMARY} FROM jobs WHERE true");
    let mut values: Vec<Value> = Vec::new();
    let mut labels = filter.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    if let Some(others) = labels.len().checked_sub(1) {
        // By the first, whose index has the jobs in order; the others are looked up for each of them.
        sql = format!(
            "SELECT {SUMMARY} FROM labels CROSS JOIN jobs ON seq = labels.job
             WHERE labels.name = ? AND labels.value = ?"
        );
        if others > 0 {
            // Counted at once: of an EXISTS for each, SQLite would make a join of as many tables, and plan for long.
            sql.extend([
                " AND (SELECT count(*) FROM labels other WHERE other.job = seq
                       AND (other.name, other.value) IN (VALUES ",
                &vec!["(?, ?)"; others].join(", "),
                ")) = ",
                &others.to_string(),
            ]);
        }
        for (name, value) in labels {
            values.extend([name.into(), value.into()]);
        }
    }
    // The column that orders the rows of the index that is gone through.
    let order = if filter.labels.is_empty() {
        "seq"
    } else {
        "labels.job"
    };
    if let Some(status) = filter.status {
        sql += " AND status = ?";
        values.push(rows::number(status).into());
    }
    if let Some(after) = filter.created_after {
        sql.extend([" AND ", order, " >= ?"]);
        // Later than, in the milliseconds that the document shows.
        let next = rows::time(rows::milliseconds(after).saturating_add(1));
        values.push(rows::first_seq(next).into());
    }
    if let Some(Cursor(seq)) = filter.cursor {
        sql.extend([" AND ", order, " < ?"]);
        values.push(seq.into());
    }
    sql.extend([" ORDER BY ", order, " DESC LIMIT ?"]);
    // One more than asked for tells whether there is a next page.
    values.push(i64::try_from(limit + 1).unwrap_or(i64::MAX).into());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement
        .query_map(params_from_iter(values), rows::summary)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .map(|(seq, _)| Cursor(*seq))
        .filter(|_| has_more);
    Ok(Page {
        jobs: found.into_iter().map(|(_, summary)| summary).collect(),
        next,
    })
}
