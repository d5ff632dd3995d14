//! Files fetched from a server of SFTP: the one of OpenSSH, started by the tests on a port of its own.
//!
//! Where OpenSSH is not installed they are skipped aloud; with `KILN_REQUIRE_SSHD=1` they fail.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::{get, send};
use crate::databases::Database;
use crate::folders::{deliver, last, names, until};
use crate::kiln::Kiln;
use crate::mllp::{adt, messages};

on_both_databases!(
    files_of_a_server_are_taken_and_archived_there,
    rows_that_are_refused_are_gathered_there,
    who_shows_another_key_is_told_nothing,
    a_server_that_goes_away_is_found_again,
);

/// Where distributions put it.
const PLACES: &[&str] = &[
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/usr/lib/ssh/sshd",
];

/// A server, as long as this value lives.
pub(crate) struct Sshd {
    process: Child,
    port: u16,
    /// With everything of the server and of its client.
    keys: PathBuf,
    user: String,
}

fn program() -> Option<&'static str> {
    let found = PLACES.iter().find(|place| Path::new(place).exists());
    if found.is_none() {
        assert!(
            std::env::var_os("KILN_REQUIRE_SSHD").is_none(),
            "KILN_REQUIRE_SSHD is set and there is no sshd"
        );
        let _said = writeln!(
            std::io::stderr(),
            "skipped: there is no sshd (apt-get install openssh-server)"
        );
    }
    found.copied()
}

fn key(path: &Path, phrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", phrase, "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    /// None: there is no OpenSSH here.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        let program = program()?;
        let keys = directory.join("keys");
        fs::create_dir_all(&keys).unwrap();
        key(&keys.join("host"), "");
        key(&keys.join("client"), "a long phrase");
        fs::write(keys.join("phrase"), "a long phrase\n").unwrap();
        fs::copy(keys.join("client.pub"), keys.join("authorized")).unwrap();
        fs::set_permissions(keys.join("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let shown = keys.display();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nPidFile none\nAuthorizedKeysFile {shown}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             Subsystem sftp internal-sftp\nPerSourcePenalties no\n"
        );
        // Older ones do not know it and need not be told.
        let settings =
            match said(program, &["-T", "-f", "/dev/null"]).contains("persourcepenalties") {
                true => settings,
                false => settings.replace("PerSourcePenalties no\n", ""),
            };
        fs::write(keys.join("config"), settings).unwrap();
        // Only root must have it, where the server looks for its rights.
        if said("id", &["-u"]) == "0" {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut server = Self {
            process: Self::run(program, &keys),
            port,
            keys,
            user: said("id", &["-un"]),
        };
        server.wait();
        Some(server)
    }

    fn run(program: &str, keys: &Path) -> Child {
        let log = fs::File::create(keys.join("log")).unwrap();
        Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(keys.join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn wait(&mut self) {
        until("sshd listens", || {
            if let Some(ended) = self.process.try_wait().unwrap() {
                let log = fs::read_to_string(self.keys.join("log")).unwrap();
                panic!("sshd {ended}: {log}");
            }
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Its key, as `ssh-keygen -l` prints it.
    pub(crate) fn print(&self) -> String {
        let host = self.keys.join("host.pub");
        let line = said("ssh-keygen", &["-l", "-f", host.to_str().unwrap()]);
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    fn route(&self, path: &Path, host_key: &str, more: &str) -> String {
        let sftp = self.sftp(host_key);
        format!(
            "[limits]\nfiles_lease_ms = 1000\nsftp_wait_ms = 20000\n[[routes]]\nname = 'lab'\ntransport = 'sftp'\n\
             schedule = 'every 1s'\n{more}\nfolder = {{ path = '{}', settle_ms = 300 }}\n{sftp}\n",
            path.display()
        )
    }

    /// How it is entered.
    pub(crate) fn sftp(&self, host_key: &str) -> String {
        let (keys, port, user) = (self.keys.display(), self.port, &self.user);
        format!(
            "sftp = {{ host = '127.0.0.1', port = {port}, user = '{user}', host_key = '{host_key}', \
             key_file = '{keys}/client', passphrase_file = '{keys}/phrase' }}"
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// A folder that the server shows.
fn shared(database: &Database) -> PathBuf {
    let path = database.directory.join("there");
    fs::create_dir_all(&path).unwrap();
    path
}

fn files_of_a_server_are_taken_and_archived_there(database: &Database) {
    let Some(server) = Sshd::start(&database.directory) else {
        return;
    };
    let path = shared(database);
    let garbage = "no message at all";
    deliver(&path, "b.hl7", &adt("1", "P1"));
    deliver(&path, "bad.hl7", garbage);
    // More than is asked for at a time.
    let many: String = (0..400)
        .map(|number| adt(&format!("m{number}"), &format!("Q{number}")))
        .collect();
    deliver(&path, "many.hl7", &many);
    fs::write(path.join("c.hl7.filepart"), "MSH").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("link.hl7")).unwrap();
    let host_key = fs::read_to_string(server.keys.join("host.pub")).unwrap();
    let settings = server.route(&path, host_key.trim(), "");
    let kiln = Kiln::configured(database, &settings);
    until("they are archived", || {
        names(&path.join("archive")) == ["b.hl7", "many.hl7"]
    });
    until("the bad one is told", || {
        names(&path.join("errors")) == ["bad.hl7", "bad.hl7.txt"]
    });
    assert_eq!(
        fs::read_to_string(path.join("archive/many.hl7")).unwrap(),
        many
    );
    assert_eq!(
        names(&path),
        ["archive", "c.hl7.filepart", "errors", "link.hl7"]
    );
    assert_eq!(
        messages(&kiln, "route=lab&status=applied&limit=1000").len(),
        401
    );
    let shown = get(kiln.address, "/api/routes/lab").text();
    assert!(
        !shown.contains("a long phrase") && shown.contains("passphrase_file"),
        "{shown}"
    );

    // The same names once more: nothing is written over.
    deliver(&path, "b.hl7", &adt("2", "P2"));
    deliver(&path, "bad.hl7", garbage);
    until("they are put beside", || {
        names(&path.join("archive")).len() == 3 && names(&path.join("errors")).len() == 4
    });
    assert_eq!(
        fs::read_to_string(path.join("archive/b.hl7")).unwrap(),
        adt("1", "P1")
    );
    let log = kiln.stop_and_read_log();
    assert!(
        !log.contains("a long phrase") && !log.contains("OPENSSH PRIVATE"),
        "{log}"
    );
}

fn rows_that_are_refused_are_gathered_there(database: &Database) {
    let Some(server) = Sshd::start(&database.directory) else {
        return;
    };
    let path = shared(database);
    // It is killed meanwhile.
    let table = "format = 'csv'\nconstants = { mrn_system = 'urn:mrn' }";
    let mut rows = "mrn,last_name,first_name,birth_date,sex\n".to_owned();
    for row in 0..2_000 {
        let born = if row % 500 == 499 {
            "never"
        } else {
            "1974-03-15"
        };
        rows.push_str(&format!("{row},Doe,Jane,{born},F\n"));
    }
    deliver(&path, "t.csv", &rows);
    let settings = server.route(&path, &server.print(), table);
    let settings = settings.replace("folder = { ", "folder = { names = '*.csv', ");
    let kiln = Kiln::configured(database, &settings);
    let total = |kiln: &Kiln| {
        let found = get(
            kiln.address,
            "/fhir/Patient?identifier=urn:mrn|&_summary=count",
        )
        .json();
        found
            .get("total")
            .and_then(fhir_spec::json::Value::as_u64)
            .unwrap()
    };
    until("rows come in", || total(&kiln) > 0);
    kiln.kill();
    let kiln = Kiln::configured(database, &settings);
    until("it is archived", || path.join("archive/t.csv").exists());
    assert_eq!(total(&kiln), 1_996);
    let refused = fs::read_to_string(path.join("errors/t.refused.csv")).unwrap();
    for row in [499, 999, 1_499, 1_999] {
        assert!(
            refused.contains(&format!("\n{row},Doe,Jane,never")),
            "{refused}"
        );
    }
}

fn who_shows_another_key_is_told_nothing(database: &Database) {
    let Some(server) = Sshd::start(&database.directory) else {
        return;
    };
    let path = shared(database);
    deliver(&path, "a.hl7", &adt("1", "P1"));
    key(&server.keys.join("other"), "");
    let other = fs::read_to_string(server.keys.join("other.pub")).unwrap();
    let kiln = Kiln::configured(database, &server.route(&path, other.trim(), ""));
    let print = server.print();
    until("the key is told", || {
        last(&kiln, "error").is_some_and(|error| error.contains(&print))
    });
    let log = fs::read_to_string(server.keys.join("log")).unwrap();
    assert!(
        !log.contains("publickey for"),
        "nobody tried to log in: {log}"
    );
    kiln.stop("TERM");
    // The right server, a key that it does not know.
    fs::copy(
        server.keys.join("other.pub"),
        server.keys.join("authorized"),
    )
    .unwrap();
    let kiln = Kiln::configured(database, &server.route(&path, &print, ""));
    until("that is told", || {
        last(&kiln, "error").is_some_and(|error| error.contains("does not let"))
    });
    assert!(path.join("a.hl7").exists());
    // The phrase is wrong, then the file of the key is not there.
    fs::write(server.keys.join("phrase"), "another one").unwrap();
    until("the secret is told", || {
        last(&kiln, "error").is_some_and(|error| error.contains("the secret in"))
    });
    assert!(!last(&kiln, "error").unwrap().contains("another one"));
}

fn a_server_that_goes_away_is_found_again(database: &Database) {
    let Some(mut server) = Sshd::start(&database.directory) else {
        return;
    };
    let path = shared(database);
    let kiln = Kiln::configured(database, &server.route(&path, &server.print(), ""));
    until("it was looked", || path.join("archive").is_dir());
    server.stop();
    until("that is told", || last(&kiln, "error").is_some());
    deliver(&path, "a.hl7", &adt("1", "P1"));
    std::thread::sleep(Duration::from_millis(1_500));
    server.process = Sshd::run(program().unwrap(), &server.keys);
    server.wait();
    until("it is archived", || {
        names(&path.join("archive")) == ["a.hl7"]
    });
    let asked = send(kiln.address, "POST", "/api/routes/lab/poll", &[], b"").unwrap();
    assert_eq!(asked.status, 200);
    until("there is no trouble any more", || {
        last(&kiln, "error").is_none()
    });
    assert_eq!(messages(&kiln, "route=lab").len(), 1);
}
