//! One database session: how it is opened, what is prepared on it, when it is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Portal, Row, Statement, Transaction};

use crate::error::{DbError, Meaning};

use super::query::Query;

/// The server ends a statement that takes this long, as clients have given up by then.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A session that is silent for longer is on a dead connection.
const SILENCE: Duration = Duration::from_secs(45);
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(2);

/// What a session is for; `application_name` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Append(u16),
    Read,
    Group,
    Heartbeat,
    Transaction,
    Admin,
    Wait,
    WaitGroups,
}

impl Role {
    fn application_name(self) -> String {
        match self {
            Self::Append(number) => format!("pg_kafka_listener append {number}"),
            Self::Read => "pg_kafka_listener read".into(),
            Self::Group => "pg_kafka_listener group".into(),
            Self::Heartbeat => "pg_kafka_listener heartbeat".into(),
            Self::Transaction => "pg_kafka_listener transaction".into(),
            Self::Admin => "pg_kafka_listener admin".into(),
            Self::Wait => "pg_kafka_listener wait".into(),
            Self::WaitGroups => "pg_kafka_listener wait groups".into(),
        }
    }

    /// Somebody's open database transaction that has touched a group, or a producer's
    /// transaction, holds up calls about it. They give up, rather than keep the sessions
    /// from all others.
    fn lock_timeout(self) -> Duration {
        match self {
            Self::Append(_) | Self::Group | Self::Heartbeat | Self::Transaction => LOCK_TIMEOUT,
            _ => Duration::ZERO,
        }
    }

    /// What is lost with the times of the last heartbeats is made good by the next ones.
    fn synchronous_commit(self) -> &'static str {
        match self {
            Self::Heartbeat => "SET synchronous_commit = off; ",
            _ => "",
        }
    }
}

/// Opens sessions. While the database is away it refuses at once between attempts, so
/// that clients get a quick retriable answer, and tries again for ever.
pub struct Connector {
    config: tokio_postgres::Config,
    backoff: Mutex<Backoff>,
    /// The last attempt failed.
    failing: AtomicBool,
}

struct Backoff {
    delay: Duration,
    /// The next attempt may be made at this time; `None` while all is well.
    until: Option<Instant>,
    reason: String,
}

impl Connector {
    pub fn new(mut config: tokio_postgres::Config) -> Self {
        config
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(3));
        }
        Self {
            config,
            backoff: Mutex::new(Backoff {
                delay: FIRST_BACKOFF,
                until: None,
                reason: String::new(),
            }),
            failing: AtomicBool::new(false),
        }
    }

    pub fn database(&self) -> &str {
        self.config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or("postgres")
    }

    pub async fn connect(&self, role: Role) -> Result<Session, DbError> {
        // One attempt at a time: a crowd of requests would otherwise knock together. Where
        // the last one failed nobody waits for the next.
        let mut backoff = match self.backoff.try_lock() {
            Ok(backoff) => backoff,
            Err(_) if self.failing.load(Ordering::Relaxed) => {
                let reason = "another attempt to reach it is under way".into();
                return Err(DbError::Away { reason });
            }
            Err(_) => self.backoff.lock().await,
        };
        if backoff.until.is_some_and(|until| Instant::now() < until) {
            return Err(DbError::Away {
                reason: backoff.reason.clone(),
            });
        }
        match self.open(role).await {
            Ok(session) => {
                if backoff.until.take().is_some() {
                    tracing::info!("the database is back");
                }
                backoff.delay = FIRST_BACKOFF;
                self.failing.store(false, Ordering::Relaxed);
                Ok(session)
            }
            Err(error) => {
                let reason = match &error {
                    DbError::Away { reason } => reason.clone(),
                    other => other.to_string(),
                };
                if backoff.until.is_none() || backoff.reason != reason {
                    tracing::warn!(?role, %reason, "cannot open a database session");
                }
                backoff.until = Some(Instant::now() + backoff.delay);
                backoff.delay = (backoff.delay * 2).min(LAST_BACKOFF);
                backoff.reason = reason;
                self.failing.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    async fn open(&self, role: Role) -> Result<Session, DbError> {
        let mut config = self.config.clone();
        config.application_name(role.application_name());
        // A server that is not there is away, whatever the attempt died of; one that
        // refuses says why.
        let away = |error: tokio_postgres::Error| match DbError::from(error) {
            DbError::Lost { reason } => DbError::Away { reason },
            other => other,
        };
        let (client, connection) = config.connect(NoTls).await.map_err(away)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(?role, %error, "database session ended");
            }
        });
        // The log's rules assume read committed; a plan for given values would copy the
        // batches into itself; an answer of usual size should not pass through a temporary
        // file; the rest undoes what an administrator may have set for people's sessions.
        let settings = format!(
            "{}SET default_transaction_isolation = 'read committed'; \
             SET plan_cache_mode = force_generic_plan; SET work_mem = '64MB'; \
             SET statement_timeout = {}; SET lock_timeout = {}; SET idle_session_timeout = 0; \
             SET idle_in_transaction_session_timeout = 0",
            role.synchronous_commit(),
            STATEMENT_TIMEOUT.as_millis(),
            role.lock_timeout().as_millis()
        );
        client.batch_execute(&settings).await.map_err(away)?;
        tracing::debug!(?role, "database session opened");
        Ok(Session {
            client,
            statements: std::array::from_fn(|_| OnceCell::new()),
            health: Health {
                usable: AtomicBool::new(true),
                wants_primary: self.config.get_target_session_attrs()
                    == TargetSessionAttrs::ReadWrite,
            },
        })
    }
}

pub struct Session {
    client: Client,
    statements: Statements,
    health: Health,
}

type Statements = [OnceCell<Statement>; Query::COUNT];

impl Session {
    pub fn usable(&self) -> bool {
        self.health.usable.load(Ordering::Relaxed) && !self.client.is_closed()
    }

    /// Runs one statement, which is one transaction, and returns when the server is ready
    /// for the next: rows come before the commit and prove nothing until then.
    pub async fn query(
        &self,
        query: Query,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, DbError> {
        let run = async {
            let statement = prepared(&self.client, &self.statements, query).await?;
            self.client.query(statement, params).await
        };
        self.health.watch(run).await
    }

    /// Begins a transaction and sends a statement with all that it carries, for the server to
    /// have at hand when it is told to run it.
    pub async fn send(
        &mut self,
        query: Query,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Sent<'_>, DbError> {
        let health = &self.health;
        let run = async {
            let statement = prepared(&self.client, &self.statements, query).await?;
            let transaction = self.client.transaction().await?;
            let portal = transaction.bind(statement, params).await?;
            Ok((transaction, portal))
        };
        let (transaction, portal) = health.watch(run).await?;
        Ok(Sent {
            transaction,
            portal,
            health,
        })
    }
}

async fn prepared<'a>(
    client: &Client,
    statements: &'a Statements,
    query: Query,
) -> Result<&'a Statement, tokio_postgres::Error> {
    statements[query as usize]
        .get_or_try_init(|| client.prepare(query.sql()))
        .await
}

/// A statement that the server has, in a transaction that is rolled back when this is dropped.
pub struct Sent<'a> {
    transaction: Transaction<'a>,
    portal: Portal,
    health: &'a Health,
}

impl Sent<'_> {
    /// Runs it. What it did holds when it is committed; other sessions' statements come behind
    /// it from now on.
    pub async fn run(&self) -> Result<Vec<Row>, DbError> {
        let rows = self.transaction.query_portal(&self.portal, 0);
        self.health.watch(rows).await
    }

    pub async fn commit(self) -> Result<(), DbError> {
        self.health.watch(self.transaction.commit()).await
    }
}

/// Whether a session is worth keeping.
struct Health {
    usable: AtomicBool,
    wants_primary: bool,
}

impl Health {
    async fn watch<T>(
        &self,
        run: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        let result = match tokio::time::timeout(SILENCE, run).await {
            Ok(result) => result.map_err(DbError::from),
            Err(_) => Err(DbError::Lost {
                reason: format!("no answer for {} seconds", SILENCE.as_secs()),
            }),
        };
        if let Err(error) = &result
            && self.is_spoiled_by(error)
        {
            self.usable.store(false, Ordering::Relaxed);
        }
        result
    }

    /// After these errors the next call would only meet the same one.
    fn is_spoiled_by(&self, error: &DbError) -> bool {
        match error {
            DbError::Away { .. } | DbError::Lost { .. } | DbError::Server { fatal: true, .. } => {
                true
            }
            DbError::Server { sqlstate, .. } => match error.meaning() {
                // A server that has become a standby is left, to look for the primary.
                Meaning::NotPrimary => self.wants_primary,
                // What was prepared fits no longer.
                _ => matches!(sqlstate.as_str(), "42883" | "3F000" | "0A000" | "26000"),
            },
        }
    }
}

/// A session that one task has for itself, reopened when it broke.
pub struct OwnSession {
    connector: Arc<Connector>,
    role: Role,
    session: Option<Session>,
}

impl OwnSession {
    pub fn new(connector: Arc<Connector>, role: Role) -> Self {
        Self {
            connector,
            role,
            session: None,
        }
    }

    pub async fn get(&mut self) -> Result<&mut Session, DbError> {
        let session = match self.session.take().filter(Session::usable) {
            Some(session) => session,
            None => self.connector.connect(self.role).await?,
        };
        Ok(self.session.insert(session))
    }
}
