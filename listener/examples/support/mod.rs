//! Throwaway clusters and listeners for the stress and the benchmark.
#![allow(dead_code, reason = "each user takes a part of it")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[allow(clippy::duplicate_mod, reason = "whoever needs it brings it along")]
#[path = "../../tests/common/guard.rs"]
mod guard;
use guard::Guard;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// `PostgreSQL` refuses to run as root: then its programs run as this user.
fn server_user() -> Option<String> {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    root.then(|| std::env::var("PG_KAFKA_USER").unwrap_or_else(|_| "postgres".into()))
}

fn as_server(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = match server_user() {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", &user, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {error}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn pg_bin(program: &str) -> Result<PathBuf> {
    let config = std::env::var("PG_CONFIG")
        .unwrap_or_else(|_| "/usr/lib/postgresql/15/bin/pg_config".into());
    Ok(Path::new(&run(Command::new(config).arg("--bindir"))?).join(program))
}

/// Ends the server in the folder $1 as a crash would, and removes the folder.
const END_CLUSTER: &str = r#"
    server=$(head -n 1 "$1/data/postmaster.pid")
    if [ "$server" ] && grep -qF "$1/data" "/proc/$server/cmdline"; then
        kill -QUIT "$server"
        tries=100
        while [ -d "/proc/$server" ] && [ $tries -gt 0 ]; do
            sleep 0.1
            tries=$((tries - 1))
        done
    fi
    rm -rf "$1""#;

/// Ends the listener $1 if it still listens on $2.
const END_LISTENER: &str = r#"if grep -qF "$2" "/proc/$1/cmdline"; then kill "$1"; fi; rm -f "$3""#;

/// A cluster in a folder of its own, reached only through its socket; gone when dropped.
pub(crate) struct Cluster {
    dir: PathBuf,
    /// Outlives this process where it is killed.
    _guard: Guard,
}

impl Cluster {
    fn in_new_folder() -> Result<Self> {
        let dir = run(as_server("mktemp").args(["-d", "/tmp/pg_kafka.XXXXXX"]))?;
        let guard = Guard::new(END_CLUSTER, &[&dir])?;
        Ok(Cluster {
            dir: dir.into(),
            _guard: guard,
        })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// A new cluster with durable defaults; `settings` are lines of `postgresql.conf`.
    pub(crate) fn create(settings: &str) -> Result<Self> {
        let cluster = Self::in_new_folder()?;
        run(as_server(pg_bin("initdb")?)
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-D",
            ])
            .arg(cluster.data()))?;
        cluster.configure(settings)?;
        cluster.start()?;
        Ok(cluster)
    }

    /// A streaming standby of this cluster.
    pub(crate) fn standby(&self, settings: &str) -> Result<Self> {
        let standby = Self::in_new_folder()?;
        run(as_server(pg_bin("pg_basebackup")?)
            .args([
                "-R",
                "-c",
                "fast",
                "-X",
                "stream",
                "-d",
                &self.conninfo(),
                "-D",
            ])
            .arg(standby.data()))?;
        standby.configure(settings)?;
        standby.start()?;
        Ok(standby)
    }

    fn configure(&self, settings: &str) -> Result<()> {
        let conf = self.data().join("postgresql.conf");
        let script = format!(
            "cat >>'{}' <<'END'\nlisten_addresses = ''\n{settings}\nEND",
            conf.display()
        );
        run(as_server("sh").args(["-c", &script]))?;
        Ok(())
    }

    fn pg_ctl(&self) -> Result<Command> {
        let mut command = as_server(pg_bin("pg_ctl")?);
        command.arg("-s").arg("-w").arg("-D").arg(self.data());
        Ok(command)
    }

    pub(crate) fn start(&self) -> Result<()> {
        let options = format!("-k {}", self.dir.display());
        // pg_ctl's pipes would stay open in the server.
        let status = self
            .pg_ctl()?
            .arg("-l")
            .arg(self.dir.join("log"))
            .args(["-o", &options, "start"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("the server did not start:\n{}", self.log()).into());
        }
        Ok(())
    }

    /// `mode`: smart, fast or immediate.
    pub(crate) fn stop(&self, mode: &str) -> Result<()> {
        run(self.pg_ctl()?.args(["-m", mode, "stop"]))?;
        Ok(())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    pub(crate) fn conninfo(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.dir.display())
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> Result<u32> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        Ok(file.lines().next().unwrap_or_default().parse()?)
    }

    /// A connection, under that `application_name`.
    pub(crate) async fn connect(
        &self,
        name: &str,
    ) -> std::result::Result<tokio_postgres::Client, tokio_postgres::Error> {
        let conninfo = format!("{} application_name={name}", self.conninfo());
        let (client, connection) =
            tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await?;
        // Its error is also that of the statement under way.
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.stop("immediate");
        let _ = run(as_server("rm").arg("-rf").arg(&self.dir));
    }
}

/// The listener program on a free port; stopped when dropped.
pub(crate) struct Listener {
    child: Child,
    pub(crate) address: String,
    /// Outlives this process where it is killed.
    _guard: Guard,
}

impl Listener {
    pub(crate) fn start(cluster: &Cluster) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let log = std::env::temp_dir().join(format!("pg_kafka_listener.{port}.log"));
        let child = Command::new(listener_program()?)
            .args([
                "--database-url",
                &cluster.conninfo(),
                "--listen",
                &address,
                "--advertised",
                &address,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let (pid, log) = (child.id().to_string(), log.display().to_string());
        let mut listener = Listener {
            child,
            _guard: Guard::new(END_LISTENER, &[&pid, &address, &log])?,
            address,
        };
        let until = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&listener.address).is_err() {
            if listener.child.try_wait()?.is_some() || Instant::now() > until {
                return Err(format!("the listener did not start:\n{}", listener.log()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(listener)
    }

    fn log_file(&self) -> PathBuf {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        std::env::temp_dir().join(format!("pg_kafka_listener.{port}.log"))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The shell's own kill: a minimal Debian has no other.
        let pid = self.child.id().to_string();
        if run(Command::new("sh").args(["-c", "kill \"$0\"", &pid])).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.log_file());
    }
}

/// It lies above this program: `target/<profile>/{examples,deps}/`.
fn listener_program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .map(|folder| folder.join("pg_kafka_listener"))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            "pg_kafka_listener is not built: cargo build -p pg_kafka_listener, same profile".into()
        })
}

/// xorshift64*: repeatable choices, no more.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
