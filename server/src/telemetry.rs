//! Where events go: to stderr, as text. `RUST_LOG` chooses how much; `info` is the default.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// To be called once, by the program and not by the library.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
