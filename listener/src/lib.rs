//! A Kafka broker in front of a PostgreSQL server with the extension `pg_kafka`.
//!
//! It holds nothing that matters: every request becomes a call of the SQL functions that a `psql` session
//! would call. [`conn`] reads requests and keeps their answers in order, [`router`] knows
//! which APIs there are, [`api`] holds one file for each.
#![forbid(unsafe_code)]

pub mod api;
pub mod append;
pub mod config;
pub mod conn;
pub mod db;
pub mod error;
pub mod fetch_sessions;
pub mod groups;
pub mod heartbeats;
pub mod read;
pub mod read_ahead;
pub mod router;
pub mod server;
pub mod task;
pub mod wait;
pub mod wake;
pub mod wire;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use config::Config;
use db::{Connector, Role};
use error::{DbError, Meaning};
use server::Server;
use task::Signal;

/// Runs a listener until `shutdown` is raised.
pub async fn run(config: Config, shutdown: Signal) -> anyhow::Result<()> {
    config.validate()?;
    let database: tokio_postgres::Config = config
        .database_url
        .parse()
        .context("--database-url is not a PostgreSQL connection string")?;
    if database.get_hosts().is_empty() {
        bail!("--database-url names no host; for a local server use host=/var/run/postgresql");
    }
    let listener = TcpListener::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let listen = listener.local_addr()?;
    let connector = Connector::new(database);
    check_database(&connector).await?;
    tracing::info!(%listen, database = connector.database(), "listening");
    let server = Server::start(config, connector, listen, shutdown);
    server.accept(listener).await;
    tracing::info!("stopped");
    Ok(())
}

/// A database that is away may come back. One that refuses, or lacks the extension, needs
/// somebody's help.
async fn check_database(connector: &Connector) -> anyhow::Result<()> {
    let session = match connector.connect(Role::Admin).await {
        Ok(session) => session,
        Err(error) if error.meaning() == Meaning::Unavailable => {
            tracing::warn!("starting without the database; clients are told to try again");
            return Ok(());
        }
        Err(error) => bail!("cannot use the database: {}", error.client_message()),
    };
    let Err(error) = session.cluster().await else {
        return Ok(());
    };
    match &error {
        DbError::Server { sqlstate, .. } if matches!(sqlstate.as_str(), "3F000" | "42883") => {
            bail!(
                "database {:?} has no extension pg_kafka; run there: CREATE EXTENSION pg_kafka",
                connector.database()
            )
        }
        DbError::Server { sqlstate, .. } if sqlstate == "42501" => bail!(
            "{}; the listener's role needs USAGE on schema kafka and EXECUTE on its functions",
            error.client_message()
        ),
        _ if error.meaning() == Meaning::Unavailable => Ok(()),
        _ => bail!("cannot use the extension: {}", error.client_message()),
    }
}
