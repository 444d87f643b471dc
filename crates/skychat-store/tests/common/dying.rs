//! A script after each step of which something is dead.

use skychat_proto::ids::*;
use skychat_proto::record::{Batch, Parts, Record, tables};
use skychat_store::*;

use crate::common::*;

pub const SECRET: TableId = TableId::new(130);

pub fn drop_of(feed: FeedId, from: u64, to: u64, parts: Parts) -> Record {
    Record::Drop {
        feed,
        from: Position::new(from),
        to: Position::new(to),
        parts,
    }
}

/// Groups after each of which something is dead, over several segments.
pub fn dying(groups: u64) -> Vec<Vec<Batch>> {
    let (mut ann, mut bob) = (Author::new(ann()), Author::new(bob()));
    let mut script = Vec::new();
    for n in 0..groups {
        let mut first = ann.batch(n * 3, 2, 80);
        let mut second = bob.batch(n * 3 + 1, 1, 60);
        let row = format!("row {}", n % 3);
        first
            .records
            .push(put(PEER, &row, &format!("value {n}"), false));
        let log = format!("event {n}");
        first.records.push(put(tables::EVENT, &log, "it", true));
        second
            .records
            .push(put(SECRET, "chain", &"k".repeat(40 + n as usize), false));
        if n % 4 == 3 {
            second.records.push(Record::Delete {
                table: PEER,
                key: b"row 1".to_vec(),
                event: true,
            });
        }
        let parts = [Parts::Bodies, Parts::Contents, Parts::Both][n as usize % 3];
        if n > 1 {
            first.records.push(drop_of(ann.feed, n - 2, n + 1, parts));
        }
        if n % 3 == 2 {
            // Of this very group, and of what is still to come.
            second
                .records
                .push(drop_of(bob.feed, n - 1, n + 9, Parts::Both));
        }
        script.push(vec![first, second]);
    }
    script
}

pub fn sweep(writer: &StoreWriter) {
    while writer.sweeper().step() {}
}
