//! Flags and environment.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Speaks the Kafka protocol for a PostgreSQL server with the extension `pg_kafka`.
///
/// Holds nothing that matters: any number of listeners may serve one database, and one
/// that is killed loses nothing.
#[derive(Parser, Debug, Clone)]
#[command(name = "pg_kafka_listener", version, max_term_width = 100)]
pub struct Config {
    /// Database to serve, as a URL or as keywords. Several hosts are tried in turn:
    /// `host=a,b target_session_attrs=read-write dbname=app` follows the primary.
    #[arg(
        long,
        env = "PG_KAFKA_DATABASE_URL",
        default_value = "host=/var/run/postgresql dbname=postgres",
        hide_env_values = true
    )]
    pub database_url: String,

    /// Address and port to listen on.
    #[arg(
        long,
        env = "PG_KAFKA_LISTEN",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT"
    )]
    pub listen: String,

    /// Host and port that clients are told to connect to. By default the address listened
    /// on, or where that is 0.0.0.0 or [::], the address that the client has reached.
    #[arg(long, env = "PG_KAFKA_ADVERTISED", value_name = "HOST:PORT", value_parser = advertised)]
    pub advertised: Option<Advertised>,

    /// Database sessions that append what producers send, by default one for each processor
    /// and at least two. They work in pairs: of much data one appends while the other still
    /// commits.
    #[arg(long, env = "PG_KAFKA_APPEND_SESSIONS", default_value_t = append_sessions(), value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub append_sessions: u16,

    /// Database sessions that read what consumers fetch.
    #[arg(long, env = "PG_KAFKA_READ_SESSIONS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub read_sessions: u16,

    /// Database sessions for consumer groups and their offsets.
    #[arg(long, env = "PG_KAFKA_GROUP_SESSIONS", default_value_t = 2, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub group_sessions: u16,

    /// Database sessions for the transactions of producers.
    #[arg(long, env = "PG_KAFKA_TRANSACTION_SESSIONS", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub transaction_sessions: u16,

    /// Fetch sessions remembered at the same time; consumers without one name all their
    /// partitions in each request. 0: none.
    #[arg(long, env = "PG_KAFKA_FETCH_SESSIONS", default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub fetch_sessions: u16,

    /// Client connections served at the same time; further ones are closed at once.
    #[arg(
        long,
        env = "PG_KAFKA_MAX_CONNECTIONS",
        default_value_t = 5000,
        value_name = "N"
    )]
    pub max_connections: usize,

    /// Largest request accepted; a larger one closes its connection.
    #[arg(long, env = "PG_KAFKA_MAX_REQUEST_BYTES", default_value = "100MiB",
          value_name = "BYTES", value_parser = byte_size)]
    pub max_request_bytes: usize,

    /// Memory for requests being received and answers being sent, half for each. Requests
    /// wait for their share before they are read, answers become smaller.
    #[arg(long, env = "PG_KAFKA_MEMORY_LIMIT", default_value = "512MiB",
          value_name = "BYTES", value_parser = byte_size)]
    pub memory_limit: usize,

    /// A connection without a request for this long is closed.
    #[arg(long, env = "PG_KAFKA_IDLE_TIMEOUT", default_value = "600",
          value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// Plain lines, or one JSON object a line.
    #[arg(long, env = "PG_KAFKA_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// error, warn, info, debug or trace, or per module as in `info,pg_kafka_listener::wake=debug`.
    #[arg(
        long,
        env = "PG_KAFKA_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: tracing_subscriber::filter::Targets,

    /// Print the APIs served, with their versions, as a Markdown table.
    #[arg(long, hide = true)]
    pub print_api_table: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where clients are told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    pub host: String,
    pub port: u16,
}

impl From<SocketAddr> for Advertised {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_canonical().to_string(),
            port: address.port(),
        }
    }
}

impl Config {
    /// Half of the memory limit: what requests may take, and what answers may take.
    pub fn half_memory(&self) -> usize {
        self.memory_limit / 2
    }

    /// What clap cannot check flag by flag.
    pub fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.max_request_bytes <= self.half_memory(),
            "--max-request-bytes ({}) must fit into half of --memory-limit ({}): \
             a request that large could never be received",
            self.max_request_bytes,
            self.memory_limit,
        );
        anyhow::ensure!(
            self.max_request_bytes >= 1024 && i32::try_from(self.max_request_bytes).is_ok(),
            "--max-request-bytes must be between 1KiB and 2147483647"
        );
        Ok(())
    }
}

/// One for each processor, two at least and a hundred at most.
fn append_sessions() -> u16 {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    processors.clamp(2, 100) as u16
}

fn advertised(text: &str) -> Result<Advertised, String> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or("expected HOST:PORT, for example broker.example.com:9092")?;
    let port = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port number"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    Ok(Advertised {
        host: host.into(),
        port,
    })
}

fn byte_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("expected a number of bytes, or one with KiB, MiB or GiB".into()),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("{text:?} is not a number of bytes"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_secs)
        .map_err(|_| format!("{text:?} is not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
        let config = Config::parse_from(["pg_kafka_listener"]);
        config.validate().unwrap();
        assert_eq!(config.max_request_bytes, 100 << 20);
    }

    #[test]
    fn sizes_and_addresses() {
        assert_eq!(byte_size("17"), Ok(17));
        assert_eq!(byte_size("2 MiB"), Ok(2 << 20));
        assert!(byte_size("much").is_err() && byte_size("5x").is_err());
        let host = advertised("[::1]:9092").unwrap();
        assert_eq!((host.host.as_str(), host.port), ("::1", 9092));
        assert!(advertised("9092").is_err() && advertised(":1").is_err());
    }

    #[test]
    fn a_request_larger_than_the_memory_is_a_mistake() {
        let config = Config::parse_from(["x", "--memory-limit", "100MiB"]);
        assert!(config.validate().is_err());
    }
}
