//! What could be used instead: each takes the same bytes in as many records, and says when they
//! are on disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use redb::{Database, TableDefinition};
use rusqlite::Connection;

/// Something that records are committed to.
pub(crate) trait Journal {
    /// Readies so many commits; not measured.
    fn ready(&mut self, _commits: usize) {}

    /// Commits one batch.
    fn commit(&mut self);
}

/// As many records as a commit has, of the same size as ours.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) records: usize,
    pub(crate) body: Vec<u8>,
}

/// A bare loop of write and fdatasync over a file that is there already.
pub(crate) struct Bare {
    file: File,
    at: u64,
    block: Vec<u8>,
}

/// Of the file.
const FILE: u64 = 128 << 20;

impl Bare {
    pub(crate) fn new(dir: &Path, block: Vec<u8>) -> Self {
        let path = dir.join("bare");
        let zeros = vec![0; 1 << 20];
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        let file = file.unwrap();
        for at in (0..FILE).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).unwrap();
        }
        file.sync_all().unwrap();
        Bare { file, at: 0, block }
    }

    pub(crate) fn write(&mut self, block: &[u8]) {
        let length = block.len() as u64;
        if self.at + length > FILE {
            self.at = 0;
        }
        self.file.write_all_at(block, self.at).unwrap();
        self.file.sync_data().unwrap();
        self.at += length;
    }
}

impl Journal for Bare {
    fn commit(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.write(&block);
        self.block = block;
    }
}

/// SQLite with a write-ahead log that is synced at every commit.
pub(crate) struct Sqlite(Connection, Batch);

impl Sqlite {
    pub(crate) fn new(dir: &Path, batch: Batch) -> Self {
        let connection = Connection::open(dir.join("sqlite")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE record (id INTEGER PRIMARY KEY, body BLOB NOT NULL);",
            )
            .unwrap();
        let mode: String = connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
        Sqlite(connection, batch)
    }
}

impl Journal for Sqlite {
    fn commit(&mut self) {
        let Sqlite(connection, batch) = self;
        let transaction = connection.transaction().unwrap();
        {
            let insert = "INSERT INTO record (body) VALUES (?1)";
            let mut insert = transaction.prepare_cached(insert).unwrap();
            for _ in 0..batch.records {
                insert.execute([&batch.body]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

/// redb, whose commits are durable if nothing else is said.
pub(crate) struct Redb {
    database: Database,
    batch: Batch,
    next: u64,
}

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("record");

impl Redb {
    pub(crate) fn new(dir: &Path, batch: Batch) -> Self {
        Redb {
            database: Database::create(dir.join("redb")).unwrap(),
            batch,
            next: 0,
        }
    }
}

impl Journal for Redb {
    fn commit(&mut self) {
        let transaction = self.database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(RECORDS).unwrap();
            for _ in 0..self.batch.records {
                table.insert(self.next, self.batch.body.as_slice()).unwrap();
                self.next += 1;
            }
        }
        transaction.commit().unwrap();
    }
}

/// sled, inserts and then a flush. On Linux its flush is `sync_file_range`, which neither waits
/// for the disk's cache nor for the length of the file: it promises less.
pub(crate) struct Sled {
    database: sled::Db,
    batch: Batch,
    next: u64,
}

impl Sled {
    pub(crate) fn new(dir: &Path, batch: Batch) -> Self {
        // It would flush by itself beside the others, too.
        let config = sled::Config::new().path(dir.join("sled"));
        Sled {
            database: config.flush_every_ms(None).open().unwrap(),
            batch,
            next: 0,
        }
    }
}

impl Journal for Sled {
    fn commit(&mut self) {
        for _ in 0..self.batch.records {
            let key = self.next.to_be_bytes();
            self.database
                .insert(key, self.batch.body.as_slice())
                .unwrap();
            self.next += 1;
        }
        self.database.flush().unwrap();
    }
}
