use super::*;

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn private_file(dir: &Path, content: &[u8]) -> PathBuf {
    let path = dir.join("secret");
    std::fs::write(&path, content).unwrap();
    chmod(&path, FILE_MODE);
    path
}

#[test]
fn a_new_directory_is_closed_with_all_above_it() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a/b/c");
    open_dir(&path).unwrap();
    for path in [&path, &temp.path().join("a")] {
        assert_eq!(mode_of(path), DIR_MODE);
    }
    open_dir(&path).unwrap();
}

#[test]
fn an_open_directory_is_refused_with_the_fix() {
    let temp = tempfile::tempdir().unwrap();
    for mode in [0o755, 0o750, 0o701, 0o770, 0o1777] {
        chmod(temp.path(), mode);
        let error = open_dir(temp.path()).unwrap_err();
        assert_eq!(error.code(), Code::LooseFile);
        assert_eq!(
            error.to_string(),
            format!(
                "{0} is open to others: found mode {mode:04o}, expected 0700; fix it with `chmod 700 {0}`",
                temp.path().display()
            )
        );
    }
    chmod(temp.path(), 0o700);
    open_dir(temp.path()).unwrap();
    let file = private_file(temp.path(), b"");
    assert!(matches!(
        open_dir(&file),
        Err(PrivateFileError::NotADirectory { .. })
    ));
}

#[test]
fn an_open_file_is_refused_with_the_fix_and_not_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = private_file(temp.path(), b"secret");
    for mode in [0o644, 0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666] {
        chmod(&path, mode);
        let error = read_private(&path, 100).unwrap_err();
        assert_eq!(error.code(), Code::LooseFile);
        let fix = format!("expected 0600; fix it with `chmod 600 {}`", path.display());
        assert!(error.to_string().ends_with(&fix), "{error}");
        assert!(matches!(
            check_if_there(&path),
            Err(PrivateFileError::Loose { .. })
        ));
        assert!(matches!(
            open_or_create(&path),
            Err(PrivateFileError::Loose { .. })
        ));
    }
    for mode in [0o600, 0o400, 0o700] {
        chmod(&path, mode);
        assert_eq!(read_private(&path, 100).unwrap().as_slice(), b"secret");
    }
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = private_file(temp.path(), b"secret");
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        return; // only root can give files away
    }
    let error = read_private(&path, 100).unwrap_err();
    assert_eq!(error.code(), Code::StoreOwner);
    assert!(
        error
            .to_string()
            .contains("belongs to user id 12345, expected")
    );
    std::os::unix::fs::chown(temp.path(), Some(12345), None).unwrap();
    assert_eq!(open_dir(temp.path()).unwrap_err().code(), Code::StoreOwner);
}

#[test]
fn what_is_no_file_or_too_long_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let path = private_file(temp.path(), &[7; 100]);
    assert_eq!(read_private(&path, 100).unwrap().len(), 100);
    assert!(matches!(
        read_private(&path, 99),
        Err(PrivateFileError::TooLong { limit: 99, .. })
    ));
    assert!(matches!(
        read_private(temp.path(), 99),
        Err(PrivateFileError::NotAFile { .. })
    ));
    let nothing = temp.path().join("nothing");
    assert!(matches!(
        read_private(&nothing, 99),
        Err(PrivateFileError::Missing { .. })
    ));
    check_if_there(&nothing).unwrap();
}

#[test]
fn a_file_is_made_once_and_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("secret");
    create(temp.path(), "secret", b"first").unwrap();
    assert_eq!(mode_of(&path), FILE_MODE);
    let error = create(temp.path(), "secret", b"second").unwrap_err();
    assert!(matches!(error, PrivateFileError::Exists { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn a_file_is_replaced_whole() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("control");
    // A crash left half a draft behind, with another mode.
    std::fs::write(draft_of(temp.path(), "control"), b"ha").unwrap();
    for content in [&b"one"[..], b"two", b""] {
        replace(temp.path(), "control", content).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert_eq!(mode_of(&path), FILE_MODE);
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    remove(&path).unwrap();
    remove(&path).unwrap();
    let gone = temp.path().join("gone");
    let error = replace(&gone, "control", b"x").unwrap_err();
    assert_eq!(error.code(), Code::StoreFailed);
}

#[test]
fn a_path_in_a_fix_can_be_pasted() {
    for (path, word) in [
        ("/var/lib/skychat/a_b-c.1", "/var/lib/skychat/a_b-c.1"),
        ("/a b", "'/a b'"),
        ("/it's", r"'/it'\''s'"),
        ("-x", "'-x'"),
        ("/$(id)", "'/$(id)'"),
    ] {
        assert_eq!(shell_word(Path::new(path)), word);
    }
}
