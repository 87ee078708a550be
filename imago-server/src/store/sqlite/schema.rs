//! The tables, and how a connection is set up.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What `user_version` of the file says. Another number is another program's file, or a later version's.
const VERSION: i32 = 1;

/// The tables.
///
/// `jobs.seq` is the time of acceptance in microseconds, shifted by 10 bits, plus a number: it grows from job to job, so
/// it orders the listing, is its cursor, and finds what was created after a time without an index of its own.
///
/// An action can be claimed if it has a `turn`, and waits for a time (the end of its lease or of its pause) if it has
/// `due`. Both indices hold such rows only, so that a claim costs the same whatever else is there. A job's turns begin at
/// the one that is first in line when it comes: so it shares with those that are there already.
const SCHEMA: &str = "
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    labels TEXT,
    webhook TEXT,
    started INTEGER,
    finished INTEGER,
    total INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    canceled INTEGER NOT NULL DEFAULT 0,
    running REAL NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_by_end ON jobs (finished) WHERE finished IS NOT NULL;

CREATE TABLE actions (
    job INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    status INTEGER NOT NULL,
    spec TEXT NOT NULL,
    rank INTEGER NOT NULL,
    turn INTEGER,
    due INTEGER,
    leased INTEGER NOT NULL DEFAULT 0,
    begun INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    progress REAL NOT NULL DEFAULT 0,
    output TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    result TEXT,
    mimetype TEXT,
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
CREATE INDEX actions_in_line ON actions (rank, turn, job, idx) WHERE turn IS NOT NULL;
CREATE INDEX actions_by_time ON actions (due) WHERE due IS NOT NULL;

CREATE TABLE labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (name, value, job)
) WITHOUT ROWID;
CREATE INDEX labels_by_job ON labels (job);

CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    id BLOB NOT NULL,
    queue_length INTEGER NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (created);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    since INTEGER NOT NULL
);
CREATE INDEX outbox_by_time ON outbox (due);
CREATE INDEX outbox_by_job ON outbox (job);

CREATE TABLE checks (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL
);
";

/// How much of the file the connection that writes keeps in memory, in KiB. The system keeps the file's pages too, and at no
/// cost to this process: what is kept here is for the upper parts of the trees, which every commit goes through.
const WRITER_KIB: i32 = 4 << 10;

/// The same for each connection that reads.
const READER_KIB: i32 = 1 << 9;

/// Opens the file for writing, and makes what is not there yet.
pub(super) fn open_writer(file: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(file)?;
    // Before the first table is, or it would take a rewrite of the file.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a commit wrote is on the disk when it returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // After a burst the log is cut back to this.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -WRITER_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(128);
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => {}
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        other => {
            return Err(rusqlite::Error::ToSqlConversionFailure(
                format!("its tables are of version {other}, and this program knows {VERSION}")
                    .into(),
            ));
        }
    }
    Ok(connection)
}

/// Opens the file for reading.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.pragma_update(None, "cache_size", -READER_KIB)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
