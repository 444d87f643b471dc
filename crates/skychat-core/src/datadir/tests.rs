use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, ChildStdout, Command, Stdio};

use skychat_api::V1;
use skychat_identity::keyfile;
use skychat_proto::ids::Timestamp;

use super::*;

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn identity(dir: &DataDir) -> Result<(SecretKey, IdentitySource), IdentityError> {
    dir.identity(IdentitySources::default())
}

fn control(pid: u32) -> ControlFile {
    ControlFile {
        v: V1,
        pid,
        key: SecretKey::from_seed([7; 32]).public(),
        started: Timestamp::from_millis(1_763_700_000_000),
        http: Some("127.0.0.1:8002".parse().unwrap()),
        links: vec!["[::]:8801".parse().unwrap()],
        socket: None,
    }
}

#[test]
fn secrets_are_made_once_and_stay() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    let (key, store_key, token) = {
        let dir = DataDir::open(&path).unwrap();
        let (secret, source) = identity(&dir).unwrap();
        assert!(matches!(source, IdentitySource::KeyFile { new: true, .. }));
        (secret, dir.store_key().unwrap(), dir.token().unwrap())
    };
    assert_eq!(mode_of(&path), 0o700);
    for name in [LOCK, IDENTITY_KEY, STORE_KEY, TOKEN] {
        assert_eq!(mode_of(&path.join(name)), 0o600, "{name}");
    }
    let text = token.expose_text();
    assert_eq!(text.len(), 64);
    assert_eq!(text, text.to_lowercase());

    let dir = DataDir::open(&path).unwrap();
    let (again, source) = identity(&dir).unwrap();
    assert_eq!(again, key);
    assert!(matches!(source, IdentitySource::KeyFile { new: false, .. }));
    assert_eq!(
        dir.store_key().unwrap().to_file_bytes(),
        store_key.to_file_bytes()
    );
    assert_eq!(dir.token().unwrap(), token);
}

#[test]
fn no_two_directories_get_the_same_secrets() {
    let make = || {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path().join("data")).unwrap();
        let secret = identity(&dir).unwrap().0.public();
        (
            secret,
            dir.store_key().unwrap().to_file_bytes(),
            dir.token().unwrap(),
        )
    };
    let (one, two) = (make(), make());
    assert!(one.0 != two.0 && one.1 != two.1 && one.2 != two.2);
}

#[test]
fn a_given_identity_leaves_no_key_file() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    let text = "01".repeat(32);
    let given = IdentitySources {
        flag: Some(&text),
        ..Default::default()
    };
    let (secret, source) = dir.identity(given).unwrap();
    assert_eq!(
        (secret.expose_bytes(), source),
        (&[1; 32], IdentitySource::Flag)
    );
    assert!(!dir.path().join(IDENTITY_KEY).exists());
}

#[test]
fn a_second_opening_is_refused_and_names_the_process() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    let dir = DataDir::open(&path).unwrap();
    let message = |error: OpenError| {
        assert!(matches!(error, OpenError::Lock(LockError::Held { .. })));
        assert_eq!(error.code(), Code::StoreLocked);
        error.to_string()
    };
    assert_eq!(
        message(DataDir::open(&path).unwrap_err()),
        format!(
            "{} is in use by another process; stop that, or name another directory",
            path.display()
        )
    );
    dir.publish(&control(4242)).unwrap();
    assert!(message(DataDir::open(&path).unwrap_err()).contains("is in use by process 4242;"));
    // Refusing took nothing away from the one who has it.
    assert_eq!(super::control::read(&path).unwrap().pid, 4242);
    drop(dir);
    DataDir::open(&path).unwrap();
}

#[test]
fn control_json_comes_and_goes() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    let dir = DataDir::open(&path).unwrap();
    let error = Running::find(&path).unwrap_err();
    assert!(matches!(error, ControlError::NotRunning { .. }));
    assert_eq!(error.code(), Code::NoDaemon);

    let token = dir.token().unwrap();
    for pid in [1, 2] {
        dir.publish(&control(pid)).unwrap();
        assert_eq!(mode_of(&path.join(CONTROL)), 0o600);
        let found = Running::find(&path).unwrap();
        assert_eq!(found.control, control(pid));
        assert_eq!(found.token, token);
        assert!(!format!("{found:?}").contains(token.expose_text()));
    }
    dir.withdraw().unwrap();
    assert!(!path.join(CONTROL).exists());

    dir.publish(&control(3)).unwrap();
    drop(dir);
    assert!(!path.join(CONTROL).exists());
}

#[test]
fn control_json_is_read_with_less_and_with_more() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    let key = control(1).key;
    let write = |text: &str| mode::replace(dir.path(), CONTROL, text.as_bytes()).unwrap();
    write(&format!(
        r#"{{"pid":1,"key":"{key}","started":5,"later":[]}}"#
    ));
    let found = super::control::read(dir.path()).unwrap();
    assert_eq!((found.pid, found.http, found.links.len()), (1, None, 0));
    for text in ["", "{}", r#"{"pid":-1}"#] {
        write(text);
        assert!(matches!(
            super::control::read(dir.path()),
            Err(ControlError::Malformed { .. })
        ));
    }
}

#[test]
fn loose_files_stop_the_start() {
    for name in [IDENTITY_KEY, STORE_KEY, TOKEN, LOCK] {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        let dir = DataDir::open(&path).unwrap();
        identity(&dir).unwrap();
        dir.store_key().unwrap();
        dir.token().unwrap();
        drop(dir);
        chmod(&path.join(name), 0o640);
        let error = DataDir::open(&path).unwrap_err();
        assert_eq!(error.code(), Code::LooseFile, "{name}");
        assert!(
            error.to_string().contains(&format!("data/{name}`")),
            "{error}"
        );
        chmod(&path.join(name), 0o600);
        chmod(&path, 0o755);
        assert_eq!(DataDir::open(&path).unwrap_err().code(), Code::LooseFile);
        chmod(&path, 0o700);
        DataDir::open(&path).unwrap();
    }
}

#[test]
fn a_loose_token_is_refused_to_clients_too() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    dir.token().unwrap();
    dir.publish(&control(1)).unwrap();
    chmod(&dir.path().join(TOKEN), 0o644);
    assert_eq!(
        Running::find(dir.path()).unwrap_err().code(),
        Code::LooseFile
    );
}

#[test]
fn a_damaged_key_file_stops_the_start_and_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    identity(&dir).unwrap();
    let path = dir.path().join(IDENTITY_KEY);
    let good = std::fs::read(&path).unwrap();
    assert_eq!(good.len(), keyfile::LEN);
    let write = |bytes: &[u8]| mode::replace(dir.path(), IDENTITY_KEY, bytes).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        write(&bad);
        let error = identity(&dir).unwrap_err();
        assert!(matches!(error, IdentityError::KeyFile { .. }));
        assert_eq!(error.code(), Code::StoreDamaged);
        assert_eq!(std::fs::read(&path).unwrap(), bad);
    }
    for bad in [&good[..0], &good[..65], &[7; 5000]] {
        write(bad);
        identity(&dir).unwrap_err();
    }
    write(&good);
    identity(&dir).unwrap();
}

#[test]
fn a_damaged_store_key_is_named_and_stays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    dir.store_key().unwrap();
    mode::replace(dir.path(), STORE_KEY, b"something else").unwrap();
    let error = dir.store_key().unwrap_err();
    assert!(matches!(error, SecretFileError::StoreKey { .. }));
    assert_eq!(error.code(), Code::StoreDamaged);
}

#[test]
fn beside_a_journal_nothing_new_is_drawn() {
    for trace in ["HEAD", "journal/00000000.seg"] {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path().join("data")).unwrap();
        std::fs::create_dir(dir.path().join("journal")).unwrap();
        std::fs::write(dir.path().join(trace), b"").unwrap();
        let error = identity(&dir).unwrap_err();
        assert!(matches!(error, IdentityError::KeyFileLost { .. }));
        assert_eq!(error.code(), Code::StoreDamaged);
        let error = dir.store_key().unwrap_err();
        assert!(matches!(error, SecretFileError::StoreKeyLost { .. }));
        assert_eq!(error.code(), Code::StoreDamaged);
        assert!(!dir.path().join(IDENTITY_KEY).exists());
        assert!(!dir.path().join(STORE_KEY).exists());
    }
}

#[test]
fn a_malformed_token_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(temp.path().join("data")).unwrap();
    let good = dir.token().unwrap();
    let write = |text: &str| mode::replace(dir.path(), TOKEN, text.as_bytes()).unwrap();
    write(&format!("{}\n", good.expose_text()));
    assert_eq!(dir.token().unwrap(), good);
    for text in [
        "",
        "x",
        &good.expose_text()[1..],
        &good.expose_text().replace(|_| true, "G"),
    ] {
        write(text);
        let error = dir.token().unwrap_err();
        assert!(matches!(error, SecretFileError::BadToken { .. }));
        assert_eq!(error.code(), Code::BadConfig);
    }
}

#[test]
fn drafts_of_a_crash_are_removed() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    drop(DataDir::open(&path).unwrap());
    let draft = mode::draft_of(&path, IDENTITY_KEY);
    std::fs::write(&draft, b"half a sec").unwrap();
    DataDir::open(&path).unwrap();
    assert!(!draft.exists());
}

/// What the tests below run in a process of its own; by itself it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os("SKYCHAT_TEST_DATA_DIR") else {
        return;
    };
    if let Ok(mask) = std::env::var("SKYCHAT_TEST_UMASK") {
        let mask = u32::from_str_radix(&mask, 8).unwrap();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }
    let dir = DataDir::open(path).unwrap();
    identity(&dir).unwrap();
    dir.publish(&control(std::process::id())).unwrap();
    println!("\nhas it");
    if std::env::var_os("SKYCHAT_TEST_STAY").is_some() {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

/// Starts [`child`] on that directory, and returns when it has it.
fn spawn(path: &Path, more: &[(&str, &str)]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["datadir::tests::child", "--exact", "--nocapture"])
        .env("SKYCHAT_TEST_DATA_DIR", path)
        .envs(more.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != "has it\n" {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child ended");
    }
    (child, output)
}

#[test]
fn a_killed_process_leaves_a_directory_that_opens() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    let (mut child, _output) = spawn(&path, &[("SKYCHAT_TEST_STAY", "1")]);
    let error = DataDir::open(&path).unwrap_err().to_string();
    assert!(
        error.contains(&format!("in use by process {};", child.id())),
        "{error}"
    );
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(super::control::read(&path).unwrap().pid, child.id());
    let dir = DataDir::open(&path).unwrap();
    assert!(matches!(
        super::control::read(&path),
        Err(ControlError::NotRunning { .. })
    ));
    let (_, source) = identity(&dir).unwrap();
    assert!(matches!(source, IdentitySource::KeyFile { new: false, .. }));
}

#[test]
fn modes_hold_under_any_umask() {
    for mask in ["000", "022", "077", "277", "777"] {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        let (mut child, mut output) = spawn(&path, &[("SKYCHAT_TEST_UMASK", mask)]);
        output.read_to_string(&mut String::new()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(mode_of(&path), 0o700, "umask {mask}");
        for name in [LOCK, IDENTITY_KEY] {
            assert_eq!(mode_of(&path.join(name)), 0o600, "umask {mask}, {name}");
        }
    }
}
