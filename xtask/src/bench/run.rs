//! Running benches, one after the other.

use anyhow::Result;

use super::place::Place;
use crate::step::{self, Steps, cargo};

/// Runs those that are asked for. The first that fails ends it.
pub(crate) fn all(places: &[Place], asked: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    for place in places {
        for bench in place.benches.iter().filter(|bench| asked.contains(bench)) {
            steps.step(bench, || {
                step::run(&mut cargo(&[
                    "bench",
                    "--locked",
                    "--manifest-path",
                    place.manifest,
                    "--bench",
                    bench,
                ]))
            })?;
        }
    }
    steps.finish("benches");
    Ok(())
}
