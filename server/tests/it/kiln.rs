//! The real program, started on a free port.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;

use crate::databases::Database;

const SETTINGS: &[&str] = &[
    "KILN_DATA",
    "KILN_DATABASE",
    "KILN_MASTER_KEY",
    "KILN_LISTEN",
    "KILN_MLLP",
    "KILN_AUTH",
    "KILN_CONFIG",
    "KILN_PACKAGES",
    "KILN_MAPS",
    "KILN_PUBLIC_URL",
    "KILN_TRUSTED_PROXIES",
    "KILN_CORS_ORIGINS",
    "KILN_TEXT_INDEX",
    "KILN_LOG_FORMAT",
    "RUST_LOG",
];

#[derive(Debug)]
pub(crate) struct Kiln {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// What it writes to stderr, read all the time: a full pipe would stop it.
    log: Option<JoinHandle<String>>,
    pub(crate) address: SocketAddr,
    /// Where MLLP is spoken: the routes in the order of their names.
    pub(crate) mllp: Vec<SocketAddr>,
}

/// The program with nothing set, ready for arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    for name in SETTINGS {
        command.env_remove(name);
    }
    // The usual port is for one of all the programs that the tests start.
    command.env("KILN_MLLP", "127.0.0.1:0");
    command
}

/// Runs a command that ends by itself.
pub(crate) fn output(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

impl Kiln {
    pub(crate) fn start(database: &Database) -> Self {
        Self::configured(database, "")
    }

    /// With the settings of a config file.
    pub(crate) fn configured(database: &Database, settings: &str) -> Self {
        let file = database.directory.join("kiln.toml");
        std::fs::write(&file, settings).unwrap();
        let mut command = command();
        command.arg("--data").arg(&database.directory).args([
            "--database",
            &database.url,
            "--listen",
            "127.0.0.1:0",
        ]);
        Self::from_command(command.arg("--config").arg(&file))
    }

    pub(crate) fn from_command(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut stderr = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut addresses = addresses_in(&line, "http://");
        addresses.extend(addresses_in(&line, "https://"));
        let Some(address) = addresses.first().copied() else {
            let complaint = log.join().unwrap();
            panic!("no address in {line:?}; stderr: {complaint}");
        };
        Self {
            process,
            stdout,
            log: Some(log),
            address,
            mllp: addresses_in(&line, "mllp://"),
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// The most memory that it has had so far.
    pub(crate) fn memory_peak_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let (kib, _) = peak.unwrap().trim().split_once(' ').unwrap();
        kib.parse().unwrap()
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop; answers how it ended and what it printed since it started.
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let status = self.process.wait().unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (status, rest)
    }

    /// Everything it wrote to stderr, after it has stopped.
    pub(crate) fn stop_and_read_log(mut self) -> String {
        self.signal("TERM");
        self.process.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

fn addresses_in(line: &str, scheme: &str) -> Vec<SocketAddr> {
    let words = line.split_whitespace();
    let addresses = words.filter_map(|word| word.strip_prefix(scheme)?.parse().ok());
    addresses.collect()
}
