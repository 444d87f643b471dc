// The generator of `src/gen`. This file is included, with `#[path]`, by the test that keeps the
// generated code current and by `cargo xtask codegen`, which writes it: one recipe, two users.

use std::error::Error;
use std::path::Path;

/// The `.proto` files, relative to the folder `proto`.
const SOURCES: [&str; 3] = ["content.proto", "link.proto", "sync.proto"];

/// Compiles the `.proto` files of the folder `sources` into Rust, one file per package, in the
/// folder `target`. Pure Rust: no `protoc` is needed.
pub(crate) fn generate(sources: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(SOURCES, [sources])?;
    prost_build::Config::new()
        .out_dir(target)
        .bytes(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
