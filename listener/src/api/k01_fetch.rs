//! Fetch: stored batches from an offset on, waiting for them where there are too few.
//!
//! v4 isolation levels (KIP-98). v5 log start offset. v7 fetch sessions (KIP-227). v9
//! leader epochs (KIP-320). v11 rack id. v12 flexible. v13 topic ids (KIP-516). v15
//! replica state. v16 node endpoints (KIP-951). v17, v18 say more about replicas.
//! Skipped: fetch sessions (each request is answered in full under session id 0, as by
//! a broker whose session cache is full), replicas, down-conversion.

use std::sync::Arc;
use std::time::Duration;

use kafka_core::code;
use kafka_protocol::messages::FetchRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::conn::Connection;
use crate::db::{FetchCall, FetchPosition, Fetched, TopicRef};
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wake::{Parking, Subject};
use crate::wire::Reply;
use crate::wire::fetch_response::{FetchResponse, PartitionResponse, TopicResponse};
use crate::wire::schema::{Field, INT8, INT32, INT64, Kind, UUID, field};

use super::{check_leader_epoch, isolation};

const PARTITION: &[Field] = &[
    field("partition", INT32),
    field("current_leader_epoch", INT32).since(9),
    field("fetch_offset", INT64),
    field("last_fetched_epoch", INT32).since(12),
    field("log_start_offset", INT64).since(5),
    field("partition_max_bytes", INT32),
    field("replica_directory_id", UUID).since(17).tagged(0),
    field("high_watermark", INT64).since(18).tagged(1),
];
const TOPIC: &[Field] = &[
    field("topic", Kind::String).until(12),
    field("topic_id", UUID).since(13),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const FORGOTTEN_TOPIC: &[Field] = &[
    field("topic", Kind::String).until(12),
    field("topic_id", UUID).since(13),
    field("partitions", Kind::Array(&INT32)),
];
const REPLICA_STATE: &[Field] = &[field("replica_id", INT32), field("replica_epoch", INT64)];
const REQUEST: &[Field] = &[
    field("cluster_id", Kind::String).since(12).tagged(0),
    field("replica_id", INT32).until(14),
    field("replica_state", Kind::Struct(REPLICA_STATE))
        .since(15)
        .tagged(1),
    field("max_wait_ms", INT32),
    field("min_bytes", INT32),
    field("max_bytes", INT32),
    field("isolation_level", INT8),
    field("session_id", INT32).since(7),
    field("session_epoch", INT32).since(7),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field(
        "forgotten_topics_data",
        Kind::Array(&Kind::Struct(FORGOTTEN_TOPIC)),
    )
    .since(7),
    field("rack_id", Kind::String).since(11),
];

pub const API: Api = Api {
    key: 1,
    name: "Fetch",
    min: 4,
    max: 18,
    advertised_min: 4,
    codec_max: 18,
    flexible: 12,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Most that one answer carries, as Kafka's fetch.max.bytes.
const MAX_BYTES: i32 = 55 << 20;
/// A fetch that wants more than one byte is not asked for again more often than this.
const PACE: Duration = Duration::from_millis(5);

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: FetchRequest = request.decode()?;
    let version = request.version();
    let correlation_id = request.header.correlation_id;
    if let Some(error_code) = refuse(&body) {
        let response = FetchResponse {
            error_code,
            ..FetchResponse::default()
        };
        return Ok(Some(response.encode(version, correlation_id)));
    }
    let plan = Plan::new(&connection.server, &body, version).await;
    let (found, reserved) = match plan.collect(&connection).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "fetch failed");
            let error_code = error.code(code::NOT_LEADER_OR_FOLLOWER);
            (vec![nothing(error_code); plan.positions.len()], None)
        }
    };
    let mut reply = plan.response(&body, found).encode(version, correlation_id);
    if let Some(reserved) = reserved {
        reply.hold(reserved);
    }
    Ok(Some(reply))
}

/// What is wrong with the request as a whole.
fn refuse(body: &FetchRequest) -> Option<i16> {
    // Epoch 0 asks for a new session, -1 for none: both are full requests. No session was
    // ever given out, so one that is to be continued is not known.
    if !matches!(body.session_epoch, 0 | -1) {
        return Some(code::FETCH_SESSION_ID_NOT_FOUND);
    }
    if isolation(body.isolation_level).is_none() {
        return Some(code::INVALID_REQUEST);
    }
    None
}

fn nothing(error_code: i16) -> Fetched {
    Fetched {
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        next_offset: -1,
        aborted: Vec::new(),
        records: bytes::Bytes::new(),
    }
}

/// What a request asks of the database, and for how long it may wait.
struct Plan {
    positions: Vec<FetchPosition>,
    /// Partitions refused without asking, one per partition of the request; 0 for those
    /// that are in `positions`.
    refused: Vec<i16>,
    isolation: &'static str,
    max_bytes: i32,
    min_bytes: i32,
    max_wait: Duration,
}

impl Plan {
    async fn new(server: &Server, body: &FetchRequest, version: i16) -> Self {
        let epoch = server.cluster().await.map(|cluster| cluster.leader_epoch);
        let mut positions = Vec::new();
        let mut refused = Vec::new();
        for topic in &body.topics {
            let topic_ref = Arc::new(if version >= 13 {
                TopicRef::Id(topic.topic_id)
            } else {
                TopicRef::Name(topic.topic.to_string())
            });
            for partition in &topic.partitions {
                let error_code = match &epoch {
                    Ok(ours) => check_leader_epoch(partition.current_leader_epoch, *ours),
                    Err(error) => error.code(code::NOT_LEADER_OR_FOLLOWER),
                };
                if error_code == code::NONE {
                    positions.push(FetchPosition {
                        topic: Arc::clone(&topic_ref),
                        partition: partition.partition,
                        fetch_offset: partition.fetch_offset,
                        max_bytes: partition.partition_max_bytes.max(0),
                    });
                }
                refused.push(error_code);
            }
        }
        let max_bytes = body.max_bytes.clamp(0, MAX_BYTES);
        Self {
            positions,
            refused,
            isolation: isolation(body.isolation_level).unwrap_or("read_uncommitted"),
            max_bytes,
            min_bytes: body.min_bytes.clamp(0, max_bytes),
            max_wait: Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)),
        }
    }

    /// Reads up to the last stable offset only, instead of the high watermark.
    fn committed(&self) -> bool {
        self.isolation == "read_committed"
    }

    /// An error is told at once, and so is that nothing was asked for.
    fn may_wait(&self) -> bool {
        self.min_bytes > 0
            && !self.max_wait.is_zero()
            && !self.positions.is_empty()
            && self
                .refused
                .iter()
                .all(|error_code| *error_code == code::NONE)
    }

    async fn collect(&self, connection: &Connection) -> Result<Answered, DbError> {
        let server = &connection.server;
        if self.positions.is_empty() {
            return Ok((Vec::new(), None));
        }
        let subjects = if self.may_wait() {
            self.subjects(server).await?
        } else {
            None
        };
        let Some(subjects) = subjects else {
            return self.ask(server, 0).await;
        };
        let parking = server.wake.subscribe(subjects);
        let offsets = self.positions.iter().map(|position| position.fetch_offset);
        if let Some(tails) = parking.known_tails(offsets, self.committed()) {
            parking.park(&tails, false);
            return self.wait(connection, &parking, (tails, None)).await;
        }
        let found = self.ask(server, self.min_bytes).await?;
        if is_answer(&found.0) {
            return Ok(found);
        }
        parking.park(&found.0, true);
        self.wait(connection, &parking, found).await
    }

    /// Waits until there is enough or the time is over.
    async fn wait(
        &self,
        connection: &Connection,
        parking: &Parking,
        mut found: Answered,
    ) -> Result<Answered, DbError> {
        let server = &connection.server;
        let deadline = Instant::now() + self.max_wait;
        loop {
            // Nothing is held while waiting.
            found.1 = None;
            let woken = tokio::select! {
                () = parking.woken() => true,
                () = tokio::time::sleep_until(deadline) => false,
                () = connection.gone.raised() => false,
                () = server.shutdown.raised() => false,
            };
            // Nobody has said that there is more than the nothing already found.
            if !woken && self.min_bytes <= 1 {
                return Ok(found);
            }
            if !woken {
                return self.ask(server, 0).await;
            }
            if self.min_bytes > 1 {
                tokio::time::sleep_until(deadline.min(Instant::now() + PACE)).await;
            }
            found = self.ask(server, self.min_bytes).await?;
            if is_answer(&found.0) {
                return Ok(found);
            }
            parking.park(&found.0, true);
        }
    }

    /// One call, with memory reserved for its answer. Where memory is short the answer is
    /// smaller than it might be.
    async fn ask(&self, server: &Server, min_bytes: i32) -> Result<Answered, DbError> {
        let partitions = self
            .positions
            .iter()
            .map(|position| i64::from(position.max_bytes));
        let wanted = i64::from(self.max_bytes).min(partitions.sum());
        let mut reserved = reserve(server, wanted.max(1) as usize).await;
        let max_bytes = self.max_bytes.min(reserved.num_permits() as i32);
        let positions: Vec<_> = self.positions.iter().collect();
        let call = FetchCall {
            positions: &positions,
            max_bytes,
            min_bytes: min_bytes.min(max_bytes),
            isolation: self.isolation,
        };
        let found = server.db.fetch_batches(&call).await?;
        let bytes: usize = found.iter().map(|partition| partition.records.len()).sum();
        drop(reserved.split(reserved.num_permits().saturating_sub(bytes)));
        Ok((found, Some(reserved)))
    }

    /// The partitions to wait for by name, or `None` where a topic's name cannot be
    /// told: the answer will say that it is unknown.
    async fn subjects(&self, server: &Server) -> Result<Option<Vec<Subject>>, DbError> {
        let mut subjects: Vec<Subject> = Vec::with_capacity(self.positions.len());
        for position in &self.positions {
            let (topic, topic_id) = match &*position.topic {
                TopicRef::Name(name) => match subjects.last() {
                    Some(last) if *last.topic == **name => (Arc::clone(&last.topic), None),
                    _ => (Arc::from(name.as_str()), None),
                },
                TopicRef::Id(id) => match topic_name(server, *id).await? {
                    Some(name) => (name, Some(*id)),
                    None => return Ok(None),
                },
            };
            subjects.push(Subject {
                topic,
                topic_id,
                partition: position.partition,
            });
        }
        Ok(Some(subjects))
    }

    fn response(&self, body: &FetchRequest, found: Vec<Fetched>) -> FetchResponse {
        let mut found = found.into_iter();
        let mut refused = self.refused.iter();
        let mut next = || match refused.next().copied().unwrap_or_default() {
            code::NONE => found
                .next()
                .unwrap_or_else(|| nothing(code::UNKNOWN_SERVER_ERROR)),
            error_code => nothing(error_code),
        };
        let committed = self.committed();
        let topics = body.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let found = next();
                PartitionResponse {
                    partition: asked.partition,
                    error_code: found.error_code,
                    high_watermark: found.high_watermark,
                    last_stable_offset: found.last_stable_offset,
                    log_start_offset: found.log_start_offset,
                    aborted_transactions: committed.then_some(found.aborted),
                    records: found.records,
                }
            });
            TopicResponse {
                topic: topic.topic.to_string(),
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
            }
        });
        FetchResponse {
            topics: topics.collect(),
            ..FetchResponse::default()
        }
    }
}

/// What was found, and the memory that it takes.
type Answered = (Vec<Fetched>, Option<OwnedSemaphorePermit>);

/// There are records, and so enough of them, or there is an error to tell.
fn is_answer(found: &[Fetched]) -> bool {
    found
        .iter()
        .any(|partition| partition.error_code != code::NONE || !partition.records.is_empty())
}

async fn topic_name(server: &Server, id: uuid::Uuid) -> Result<Option<Arc<str>>, DbError> {
    if let Some(name) = server.wake.topic_name(&id) {
        return Ok(Some(name));
    }
    let asked = [TopicRef::Id(id)];
    let described = server.db.describe_topics(Some(&asked), false).await?;
    let name = described.into_iter().find_map(|topic| topic.topic);
    if let Some(name) = &name {
        server.wake.learn_name(id, name);
    }
    Ok(name.map(Arc::from))
}

/// Takes what is free, down to a floor that is waited for.
async fn reserve(server: &Server, wanted: usize) -> OwnedSemaphorePermit {
    const FLOOR: usize = 64 << 10;
    let budget: &Arc<Semaphore> = &server.answer_budget;
    let mut size = wanted.min(server.config.half_memory() / 4).max(1);
    loop {
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        match Arc::clone(budget).try_acquire_many_owned(permits) {
            Ok(reserved) => return reserved,
            Err(_) if size > FLOOR => size /= 2,
            Err(_) => {
                let acquired = Arc::clone(budget).acquire_many_owned(permits).await;
                return acquired.expect("the budget is never closed");
            }
        }
    }
}
