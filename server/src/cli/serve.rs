//! `kiln serve`: the server, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};

use super::packages::Packages;
use super::place::Place;
use crate::Error;
use crate::config::{Auth, Config, Exit, Mllp, Network, Origin, PublicUrl, Settings};
use crate::telemetry::{self, LogFormat};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  kiln serve --data ./kiln-data --listen 127.0.0.1:8080")]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    /// The address for HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "KILN_LISTEN")]
    listen: Option<SocketAddr>,
    /// The address for HL7 v2 by MLLP, or `off` [default: 127.0.0.1:2575]
    #[arg(long, value_name = "ADDR", env = "KILN_MLLP")]
    mllp: Option<Mllp>,
    /// Who may do what [default: open]
    #[arg(long, value_enum, env = "KILN_AUTH")]
    auth: Option<Auth>,
    #[command(flatten)]
    packages: Packages,
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
    /// Networks and host:port that may be called although they are not public, separated by commas [default: none; with
    /// `--auth open` this machine]
    #[arg(
        long,
        value_name = "PLACES",
        env = "KILN_OUTBOUND_ALLOW",
        value_delimiter = ','
    )]
    outbound_allow: Option<Vec<Exit>>,
    /// Whether texts are indexed, for _text, _content and :text [default: true]
    #[arg(long, value_name = "BOOL", env = "KILN_TEXT_INDEX")]
    text_index: Option<bool>,
    /// Whether a Provenance is kept for every message that changes something [default: true]
    #[arg(long, value_name = "BOOL", env = "KILN_PROVENANCE")]
    provenance: Option<bool>,
    /// How much is logged, such as `debug` or `warn,server=info` [default: warn,server=info]
    #[arg(long, value_name = "FILTER", env = "RUST_LOG")]
    log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, value_enum, env = "KILN_LOG_FORMAT")]
    log_format: Option<LogFormat>,
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
    let settings = Settings {
        listen: flags.listen,
        mllp: flags.mllp,
        auth: flags.auth,
        packages: flags.packages.named(),
        public_url: flags.public_url,
        trusted_proxies: flags.trusted_proxies,
        cors_origins: flags.cors_origins,
        outbound_allow: flags.outbound_allow,
        text_index: flags.text_index,
        provenance: flags.provenance,
        log: flags.log,
        log_format: flags.log_format,
        ..Settings::default()
    };
    Ok(flags.place.with(settings)?)
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
    let is_open = config.auth == Auth::Open;
    let scheme = config.outside.scheme();
    let announce = |address, mllp: &[SocketAddr]| announce(is_open, scheme, address, mllp);
    crate::run(config, announce, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The one line on stdout: scripts wait for it.
fn announce(
    is_open: bool,
    scheme: &str,
    address: SocketAddr,
    mllp: &[SocketAddr],
) -> Result<(), Error> {
    if is_open {
        tracing::warn!(
            "auth is open: everyone who can reach this address may read and write everything"
        );
    }
    let mut out = std::io::stdout().lock();
    let mllp: String = mllp
        .iter()
        .map(|address| format!(" mllp://{address}"))
        .collect();
    writeln!(
        out,
        "kiln is ready: {scheme}://{address} (FHIR R4 base {scheme}://{address}/fhir){mllp}"
    )
    .and_then(|()| out.flush())
    .map_err(Error::Print)
}
