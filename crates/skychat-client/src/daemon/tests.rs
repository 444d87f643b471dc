use super::*;

use skychat_api::Code;
use skychat_identity::SecretKey;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn write(dir: &Path, name: &str, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn control(http: &str) -> String {
    let key = SecretKey::from_seed([7; 32]).public();
    format!("{{\"v\":1,\"pid\":1,\"key\":\"{key}\",\"started\":1700000000000{http},\"more\":[]}}\n")
}

#[test]
fn a_daemon_is_found() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "control.json",
        &control(",\"http\":\"127.0.0.1:8002\""),
        0o600,
    );
    write(dir.path(), "token", &format!("{TOKEN}\n"), 0o600);
    let daemon = Daemon::find(dir.path()).unwrap();
    assert_eq!(daemon.addr(), "127.0.0.1:8002");
    assert_eq!(daemon.authorization(), format!("Bearer {TOKEN}"));
    assert!(!format!("{daemon:?}").contains(TOKEN));
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let code = || Daemon::find(dir).unwrap_err().code();
    assert_eq!(code(), Code::NoDaemon, "nothing there");
    write(dir, "control.json", "{}", 0o600);
    assert_eq!(code(), Code::BadConfig, "no control file");
    write(dir, "control.json", &control(""), 0o600);
    assert_eq!(code(), Code::NoDaemon, "no address");
    write(
        dir,
        "control.json",
        &control(",\"http\":\"[::1]:8002\""),
        0o600,
    );
    assert_eq!(code(), Code::BadConfig, "no token");
    for token in [
        "",
        "short",
        "0123456789abcdef 0123456789abcdef",
        "0123456789abcdef\n0123456789abcdef",
    ] {
        write(dir, "token", token, 0o600);
        assert_eq!(code(), Code::BadConfig, "{token:?}");
    }
    write(dir, "token", TOKEN, 0o640);
    let error = Daemon::find(dir).unwrap_err();
    assert_eq!(error.code(), Code::LooseFile);
    assert!(error.to_string().contains("chmod 600"), "{error}");
    write(dir, "token", TOKEN, 0o600);
    assert!(Daemon::find(dir).is_ok());
    write(dir, "control.json", &" ".repeat(70_000), 0o600);
    assert_eq!(code(), Code::BadConfig, "too long");
}
