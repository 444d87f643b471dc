//! Real daemons: started, killed, asked to end, and found again on another port.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    Plan, clock,
    http::{Answer, Connection},
    proxy::Proxy,
    record::Record,
};

/// How long a start may take before it is given up; far beyond what is judged.
const START: Duration = Duration::from_secs(30);
/// How long a daemon may take to end after SIGTERM before it is given up.
const END: Duration = Duration::from_secs(15);

/// One daemon of a run, over all its lives.
pub(crate) struct Daemon {
    /// Its name in the history.
    pub(crate) name: String,
    /// Its data directory.
    pub(crate) dir: PathBuf,
    /// Where its log is appended.
    log: PathBuf,
    /// Its public key.
    pub(crate) key: String,
    program: PathBuf,
    memory: bool,
    token: String,
    arguments: Mutex<Vec<String>>,
    /// Proxies that lead to it; they follow it to the port of each life.
    ways: Mutex<Vec<Proxy>>,
    http: Mutex<Option<SocketAddr>>,
    life: Mutex<Option<Life>>,
    mute: AtomicBool,
}

/// One process.
struct Life {
    child: Child,
    started: Instant,
    /// Reads stdout: the first line, when it came, or nothing when the process ended.
    reader: Option<JoinHandle<Option<(String, Instant)>>>,
}

impl Daemon {
    /// A new daemon in a directory: started once, so that it has a key and a token, and stopped.
    pub(crate) fn create(plan: &Plan, name: &str, dir: PathBuf) -> Result<Self> {
        let mut daemon = Self {
            name: name.to_owned(),
            dir,
            log: plan.dir.join(format!("{name}.log")),
            key: String::new(),
            program: plan.program.clone(),
            memory: plan.memory,
            token: String::new(),
            arguments: Mutex::default(),
            ways: Mutex::default(),
            http: Mutex::default(),
            life: Mutex::default(),
            mute: AtomicBool::new(false),
        };
        daemon.spawn()?;
        let ready = daemon.await_ready()?.0;
        daemon.key = word(&ready, "public_key")?;
        daemon.token = std::fs::read_to_string(daemon.dir.join("token"))
            .with_context(|| format!("no token of {name}"))?
            .trim()
            .to_owned();
        let (code, _) = daemon.end()?;
        if code != 0 {
            bail!("the first stop of {name} ended with {code}");
        }
        Ok(daemon)
    }

    /// The same identity in another directory, which a copy of this one's is going to be.
    pub(crate) fn copied(&self, name: &str, dir: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            dir,
            log: self.log.with_file_name(format!("{name}.log")),
            key: self.key.clone(),
            program: self.program.clone(),
            memory: self.memory,
            token: self.token.clone(),
            arguments: Mutex::default(),
            ways: Mutex::new(lock(&self.ways).clone()),
            http: Mutex::default(),
            life: Mutex::default(),
            mute: AtomicBool::new(false),
        }
    }

    /// Further arguments of every further start.
    pub(crate) fn add_arguments(&self, arguments: impl IntoIterator<Item = String>) {
        lock(&self.arguments).extend(arguments);
    }

    /// Arguments of every further start.
    pub(crate) fn set_arguments(&self, arguments: Vec<String>) {
        *lock(&self.arguments) = arguments;
    }

    /// A proxy that follows this daemon.
    pub(crate) fn add_way(&self, way: Proxy) {
        lock(&self.ways).push(way);
    }

    /// Starts it. Its log is appended to a file.
    pub(crate) fn spawn(&self) -> Result<()> {
        let log = self.log()?;
        let mut child = self
            .command()
            .args(lock(&self.arguments).iter())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let started = clock::now();
        let stdout = child.stdout.take().context("no stdout")?;
        let reader = thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            let read = reader.read_line(&mut line).ok()?;
            let ready = clock::now();
            thread::spawn(move || {
                // Nothing more is expected; read on, so that it never waits for us.
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
            });
            (read > 0).then_some((line, ready))
        });
        *lock(&self.life) = Some(Life {
            child,
            started,
            reader: Some(reader),
        });
        Ok(())
    }

    /// Waits until it says that it is ready: what it said, and how long it took.
    pub(crate) fn await_ready(&self) -> Result<(Value, Duration)> {
        let (reader, started) = {
            let mut life = lock(&self.life);
            let life = life.as_mut().context("it was not started")?;
            (
                life.reader.take().context("it was waited for")?,
                life.started,
            )
        };
        let finished = clock::eventually(START, || reader.is_finished().then_some(()));
        if finished.is_none() {
            bail!("{} said nothing for {START:?}", self.name);
        }
        let said = reader.join().ok().flatten();
        let Some((line, ready)) = said else {
            bail!(
                "{} ended before it was ready: {}",
                self.name,
                self.last_words()
            );
        };
        let document: Value = serde_json::from_str(&line)
            .with_context(|| format!("{} said something else: {line:?}", self.name))?;
        let http: SocketAddr = word(&document, "http")?.parse()?;
        let link = document
            .get("links")
            .and_then(|links| links.get(0))
            .and_then(Value::as_str)
            .context("no address for links")?
            .parse()?;
        for way in lock(&self.ways).iter() {
            way.lead_to(Some(link));
        }
        *lock(&self.http) = Some(http);
        Ok((document, ready.saturating_duration_since(started)))
    }

    /// Starts it, waits and writes both into the history.
    pub(crate) fn start(&self, record: &Record) -> Result<Duration> {
        record.line("spawn", json!({ "node": self.name }));
        self.spawn()?;
        self.ready(record)
    }

    /// Waits for a start and writes what came of it into the history.
    pub(crate) fn ready(&self, record: &Record) -> Result<Duration> {
        match self.await_ready() {
            Ok((_, took)) => {
                let ms = clock::millis(took);
                record.line("ready", json!({ "node": self.name, "ms": ms }));
                Ok(took)
            }
            Err(error) => {
                let what = format!("{error:#}");
                record.line("not_ready", json!({ "node": self.name, "what": what }));
                Err(error)
            }
        }
    }

    /// SIGKILL; the process is gone afterwards.
    pub(crate) fn kill(&self) -> Result<()> {
        let Some(mut life) = lock(&self.life).take() else {
            return Ok(());
        };
        life.child.kill().context("cannot kill it")?;
        life.child.wait().context("cannot wait for it")?;
        self.gone();
        Ok(())
    }

    /// SIGTERM; its exit code and how long it took. One that does not end is killed, with code -1.
    pub(crate) fn end(&self) -> Result<(i32, Duration)> {
        let Some(mut life) = lock(&self.life).take() else {
            bail!("{} does not run", self.name);
        };
        let pid = life.child.id().to_string();
        let start = clock::now();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        sent.context("cannot send SIGTERM")?;
        let status = clock::eventually(END, || life.child.try_wait().ok().flatten());
        let took = start.elapsed();
        self.gone();
        let Some(status) = status else {
            life.child.kill().context("cannot kill it")?;
            life.child.wait().context("cannot wait for it")?;
            return Ok((-1, took));
        };
        Ok((status.code().unwrap_or(-1), took))
    }

    /// SIGTERM, written into the history.
    pub(crate) fn terminate(&self, record: &Record) -> Result<()> {
        let (code, took) = self.end()?;
        let ms = clock::millis(took);
        record.line("term", json!({ "node": self.name, "code": code, "ms": ms }));
        Ok(())
    }

    /// Starts a second process on the same directory, to its end: its exit code.
    pub(crate) fn second(&self) -> Result<i32> {
        let mut child = self
            .command()
            .stdout(Stdio::null())
            .stderr(self.log()?)
            .spawn()
            .context("cannot start a second one")?;
        let status = clock::eventually(END, || child.try_wait().ok().flatten());
        if let Some(status) = status {
            return Ok(status.code().unwrap_or(-1));
        }
        child.kill().context("cannot kill it")?;
        child.wait().context("cannot wait for it")?;
        Ok(0)
    }

    /// A connection to the life that is ready.
    pub(crate) fn connect(&self) -> std::io::Result<Connection> {
        let addr = lock(&self.http).ok_or(std::io::ErrorKind::NotConnected)?;
        Connection::open(addr, &self.token)
    }

    /// Whether this connection leads to the life that runs.
    pub(crate) fn is_current(&self, connection: &Connection) -> bool {
        *lock(&self.http) == Some(connection.addr())
    }

    /// Asks once, over a connection of its own.
    pub(crate) fn ask(&self, target: &str) -> std::io::Result<Answer> {
        self.connect()?.ask("GET", target, None)
    }

    /// The status document, when it can be had.
    pub(crate) fn status(&self) -> Option<Value> {
        let answer = self.ask("/v1/status").ok()?;
        (answer.status == 200).then_some(answer.document)
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(lock(&self.life).as_ref()?.child.id())
    }

    /// Whether there is a process that was ready.
    pub(crate) fn runs(&self) -> bool {
        lock(&self.http).is_some()
    }

    /// How its process ended, when it did so by itself.
    pub(crate) fn ended(&self) -> Option<i32> {
        let mut life = lock(&self.life);
        let status = life.as_mut()?.child.try_wait().ok().flatten()?;
        Some(status.code().unwrap_or(-1))
    }

    /// Whether it is not to be counted on any more: consumers and lanes end.
    pub(crate) fn is_over(&self) -> bool {
        self.mute.load(Ordering::Relaxed)
    }

    /// Says that it ends for good.
    pub(crate) fn over(&self) {
        self.mute.store(true, Ordering::Relaxed);
    }

    fn gone(&self) {
        *lock(&self.http) = None;
        for way in lock(&self.ways).iter() {
            way.lead_to(None);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SKYCHAT_") || text == "DMSGCURL_SK" || text == "RUST_LOG" {
                command.env_remove(&name);
            }
        }
        command
            .arg("--json")
            .args(["--tcp-listen", "127.0.0.1:0", "--addr", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&self.dir)
            .args(self.memory.then_some("--no-persist"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    fn log(&self) -> Result<File> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        log.with_context(|| format!("cannot open {}", self.log.display()))
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let mut text = String::new();
        let _ = File::open(&self.log).and_then(|mut log| log.read_to_string(&mut text));
        text.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing is left running, whatever brought the end.
        let _ = self.kill();
    }
}

fn word(document: &Value, field: &str) -> Result<String> {
    let text = document.get(field).and_then(Value::as_str);
    text.map(ToOwned::to_owned)
        .with_context(|| format!("no `{field}` in {document}"))
}

/// A lock; what a thread that panicked left is as good as any other.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|lock| lock.into_inner())
}
