//! A fresh database for each test: a SQLite file, or a database in a PostgreSQL that was found or started for the tests.
//!
//! PostgreSQL is looked for in `KILN_TEST_POSTGRES` (the URL of a server where databases may be created), then as
//! programs, of which a cluster is made in a temporary directory. Where there is none its tests are skipped aloud;
//! with `KILN_REQUIRE_POSTGRES=1` they fail.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection};

/// Declares each test twice: on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&crate::databases::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $name() {
                if let Some(database) = crate::databases::postgres() { super::$name(&database); }
            })+
        }
    };
}

/// A database that exists as long as this value.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// For the server's `--data`; holds the SQLite file too.
    pub(crate) directory: PathBuf,
    /// The PostgreSQL server's own URL and the name of the database in it.
    within: Option<(String, String)>,
}

impl Database {
    /// Runs SQL behind the server's back.
    pub(crate) fn execute(&self, sql: &str) {
        match self.within {
            None => {
                SqliteConnection::establish(&self.directory.join("kiln.sqlite").to_string_lossy())
                    .unwrap()
                    .batch_execute(sql)
                    .unwrap();
            }
            Some(_) => PgConnection::establish(&self.url)
                .unwrap()
                .batch_execute(sql)
                .unwrap(),
        }
    }

    /// A SQLite file in a directory that the test has chosen.
    pub(crate) fn sqlite_in(directory: PathBuf) -> Self {
        Self {
            url: format!("sqlite:{}", directory.join("kiln.sqlite").display()),
            directory,
            within: None,
        }
    }

    /// The number that a SELECT finds behind the server's back.
    pub(crate) fn number(&self, select: &str) -> i64 {
        let number = diesel::select(diesel::dsl::sql::<BigInt>(&format!("({select})")));
        match self.within {
            None => {
                let path = self.directory.join("kiln.sqlite");
                let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
                connection
                    .batch_execute("PRAGMA busy_timeout = 5000")
                    .unwrap();
                number.get_result(&mut connection).unwrap()
            }
            Some(_) => number
                .get_result(&mut PgConnection::establish(&self.url).unwrap())
                .unwrap(),
        }
    }

    /// Waits until a SELECT finds that number.
    pub(crate) fn wait_for(&self, select: &str, number: i64) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.number(select) != number {
            assert!(Instant::now() < until, "{select} did not become {number}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.within.is_some()
    }

    pub(crate) fn migrations(&self) -> PathBuf {
        let name = if self.is_postgres() {
            "postgres"
        } else {
            "sqlite"
        };
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../migrations")
            .join(name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.within
            && let Ok(mut connection) = PgConnection::establish(server)
        {
            let _dropped = connection.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
        let _removed = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn sqlite() -> Database {
    let directory = temporary_directory();
    Database {
        url: format!("sqlite:{}", directory.join("kiln.sqlite").display()),
        directory,
        within: None,
    }
}

pub(crate) fn postgres() -> Option<Database> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let Some(Server { url: server, .. }) = SERVER.get_or_init(find_server) else {
        let message = "SKIPPED: PostgreSQL was not found, so nothing is tested on it";
        assert!(
            std::env::var("KILN_REQUIRE_POSTGRES").as_deref() != Ok("1"),
            "{message}"
        );
        // Past the test harness, which would keep it to itself.
        let _written = std::io::stderr().write_all(format!("{message}\n").as_bytes());
        return None;
    };
    let name = format!("kiln_test_{}_{}", std::process::id(), number());
    PgConnection::establish(server)
        .unwrap()
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .unwrap();
    Some(Database {
        url: with_database(server, &name),
        directory: temporary_directory(),
        within: Some((server.clone(), name)),
    })
}

pub(crate) fn temporary_directory() -> PathBuf {
    let name = format!("kiln-test-{}-{}", std::process::id(), number());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The URL with another database name in it.
fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (address, query) = rest.split_once('?').map_or((rest, ""), |(a, q)| (a, q));
    let host = address.split('/').next().unwrap_or_default();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{name}{mark}{query}")
}

/// A PostgreSQL that may be used.
#[derive(Debug)]
struct Server {
    url: String,
    /// Of a cluster of our own: the process that ends it when this one has ended.
    keeper: Option<Child>,
}

fn find_server() -> Option<Server> {
    if let Ok(url) = std::env::var("KILN_TEST_POSTGRES") {
        return Some(Server { url, keeper: None });
    }
    find_programs().map(|programs| start_cluster(&programs))
}

/// The directory with `initdb` and `postgres`.
fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// Makes a cluster that listens on a Unix socket and ends with this process.
fn start_cluster(programs: &Path) -> Server {
    let directory = temporary_directory();
    let data = directory.join("data");
    let socket = directory.join("socket");
    fs::create_dir(&socket).unwrap();
    let user = unprivileged_user(&directory);
    if let Some(user) = user {
        for path in [&directory, &socket] {
            chown(path, Some(user), None).unwrap();
        }
    }
    let as_user = |program: &Path| match user {
        None => program.display().to_string(),
        Some(user) => format!(
            "setpriv --reuid {user} --clear-groups {}",
            program.display()
        ),
    };
    let initdb = as_user(&programs.join("initdb"));
    let postgres = as_user(&programs.join("postgres"));
    let (data, socket) = (data.display(), socket.display());
    // The shell reads from a pipe that this process holds. When the process ends, in whatever way, the read ends too.
    let script = format!(
        "cd / && {initdb} -D {data} -U kiln -A trust -E UTF8 --no-locale --no-sync >/dev/null || exit 1
         start() {{
           {postgres} -D {data} -k {socket} -c listen_addresses= -c fsync=off -c max_connections=300 >>{directory}/log 2>&1 &
           pid=$!
         }}
         start
         while read command; do
           case $command in stop) kill -QUIT $pid; wait $pid;; start) start;; esac
         done
         kill -QUIT $pid; wait; rm -rf {directory}",
        directory = directory.display()
    );
    let keeper = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let host = directory
        .join("socket")
        .display()
        .to_string()
        .replace('/', "%2F");
    let url = format!("postgres://kiln@/postgres?host={host}");
    let patience = Instant::now() + Duration::from_secs(60);
    while PgConnection::establish(&url).is_err() {
        assert!(
            Instant::now() < patience,
            "the PostgreSQL in {} does not start",
            directory.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Server {
        url,
        keeper: Some(keeper),
    }
}

/// A cluster that is one test's own, and may be taken down.
#[derive(Debug)]
pub(crate) struct Cluster(Server);

/// None, and aloud, where no PostgreSQL is installed.
pub(crate) fn own_cluster() -> Option<(Cluster, Database)> {
    let Some(programs) = find_programs() else {
        let message = "SKIPPED: PostgreSQL is not installed, so none can be taken down\n";
        let _written = std::io::stderr().write_all(message.as_bytes());
        return None;
    };
    let server = start_cluster(&programs);
    let database = Database {
        url: server.url.clone(),
        directory: temporary_directory(),
        within: None,
    };
    Some((Cluster(server), database))
}

impl Cluster {
    /// As if the power of its machine had failed.
    pub(crate) fn stop(&mut self) {
        self.tell("stop");
        while PgConnection::establish(&self.0.url).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn start(&mut self) {
        self.tell("start");
    }

    fn tell(&mut self, command: &str) {
        let keeper = self.0.keeper.as_mut().unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{command}").unwrap();
    }
}

/// PostgreSQL refuses to run as root; then another user does.
fn unprivileged_user(ours: &Path) -> Option<u32> {
    const NOBODY: u32 = 65_534;
    if fs::metadata(ours).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&"postgres"))
        .and_then(|fields| fields.get(2)?.parse().ok());
    Some(postgres.unwrap_or(NOBODY))
}

#[test]
fn the_name_in_a_url_is_replaced() {
    for (url, expected) in [
        ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
        (
            "postgres://u@/old?host=%2Ftmp",
            "postgres://u@/new?host=%2Ftmp",
        ),
        ("postgres://h", "postgres://h/new"),
    ] {
        assert_eq!(with_database(url, "new"), expected);
    }
}
