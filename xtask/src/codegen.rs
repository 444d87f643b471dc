//! `cargo xtask codegen`: the Rust code of the `.proto` files, which is committed.

#[path = "../../crates/skychat-proto/codegen.rs"]
mod generator;

use anyhow::{Result, anyhow};

use crate::workspace;

/// Writes `crates/skychat-proto/src/gen` anew. A test of `skychat-proto` fails when it is not current.
pub(crate) fn run() -> Result<()> {
    let proto = workspace::root().join("crates/skychat-proto");
    let target = proto.join("src/gen");
    generator::generate(&proto.join("proto"), &target)
        .map_err(|error| anyhow!("cannot compile the .proto files: {error}"))?;
    println!("written: {}", target.display());
    Ok(())
}
