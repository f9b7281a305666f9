//! What all connections share, and the loop that accepts them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::append::Append;
use crate::config::{Advertised, Config};
use crate::conn;
use crate::db::{ClusterInfo, Connector, Db};
use crate::error::DbError;
use crate::fetch_sessions::FetchSessions;
use crate::groups::Groups;
use crate::heartbeats::Heartbeats;
use crate::task::{self, Signal};
use crate::wait;
use crate::wake::Wake;

/// There is one broker: this listener, whichever of several it is.
pub const NODE_ID: i32 = 1;
/// The leader epoch grows when a standby is promoted; clients learn of it this late.
const CLUSTER_REFRESH: Duration = Duration::from_secs(5);
/// In-flight requests get this long after a signal to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Between two calls of `kafka.maintain`, give or take a half.
const MAINTAIN: Duration = Duration::from_secs(5);

pub struct Server {
    pub config: Config,
    pub listen: SocketAddr,
    pub db: Arc<Db>,
    pub append: Append,
    pub wake: Arc<Wake>,
    pub groups: Arc<Groups>,
    pub heartbeats: Heartbeats,
    pub fetch_sessions: FetchSessions,
    /// One permit per byte of requests received and not yet answered.
    pub request_budget: Arc<Semaphore>,
    /// One permit per byte of answers being made and sent.
    pub answer_budget: Arc<Semaphore>,
    pub shutdown: Signal,
    cluster: RwLock<Option<ClusterInfo>>,
    /// What was last listed: while the database is away these are answered as being
    /// without a leader, rather than as being gone.
    pub last_topics: Mutex<Vec<String>>,
}

impl Server {
    pub fn start(
        config: Config,
        connector: Connector,
        listen: SocketAddr,
        shutdown: Signal,
    ) -> Arc<Self> {
        let connector = Arc::new(connector);
        let db = Arc::new(Db::new(Arc::clone(&connector), &config));
        let wake = Arc::new(Wake::default());
        wait::start(&wake, &db);
        let groups = Arc::new(Groups::default());
        wait::start(&groups, &db);
        let heartbeats = Heartbeats::start(&db);
        let append = Append::start(&connector, config.append_sessions, &wake);
        let half = config.half_memory();
        let fetch_sessions = FetchSessions::new(config.fetch_sessions.into());
        let server = Arc::new(Self {
            config,
            listen,
            db,
            append,
            wake,
            groups,
            heartbeats,
            fetch_sessions,
            request_budget: Arc::new(Semaphore::new(half)),
            answer_budget: Arc::new(Semaphore::new(half)),
            shutdown,
            cluster: RwLock::new(None),
            last_topics: Mutex::new(Vec::new()),
        });
        let refreshed = Arc::clone(&server);
        task::keep_running("cluster", move || {
            let server = Arc::clone(&refreshed);
            async move {
                loop {
                    let _ = server.refresh_cluster().await;
                    tokio::time::sleep(CLUSTER_REFRESH).await;
                }
            }
        });
        let maintained = Arc::clone(&server);
        task::keep_running("maintain", move || Arc::clone(&maintained).maintain());
        server
    }

    /// Has the database do what is due. Several listeners do so at random times, so that
    /// they seldom do it together.
    async fn maintain(self: Arc<Self>) {
        let random = RandomState::new();
        for round in 0_u64.. {
            let jitter = (random.hash_one(round) % 1000) as u32;
            tokio::time::sleep(MAINTAIN / 2 + MAINTAIN * jitter / 1000).await;
            if let Err(error) = self.maintain_once().await {
                tracing::debug!(%error, "maintenance failed");
            }
        }
    }

    async fn maintain_once(&self) -> Result<(), DbError> {
        if self.cluster().await?.in_recovery {
            return Ok(());
        }
        self.db.admin().await?.maintain().await
    }

    pub async fn refresh_cluster(&self) -> Result<ClusterInfo, DbError> {
        let info = self.db.admin().await?.cluster().await?;
        *self.cluster.write().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        Ok(info)
    }

    /// What the database last said of itself; asks where it has said nothing yet.
    pub async fn cluster(&self) -> Result<ClusterInfo, DbError> {
        let known = self
            .cluster
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match known {
            Some(info) => Ok(info),
            None => self.refresh_cluster().await,
        }
    }

    /// Where a client that reached us at `local` should connect to.
    pub fn advertised(&self, local: SocketAddr) -> Advertised {
        match &self.config.advertised {
            Some(advertised) => advertised.clone(),
            None if self.listen.ip().is_unspecified() => Advertised::from(local),
            None => Advertised::from(self.listen),
        }
    }

    /// Serves until `shutdown`, then answers what is in flight.
    pub async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.raised() => break,
                Some(_) = connections.join_next() => continue,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((_, peer)) if connections.len() >= self.config.max_connections => {
                    tracing::warn!(%peer, limit = self.config.max_connections, "too many connections");
                }
                Ok((stream, peer)) => {
                    connections.spawn(conn::serve(Arc::clone(&self), stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        tracing::info!(connections = connections.len(), "stopping");
        let drain = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, drain).await.is_err() {
            tracing::warn!("some requests were not answered in time");
        }
    }
}
