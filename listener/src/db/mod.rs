//! The database: a handful of sessions, each with its task.
//!
//! Append sessions belong to [`crate::append`], the waiting sessions to [`crate::wake`] and
//! [`crate::groups`]; reads, groups, transactions and administration share pools.

mod group_queries;
mod groups;
mod packed;
mod pool;
mod queries;
mod query;
mod session;
mod transaction_queries;
mod transactions;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use groups::{
    AssignedPartition, Commit, CommitCall, CommittedCall, CommittedOffset, ConsumerAnswer,
    ConsumerCall, DeleteGroup, DeleteOffsets, DescribeGroups, GroupDescription, Heartbeat,
    JoinCall, Joined, LeaveCall, Leaving, ListGroups, ListedGroup, MemberDescription, SyncCall,
    Synced, Wait, WatchedGroup,
};
pub use pool::{Lease, Pool};
pub use queries::{
    BatchTransaction, Batches, ClusterInfo, FetchCall, FetchPosition, Fetched, ListedOffset,
    Produced, TopicDescription, TopicRef, WatchedPartition,
};
pub use session::{Connector, OwnSession, Role, Session};
pub use transactions::{
    ActiveProducer, AddOffsetsCall, AddPartitionsCall, DescribeProducers, DescribeTransactions,
    EndTxnCall, InitProducerIdCall, ListTransactions, ListedTransaction, Marker,
    PartitionProducers, ProducerAnswer, TransactionDescription, TransactionalProducer,
    TxnOffsetCommitCall, WriteMarkers,
};

use crate::config::Config;
use crate::error::DbError;

/// Longer than this a client is not kept waiting for a second attempt.
const QUICK: Duration = Duration::from_secs(5);
/// Interrupts must not queue up behind something that takes its time.
const ADMIN_SESSIONS: u16 = 2;
/// A call about groups or transactions is worth this many attempts.
const ATTEMPTS: u32 = 3;

/// A call about groups or transactions: one database transaction on one session.
pub trait Call: Sync {
    type Answer: Send;

    fn run(&self, session: &Session) -> impl Future<Output = Result<Self::Answer, DbError>> + Send;
}

pub struct Db {
    pub connector: Arc<Connector>,
    read: Pool,
    group: Pool,
    transaction: Pool,
    admin: Pool,
}

impl Db {
    pub fn new(connector: Arc<Connector>, config: &Config) -> Self {
        let pool = |role, sessions| Pool::new(Arc::clone(&connector), role, sessions);
        Self {
            read: pool(Role::Read, config.read_sessions),
            group: pool(Role::Group, config.group_sessions),
            transaction: pool(Role::Transaction, config.transaction_sessions),
            admin: pool(Role::Admin, ADMIN_SESSIONS),
            connector,
        }
    }

    /// A session that changes topics and interrupts waits.
    pub async fn admin(&self) -> Result<Lease<'_>, DbError> {
        self.admin.lease().await
    }

    /// A call about groups that may be made twice.
    pub async fn group<C: Call>(&self, call: &C) -> Result<C::Answer, DbError> {
        repeat(&self.group, call).await
    }

    pub async fn group_once<C: Call>(&self, call: &C) -> Result<C::Answer, DbError> {
        once(&self.group, call).await
    }

    /// A call about transactions that may be made twice.
    pub async fn transaction<C: Call>(&self, call: &C) -> Result<C::Answer, DbError> {
        repeat(&self.transaction, call).await
    }

    pub async fn transaction_once<C: Call>(&self, call: &C) -> Result<C::Answer, DbError> {
        once(&self.transaction, call).await
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

async fn repeat<C: Call>(pool: &Pool, call: &C) -> Result<C::Answer, DbError> {
    let started = Instant::now();
    let mut attempt = 1;
    loop {
        let result = once(pool, call).await;
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

async fn once<C: Call>(pool: &Pool, call: &C) -> Result<C::Answer, DbError> {
    let session = pool.lease().await?;
    call.run(&session).await
}

/// A read that met a dead session is made once more: a session that died while it was
/// idle is noticed only when it is used.
pub fn worth_repeating<T>(result: &Result<T, DbError>, started: Instant) -> bool {
    matches!(result, Err(error) if !error.surely_failed()) && started.elapsed() < QUICK
}
