//! A broker of Apache Kafka, for comparisons: downloaded once, a folder and ports of its
//! own for each. Needs nothing else of the tests, so that the benchmark has it too.
#![allow(dead_code, reason = "each user takes a part of it")]

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[allow(clippy::duplicate_mod, reason = "whoever needs it brings it along")]
#[path = "guard.rs"]
mod guard;
use guard::Guard;

/// Longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Any will do.
const CLUSTER_ID: &str = "pg-kafka-compares-with";

/// Soon started, and a small process, at the cost of throughput.
pub(crate) const SMALL: &[&str] = &[
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
];

/// Gone with its data when dropped, or when this process ends in whatever way.
pub(crate) struct ApacheKafka {
    pub(crate) address: String,
    child: Child,
    folder: TempDir,
    /// Outlives this process where it is killed.
    _guard: Guard,
}

impl ApacheKafka {
    /// Formats a node and waits until it serves. `flags` are the Java machine's (the heap's
    /// size among them), `properties` lines of its `server.properties`. Fails where Java or
    /// the download is missing.
    pub(crate) fn start(flags: &[&str], properties: &[&str]) -> Result<Self, String> {
        install()?;
        let mut attempts = 3;
        loop {
            attempts -= 1;
            match Self::try_start(flags, properties) {
                // Somebody else has taken the port meanwhile.
                Err(log) if attempts > 0 && log.contains("Address already in use") => {}
                started => return started,
            }
        }
    }

    fn try_start(flags: &[&str], properties: &[&str]) -> Result<Self, String> {
        let folder = TempDir::with_prefix("apache_kafka.").map_err(|error| error.to_string())?;
        let guard = guard(folder.path()).map_err(|error| error.to_string())?;
        let [port, controller_port] = free_ports();
        let mut settings = read(&sources().join("server.properties"))
            .replace("@FOLDER@", &folder.path().display().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER_PORT@", &controller_port.to_string());
        for line in properties {
            writeln!(settings, "{line}").unwrap();
        }
        let settings_file = folder.path().join("server.properties");
        std::fs::write(&settings_file, settings).map_err(|error| error.to_string())?;
        let mut format = java(flags, "kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]);
        run(format.arg(&settings_file))?;

        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = java(flags, "kafka.Kafka");
        command.arg(&settings_file).current_dir(folder.path());
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut kafka = Self {
            address: format!("127.0.0.1:{port}"),
            child,
            folder,
            _guard: guard,
        };
        kafka.wait()?;
        Ok(kafka)
    }

    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains("Kafka Server started")
            || TcpStream::connect(&self.address).is_err()
        {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || Instant::now() > until {
                return Err(format!("Apache Kafka did not start:\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ApacheKafka {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whatever still runs in the folder is ended, and the folder removed.
fn guard(folder: &Path) -> std::io::Result<Guard> {
    const COMMANDS: &str = r#"
        for process in /proc/[0-9]*; do
            if grep -qF "$1/server.properties" "$process/cmdline"; then
                kill -9 "${process#/proc/}"
            fi
        done
        rm -rf "$1""#;
    Guard::new(COMMANDS, &[&folder.display().to_string()])
}

/// What lies in `tests/kafka`.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka")
}

fn jars() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka/jars")
}

/// Downloads the jars where that has not yet been done with this pom.
fn install() -> Result<(), String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let pom = sources().join("pom.xml");
    let stamp = jars().join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == read(&pom)) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(jars());
    // The Java client's test downloads into the same repository.
    let repository = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients/maven");
    let mut download = Command::new("mvn");
    download.args(["-q", "-B", "dependency:copy-dependencies", "-f"]);
    download.arg(&pom);
    download.arg(format!("-Dmaven.repo.local={}", repository.display()));
    download.arg(format!("-DoutputDirectory={}", jars().display()));
    run(&mut download)?;
    std::fs::write(stamp, read(&pom)).map_err(|error| error.to_string())
}

/// A program of the broker's jars, in a Java machine with these flags.
pub(crate) fn java(flags: &[&str], class: &str) -> Command {
    let mut command = Command::new("java");
    let log_settings = sources().join("log4j2.yaml");
    command.args(flags);
    command.arg(format!(
        "-Dlog4j2.configurationFile={}",
        log_settings.display()
    ));
    command.arg("-cp").arg(format!("{}/*", jars().display()));
    command.arg(class);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(format!("{command:?}: {}\n{said}", output.status))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
