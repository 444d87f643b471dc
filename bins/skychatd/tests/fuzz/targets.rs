//! Fuzz targets of what the daemon reads from files of settings, as plain functions: each takes arbitrary bytes, and
//! panics if a rule is broken. `fuzz/` runs them with a fuzzer, `src/fuzz.rs` with the corpus. They stand in a crate
//! that has the modules `settings` and `whitelist` of the daemon.

use std::path::Path;

use skychat_core::datadir::{IdentityError, IdentitySources, resolve_identity};

use crate::settings::{self, Layer, Settings, Whitelist};
use crate::whitelist;

/// A fuzz target.
pub(crate) type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
#[allow(dead_code, reason = "the fuzzer takes them one by one")]
pub(crate) const TARGETS: [(&str, Target); 3] = [
    ("config_toml", config_toml),
    ("identity_json", identity_json),
    ("whitelist_file", whitelist_file),
];

/// A settings file is read, or refused with a text; what it comes to never opens more than it says.
pub(crate) fn config_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let dir = Path::new("/nonexistent/skychat");
    let layer = match settings::parse(text, dir) {
        Ok(layer) => layer,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    // What the file does not say stays as it was, and what it says wins.
    assert_eq!(layer.clone().over(Layer::default()), layer);
    assert_eq!(Layer::default().over(layer.clone()), layer);
    // A file that is named is one beside the settings, and there is none there.
    let named =
        matches!(&layer.tcp_whitelist, Some(Whitelist::Text(text)) if text.starts_with('@'));
    if let Some(Whitelist::Text(text)) = &layer.tcp_whitelist
        && named
        && !Path::new(&text[1..]).starts_with(dir)
    {
        // An absolute name: not opened here.
        return;
    }
    if let Some(name) = &layer.persist_whitelist
        && !Path::new(name).starts_with(dir)
    {
        return;
    }
    if let Some(secret) = &layer.internal_token
        && !secret.file().is_some_and(|file| file.starts_with(dir))
    {
        return;
    }
    let (listed, known) = (layer.tcp_whitelist.clone(), layer.i_know == Some(true));
    let Ok(settings) = Settings::resolve(layer) else {
        return;
    };
    let kept = settings.retention;
    assert!(kept.only.is_none(), "no whitelist that cannot be read");
    assert!(kept.total >= skychat_core::Retention::MIN_TOTAL && kept.largest > 0);
    assert!(!named, "a whitelist that cannot be read admits nobody new");
    assert!(known || settings.http.addr.ip().is_loopback());
    assert!(!settings.links.is_empty());
    assert!(settings.peers.iter().all(|peer| !peer.hints().is_empty()));
    // Who is admitted was named; an empty list is one that was written as one.
    match (listed, settings.whitelist) {
        (None, None) => assert!(!settings.strict),
        (Some(Whitelist::Keys(keys)), Some(set)) => {
            assert_eq!(keys.is_empty(), set.is_empty());
            assert!(set.len() <= keys.len());
        }
        (Some(Whitelist::Text(text)), Some(set)) => {
            assert!(!set.is_empty() && set.len() <= text.split(',').count());
        }
        (listed, found) => panic!("{listed:?} came to {found:?}"),
    }
}

/// A whitelist file is read whole or not at all: each line that says something is a key, or the file is refused.
pub(crate) fn whitelist_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let said = text
        .lines()
        .filter(|line| !line.split('#').next().unwrap_or_default().trim().is_empty())
        .count();
    if let Ok(keys) = whitelist::lines(text, Path::new("friends"), "--tcp-whitelist") {
        assert!(keys.len() <= said);
        assert_eq!(keys.is_empty(), said == 0);
        let again: String = keys.iter().map(|key| format!("{key}\n")).collect();
        let again = whitelist::lines(&again, Path::new("friends"), "--tcp-whitelist");
        assert!(again.is_ok_and(|again| again == keys));
    }
    // The same on the command line: commas, and nothing at all is an error.
    if !text.starts_with('@')
        && let Ok(keys) = whitelist::read(text)
    {
        assert!(!keys.is_empty());
    }
}

/// The JSON file of `-c`: only its `sk` is read, and an error shows nothing of it.
pub(crate) fn identity_json(data: &[u8]) {
    let sources = IdentitySources {
        config: Some((Path::new("config.json"), data)),
        ..IdentitySources::default()
    };
    match resolve_identity(&sources) {
        Ok((secret, source)) => {
            let shown = format!("{secret:?} {source}");
            assert!(shown.len() < 100, "{shown}");
            // It was there as a JSON object with the very digits.
            let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
            let digits = value["sk"].as_str().map(str::len);
            assert!(digits.is_none_or(|digits| digits == 64));
        }
        Err(error) => {
            assert!(matches!(
                error,
                IdentityError::Malformed { .. }
                    | IdentityError::ConfigNotJson { .. }
                    | IdentityError::ConfigWithoutKey { .. }
            ));
            assert!(error.to_string().len() < 200);
        }
    }
}
