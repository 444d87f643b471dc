//! Where benches stand: this workspace and that of the peers.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::workspace;

/// Manifests of workspaces with benches. The peers' stands apart: they switch features of shared crates on.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "benches/peers/Cargo.toml"];

/// A workspace with benches.
pub(crate) struct Place {
    /// Its manifest, relative to the root.
    pub(crate) manifest: &'static str,
    /// Its benches, in the order of their manifest.
    pub(crate) benches: Vec<String>,
    /// Where they leave their reports.
    pub(crate) reports: PathBuf,
}

/// All that are there.
pub(crate) fn all() -> Result<Vec<Place>> {
    let root = workspace::root();
    MANIFESTS
        .into_iter()
        .filter(|manifest| root.join(manifest).is_file())
        .map(|manifest| {
            let metadata = MetadataCommand::new()
                .manifest_path(root.join(manifest))
                .no_deps()
                .exec()
                .with_context(|| format!("cannot read `cargo metadata` of {manifest}"))?;
            let targets = metadata
                .packages
                .iter()
                .flat_map(|package| &package.targets);
            Ok(Place {
                manifest,
                benches: targets
                    .filter(|target| target.is_bench())
                    .map(|target| target.name.clone())
                    .collect(),
                reports: metadata.target_directory.join("bench").into(),
            })
        })
        .collect()
}
