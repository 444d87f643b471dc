//! What the sources of pure crates name: no threads, sockets, files or clocks outside their drivers.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    Finding,
    table::{Driver, Kind, TABLE},
};
use crate::workspace;

/// Modules of the standard library that touch the world.
const MODULES: &[&str] = &["thread", "net", "fs"];

/// What of `net` is a value and touches nothing.
const ADDRESSES: &[&str] = &[
    "AddrParseError",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
];

/// Ambient clocks, however they were imported.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime"];

/// Reads the sources of every pure crate.
pub(crate) fn check() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in TABLE {
        let Kind::Pure(drivers) = row.kind else {
            continue;
        };
        let source = workspace::root().join("crates").join(row.name).join("src");
        let mut files = Vec::new();
        for file in workspace::files(&source, "rs")? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            files.push((file.strip_prefix(&source).unwrap_or(&file).to_owned(), text));
        }
        let tests: Vec<PathBuf> = files
            .iter()
            .flat_map(|(file, text)| test_modules(file, text))
            .collect();
        for (file, text) in &files {
            let is_test = tests.iter().any(|module| belongs(file, module));
            if is_test || in_driver(file, drivers) {
                continue;
            }
            let place = format!("{}/src/{}", row.name, file.display());
            findings.extend(judge(text).into_iter().map(|(line, name)| {
                Finding::new(
                    format!("{place}:{line}"),
                    format!("is in a pure crate and names {name}{}", instead(&name)),
                )
            }));
        }
    }
    Ok(findings)
}

/// The modules, as paths without `.rs`, that a file declares for tests only: `#[cfg(test)] mod name;`.
pub(crate) fn test_modules(file: &Path, source: &str) -> Vec<PathBuf> {
    let folder = match file.file_name().and_then(OsStr::to_str) {
        Some("lib.rs" | "main.rs" | "mod.rs") => file.parent().unwrap_or(file).to_owned(),
        _ => file.with_extension(""),
    };
    let code = code(source);
    let after_mark = code.split("#[cfg(test)]").skip(1);
    after_mark
        .filter_map(|after| {
            let line = after
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with("#["))?;
            let name = line
                .strip_prefix("pub(crate) ")
                .unwrap_or(line)
                .strip_prefix("mod ")?
                .strip_suffix(';')?;
            Some(folder.join(name))
        })
        .collect()
}

/// Whether a file is that module, or stands beneath it.
fn belongs(file: &Path, module: &Path) -> bool {
    file.with_extension("") == module || file.starts_with(module)
}

/// What a pure crate takes in place of a forbidden name, where there is such a thing.
fn instead(name: &str) -> &'static str {
    match name {
        "std::net" => "; only addresses are values",
        "Instant::now" | "SystemTime" => "; time is passed in",
        _ => "",
    }
}

/// Whether a file, relative to `src/`, belongs to a driver.
pub(crate) fn in_driver(file: &Path, drivers: &[Driver]) -> bool {
    drivers
        .iter()
        .any(|driver| belongs(file, Path::new(driver.module)))
}

/// Every forbidden name in a source, with its line. Comments, strings and unit tests at the end do not count.
pub(crate) fn judge(source: &str) -> Vec<(usize, String)> {
    let code = shipped(&code(source));
    let mut found = Vec::new();
    let line_at = |at: usize| {
        code.get(..at)
            .map_or(1, |before| before.matches('\n').count() + 1)
    };
    let mut path = |at: usize, path: &str| {
        if let Some(module) = forbidden(path) {
            found.push((line_at(at), format!("std::{module}")));
        }
    };
    for module in MODULES {
        for at in places(&code, &format!("std::{module}")) {
            path(at, code.get(at + "std::".len()..).unwrap_or_default());
        }
    }
    for at in places(&code, "std::{") {
        for branch in branches(code.get(at..).unwrap_or_default()) {
            path(at, branch);
        }
    }
    for clock in CLOCKS {
        for at in places(&code, clock) {
            found.push((line_at(at), (*clock).to_owned()));
        }
    }
    found.sort();
    found
}

/// The module, if this path (what follows `std::`, perhaps with more code behind it) names one that is forbidden.
fn forbidden(path: &str) -> Option<&str> {
    let end = |text: &str| text.find(|next: char| !word(next)).unwrap_or(text.len());
    let (module, rest) = path.split_at(end(path));
    if !MODULES.contains(&module) {
        return None;
    }
    let Some(rest) = rest.strip_prefix("::").filter(|_| module == "net") else {
        return Some(module);
    };
    let named = if rest.starts_with('{') {
        branches(rest)
    } else {
        vec![rest.split_at(end(rest)).0]
    };
    let values_only = named.iter().all(|name| ADDRESSES.contains(name));
    (!values_only).then_some(module)
}

/// Where `name` stands in `code` as a whole path: neither its first nor its last word is part of a longer one.
fn places<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = code.get(..at).and_then(|text| text.chars().next_back());
            let after = code
                .get(at + name.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(word) && (name.ends_with('{') || !after.is_some_and(word))
        })
}

/// Whether a character is part of a name.
fn word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The branches of `{a::b, c::{d, e}}`: here `a::b` and `c::{d, e}`.
fn branches(tree: &str) -> Vec<&str> {
    let Some(open) = tree.find('{') else {
        return Vec::new();
    };
    let inside = tree.get(open + 1..).unwrap_or_default();
    let mut depth = 0_u32;
    let mut found = Vec::new();
    let mut start = 0;
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(inside.get(start..at).unwrap_or_default().trim());
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|branch| !branch.is_empty());
    found
}

/// What ships of a source: everything before its unit tests, which stand last in a file.
fn shipped(code: &str) -> String {
    let tests = code
        .match_indices("#[cfg(test)]")
        .map(|(at, _)| at)
        .find(|&at| {
            let after = code
                .get(at..)
                .unwrap_or_default()
                .lines()
                .skip(1)
                .map(str::trim)
                .find(|line| !line.is_empty());
            after.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        });
    code.get(..tests.unwrap_or(code.len()))
        .unwrap_or(code)
        .to_owned()
}

/// The source without comments and without what stands in strings; lines stay where they are.
fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => {
                while rest.peek().is_some_and(|&next| next != '\n') {
                    rest.next();
                }
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                for next in rest.by_ref() {
                    if next == '\n' {
                        code.push('\n');
                    }
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            '"' => {
                code.push('"');
                let mut escaped = false;
                for next in rest.by_ref() {
                    if next == '\n' {
                        code.push('\n');
                    }
                    match next {
                        '"' if !escaped => break,
                        '\\' => escaped = !escaped,
                        _ => escaped = false,
                    }
                }
                code.push('"');
            }
            '\'' => {
                // A quote in a character would open a string that is none.
                code.push('\'');
                if rest.peek() == Some(&'"') {
                    rest.next();
                }
            }
            other => code.push(other),
        }
    }
    code
}
