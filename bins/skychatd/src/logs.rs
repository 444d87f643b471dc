//! Logs: to stderr, for people or as JSON, filtered by target and level.

use skychat_api::Code;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::failure::Failure;

/// What is logged when nothing is said.
const DEFAULT: &str = "info";

/// Starts logging. `filter` is the setting; without it `RUST_LOG` says.
pub(crate) fn start(filter: Option<&str>, json: bool) -> Result<(), Failure> {
    let variable = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let text = filter.or(variable.as_deref()).unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(text)
        .map_err(|error| Failure::config(format!("--log-level {text:?}: {error}")))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()) && !no_color());
    let started = if json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
    started.map_err(|error| Failure::new(Code::Internal, format!("starting the log: {error}")))
}

/// Whether colours are unwanted (<https://no-color.org>).
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
