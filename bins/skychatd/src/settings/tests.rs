use super::*;

use clap::Parser;
use skychat_identity::SecretKey;

use crate::flags::Flags;

fn key(n: u8) -> skychat_identity::PublicKey {
    SecretKey::from_seed([n; 32]).public()
}

fn flags(words: &[&str]) -> Layer {
    let words = [&["skychatd"], words].concat();
    Flags::try_parse_from(words).unwrap().layer()
}

fn env(pairs: &[(&str, &str)]) -> Result<Layer, Failure> {
    let find = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Layer::from_env(&find)
}

fn resolve(words: &[&str]) -> Result<Settings, Failure> {
    Settings::resolve(flags(words))
}

#[test]
fn a_flag_wins_over_the_environment_the_file_and_the_default() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(FILE),
        "addr = '127.0.0.1:3'\ntcp-listen = ['127.0.0.1:30']\nlog-level = 'warn'\n",
    )
    .unwrap();
    let file = read_file(dir.path()).unwrap();
    let env = env(&[
        ("SKYCHAT_ADDR", "127.0.0.1:2"),
        ("SKYCHAT_TCP_LISTEN", ":20,:21"),
    ])
    .unwrap();
    let layer = flags(&["--addr", "127.0.0.1:1"]).over(env).over(file);
    assert_eq!(
        layer.log_level.as_deref(),
        Some("warn"),
        "only the file says it"
    );
    let settings = Settings::resolve(layer).unwrap();
    assert_eq!(
        settings.http,
        Place::explicit("127.0.0.1:1".parse().unwrap()),
        "flag"
    );
    assert_eq!(settings.links.len(), 2, "environment");

    let settings = resolve(&[]).unwrap();
    assert_eq!(
        settings.http,
        Place::default_at("127.0.0.1:8002".parse().unwrap())
    );
    assert_eq!(
        settings.links,
        [Place::default_at("0.0.0.0:8801".parse().unwrap())]
    );
    assert_eq!(settings.whitelist, None);
}

#[test]
fn every_setting_of_a_flag_has_the_same_name_in_the_file() {
    let text = format!(
        "tcp-listen = [':1']\ntcp-peer = ['tcp://{key}@h.example:2']\ntcp-whitelist = ['{key}']\n\
         tcp-whitelist-strict = true\ncxo = true\ncxo-listen = [':3']\n\
         cxo-peer = ['{key}@h.example:4']\naddr = ':5'\nhttp-host = ['h']\n\
         http-origin = ['https://h']\ni-know = true\nno-persist = true\nlog-level = 'debug'\n\
         persist-max-size = 1\npersist-per-peer-rate = 2\npersist-per-peer-cap = 3\n\
         persist-total-cap = 8\npersist-ttl = 5\npersist-whitelist = '/f'\npersist-db = ''\n\
         json = true\n",
        key = key(1),
    );
    let file: Layer = toml::from_str(&text).unwrap();
    let (peer, bare) = (
        format!("tcp://{}@h.example:2", key(1)),
        format!("{}@h.example:4", key(1)),
    );
    let flags = flags(&[
        "--tcp-listen",
        ":1",
        "--tcp-peer",
        &peer,
        "--tcp-whitelist",
        &key(1).to_string(),
        "--tcp-whitelist-strict",
        "--cxo",
        "--cxo-listen",
        ":3",
        "--cxo-peer",
        &bare,
        "--addr",
        ":5",
        "--http-host",
        "h",
        "--http-origin",
        "https://h",
        "--i-know",
        "--no-persist",
        "--persist-max-size",
        "1",
        "--persist-per-peer-rate",
        "2",
        "--persist-per-peer-cap",
        "3",
        "--persist-total-cap",
        "8",
        "--persist-ttl",
        "5",
        "--persist-whitelist",
        "/f",
        "--persist-db",
        "",
        "--log-level",
        "debug",
        "--json",
    ]);
    let text = Whitelist::Text(key(1).to_string());
    assert_eq!(
        Layer {
            tcp_whitelist: Some(text),
            ..file
        },
        flags
    );
    let flags = Layer {
        persist_whitelist: None,
        ..flags
    };
    let settings = Settings::resolve(flags).unwrap();
    assert_eq!(settings.links.len(), 2);
    assert_eq!(settings.peers.len(), 2);
    assert_eq!(settings.whitelist, Some([key(1)].into()));
}

#[test]
fn c37_an_internal_token_in_the_settings_stands_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let text = format!("internal-token = '{secret}'\n");
    std::fs::write(dir.path().join(FILE), text).unwrap();
    let error = read_file(dir.path()).unwrap_err();
    assert_eq!(error.code(), Code::BadConfig);
    assert!(error.to_string().contains("@"), "{error}");
    assert!(!error.to_string().contains(secret), "{error}");

    std::fs::write(dir.path().join(FILE), "internal-token = '@internal'\n").unwrap();
    std::fs::write(dir.path().join("internal"), secret).unwrap();
    let tight = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(dir.path().join("internal"), tight).unwrap();
    let settings = Settings::resolve(read_file(dir.path()).unwrap()).unwrap();
    assert!(settings.internal_token.is_some());
    assert!(!format!("{settings:?}").contains(secret));
    assert!(resolve(&["--internal-token", secret]).is_ok());
    assert!(resolve(&["--internal-token", "short"]).is_err());
}

#[test]
fn what_is_kept_is_read_from_flag_environment_and_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("friends"), format!("{}\n", key(1))).unwrap();
    let text = "persist-whitelist = 'friends'\npersist-ttl = 3\npersist-total-cap = 16\n";
    std::fs::write(dir.path().join(FILE), text).unwrap();
    let environment = env(&[
        ("SKYCHAT_PERSIST_TTL", "0"),
        ("SKYCHAT_PERSIST_PER_PEER_RATE", "20"),
    ]);
    let layer = flags(&["--persist-per-peer-cap", "500"])
        .over(environment.unwrap())
        .over(read_file(dir.path()).unwrap());
    let kept = Settings::resolve(layer).unwrap().retention;
    let expected = Retention {
        per_peer_rate: std::num::NonZeroU32::new(20),
        per_peer_cap: std::num::NonZeroU64::new(500),
        total: 16 * 1024 * 1024,
        ttl: None,
        only: Some([key(1)].into()),
        ..Retention::default()
    };
    assert_eq!(kept, expected);
    assert_eq!(resolve(&[]).unwrap().retention, Retention::default());
    assert!(env(&[("SKYCHAT_PERSIST_TTL", "a month")]).is_err());
}

#[test]
fn to_persist_is_the_default_and_contradicts_its_opposite() {
    assert!(!resolve(&["--persist"]).unwrap().memory);
    assert!(resolve(&["--no-persist"]).unwrap().memory);
    assert!(resolve(&["--persist", "--no-persist"]).is_err());
}

#[test]
fn a_setting_nobody_knows_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for text in [
        "addr = ':1'\nadr = ':2'\n",
        "addr = 5\n",
        "addr\n",
        "[tcp]\nlisten = ':1'\n",
    ] {
        std::fs::write(dir.path().join(FILE), text).unwrap();
        let error = read_file(dir.path()).unwrap_err();
        assert_eq!(error.code(), Code::BadConfig);
        assert!(error.to_string().contains("line"), "{error}");
    }
    std::fs::remove_file(dir.path().join(FILE)).unwrap();
    assert_eq!(read_file(dir.path()).unwrap(), Layer::default());
}

#[test]
fn what_the_environment_says_is_checked() {
    assert_eq!(env(&[("SKYCHAT_CXO", "yes")]).unwrap().cxo, Some(true));
    let error = env(&[("SKYCHAT_CXO", "perhaps")]).unwrap_err();
    assert!(error.to_string().contains("SKYCHAT_CXO"), "{error}");
}

#[test]
fn peers_need_a_key_and_a_place() {
    let good = format!("skychat:{}?at=127.0.0.1:8801", key(1));
    assert_eq!(resolve(&["--tcp-peer", &good]).unwrap().peers.len(), 1);
    for text in [
        format!("skychat:{}", key(1)),
        key(1).to_string(),
        format!("{}@127.0.0.1:8801", key(1)),
        format!("tcp://{}@127.0.0.1", key(1)),
        "tcp://abc@127.0.0.1:8801".to_owned(),
        format!("tcp://{}@127.0.0.1:8801", "00".repeat(32)),
        "http://example.org".to_owned(),
    ] {
        let error = resolve(&["--tcp-peer", &text]).unwrap_err();
        assert_eq!(error.code(), Code::MalformedAddress, "{text}");
        assert_eq!(error.code().exit(), 2);
    }
    let bare = format!("{}@127.0.0.1:8801", key(1));
    assert_eq!(resolve(&["--cxo-peer", &bare]).unwrap().peers.len(), 1);
}

#[test]
fn an_empty_whitelist_text_is_no_whitelist_at_all() {
    let error = resolve(&["--tcp-whitelist", ""]).unwrap_err();
    assert_eq!(error.code().exit(), 2);
    assert!(error.to_string().contains("empty"), "{error}");
    let nobody: Layer = toml::from_str("tcp-whitelist = []").unwrap();
    assert_eq!(
        Settings::resolve(nobody).unwrap().whitelist,
        Some([].into())
    );
    assert!(resolve(&["--tcp-whitelist-strict"]).is_err());
}

#[test]
fn c35_http_beyond_loopback_has_to_be_said() {
    for addr in ["*:8002", "0.0.0.0:8002", "192.0.2.1:8002", "[::]:8002"] {
        let error = resolve(&["--addr", addr]).unwrap_err();
        assert!(error.to_string().contains("--i-know"), "{error}");
        assert!(resolve(&["--addr", addr, "--i-know"]).is_ok());
    }
    assert!(resolve(&["--addr", "[::1]:8002"]).is_ok());
}

#[test]
fn a_file_of_the_settings_is_looked_for_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("friends"), key(3).to_string()).unwrap();
    std::fs::write(dir.path().join(FILE), "tcp-whitelist = '@friends'").unwrap();
    let settings = Settings::resolve(read_file(dir.path()).unwrap()).unwrap();
    assert_eq!(settings.whitelist, Some([key(3)].into()));
}
