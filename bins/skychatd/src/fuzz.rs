//! The fuzz targets of the daemon, run over their corpus, on stable and without libFuzzer.
//!
//! The seeds are written anew with `SKYCHAT_WRITE_VECTORS=1`; whatever a fuzzer found and somebody
//! added stays.

#[path = "../tests/fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use skychat_identity::SecretKey;
use targets::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn key(n: u8) -> String {
    SecretKey::from_seed([n; 32]).public().to_string()
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn seeds(target: &str) -> Seeds {
    let seeds: Vec<(&str, String)> = match target {
        "config_toml" => settings(),
        "identity_json" => identities(),
        _ => whitelists(),
    };
    seeds
        .into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .chain([("not-utf-8", vec![0xff, 0xfe, b'a'])])
        .collect()
}

fn settings() -> Vec<(&'static str, String)> {
    let (ann, bob) = (key(1), key(2));
    vec![
        ("empty", String::new()),
        (
            "all",
            format!(
                "tcp-listen = [':8801', '[::1]:0']\ntcp-peer = ['tcp://{ann}@host.example:8801']\n\
                 tcp-whitelist = ['{ann}', '{bob}']\ntcp-whitelist-strict = true\ncxo = true\n\
                 cxo-listen = ['*:8802']\ncxo-peer = ['{bob}@127.0.0.1:1']\naddr = ':8002'\n\
                 http-host = ['chat.example']\nhttp-origin = ['https://chat.example']\n\
                 i-know = false\nno-persist = true\nlog-level = 'info'\njson = true\n"
            ),
        ),
        ("nobody", "tcp-whitelist = []\n".into()),
        ("empty-whitelist", "tcp-whitelist = ''\n".into()),
        (
            "whitelist-text",
            format!("tcp-whitelist = '{ann}, {bob}'\n"),
        ),
        ("whitelist-file", "tcp-whitelist = '@friends'\n".into()),
        (
            "whitelist-up",
            "tcp-whitelist = '@../../etc/passwd'\n".into(),
        ),
        (
            "whitelist-absolute",
            "tcp-whitelist = '@/dev/zero'\n".into(),
        ),
        ("internal-token", "internal-token = '@internal'\n".into()),
        (
            "internal-text",
            format!("internal-token = '{}'\n", "a".repeat(32)),
        ),
        ("strict-alone", "tcp-whitelist-strict = true\n".into()),
        ("unknown", "tcp-listn = [':1']\n".into()),
        ("twice", "addr = ':1'\naddr = ':2'\n".into()),
        ("wrong-type", "addr = 8002\n".into()),
        ("beyond-loopback", "addr = '*:8002'\n".into()),
        ("known", "addr = '*:8002'\ni-know = true\n".into()),
        ("port-too-high", "tcp-listen = [':65536']\n".into()),
        (
            "peer-without-place",
            format!("tcp-peer = ['skychat:{ann}']\n"),
        ),
        ("deep", format!("addr = {}", "[".repeat(400))),
        ("number", "addr = 1e400\n".into()),
        ("escape", "addr = \"\\ud800\"\n".into()),
        ("nul", "addr = '\0'\n".into()),
    ]
}

fn whitelists() -> Vec<(&'static str, String)> {
    let (ann, bob) = (key(1), key(2));
    vec![
        ("empty", String::new()),
        ("comments", "# nobody\n\n   # at all\n".into()),
        ("two", format!("{ann}  # ann\r\n\t{bob}\n")),
        ("twice", format!("{ann}\n{ann}\n")),
        ("commas", format!("{ann},{bob}")),
        ("capitals", ann.to_uppercase()),
        ("one-digit-less", ann[..63].to_owned()),
        ("one-digit-more", format!("{ann}0")),
        ("zeros", "0".repeat(64)),
        ("uri", format!("skychat:{ann}\n")),
        ("second-line", format!("{ann}\nbob\n")),
        ("byte-order-mark", format!("\u{feff}{ann}\n")),
        ("line-separator", format!("{ann}\u{2028}{bob}\n")),
        ("blank", " \n\t\n".into()),
        ("file", "@friends".into()),
    ]
}

fn identities() -> Vec<(&'static str, String)> {
    let sk = "11".repeat(32);
    vec![
        ("sk", format!(r#"{{"sk":"{sk}"}}"#)),
        (
            "visor",
            format!(r#"{{"version":"v1","sk":"{sk}","pk":"02ab","dmsg":{{"a":[1,null]}}}}"#),
        ),
        ("capitals", format!(r#"{{"sk":"{}"}}"#, "AB".repeat(32))),
        ("short", format!(r#"{{"sk":"{}"}}"#, &sk[..62])),
        ("twice", format!(r#"{{"sk":"{sk}","sk":"{sk}"}}"#)),
        ("null", r#"{"sk":null}"#.into()),
        ("number", r#"{"sk":7}"#.into()),
        ("escaped", format!(r#"{{"sk":"\u0031{}"}}"#, &sk[1..])),
        ("absent", r#"{"pk":"02ab"}"#.into()),
        ("array", format!(r#"["{sk}"]"#)),
        ("empty", String::new()),
        ("deep", r#"{"a":"#.repeat(300)),
        ("trailing", format!(r#"{{"sk":"{sk}"}} x"#)),
    ]
}

#[test]
fn the_corpus_replays() {
    let write = std::env::var_os("SKYCHAT_WRITE_VECTORS").is_some_and(|value| value == "1");
    for (name, target) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        if write {
            fs::create_dir_all(&folder).unwrap();
            for (seed, bytes) in seeds(name) {
                fs::write(folder.join(seed), bytes).unwrap();
            }
        }
        let mut files = 0;
        for file in fs::read_dir(folder).unwrap() {
            let data = fs::read(file.unwrap().path()).unwrap();
            target(&data);
            for at in 0..data.len() {
                target(&data[..at]);
                let mut changed = data.clone();
                changed[at] ^= 1 << (at % 8);
                target(&changed);
            }
            files += 1;
        }
        assert!(files >= 10, "{name}: {files} files");
    }
}
