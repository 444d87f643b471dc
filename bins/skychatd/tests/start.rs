//! Starting and stopping, as a person does it, and every start that is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use common::*;
use skychat_identity::SecretKey;

/// A start that is refused: its exit code and what it said.
fn refused(dir: &Path, more: &[&str]) -> (i32, String) {
    let dir = dir.to_str().unwrap();
    let free = [
        "--data-dir",
        dir,
        "--addr",
        "127.0.0.1:0",
        "--tcp-listen",
        "127.0.0.1:0",
    ];
    let mut args: Vec<&str> = free.to_vec();
    // What is given later under the same name would be a second value: leave ours out.
    for name in ["--addr", "--tcp-listen"] {
        if more.contains(&name) {
            let at = args.iter().position(|arg| *arg == name).unwrap();
            args.drain(at..at + 2);
        }
    }
    let output = skychatd([&args[..], more].concat());
    assert_eq!(stdout(&output), "", "nothing is announced");
    (code(&output), stderr(&output))
}

#[test]
fn a_first_run_says_what_is_needed_and_stops_in_order() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ann");
    let start = Instant::now();
    let daemon = Daemon::start(&dir, &[]);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(daemon.ready["new_identity"], true);
    assert_eq!(daemon.ready["admission"], "open");
    let address = daemon.ready["addresses"][0].as_str().unwrap();
    assert_eq!(
        address,
        format!("skychat:{}?at={}", daemon.key(), daemon.links())
    );

    let mode = |name: &str| {
        std::fs::metadata(dir.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for name in ["identity.key", "store.key", "token", "control.json", "lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let control: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("control.json")).unwrap()).unwrap();
    assert_eq!(control["pid"], daemon.pid());
    assert_eq!(control["http"], daemon.http());
    assert_eq!(control["key"], daemon.key());

    let key = daemon.key();
    let (status, log, took) = daemon.stop();
    assert!(status.success(), "{status}: {log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(
        !dir.join("control.json").exists(),
        "nobody is to look for it any more"
    );

    let again = Daemon::start(&dir, &[]);
    assert_eq!(again.key(), key, "the identity stays");
    assert_eq!(again.ready["new_identity"], false);
}

#[test]
fn people_are_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut child = clean(&binary("skychatd"))
        .args([
            "--addr",
            "127.0.0.1:0",
            "--tcp-listen",
            "0.0.0.0:0",
            "--data-dir",
        ])
        .arg(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    while !text.ends_with("ready\n") {
        assert_ne!(
            std::io::BufRead::read_line(&mut out, &mut text).unwrap(),
            0,
            "{text}"
        );
    }
    for part in [
        "skychat:",
        "http://127.0.0.1:",
        "identity.key",
        "OPEN: anybody",
        "next",
        "status",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_directory_has_one_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x");
    let first = Daemon::start(&dir, &[]);
    let (code, said) = refused(&dir, &[]);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains(&first.pid().to_string()), "{said}");
    // A stale lock never blocks.
    first.kill();
    assert!(dir.join("control.json").exists());
    Daemon::start(&dir, &[]);
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flag in ["--addr", "--tcp-listen", "--cxo-listen"] {
        let (code, said) = refused(&dir.path().join("x"), &[flag, &addr]);
        assert_eq!(code, 4, "{flag}: {said}");
        assert!(said.contains(&addr), "{said}");
    }
}

#[test]
fn a_default_port_that_is_taken_moves() {
    // Whoever has them, they are taken now.
    let _http = TcpListener::bind("127.0.0.1:8002");
    let _links = TcpListener::bind("0.0.0.0:8801");
    let dir = tempfile::tempdir().unwrap();
    let mut child = clean(&binary("skychatd"))
        .args(["--json", "--data-dir"])
        .arg(dir.path().join("x"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let http = ready["http"].as_str().unwrap();
    assert!(
        http.starts_with("127.0.0.1:") && http != "127.0.0.1:8002",
        "{http}"
    );
    let links = ready["links"][0].as_str().unwrap();
    assert!(
        links.starts_with("0.0.0.0:") && links != "0.0.0.0:8801",
        "{links}"
    );
}

#[test]
fn settings_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x");
    let key = SecretKey::from_seed([9; 32]).public();
    let no_place = format!("skychat:{key}");
    let bad_key = format!("tcp://{}@127.0.0.1:1", "00".repeat(32));
    let loose = dir.with_file_name("friends");
    std::fs::write(&loose, "").unwrap();
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o666)).unwrap();
    let loose = format!("@{}", loose.display());
    let cases: [&[&str]; 14] = [
        &["--tcp-listen", "nowhere"],
        &["--addr", "127.0.0.1"],
        &["--addr", "0.0.0.0:0"],
        &["--tcp-peer", "http://example.org"],
        &["--tcp-peer", &no_place],
        &["--tcp-peer", &bad_key],
        &["--tcp-whitelist", ""],
        &["--tcp-whitelist", "bob"],
        &["--tcp-whitelist", "@/nowhere/friends"],
        &["--tcp-whitelist", &loose],
        &["--tcp-whitelist-strict"],
        &["--http-host", "http://x/"],
        &["--log-level", "=,=,="],
        &["--no-such-flag"],
    ];
    for case in cases {
        let (code, said) = refused(&dir, case);
        assert_eq!(code, 2, "{case:?}: {said}");
        assert!(!said.is_empty(), "{case:?}");
    }
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(dir.join("config.toml"), "adr = ':1'\n").unwrap();
    let (code, said) = refused(&dir, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("config.toml") && said.contains("adr"),
        "{said}"
    );
}

/// What stands in the way of a start is said with its cause.
#[test]
fn what_is_in_the_way_is_named() {
    let home = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed([9; 32]).public();
    let place = format!("tcp://{key}@127.0.0.1:99999");
    let (code, said) = refused(&home.path().join("x"), &["--tcp-peer", &place]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("--tcp-peer") && said.contains("99999"),
        "{said}"
    );

    // A folder where a file is expected, and the other way round.
    let folder = format!("@{}", home.path().display());
    let (code, said) = refused(&home.path().join("x"), &["--tcp-whitelist", &folder]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("not a file"), "{said}");
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, said) = refused(&file, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(&file.display().to_string()), "{said}");
    for name in ["identity.key", "token", "store.key"] {
        let dir = home.path().join(name.replace('.', "-"));
        drop(Daemon::start(&dir, &[]));
        std::fs::remove_file(dir.join(name)).unwrap();
        std::fs::create_dir(dir.join(name)).unwrap();
        let (code, said) = refused(&dir, &[]);
        assert!(matches!(code, 2 | 8), "{name}: {code}: {said}");
        assert!(said.contains(name), "{said}");
    }
    // An address that this machine does not have.
    let (code, said) = refused(&home.path().join("x"), &["--tcp-listen", "192.0.2.7:1"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("192.0.2.7:1"), "{said}");
}

#[test]
fn settings_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("x");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let key = SecretKey::from_seed([9; 32]).public();
    std::fs::write(
        dir.join("config.toml"),
        format!("tcp-whitelist = ['{key}']\n"),
    )
    .unwrap();
    let daemon = Daemon::start(&dir, &[]);
    assert_eq!(daemon.ready["admission"], "whitelist");
    assert_eq!(daemon.ready["admitted"], 1);
}

#[test]
fn identities_that_cannot_be_used() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("x");
    let key = Daemon::start(&dir, &[]).key();

    // The node's own key as a peer.
    let own = format!("tcp://{key}@127.0.0.1:1");
    let (exit, said) = refused(&dir, &["--tcp-peer", &own]);
    assert_eq!(exit, 2, "{said}");

    // Another identity on the same store is refused by name.
    let other = "11".repeat(32);
    let (exit, said) = refused(&dir, &["--sk", &other]);
    assert_eq!(exit, 8, "{said}");
    assert!(!said.contains(&other), "a secret in {said}");

    for malformed in ["", "11", &"zz".repeat(32), &"11".repeat(33)] {
        let (exit, said) = refused(&home.path().join("y"), &["--sk", malformed]);
        assert_eq!(exit, 2, "--sk {malformed:?}: {said}");
    }
    for malformed in ["", "nonsense"] {
        let output = clean(&binary("skychatd"))
            .env("DMSGCURL_SK", malformed)
            .args([
                "--addr",
                "127.0.0.1:0",
                "--tcp-listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(home.path().join("y"))
            .output()
            .unwrap();
        assert_eq!(
            code(&output),
            2,
            "DMSGCURL_SK={malformed:?}: {}",
            stderr(&output)
        );
    }
    let json = home.path().join("visor.json");
    for text in ["", "{}", "{\"sk\":5}", "{\"sk\":\"11\"}"] {
        std::fs::write(&json, text).unwrap();
        std::fs::set_permissions(&json, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (exit, said) = refused(&home.path().join("y"), &["-c", json.to_str().unwrap()]);
        assert_eq!(exit, 2, "-c with {text:?}: {said}");
    }
    let (exit, said) = refused(&home.path().join("y"), &["-c", "/nowhere/visor.json"]);
    assert_eq!(exit, 2, "{said}");

    // What others may read is no secret; the message has the fix.
    for name in ["identity.key", "store.key", "token", ""] {
        let path = dir.join(name);
        let tight = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (exit, said) = refused(&dir, &[]);
        assert_eq!(exit, 2, "{name}: {said}");
        assert!(said.contains("chmod"), "{said}");
        std::fs::set_permissions(&path, tight).unwrap();
    }

    // A key file that was cut, and one that is gone.
    let path = dir.join("identity.key");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (exit, said) = refused(&dir, &[]);
    assert_eq!(exit, 8, "{said}");
    std::fs::remove_file(&path).unwrap();
    let (exit, said) = refused(&dir, &[]);
    assert_eq!(exit, 8, "{said}");
    assert!(!path.exists(), "no new identity beside an old journal");
}

#[test]
fn an_identity_of_another_place() {
    let home = tempfile::tempdir().unwrap();
    let json = home.path().join("visor.json");
    let seed = "22".repeat(32);
    std::fs::write(
        &json,
        format!("{{\"pk\":\"x\",\"sk\":\"{seed}\",\"launcher\":{{}}}}"),
    )
    .unwrap();
    std::fs::set_permissions(&json, std::fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::start(&home.path().join("x"), &["-c", json.to_str().unwrap()]);
    let expected = SecretKey::from_hex(&seed).unwrap().public();
    assert_eq!(daemon.key(), expected.to_string());
    let (_, log, _) = daemon.stop();
    assert!(log.contains("Skywire"), "said that the key differs: {log}");
    assert!(!log.contains(&seed), "a secret in the log");

    let ephemeral = Daemon::start(&home.path().join("y"), &["--ephemeral"]);
    assert_eq!(ephemeral.ready["memory"], true);
    assert!(!home.path().join("y").join("identity.key").exists());
}

#[test]
fn a_second_signal_forces() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(&dir.path().join("x"), &[]);
    daemon.signal("TERM");
    daemon.signal("INT");
    // Either it was faster than the second signal, or it was forced.
    let status = daemon.wait(Duration::from_secs(5));
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

/// What is not built yet is said by name, not passed over: a daemon that seems to have a password and has none would be
/// worse than none.
#[test]
fn flags_of_later_stages_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 5] = [
        &["--password-file", "passwords"],
        &["--persist-seed", "50"],
        &["--cxo-group", "id"],
        &["--cxo-group-owner", "key"],
        &["--pair-enable"],
    ];
    for case in cases {
        let (code, said) = refused(&dir.path().join("x"), case);
        assert_eq!(code, 2, "{case:?}: {said}");
        assert!(said.contains(&format!("'{}'", case[0])), "{said}");
    }
    assert!(!dir.path().join("x").exists(), "nothing was begun");
}

/// What is kept is said rightly or the daemon does not start: it must neither keep what it was told not to, nor the
/// other way round.
#[test]
fn settings_of_what_is_kept_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let absent = absent.to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["--persist-max-size", "0"], "65536"),
        (&["--persist-max-size", "65537"], "65536"),
        (&["--persist-total-cap", "7"], "at least 8"),
        (&["--persist-whitelist", absent], "absent"),
        (&["--persist-whitelist", ""], "is empty"),
        (&["--persist-db", "history.db"], "--data-dir"),
    ];
    for (case, what) in cases {
        let (code, said) = refused(&dir.path().join("x"), case);
        assert_eq!(code, 2, "{case:?}: {said}");
        assert!(said.contains(case[0]) && said.contains(what), "{said}");
    }
    assert!(!dir.path().join("x").exists(), "nothing was begun");
}

#[test]
fn every_flag_of_the_seed_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let peer = SecretKey::from_seed([9; 32]).public();
    let (tcp, cxo) = (
        format!("tcp://{peer}@127.0.0.1:9"),
        format!("{peer}@127.0.0.1:9"),
    );
    let friends = dir.path().join("friends");
    std::fs::write(&friends, "# nobody\n").unwrap();
    let daemon = Daemon::start(
        &dir.path().join("x"),
        &[
            "--standalone",
            "--cxo",
            "--cxo-listen",
            "127.0.0.1:0",
            "--tcp-peer",
            &tcp,
            "--cxo-peer",
            &cxo,
            "--internal-token",
            "0123456789abcdef0123456789abcdef",
            "--no-persist",
            "--persist-max-size",
            "4096",
            "--persist-per-peer-rate",
            "20",
            "--persist-per-peer-cap",
            "500",
            "--persist-total-cap",
            "10",
            "--persist-ttl",
            "30",
            "--persist-whitelist",
            friends.to_str().unwrap(),
            "--log-level",
            "info,skychat_core=debug",
        ],
    );
    assert_eq!(daemon.ready["links"].as_array().unwrap().len(), 2);
    assert_eq!(daemon.ready["memory"], true);
}
