//! `--scenario full-disk`: the disk of one daemon fills up under load. Writes are refused by name, reads and links stay, a
//! start while it is full is a start, and room brings everything back without anybody doing anything.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    super::{Plan, clock, daemon::Daemon, end, load::Switch, record::Record, session, stage},
    broken,
};

/// The size of the disk.
const SIZE: &str = "96m";
/// How often it fills up.
const CYCLES: u64 = 3;
/// Messages a second of each lane.
const RATE: u64 = 60;
/// How long a full disk may take to be told to a sender: what the journal has set aside is used up first.
const TOLD: Duration = Duration::from_secs(60);
/// Length of the texts that use it up, in bytes.
const LONG_TEXT: usize = 60_000;
/// How long service may take to be normal after there is room.
const NORMAL: Duration = Duration::from_secs(5);
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(2);
/// How often the surface is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Plays it, where a disk can be mounted.
pub(super) fn run(plan: &Plan, record: &Record) -> Result<Option<String>> {
    let place = plan.dir.join("disk");
    let Some(disk) = Disk::mount(&place)? else {
        return Ok(Some("a small disk cannot be mounted here".to_owned()));
    };
    let (daemons, wires) = stage::set_in(plan, 2, |name| {
        let dir = if name == "a" { &place } else { &plan.dir };
        dir.join(name)
    })?;
    let [small, other] = daemons.as_slice() else {
        anyhow::bail!("the stage has other players");
    };
    let all = [small, other];
    let switch = Switch::default();
    let consumers = session::consumers(&daemons, record);
    let lanes = session::lanes(&all, &all, RATE, record, &switch);
    for daemon in all {
        daemon.start(record)?;
    }
    let outcome = session::watched(&daemons, &consumers, plan.seed, || {
        session::talk(&lanes, plan.seed, || {
            (0..CYCLES).try_for_each(|cycle| {
                plan.say(&format!("cycle {} of {CYCLES}", cycle.saturating_add(1)));
                clock::pause(Duration::from_secs(1));
                cycle_once(small, other, &disk, record)
            })
        })?;
        end::all(&daemons, &consumers, record)
    });
    stage::close(&wires);
    // The daemons are gone: the disk can be taken away, unless somebody wants to look at it.
    drop(daemons);
    disk.save(&plan.dir.join("disk-at-the-end"))?;
    outcome.map(|()| None)
}

fn cycle_once(small: &Daemon, other: &Daemon, disk: &Disk, record: &Record) -> Result<()> {
    disk.fill()?;
    record.line("fault", json!({ "node": small.name, "mode": "full" }));
    reachable(small, record, || {
        told(small, other, record);
        if small.ended().is_none() {
            clock::pause(FULL);
        }
    });
    if small
        .status()
        .is_some_and(|status| links(&status).is_empty())
    {
        broken(record, "a full disk cost the links");
    }
    small.kill()?;
    record.line("kill", json!({ "node": small.name }));
    // There was room for what a start needs, or there was none: it has to start.
    disk.fill()?;
    small.start(record)?;
    reachable(small, record, || clock::pause(FULL));
    disk.free()?;
    record.line("heal", json!({ "node": small.name }));
    normal(small, other, record);
    Ok(())
}

/// A sender is told that there is no room.
fn told(small: &Daemon, other: &Daemon, record: &Record) {
    let mut last = Value::Null;
    let told = clock::eventually(TOLD, || {
        if let Some(code) = small.ended() {
            broken(record, &format!("a full disk ended the daemon with {code}"));
            return Some(());
        }
        let answer = send(small, other, LONG_TEXT, record)?;
        last = answer.1;
        (answer.0 == 507 && code(&last) == "store_full").then_some(())
    });
    if told.is_none() {
        let what = format!("a full disk was not told to a sender; the last answer was {last}");
        broken(record, &what);
    }
}

/// After there is room a message is accepted, and nobody had to do anything.
fn normal(small: &Daemon, other: &Daemon, record: &Record) {
    let start = clock::now();
    let mut last = Value::Null;
    let normal = clock::eventually(NORMAL, || {
        let answer = send(small, other, 1, record)?;
        last = answer.1;
        (answer.0 == 200).then_some(())
    });
    let ms = clock::millis(start.elapsed());
    if normal.is_none() {
        let what = format!("no service {ms} ms after there is room; the last answer was {last}");
        broken(record, &what);
    } else {
        record.line("note", json!({ "what": "normal again", "ms": ms }));
    }
}

/// A message of its own, asked for once: what is answered. It counts like any other.
fn send(from: &Daemon, to: &Daemon, length: usize, record: &Record) -> Option<(u16, Value)> {
    let number = record.next_lane();
    let id = format!("{number:032x}");
    let invoke = json!({
        "id": id, "from": from.name, "to": to.name, "lane": format!("probe {number}"), "n": 1,
    });
    record.line("invoke", invoke);
    let body = json!({
        "to": to.key, "text": "r".repeat(length), "message_id": id,
        "wait": "accepted", "timeout_ms": 1_000,
    });
    let asked = from
        .connect()
        .and_then(|mut connection| connection.ask("POST", "/v1/messages", Some(&body)));
    let Ok(answer) = asked else {
        record.line("info", json!({ "id": id }));
        return None;
    };
    if answer.status == 200 {
        let state = answer.document.get("state");
        record.line("ok", json!({ "id": id, "state": state }));
    } else {
        record.line("info", json!({ "id": id }));
    }
    Some((answer.status, answer.document))
}

/// While something happens the status and the history have to be there.
fn reachable(small: &Daemon, record: &Record, during: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut gone: u64 = 0;
            while !over.load(Ordering::Relaxed) {
                let status = small.status().is_some();
                let history = small.ask("/v1/conversations");
                if !status || !history.is_ok_and(|answer| answer.status == 200) {
                    gone = gone.saturating_add(1);
                }
                clock::pause(LOOK);
            }
            gone
        });
        during();
        over.store(true, Ordering::Relaxed);
        let gone = looking.join().unwrap_or(u64::MAX);
        if gone > 0 {
            let what = format!("status or history were not there {gone} times on a full disk");
            broken(record, &what);
        }
    });
}

fn links(status: &Value) -> &[Value] {
    let links = status.get("links").and_then(Value::as_array);
    links.map_or(&[], Vec::as_slice)
}

fn code(document: &Value) -> &str {
    let code = document.get("code").and_then(Value::as_str);
    code.unwrap_or_default()
}

/// A small disk in memory.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts one; `None` where that is not allowed.
    fn mount(place: &Path) -> Result<Option<Self>> {
        fs::create_dir(place).with_context(|| format!("cannot make {}", place.display()))?;
        let options = format!("size={SIZE},mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        Ok(is_mounted.then(|| Self {
            place: place.to_owned(),
        }))
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }

    /// Fills it to the last byte.
    fn fill(&self) -> Result<()> {
        let filler = self.filler();
        let mut file = File::options().create(true).append(true).open(filler)?;
        let mut piece = vec![0xa5; 1024 * 1024];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
        Ok(())
    }

    /// Makes room.
    fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("cannot make room")
    }

    /// Copies what is on it, without the filler, to where it stays.
    fn save(&self, to: &Path) -> Result<()> {
        let _ = self.free();
        super::copy::directory(&self.place, to)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that holds a file for a moment longer is no reason to leave it mounted.
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}
