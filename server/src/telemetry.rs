//! Where events go: to stderr, as text. `RUST_LOG` chooses how much; without it, Kiln's own `info` and the libraries' warnings.

use tracing_subscriber::EnvFilter;

/// Ours, and of the libraries only what is wrong. actix calls every malformed request of a stranger an error, and the
/// answer tells the stranger.
const DEFAULT: &str = "warn,actix_http=off,server=info";

/// To be called once, by the program and not by the library.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
