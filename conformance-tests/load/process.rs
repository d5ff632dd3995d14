//! The program under test, and the bare server it is compared with, each a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::usage;
use crate::wire::Connection;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it takes messages of HL7 v2, if it does.
    pub(crate) mllp: Option<SocketAddr>,
    /// From the start to the line that says where it listens.
    pub(crate) ready_after: Duration,
}

/// How Kiln is started.
#[derive(Debug, Clone)]
pub(crate) struct Kiln {
    pub(crate) data: PathBuf,
    pub(crate) database: Option<String>,
}

impl Kiln {
    pub(crate) fn start(&self) -> Fallible<Process> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KILN_") {
                command.env_remove(name);
            }
        }
        command.arg("--data").arg(&self.data);
        command.args(["--listen", "127.0.0.1:0", "--mllp", "127.0.0.1:0"]);
        if let Some(database) = &self.database {
            command.args(["--database", database]);
        }
        std::fs::create_dir_all(&self.data)?;
        let log = File::options().create(true).append(true).open(self.log())?;
        command.stderr(log);
        Process::start(&mut command, None).map_err(|error| self.told(&*error))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.data.join("stderr.log")
    }

    fn told(&self, error: &dyn std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        format!("kiln does not start: {error}: {log}").into()
    }
}

/// Bare actix-web that answers these bytes to every request.
pub(crate) fn bare_server(body: &[u8]) -> Fallible<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--answer-stdin");
    Process::start(&mut command, Some(body))
}

impl Process {
    fn start(command: &mut Command, input: Option<&[u8]>) -> Fallible<Self> {
        let started = Instant::now();
        command.stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input)?;
        }
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready_after = started.elapsed();
        let at = |scheme: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(scheme)?.parse().ok())
        };
        match at("http://") {
            Some(address) => Ok(Self {
                child,
                address,
                mllp: at("mllp://"),
                ready_after,
            }),
            None => {
                child.kill()?;
                child.wait()?;
                Err(format!("no address in {line:?}").into())
            }
        }
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        usage::family(self.child.id())
    }

    pub(crate) fn connect(&self) -> Fallible<Connection> {
        Connection::open(self.address)
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Fallible<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", "TERM", &pid]).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// A folder for a run, gone when the run is over.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn within(place: &Path) -> Fallible<Self> {
        let path = place.join(format!("kiln-load-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}
