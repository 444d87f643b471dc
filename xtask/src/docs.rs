//! What the documentation points at is there: files behind links, and tests behind promises.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The page whose promises name their tests.
const PROMISES: &str = "docs/threat-model.md";

/// Checks every page of the workspace and prints every finding before it fails.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let mut pages = workspace::files(&root.join("docs"), "md")?;
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ] {
        pages.push(root.join(name));
    }
    let mut findings = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page)
            .with_context(|| format!("cannot read {}", page.display()))?;
        let name = page.strip_prefix(&root).unwrap_or(page).display();
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            if !page.parent().unwrap_or(&root).join(file).exists() {
                findings.push(format!("{name}: the link to `{link}` leads nowhere"));
            }
        }
    }
    let promises = std::fs::read_to_string(root.join(PROMISES)).context(PROMISES)?;
    let tests = tests(&root)?;
    for (id, named) in promised(&promises) {
        if named.is_empty() {
            findings.push(format!(
                "{PROMISES}: {id} names no test and does not say that there is none"
            ));
        }
        for test in named.iter().filter(|test| !tests.contains(**test)) {
            findings.push(format!(
                "{PROMISES}: {id} names the test `{test}`, which does not exist"
            ));
        }
    }
    let untested = untested(&promises);
    for finding in &findings {
        println!("docs: {finding}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s)", findings.len());
    }
    println!("docs: links and tests of {} pages are there", pages.len());
    if !untested.is_empty() {
        println!("docs: promises without a test yet: {}", untested.join(", "));
    }
    Ok(())
}

/// Targets of the inline links to files of ours.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            let Some((target, _)) = after.split_once(')') else {
                continue;
            };
            if !target.contains("://") && !target.starts_with('#') && !target.is_empty() {
                found.push(target);
            }
        }
    }
    found
}

/// What a row says in place of a test when there is none: an admission, which is listed and not refused.
const NONE: &str = "none yet";

/// The rows of the tables of promises, each with its id and its last column.
fn rows(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells = line.trim_matches('|');
            let (id, rest) = cells.split_once('|')?;
            let (_, last) = rest.rsplit_once('|')?;
            is_id(id.trim()).then_some((id.trim(), last.trim()))
        })
}

/// The promises, each with the tests that its last column names in backticks.
fn promised(text: &str) -> Vec<(&str, Vec<&str>)> {
    rows(text)
        .filter(|(_, last)| !last.starts_with(NONE))
        .map(|(id, last)| {
            let named = last.split('`').skip(1).step_by(2);
            let tests = named.map(|test| test.rsplit("::").next().unwrap_or(test));
            (id, tests.collect())
        })
        .collect()
}

/// The promises that admit to have no test.
fn untested(text: &str) -> Vec<&str> {
    let none = rows(text).filter(|(_, last)| last.starts_with(NONE));
    none.map(|(id, _)| id).collect()
}

/// A capital letter and a number.
fn is_id(cell: &str) -> bool {
    let mut characters = cell.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_uppercase())
        && !characters.as_str().is_empty()
        && characters.all(|character| character.is_ascii_digit())
}

/// The names of all test functions of the workspace.
fn tests(root: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for folder in ["crates", "bins", "xtask"] {
        for file in workspace::files(&root.join(folder), "rs")? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            names.extend(test_functions(&text));
        }
    }
    Ok(names)
}

/// Functions behind a `#[test]` or `#[tokio::test]`, those of proptest's macro too.
fn test_functions(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && let Some((_, name)) = line.split_once("fn ") {
            names.push(
                name.split(|next: char| !(next.is_alphanumeric() || next == '_'))
                    .next()
                    .unwrap_or("")
                    .to_owned(),
            );
            marked = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_seen_and_others_are_not() {
        let text = "[a](b.md#c) and [d](https://e) [f](#g)\n```\n[h](i.md)\n```\n[j](../k/)";
        assert_eq!(links(text), ["b.md#c", "../k/"]);
    }

    #[test]
    fn promises_and_their_tests_are_seen() {
        let text = "| id | cannot | test |\n| --- | --- | --- |\n| N1 | read | `feed::a`, `b` |\n| N2 | write | |\n\
                    | N3 | more | none yet: later |\n| what | is | this |";
        assert_eq!(promised(text), [("N1", vec!["a", "b"]), ("N2", vec![])]);
        assert_eq!(untested(text), ["N3"]);
    }

    #[test]
    fn test_functions_are_seen() {
        let source = "#[test]\n#[should_panic]\nfn one() {}\nfn no_test() {}\n#[tokio::test]\nasync fn two() {}";
        assert_eq!(test_functions(source), ["one", "two"]);
    }
}
