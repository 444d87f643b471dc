//! One commit after another: what each takes, and how many there are a second.

use std::path::Path;
use std::time::Instant;

use skychat_benches::{Asked, Better, Report, Row, all_in_turn, median};

use crate::author::BODY;
use crate::folder;
use crate::journal::{Bare, Batch, Journal, Redb, Sled, Sqlite};
use crate::store::{Direct, Threaded};

struct Size {
    records: usize,
    /// Of one sample.
    commits: usize,
    /// Against SQLite, and against redb.
    bounds: Option<[f64; 2]>,
}

const SIZES: [Size; 4] = [
    Size {
        records: 1,
        commits: 300,
        bounds: Some([1.2, 1.7]),
    },
    Size {
        records: 16,
        commits: 300,
        bounds: None,
    },
    Size {
        records: 64,
        commits: 200,
        bounds: Some([1.4, 2.5]),
    },
    Size {
        records: 256,
        commits: 100,
        bounds: None,
    },
];

/// The first two are ours.
const NAMES: [(&str, &str); 6] = [
    ("store", "our store, called directly"),
    ("store-thread", "our store, by way of its thread"),
    ("bare", "write + fdatasync, zero-filled file"),
    ("sqlite", "SQLite, WAL, synchronous = FULL"),
    ("redb", "redb, durable"),
    ("sled", "sled, insert + flush (promises less)"),
];

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    for size in &SIZES {
        let root = folder();
        let dirs = NAMES.map(|(name, _)| {
            let dir = root.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            dir
        });
        compare_size(ask, report, size, dirs.each_ref().map(|dir| dir.as_path()));
    }
}

fn compare_size(ask: &Asked, report: &mut Report, size: &Size, dirs: [&Path; 6]) {
    let mut direct = Direct::new(dirs[0], size.records);
    let bytes = direct.bytes_of_commit();
    let body = bytes / size.records;
    let batch = Batch {
        records: size.records,
        body: vec![7; body],
    };
    let mut journals: [Box<dyn Journal>; 6] = [
        Box::new(direct),
        Box::new(Threaded::new(dirs[1], size.records)),
        Box::new(Bare::new(dirs[2], vec![7; bytes])),
        Box::new(Sqlite::new(dirs[3], batch.clone())),
        Box::new(Redb::new(dirs[4], batch.clone())),
        Box::new(Sled::new(dirs[5], batch)),
    ];
    let commits = ask.amount(size.commits, 4);
    let (mut half, mut late) = ([const { Vec::new() }; 6], [const { Vec::new() }; 6]);
    let rates = all_in_turn(journals.len(), ask.amount(9, 1), |n| {
        let journal = &mut journals[n];
        // What the one before left to the disk is not to count here.
        let before = commits / 10;
        journal.ready(before + commits);
        (0..before).for_each(|_| journal.commit());
        let start = Instant::now();
        let mut before = start;
        let mut times: Vec<f64> = (0..commits)
            .map(|_| {
                journal.commit();
                let now = Instant::now();
                now.duration_since(std::mem::replace(&mut before, now))
                    .as_secs_f64()
            })
            .collect();
        let taken = start.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        late[n].push(times[times.len() * 99 / 100]);
        half[n].push(median(times));
        commits as f64 / taken
    });
    // The first round does not count.
    let settled = |mut times: Vec<f64>| median(times.split_off(1));
    let (half, late) = (half.map(settled), late.map(settled));
    let title = match size.records {
        1 => format!("commits of one record of {BODY} B, one after another"),
        many => format!("commits of {many} records of {BODY} B, one after another"),
    };
    report.section(title, "ours / it");
    for (n, (who, what)) in NAMES.into_iter().enumerate() {
        let id = format!("commit/{}/{who}", size.records);
        let row = Row::shown(id, what, rates[n], "commits/s");
        let records = rates[n] * size.records as f64;
        let (half, late) = (half[n] * 1e6, late[n] * 1e6);
        let row = row.aside(format!(
            "{records:.0} records/s, p50 {half:.0} us, p99 {late:.0} us"
        ));
        let ratio = rates[0] / rates[n];
        report.row(match (who, size.bounds) {
            ("store", _) => row,
            ("sqlite", Some([least, _])) | ("redb", Some([_, least])) => row.at_least(ratio, least),
            ("sqlite" | "redb" | "bare", _) => row.ratio(ratio, Better::Higher),
            _ => row.ratio(ratio, Better::Neither),
        });
    }
}
