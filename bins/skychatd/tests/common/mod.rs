//! Real daemons for process tests: port 0, a directory of their own, and no environment.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A built binary of the workspace. The tests of one package cannot name another's binary, so it
/// is looked for beside the test, and built if it is not there.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let dir = test.parent().and_then(Path::parent).unwrap();
    let path = dir.join(name);
    if !path.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", name]);
        if dir.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "building {name}");
    }
    path
}

/// A command without the settings of whoever runs the tests.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SKYCHAT_") || text == "DMSGCURL_SK" || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// `skychat` with these arguments, to its end.
pub fn skychat<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    clean(&binary("skychat")).args(args).output().unwrap()
}

/// `skychatd` with these arguments, to its end; for starts that fail.
pub fn skychatd<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let child = clean(&binary("skychatd"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    finish(child, Duration::from_secs(20))
}

/// Waits for the end of a process that is expected to end.
pub fn finish(mut child: Child, limit: Duration) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("still running after {limit:?}: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A document in the output.
pub fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    pub dir: PathBuf,
    /// What it said when it was ready.
    pub ready: Value,
    lines: mpsc::Receiver<String>,
}

impl Daemon {
    /// Starts one on free ports and waits until it is ready.
    pub fn start(dir: &Path, more: &[&str]) -> Self {
        Self::try_start(dir, more).unwrap_or_else(|output| panic!("not ready: {output:?}"))
    }

    /// The same; what it said and its end when it does not get ready.
    pub fn try_start(dir: &Path, more: &[&str]) -> Result<Self, Output> {
        let mut command = clean(&binary("skychatd"));
        command.arg("--json").arg("--data-dir").arg(dir).args(more);
        if !more.contains(&"--addr") {
            command.args(["--addr", "127.0.0.1:0"]);
        }
        if !more.contains(&"--tcp-listen") {
            command.args(["--tcp-listen", "127.0.0.1:0"]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let status = child.wait().unwrap();
            let stderr = lines.recv().unwrap_or_default().into_bytes();
            return Err(Output {
                status,
                stdout: Vec::new(),
                stderr,
            });
        }
        let ready = serde_json::from_str(&line).unwrap();
        Ok(Self {
            child,
            dir: dir.into(),
            ready,
            lines,
        })
    }

    pub fn key(&self) -> String {
        self.ready["public_key"].as_str().unwrap().to_owned()
    }

    pub fn http(&self) -> String {
        self.ready["http"].as_str().unwrap().to_owned()
    }

    pub fn links(&self) -> String {
        self.ready["links"][0].as_str().unwrap().to_owned()
    }

    /// `tcp://<key>@host:port`.
    pub fn address(&self) -> String {
        format!("tcp://{}@{}", self.key(), self.links())
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.dir.join("token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `skychat` for this daemon.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = clean(&binary("skychat"));
        command.arg("--data-dir").arg(&self.dir).args(args);
        command
    }

    /// A document of `skychat --json`.
    pub fn json(&self, args: &[&str]) -> Value {
        json(&self.cli(&[&["--json"], args].concat()))
    }

    /// The texts of the conversation with `peer`, oldest first; `prefix` marks own ones.
    pub fn texts(&self, peer: &str) -> Vec<String> {
        self.texts_up_to(peer, 1_000)
    }

    pub fn texts_up_to(&self, peer: &str, most: usize) -> Vec<String> {
        let page = self.json(&["history", peer, "-n", &most.to_string()]);
        let rows = page["messages"].as_array().unwrap().iter().rev();
        rows.map(|row| {
            let own = if row["direction"] == "out" { ">" } else { "" };
            format!("{own}{}", row["text"].as_str().unwrap_or("?"))
        })
        .collect()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// SIGTERM, and what it ended with: status, log and how long it took.
    pub fn stop(mut self) -> (ExitStatus, String, Duration) {
        let start = Instant::now();
        self.signal("TERM");
        let status = self.wait(Duration::from_secs(20));
        let took = start.elapsed();
        (status, self.lines.recv().unwrap_or_default(), took)
    }

    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                start.elapsed() < limit,
                "skychatd still runs after {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    #[allow(
        clippy::print_stderr,
        reason = "a failing test shows the log of its daemon"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.child.try_wait();
            let _ = self.child.kill();
            let log = self
                .lines
                .recv_timeout(Duration::from_secs(2))
                .unwrap_or_default();
            eprintln!("--- skychatd in {}: {ended:?}\n{log}", self.dir.display());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it holds, for at most ten seconds.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Exit code and word of an error that was printed as JSON.
pub fn said(output: &Output) -> (i32, String) {
    let body: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (code(output), body["code"].as_str().unwrap().to_owned())
}

/// Sends a text; waits until it is stored there, if asked to.
pub fn send(from: &Daemon, to: &str, text: &str, wait: bool) {
    let mut args = vec!["send", to, text];
    if wait {
        args.push("--wait=stored");
    }
    let sent = from.cli(&args);
    assert!(sent.status.success(), "{sent:?}");
}

/// Stops a daemon, which has to end well.
pub fn stop(daemon: Daemon) {
    let (status, log, _) = daemon.stop();
    assert!(status.success(), "{log}");
}
