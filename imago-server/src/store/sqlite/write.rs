//! What is written, each function as a part of a transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::rows::{self, CANCELED, DONE, ERROR, QUEUED, WORKING};
use super::writer::Batch;
use crate::job::attempts::Attempts;
use crate::job::{Cause, Ending, FailedResult, JobId, Status, Submission};
use crate::store::{Claim, Claimed, Counts, DueWebhook, Noted, Removed, StoreError, Submitted};

/// How long a submission is known by its key.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// How many claims and pauses that ran out are taken up at once.
const DUE: usize = 1000;

/// How many jobs are forgotten at once: who writes meanwhile waits for them.
const FORGOTTEN: usize = 200;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(error)
    }
}

type Result<T> = std::result::Result<T, StoreError>;

impl Batch<'_> {
    fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The first row, if there is one.
    fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.connection
            .prepare_cached(sql)?
            .query_row(params, read)
            .optional()
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.connection
            .prepare_cached(sql)?
            .query_map(params, read)?
            .collect()
    }
}

/// A job, as a change needs it.
struct State {
    seq: i64,
    id: JobId,
    status: i64,
    priority: i32,
}

fn state(batch: &Batch<'_>, id: JobId) -> rusqlite::Result<Option<State>> {
    let sql = "SELECT seq, status, priority FROM jobs WHERE id = ?";
    batch.first(sql, [id.as_bytes()], |row| {
        Ok(State {
            seq: row.get(0)?,
            id,
            status: row.get(1)?,
            priority: row.get(2)?,
        })
    })
}

/// How many jobs there are to do, counted.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<Counts> {
    let count = |status: i64| {
        let sql = "SELECT count(*) FROM jobs WHERE status = ?";
        connection.query_row(sql, [status], |row| row.get::<_, i64>(0))
    };
    Ok(Counts {
        queued: usize::try_from(count(QUEUED)?).unwrap_or_default(),
        working: usize::try_from(count(WORKING)?).unwrap_or_default(),
    })
}

/// Writes something, to see whether it can be.
pub(super) fn check(batch: &Batch<'_>) -> Result<()> {
    let now = rows::milliseconds(SystemTime::now());
    let sql = "INSERT OR REPLACE INTO checks (id, at) VALUES (1, ?)";
    Ok(batch.execute(sql, [now]).map(drop)?)
}

/// Takes a job in.
pub(super) fn submit(
    batch: &mut Batch<'_>,
    id: JobId,
    submission: &Submission,
    limit: usize,
) -> Result<Submitted> {
    let now = rows::milliseconds(SystemTime::now());
    if let Some(idempotency) = &submission.idempotency {
        let sql = "SELECT body, id, queue_length, created FROM idempotency WHERE key = ?";
        let first = batch.first(sql, [&idempotency.key], |row| {
            let body: [u8; 32] = row.get(0)?;
            let queue_length: i64 = row.get(2)?;
            Ok((body, rows::id(row, 1)?, queue_length, row.get::<_, i64>(3)?))
        })?;
        if let Some((body, id, queue_length, created)) = first
            && rows::later(created, KEYS_KEPT) > now
        {
            if body != idempotency.body {
                return Err(StoreError::KeyReused);
            }
            return Ok(Submitted {
                id,
                queue_length: usize::try_from(queue_length).unwrap_or_default(),
                is_repeat: true,
            });
        }
    }
    if batch.counts.queued >= limit {
        return Err(StoreError::QueueFull { limit });
    }
    let last: Option<i64> = batch
        .first("SELECT max(seq) FROM jobs", [], |row| row.get(0))?
        .flatten();
    // Later than the last one even where the clock was set back.
    let seq = rows::first_seq(SystemTime::now()).max(last.unwrap_or_default() + 1);
    let labels = (!submission.labels.is_empty()).then(|| rows::to_json(&submission.labels));
    let webhook = submission.webhook.as_ref().map(rows::to_json);
    let total = i64::try_from(submission.actions.len()).unwrap_or(i64::MAX);
    batch.execute(
        "INSERT INTO jobs (seq, id, status, priority, labels, webhook, total) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![seq, id.as_bytes(), QUEUED, submission.priority, labels, webhook, total],
    )?;
    for (name, value) in &submission.labels {
        batch.execute(
            "INSERT INTO labels (name, value, job) VALUES (?, ?, ?)",
            params![name, value, seq],
        )?;
    }
    let turn = first_turn(batch, submission.priority)?;
    for (index, spec) in (0_i64..).zip(&submission.actions) {
        batch.execute(
            "INSERT INTO actions (job, idx, status, spec, rank, turn) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                seq,
                index,
                QUEUED,
                rows::to_json(spec),
                -submission.priority,
                turn + index
            ],
        )?;
    }
    batch.counts.queued += 1;
    let queue_length = batch.counts.queued;
    if let Some(idempotency) = &submission.idempotency {
        batch.execute(
            "INSERT OR REPLACE INTO idempotency (key, body, id, queue_length, created) VALUES (?, ?, ?, ?, ?)",
            params![
                idempotency.key,
                idempotency.body,
                id.as_bytes(),
                i64::try_from(queue_length).unwrap_or(i64::MAX),
                now
            ],
        )?;
    }
    Ok(Submitted {
        id,
        queue_length,
        is_repeat: false,
    })
}

/// The turn of what is first in line at this priority.
fn first_turn(batch: &Batch<'_>, priority: i32) -> rusqlite::Result<i64> {
    let sql = "SELECT turn FROM actions WHERE turn IS NOT NULL AND rank = ? ORDER BY turn LIMIT 1";
    let first = batch.first(sql, [-priority], |row| row.get(0))?;
    Ok(first.unwrap_or_default())
}

/// When the next pause or lease runs out.
pub(super) fn next_due(batch: &Batch<'_>) -> Result<Option<SystemTime>> {
    let sql = "SELECT min(due) FROM actions WHERE due IS NOT NULL";
    let due: Option<Option<i64>> = batch.first(sql, [], |row| row.get(0))?;
    Ok(due.flatten().map(rows::time))
}

/// When the next webhook is to be sent.
pub(super) fn next_webhook(batch: &Batch<'_>) -> Result<Option<SystemTime>> {
    let due: Option<Option<i64>> =
        batch.first("SELECT min(due) FROM outbox", [], |row| row.get(0))?;
    Ok(due.flatten().map(rows::time))
}

/// Hands out actions.
pub(super) fn claim(batch: &mut Batch<'_>, most: usize, lease: Duration) -> Result<Vec<Claimed>> {
    let now = rows::milliseconds(SystemTime::now());
    put_in_line_what_is_due(batch, now)?;
    let sql = "SELECT job, idx, spec, begun, failures, crashes, losses FROM actions
               WHERE turn IS NOT NULL ORDER BY rank, turn, job, idx LIMIT ?";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = batch.all(sql, [most], |row| {
        let spec: String = row.get(2)?;
        let attempts = Attempts {
            begun: row.get::<_, u32>(3)? + 1,
            failures: row.get(4)?,
            crashes: row.get(5)?,
            losses: row.get(6)?,
        };
        let key: (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((key, rows::from_json(2, &spec)?, attempts))
    })?;
    // Each job's name, time of acceptance, and whether this is its start.
    let mut jobs: BTreeMap<i64, (JobId, Instant, bool)> = BTreeMap::new();
    let mut claimed = Vec::with_capacity(found.len());
    for ((seq, index), spec, attempts) in found {
        batch.execute(
            "UPDATE actions SET status = ?3, turn = NULL, due = ?4, leased = 1, begun = begun + 1
             WHERE job = ?1 AND idx = ?2",
            params![seq, index, WORKING, rows::later(now, lease)],
        )?;
        let begins_job = !jobs.contains_key(&seq) && start(batch, seq, now, &mut jobs)?;
        let Some((job, accepted, _)) = jobs.get(&seq) else {
            continue;
        };
        claimed.push(Claimed {
            claim: Claim {
                job: *job,
                index: usize::try_from(index).unwrap_or_default(),
                attempt: attempts.begun,
            },
            spec: Arc::new(spec),
            attempts,
            accepted: *accepted,
            begins_job,
        });
    }
    Ok(claimed)
}

/// Notes that a job runs. Whether it did not before.
fn start(
    batch: &mut Batch<'_>,
    seq: i64,
    now: i64,
    jobs: &mut BTreeMap<i64, (JobId, Instant, bool)>,
) -> Result<bool> {
    let sql = "SELECT id, status FROM jobs WHERE seq = ?";
    let found = batch.first(sql, [seq], |row| {
        Ok((rows::id(row, 0)?, row.get::<_, i64>(1)?))
    })?;
    let Some((id, status)) = found else {
        return Ok(false);
    };
    let begins = status == QUEUED;
    if begins {
        batch.execute(
            "UPDATE jobs SET status = ?2, started = coalesce(started, ?3) WHERE seq = ?1",
            params![seq, WORKING, now],
        )?;
        batch.counts.queued -= 1;
        batch.counts.working += 1;
    }
    let age = SystemTime::now().duration_since(rows::created(seq));
    // Before the machine started, there was no instant; then all that is cached is old enough.
    let accepted = Instant::now().checked_sub(age.unwrap_or_default());
    jobs.insert(seq, (id, accepted.unwrap_or_else(Instant::now), begins));
    batch.changed.push((id, false));
    Ok(begins)
}

/// Puts those first in line whose pause is over or whose claim was lost.
fn put_in_line_what_is_due(batch: &mut Batch<'_>, now: i64) -> Result<()> {
    let sql = "SELECT job, idx, rank FROM actions WHERE due <= ? ORDER BY due LIMIT ?";
    let most = i64::try_from(DUE).unwrap_or(i64::MAX);
    let due = batch.all(sql, [now, most], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i32>(2)?,
        ))
    })?;
    for (job, index, rank) in due {
        put_in_line(batch, job, index, first_turn(batch, -rank)?)?;
    }
    Ok(())
}

/// Puts an action in line; one that was leased has lost its claim.
fn put_in_line(batch: &Batch<'_>, job: i64, index: i64, turn: i64) -> Result<()> {
    forget_progress(batch, job, index)?;
    batch.execute(
        "UPDATE actions SET turn = ?3, due = NULL, losses = losses + leased, leased = 0, progress = 0
         WHERE job = ?1 AND idx = ?2",
        [job, index, turn],
    )?;
    Ok(())
}

/// Takes what an action has done so far out of its job's sum.
fn forget_progress(batch: &Batch<'_>, job: i64, index: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE jobs SET running = running - p.progress
               FROM (SELECT progress FROM actions WHERE job = ?1 AND idx = ?2) AS p
               WHERE seq = ?1 AND p.progress > 0";
    batch.execute(sql, [job, index]).map(drop)
}

/// Takes up what a process left behind that is gone: nobody else uses the file.
pub(super) fn recover(batch: &mut Batch<'_>) -> Result<usize> {
    let leased = batch.all(
        "SELECT job, idx, rank FROM actions WHERE due IS NOT NULL AND leased = 1",
        [],
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i32>(2)?,
            ))
        },
    )?;
    for (job, index, rank) in &leased {
        put_in_line(batch, *job, *index, first_turn(batch, -*rank)?)?;
    }
    // What was being sent is sent again.
    batch.execute(
        "UPDATE outbox SET due = min(due, ?)",
        [rows::milliseconds(SystemTime::now())],
    )?;
    Ok(leased.len())
}

/// Keeps claims.
pub(super) fn renew(
    batch: &mut Batch<'_>,
    claims: &[(Claim, f64)],
    lease: Duration,
) -> Result<Vec<Claim>> {
    let due = rows::later(rows::milliseconds(SystemTime::now()), lease);
    let mut lost = Vec::new();
    for (claim, progress) in claims {
        let index = i64::try_from(claim.index).unwrap_or(i64::MAX);
        let sql = "SELECT a.job, a.progress FROM jobs j JOIN actions a ON a.job = j.seq
                   WHERE j.id = ? AND a.idx = ? AND a.leased = 1 AND a.begun = ?";
        let found = batch.first(
            sql,
            params![claim.job.as_bytes(), index, claim.attempt],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?)),
        )?;
        let Some((seq, before)) = found else {
            lost.push(*claim);
            continue;
        };
        batch.execute(
            "UPDATE actions SET due = ?3, progress = ?4 WHERE job = ?1 AND idx = ?2",
            params![seq, index, due, progress],
        )?;
        if (progress - before).abs() > 1e-6 {
            let sql = "UPDATE jobs SET running = running + ? WHERE seq = ?";
            batch.execute(sql, params![progress - before, seq])?;
            batch.changed.push((claim.job, false));
        }
    }
    Ok(lost)
}

/// Notes how a try ended.
pub(super) fn finish(batch: &mut Batch<'_>, claim: Claim, ending: Ending) -> Result<Noted> {
    let now = rows::milliseconds(SystemTime::now());
    let Some(state) = state(batch, claim.job)? else {
        return Ok(Noted::Lost);
    };
    let index = i64::try_from(claim.index).unwrap_or(i64::MAX);
    let sql = "SELECT 1 FROM actions WHERE job = ? AND idx = ? AND leased = 1 AND begun = ?";
    let key = params![state.seq, index, claim.attempt];
    if batch.first(sql, key, |_| Ok(()))?.is_none() {
        return Ok(Noted::Lost);
    }
    forget_progress(batch, state.seq, index)?;
    let (status, error, output, result, mimetype) = match ending {
        Ending::Again { at, cause } => {
            again(batch, &state, index, at, cause)?;
            return Ok(Noted::Kept);
        }
        Ending::Done(success) => {
            let mut success = *success;
            success.result.attempts = claim.attempt;
            let result = rows::to_json(&success.result);
            (
                DONE,
                String::new(),
                success.output,
                result,
                Some(success.mimetype),
            )
        }
        Ending::Failed { error, failure } => {
            let result = rows::to_json(&FailedResult {
                attempts: claim.attempt,
                failure,
            });
            (ERROR, error, String::new(), result, None)
        }
    };
    batch.execute(
        "UPDATE actions SET status = ?3, error = ?4, output = ?5, result = ?6, mimetype = ?7,
             due = NULL, leased = 0, progress = 0
         WHERE job = ?1 AND idx = ?2",
        params![state.seq, index, status, error, output, result, mimetype],
    )?;
    batch.execute(
        "UPDATE jobs SET ended = ended + 1, failed = failed + ?2 WHERE seq = ?1",
        params![state.seq, i64::from(status == ERROR)],
    )?;
    let ended = end_job_if_all_ended(batch, &state, now)?;
    Ok(ended.map_or(Noted::Kept, Noted::EndedJob))
}

/// Has an action wait for its next try.
fn again(
    batch: &mut Batch<'_>,
    state: &State,
    index: i64,
    at: SystemTime,
    cause: Cause,
) -> Result<()> {
    let (failures, crashes) = match cause {
        Cause::Failure => (1, 0),
        Cause::Crash => (0, 1),
        Cause::Shutdown => (0, 0),
    };
    batch.execute(
        "UPDATE actions SET due = ?3, leased = 0, progress = 0, failures = failures + ?4, crashes = crashes + ?5
         WHERE job = ?1 AND idx = ?2",
        params![state.seq, index, rows::milliseconds(at), failures, crashes],
    )?;
    batch.changed.push((state.id, false));
    Ok(())
}

/// Notes the end of a job whose last action has ended, and has it told.
fn end_job_if_all_ended(batch: &mut Batch<'_>, state: &State, now: i64) -> Result<Option<Status>> {
    let sql = "UPDATE jobs SET finished = ?2, running = 0,
                   status = CASE WHEN canceled > 0 THEN 4 WHEN failed > 0 THEN 3 ELSE 2 END
               WHERE seq = ?1 AND ended = total RETURNING webhook, status";
    let ended = batch.first(sql, [state.seq, now], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
    })?;
    batch.changed.push((state.id, ended.is_some()));
    let Some((webhook, status)) = ended else {
        return Ok(None);
    };
    if state.status == QUEUED {
        batch.counts.queued -= 1;
    } else {
        batch.counts.working -= 1;
    }
    if webhook.is_some() {
        let sql = "INSERT INTO outbox (job, due, since) VALUES (?1, ?2, ?2)";
        batch.execute(sql, [state.seq, now])?;
    }
    Ok(Some(rows::status(status)))
}

/// Cancels what has not finished of a job, or deletes one that has.
pub(super) fn remove(batch: &mut Batch<'_>, id: JobId) -> Result<Removed> {
    let Some(state) = state(batch, id)? else {
        return Ok(Removed::Unknown);
    };
    if rows::status(state.status).is_finished() {
        delete(batch, state.seq)?;
        batch.changed.push((id, true));
        return Ok(Removed::Deleted);
    }
    let canceled = batch.execute(
        "UPDATE actions SET status = ?2, turn = NULL, due = NULL, leased = 0, progress = 0
         WHERE job = ?1 AND status IN (0, 1)",
        [state.seq, CANCELED],
    )?;
    batch.execute(
        "UPDATE jobs SET ended = ended + ?2, canceled = canceled + ?2 WHERE seq = ?1",
        params![state.seq, i64::try_from(canceled).unwrap_or(i64::MAX)],
    )?;
    end_job_if_all_ended(batch, &state, rows::milliseconds(SystemTime::now()))?;
    Ok(Removed::Canceled)
}

fn delete(batch: &Batch<'_>, seq: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM actions WHERE job = ?",
        "DELETE FROM labels WHERE job = ?",
        "DELETE FROM outbox WHERE job = ?",
        "DELETE FROM jobs WHERE seq = ?",
    ] {
        batch.execute(sql, [seq])?;
    }
    Ok(())
}

/// Has the actions run once more that failed or were canceled.
pub(super) fn retry(batch: &mut Batch<'_>, id: JobId, limit: usize) -> Result<bool> {
    let Some(state) = state(batch, id)? else {
        return Ok(false);
    };
    let turn = first_turn(batch, state.priority)?;
    // The number of tries goes on: by it a claim of before is told from one of now.
    let again = batch.execute(
        "UPDATE actions SET status = 0, turn = ?2 + idx, failures = 0, crashes = 0, losses = 0,
             error = '', output = '', result = NULL
         WHERE job = ?1 AND status IN (3, 4)",
        [state.seq, turn],
    )?;
    if again == 0 {
        return Ok(true);
    }
    let was_finished = rows::status(state.status).is_finished();
    let status: i64 = batch
        .first(
            "UPDATE jobs SET ended = ended - ?2, failed = 0, canceled = 0, finished = NULL,
                 started = CASE WHEN status IN (0, 1) OR ended > ?2 THEN started END,
                 status = CASE WHEN status IN (0, 1) THEN status WHEN ended = ?2 THEN 0 ELSE 1 END
             WHERE seq = ?1 RETURNING status",
            params![state.seq, i64::try_from(again).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )?
        .unwrap_or(WORKING);
    if was_finished {
        // What was to be told of its end is so no more.
        batch.execute("DELETE FROM outbox WHERE job = ?", [state.seq])?;
        if status == QUEUED {
            if batch.counts.queued >= limit {
                return Err(StoreError::QueueFull { limit });
            }
            batch.counts.queued += 1;
        } else {
            batch.counts.working += 1;
        }
    }
    batch.changed.push((id, false));
    Ok(true)
}

/// Forgets jobs that finished long ago, some at a time. How many.
pub(super) fn expire(batch: &mut Batch<'_>, before: SystemTime) -> Result<usize> {
    let sql = "SELECT seq, id FROM jobs WHERE finished <= ?
               AND NOT EXISTS (SELECT 1 FROM outbox WHERE job = seq) ORDER BY finished LIMIT ?";
    let most = i64::try_from(FORGOTTEN).unwrap_or(i64::MAX);
    let old = batch.all(sql, [rows::milliseconds(before), most], |row| {
        Ok((row.get::<_, i64>(0)?, rows::id(row, 1)?))
    })?;
    for (seq, id) in &old {
        delete(batch, *seq)?;
        batch.changed.push((*id, true));
    }
    let keys = rows::milliseconds(SystemTime::now() - KEYS_KEPT);
    batch.execute(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE created <= ? LIMIT ?)",
        [keys, most],
    )?;
    Ok(old.len())
}

/// Whether [`expire`] has more to do at once.
pub(super) const fn is_full(expired: usize) -> bool {
    expired >= FORGOTTEN
}

/// Hands out webhooks.
pub(super) fn due_webhooks(
    batch: &mut Batch<'_>,
    most: usize,
    lease: Duration,
) -> Result<Vec<DueWebhook>> {
    let now = rows::milliseconds(SystemTime::now());
    let sql =
        "SELECT o.id, j.id, j.webhook, o.tries, o.since FROM outbox o JOIN jobs j ON j.seq = o.job
               WHERE o.due <= ? ORDER BY o.due LIMIT ?";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let due = batch.all(sql, [now, most], |row| {
        let webhook: String = row.get(2)?;
        Ok(DueWebhook {
            id: row.get(0)?,
            job: rows::id(row, 1)?,
            webhook: rows::from_json(2, &webhook)?,
            attempt: row.get::<_, u32>(3)? + 1,
            since: rows::time(row.get(4)?),
        })
    })?;
    for webhook in &due {
        let sql = "UPDATE outbox SET due = ?2, tries = tries + 1 WHERE id = ?1";
        batch.execute(sql, [webhook.id, rows::later(now, lease)])?;
    }
    Ok(due)
}

/// Notes what became of a webhook.
pub(super) fn settle(batch: &mut Batch<'_>, id: i64, again: Option<SystemTime>) -> Result<()> {
    match again {
        None => batch.execute("DELETE FROM outbox WHERE id = ?", [id])?,
        Some(at) => {
            let sql = "UPDATE outbox SET due = ?2 WHERE id = ?1";
            batch.execute(sql, [id, rows::milliseconds(at)])?
        }
    };
    Ok(())
}
