//! The negative control: the history of the run itself with one message taken away has to be rejected.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::check::{self, Kind};

/// Takes one promised message out of its recipient's history and judges again: the sentence of the rejection.
pub(crate) fn rejected(path: &Path) -> Result<String> {
    let (line, id) = victim(path)?;
    let kept = lines(path)?
        .enumerate()
        .filter_map(|(number, text)| (number != line).then_some(text));
    let verdict = check::judge(kept)?;
    let sentence = verdict
        .sentences
        .iter()
        .find(|(kind, said)| *kind == Kind::Lost && said.contains(&id));
    match sentence {
        Some((_, said)) => Ok(said.clone()),
        None => bail!("the checker did not notice that {id} was taken out of the history"),
    }
}

/// The last row of a message that was answered `ok`, and its id.
fn victim(path: &Path) -> Result<(usize, String)> {
    let mut recipients = BTreeMap::new();
    let mut promised = BTreeSet::new();
    let mut found = None;
    for (number, text) in lines(path)?.enumerate() {
        let line: Value = serde_json::from_str(&text?)?;
        let field = |name: &str| line.get(name).and_then(Value::as_str);
        let Some(id) = field("id") else { continue };
        match (field("op"), field("dir")) {
            (Some("invoke"), _) => {
                recipients.insert(id.to_owned(), field("to").unwrap_or_default().to_owned());
            }
            (Some("ok"), _) => {
                promised.insert(id.to_owned());
            }
            (Some("row"), Some("in"))
                if promised.contains(id)
                    && recipients.get(id).map(String::as_str) == field("where") =>
            {
                found = Some((number, id.to_owned()));
            }
            _ => {}
        }
    }
    found.context("no promised message is in a history")
}

fn lines(path: &Path) -> Result<std::io::Lines<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::new(file).lines())
}
