//! What a power cut leaves of the write under way.

use std::collections::BTreeMap;

/// Files change in the order of their names, each after the sync of the one before: of one of them a prefix of what
/// changed is there, those before it are whole, those after it are as they were. `HEAD`, written last, is old.
pub(super) fn tear(
    before: BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    seed: u64,
) -> BTreeMap<String, Vec<u8>> {
    let changed: Vec<&String> = after
        .iter()
        .filter(|(path, new)| path.ends_with(".seg") && before.get(*path) != Some(*new))
        .map(|(path, _)| path)
        .collect();
    let mut files = before;
    let Some(torn) = usize::try_from(seed >> 32)
        .ok()
        .and_then(|n| n.checked_rem(changed.len()))
    else {
        return files;
    };
    for path in changed.iter().take(torn) {
        if let Some(new) = after.get(*path) {
            files.insert((*path).clone(), new.clone());
        }
    }
    let Some((path, new)) = changed
        .get(torn)
        .and_then(|path| Some((*path, after.get(*path)?)))
    else {
        return files;
    };
    let old = files.entry(path.clone()).or_default();
    let common = old.len().min(new.len());
    let first = old
        .iter()
        .zip(new)
        .position(|(a, b)| a != b)
        .unwrap_or(common);
    let length = new.len().saturating_sub(first).max(1);
    let keep = usize::try_from(seed & 0xffff_ffff).unwrap_or(0) % length;
    let end = first.saturating_add(keep).min(new.len());
    old.resize(old.len().max(end), 0);
    if let (Some(old), Some(new)) = (old.get_mut(first..end), new.get(first..end)) {
        old.copy_from_slice(new);
    }
    files
}
