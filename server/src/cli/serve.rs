//! `kiln serve`: the server, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::Error;
use crate::config::{Auth, Config, DatabaseUrl, Network, Origin, PublicUrl, Settings};
use crate::telemetry::{self, LogFormat};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  kiln serve --data ./kiln-data --listen 127.0.0.1:8080")]
pub(super) struct Flags {
    /// Where the server keeps its files [default: ./kiln-data]
    #[arg(long, value_name = "DIR", env = "KILN_DATA")]
    data: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER@HOST/NAME [default: SQLite inside the data directory]
    #[arg(
        long,
        value_name = "URL",
        env = "KILN_DATABASE",
        hide_env_values = true
    )]
    database: Option<DatabaseUrl>,
    /// The address for HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "KILN_LISTEN")]
    listen: Option<SocketAddr>,
    /// Who may do what [default: open]
    #[arg(long, value_enum, env = "KILN_AUTH")]
    auth: Option<Auth>,
    /// A FHIR package (.tgz) to validate by; may be given more than once
    #[arg(
        long = "package",
        value_name = "FILE",
        env = "KILN_PACKAGES",
        value_delimiter = ','
    )]
    packages: Option<Vec<PathBuf>>,
    /// Where clients find this server, when that is not the address they use [example: https://fhir.example.org]
    #[arg(long, value_name = "URL", env = "KILN_PUBLIC_URL")]
    public_url: Option<PublicUrl>,
    /// Proxies that are believed about the address a client used: IP addresses or networks, separated by commas
    #[arg(
        long,
        value_name = "NETWORKS",
        env = "KILN_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    trusted_proxies: Option<Vec<Network>>,
    /// Web pages of these origins may ask (CORS), separated by commas; `*` for all [default: none]
    #[arg(
        long,
        value_name = "ORIGINS",
        env = "KILN_CORS_ORIGINS",
        value_delimiter = ','
    )]
    cors_origins: Option<Vec<Origin>>,
    /// Whether texts are indexed, for _text, _content and :text [default: true]
    #[arg(long, value_name = "BOOL", env = "KILN_TEXT_INDEX")]
    text_index: Option<bool>,
    /// How much is logged, such as `debug` or `warn,server=info` [default: warn,server=info]
    #[arg(long, value_name = "FILTER", env = "RUST_LOG")]
    log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, value_enum, env = "KILN_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Settings in TOML; flags and environment win over them
    #[arg(long, value_name = "FILE", env = "KILN_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(flags: Flags) -> Result<(), Error> {
    let config = config(flags)?;
    telemetry::start(&config.log)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Http)?
        .block_on(serve(&config))
}

fn config(flags: Flags) -> Result<Config, Error> {
    let file = match &flags.config {
        Some(path) => Settings::from_file(path)?,
        None => Settings::default(),
    };
    let settings = Settings {
        data: flags.data,
        database: flags.database,
        listen: flags.listen,
        auth: flags.auth,
        packages: flags.packages,
        public_url: flags.public_url,
        trusted_proxies: flags.trusted_proxies,
        cors_origins: flags.cors_origins,
        text_index: flags.text_index,
        log: flags.log,
        log_format: flags.log_format,
        limits: None,
    };
    Ok(settings.or(file).resolve()?)
}

async fn serve(config: &Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing the requests under way");
    };
    crate::run(config, announce, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The one line on stdout: scripts wait for it.
fn announce(address: SocketAddr) -> Result<(), Error> {
    tracing::warn!(
        "auth is open: everyone who can reach this address may read and write everything"
    );
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "kiln is ready: http://{address} (FHIR R4 base http://{address}/fhir)"
    )
    .and_then(|()| out.flush())
    .map_err(Error::Print)
}
