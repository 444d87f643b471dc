//! The queue never empty: bytes a second of our writing thread, beside a bare loop that writes and
//! syncs the same batches, one after the other. What waits together is one group for our thread,
//! so a second loop writes the same groups: what is between ours and that one is the processor's.

use skychat_benches::{Asked, Report, Row, all_in_turn};

use crate::folder;
use crate::journal::{Bare, Journal};
use crate::store::Threaded;

/// Records of a batch, and batches of a sample.
const SIZES: [(usize, usize); 3] = [(16, 3000), (64, 1500), (256, 400)];

pub(crate) fn compare(ask: &Asked, report: &mut Report) {
    for (records, batches) in SIZES {
        let root = folder();
        let dir = root.path().join("store");
        std::fs::create_dir(&dir).unwrap();
        let mut store = Threaded::new(&dir, records);
        let mut bare = Bare::new(root.path(), Vec::new());
        let batches = ask.amount(batches, 8);
        let mut groups = Vec::new();
        let mut sizes = Vec::new();
        // What is written is walked through once, as ours is.
        let mut bytes = Vec::new();
        let rates = all_in_turn(3, ask.amount(9, 1), |candidate| {
            if candidate == 0 {
                store.ready(batches);
                let run = store.saturate();
                let all: usize = run.groups.iter().sum();
                sizes.push(all as f64 / run.groups.len() as f64);
                bytes.resize(all, 7);
                groups = run.groups;
                return all as f64 / run.seconds;
            }
            let batch = bytes.len() / batches;
            let start = std::time::Instant::now();
            if candidate == 1 {
                bytes.chunks(batch).for_each(|batch| bare.write(batch));
            } else {
                let mut rest = bytes.as_slice();
                for group in &groups {
                    let (now, later) = rest.split_at(*group);
                    bare.write(now);
                    rest = later;
                }
            }
            bytes.len() as f64 / start.elapsed().as_secs_f64()
        });
        let title = format!("the queue never empty, batches of {records} records");
        report.section(title, "ours / bare, the same batches");
        let size = skychat_benches::median(sizes) / 1e3;
        let id = |who: &str| format!("saturated/{records}/{who}");
        for (who, what, rate) in [
            ("batches", "write + fdatasync, the same batches", rates[1]),
            ("bare", "write + fdatasync, the same groups", rates[2]),
        ] {
            report.row(Row::shown(id(who), what, rate / 1e6, "MB/s"));
        }
        let row = Row::shown(
            id("store"),
            "our store, by way of its thread",
            rates[0] / 1e6,
            "MB/s",
        );
        let groups = rates[0] / rates[2];
        let row = row.aside(format!(
            "{size:.0} kB a group; {groups:.2} of the same groups"
        ));
        report.row(row.at_least(rates[0] / rates[1], 0.9));
    }
}
