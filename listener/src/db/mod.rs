//! The database: a handful of sessions, each with its task.
//!
//! Append sessions belong to [`crate::append`], the waiting sessions to [`crate::wake`] and
//! [`crate::groups`]; reads, groups and administration share pools.

mod group_queries;
mod groups;
mod pool;
mod queries;
mod query;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use groups::{
    AssignedPartition, Commit, CommitCall, CommittedCall, CommittedOffset, ConsumerAnswer,
    ConsumerCall, DeleteGroup, DeleteOffsets, DescribeGroups, GroupCall, GroupDescription,
    Heartbeat, JoinCall, Joined, LeaveCall, Leaving, ListGroups, ListedGroup, MemberDescription,
    SyncCall, Synced, Wait, WatchedGroup,
};
pub use pool::{Lease, Pool};
pub use queries::{
    Batches, ClusterInfo, FetchCall, FetchPosition, Fetched, ListedOffset, Produced,
    TopicDescription, TopicRef, WatchedPartition,
};
pub use session::{Connector, OwnSession, Role, Session};

use crate::error::DbError;

/// Longer than this a client is not kept waiting for a second attempt.
const QUICK: Duration = Duration::from_secs(5);
/// Interrupts must not queue up behind something that takes its time.
const ADMIN_SESSIONS: u16 = 2;
/// A call about groups is worth this many attempts.
const ATTEMPTS: u32 = 3;

pub struct Db {
    pub connector: Arc<Connector>,
    read: Pool,
    group: Pool,
    admin: Pool,
}

impl Db {
    pub fn new(connector: Arc<Connector>, read_sessions: u16, group_sessions: u16) -> Self {
        Self {
            read: Pool::new(Arc::clone(&connector), Role::Read, read_sessions),
            group: Pool::new(Arc::clone(&connector), Role::Group, group_sessions),
            admin: Pool::new(Arc::clone(&connector), Role::Admin, ADMIN_SESSIONS),
            connector,
        }
    }

    /// A session that changes topics, hands out producer ids and interrupts waits.
    pub async fn admin(&self) -> Result<Lease<'_>, DbError> {
        self.admin.lease().await
    }

    /// A call about groups that may be made twice.
    pub async fn group<C: GroupCall>(&self, call: &C) -> Result<C::Answer, DbError> {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let result = self.group_once(call).await;
            let again = match &result {
                Err(error) => error.is_conflict() || worth_repeating(&result, started),
                Ok(_) => false,
            };
            if attempt == ATTEMPTS || !again {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(5) * attempt).await;
            attempt += 1;
        }
    }

    pub async fn group_once<C: GroupCall>(&self, call: &C) -> Result<C::Answer, DbError> {
        let session = self.group.lease().await?;
        call.run(&session).await
    }

    pub async fn describe_topics(
        &self,
        topics: Option<&[TopicRef]>,
        auto_create: bool,
    ) -> Result<Vec<TopicDescription>, DbError> {
        let started = Instant::now();
        let first = self.read.lease().await?;
        let result = first.describe_topics(topics, auto_create).await;
        if !worth_repeating(&result, started) {
            return result;
        }
        drop(first);
        let second = self.read.lease().await?;
        second.describe_topics(topics, auto_create).await
    }

    pub async fn fetch_batches(&self, call: &FetchCall<'_>) -> Result<Vec<Fetched>, DbError> {
        let started = Instant::now();
        let first = self.read.lease().await?;
        let result = first.fetch_batches(call).await;
        if !worth_repeating(&result, started) {
            return result;
        }
        drop(first);
        self.read.lease().await?.fetch_batches(call).await
    }

    pub async fn list_offsets(
        &self,
        partitions: &[(String, i32, i64)],
        isolation: &str,
    ) -> Result<Vec<ListedOffset>, DbError> {
        let started = Instant::now();
        let first = self.read.lease().await?;
        let result = first.list_offsets(partitions, isolation).await;
        if !worth_repeating(&result, started) {
            return result;
        }
        drop(first);
        let second = self.read.lease().await?;
        second.list_offsets(partitions, isolation).await
    }
}

/// A read that met a dead session is made once more: a session that died while it was
/// idle is noticed only when it is used.
pub fn worth_repeating<T>(result: &Result<T, DbError>, started: Instant) -> bool {
    matches!(result, Err(error) if !error.surely_failed()) && started.elapsed() < QUICK
}
