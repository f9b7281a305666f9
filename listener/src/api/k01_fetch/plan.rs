//! What a fetch asks of the database, how often, and how long it waits.

use std::sync::Arc;
use std::time::Duration;

use kafka_core::code;
use kafka_protocol::messages::FetchRequest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::{check_leader_epoch, isolation};
use crate::conn::Connection;
use crate::db::{FetchCall, FetchPosition, Fetched, TopicRef};
use crate::error::DbError;
use crate::fetch_sessions::{Asked, Context};
use crate::read;
use crate::read_ahead::Question;
use crate::server::Server;
use crate::wake::{Parking, Subject};

/// Most that one answer carries, as Kafka's fetch.max.bytes.
const MAX_BYTES: i32 = 55 << 20;
/// A fetch that wants more than one byte is not asked for again more often than this.
const PACE: Duration = Duration::from_millis(5);
/// A smaller answer costs its consumer less time than a call that may be in vain.
const WORTH_READING_AHEAD: usize = 64 << 10;

pub(super) struct Plan {
    pub(super) asked: Vec<Asked>,
    /// Why partitions are refused without asking; `NONE` for the others.
    refused: Vec<i16>,
    isolation: &'static str,
    max_bytes: i32,
    min_bytes: i32,
    max_wait: Duration,
}

/// What was found of each partition asked for, and the memory that it takes.
pub(super) struct Found {
    pub(super) partitions: Vec<Fetched>,
    pub(super) reserved: Option<OwnedSemaphorePermit>,
}

impl Plan {
    pub(super) async fn new(server: &Server, body: &FetchRequest, asked: Vec<Asked>) -> Self {
        let epoch = server.cluster().await.map(|cluster| cluster.leader_epoch);
        let refused = asked.iter().map(|asked| match &epoch {
            Ok(ours) => check_leader_epoch(asked.current_leader_epoch, *ours),
            Err(error) => error.code(code::NOT_LEADER_OR_FOLLOWER),
        });
        let max_bytes = body.max_bytes.clamp(0, MAX_BYTES);
        Self {
            refused: refused.collect(),
            asked,
            isolation: isolation(body.isolation_level).unwrap_or("read_uncommitted"),
            max_bytes,
            min_bytes: body.min_bytes.clamp(0, max_bytes),
            max_wait: Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)),
        }
    }

    /// Reads up to the last stable offset only, instead of the high watermark.
    pub(super) fn committed(&self) -> bool {
        self.isolation == "read_committed"
    }

    /// All answers, or the same error in place of each.
    pub(super) async fn collect(&self, connection: &Connection, context: &Context) -> Found {
        let mut found = self.begin();
        if let Err(error) = self.fill(connection, context, &mut found).await {
            tracing::debug!(%error, "fetch failed");
            let error_code = error.code(code::NOT_LEADER_OR_FOLLOWER);
            found = self.begin();
            for partition in found
                .partitions
                .iter_mut()
                .filter(|p| p.error_code == code::NONE)
            {
                partition.error_code = error_code;
            }
        }
        found
    }

    /// Before anything was asked.
    fn begin(&self) -> Found {
        Found {
            partitions: self
                .refused
                .iter()
                .map(|error_code| nothing(*error_code))
                .collect(),
            reserved: None,
        }
    }

    /// Nothing is refused.
    fn is_whole(&self) -> bool {
        self.refused
            .iter()
            .all(|error_code| *error_code == code::NONE)
    }

    /// An error is told at once, and so is that nothing was asked for.
    fn may_wait(&self) -> bool {
        self.min_bytes > 0 && !self.max_wait.is_zero() && !self.asked.is_empty() && self.is_whole()
    }

    /// Answers from what was read ahead, if that is what is asked for.
    async fn take_read(&self, connection: &Connection, found: &mut Found) -> bool {
        let positions: Vec<_> = self.asked.iter().map(|asked| &asked.position).collect();
        let min_bytes = usize::try_from(self.min_bytes).unwrap_or(0);
        let read_ahead = &connection.read_ahead;
        let Some(read) = read_ahead.take(self.question(&positions), min_bytes).await else {
            return false;
        };
        found.partitions = read.partitions;
        found.reserved = Some(read.reserved);
        true
    }

    /// Where the answer was cut by its limits, has what lies behind it read.
    pub(super) fn read_ahead(&self, connection: &Connection, found: &Found) {
        let partitions = &found.partitions;
        let bytes: usize = partitions.iter().map(|found| found.records.len()).sum();
        let failed = partitions
            .iter()
            .any(|found| found.error_code != code::NONE);
        let cut = partitions
            .iter()
            .any(|found| found.next_offset < self.end(found));
        if bytes < WORTH_READING_AHEAD || failed || !cut {
            return;
        }
        // What had records comes behind the others, as in a session.
        let mut next: Vec<_> = self.asked.iter().zip(partitions).collect();
        next.sort_by_key(|(_, found)| !found.records.is_empty());
        let next: Vec<_> = next
            .into_iter()
            .map(|(asked, found)| FetchPosition {
                fetch_offset: found.next_offset,
                ..asked.position.clone()
            })
            .collect();
        let positions: Vec<_> = next.iter().collect();
        let question = self.question(&positions);
        connection.read_ahead.begin(&connection.server, question);
    }

    fn question<'a>(&self, positions: &'a [&'a FetchPosition]) -> Question<'a> {
        Question {
            positions,
            isolation: self.isolation,
            max_bytes: self.max_bytes,
        }
    }

    async fn fill(
        &self,
        connection: &Connection,
        context: &Context,
        found: &mut Found,
    ) -> Result<(), DbError> {
        let server = &connection.server;
        if self.is_whole() && self.take_read(connection, found).await {
            return Ok(());
        }
        let all: Vec<usize> = (0..self.asked.len())
            .filter(|index| self.refused.get(*index) == Some(&code::NONE))
            .collect();
        let subjects = if self.may_wait() {
            self.subjects(server).await?
        } else {
            None
        };
        let Some(subjects) = subjects else {
            return self.ask(server, &all, 0, found).await;
        };
        let parking = server.wake.subscribe(subjects);
        let offsets = self.asked.iter().map(|asked| asked.position.fetch_offset);
        if let Some(tails) = parking.known_tails(offsets, self.committed()) {
            found.partitions = tails;
            parking.park(&found.partitions, &[]);
        } else {
            self.ask(server, &all, self.min_bytes, found).await?;
            if is_answer(&found.partitions) {
                return Ok(());
            }
            parking.park(&found.partitions, &all);
        }
        self.wait(connection, context, &parking, found).await
    }

    /// Waits until there is enough or the time is over.
    async fn wait(
        &self,
        connection: &Connection,
        context: &Context,
        parking: &Parking,
        found: &mut Found,
    ) -> Result<(), DbError> {
        let server = &connection.server;
        let deadline = Instant::now() + self.max_wait;
        loop {
            // Nothing is held while waiting.
            found.reserved = None;
            let woken = tokio::select! {
                moved = parking.woken() => Some(moved),
                () = tokio::time::sleep_until(deadline) => None,
                () = context.superseded() => None,
                () = connection.gone.raised() => None,
                () = server.shutdown.raised() => None,
            };
            let mut asked = self.unread(&found.partitions);
            let Some(moved) = woken else {
                // What was not enough is taken now. Where nobody has said that there is
                // more, the nothing already found is the answer.
                return self.ask(server, &asked, 0, found).await;
            };
            if self.min_bytes > 1 {
                tokio::time::sleep_until(deadline.min(Instant::now() + PACE)).await;
            }
            // The others stand where they were found.
            asked.extend(moved);
            asked.sort_unstable();
            asked.dedup();
            self.ask(server, &asked, self.min_bytes, found).await?;
            if is_answer(&found.partitions) {
                return Ok(());
            }
            parking.park(&found.partitions, &asked);
        }
    }

    /// Those that had something to read, if not enough.
    fn unread(&self, found: &[Fetched]) -> Vec<usize> {
        let ends = found.iter().map(|found| self.end(found));
        let offsets = self.asked.iter().map(|asked| asked.position.fetch_offset);
        let unread = ends.zip(offsets).enumerate();
        unread
            .filter(|(_, (end, offset))| end > offset)
            .map(|(index, _)| index)
            .collect()
    }

    /// How far this fetch may read.
    fn end(&self, found: &Fetched) -> i64 {
        if self.committed() {
            found.last_stable_offset
        } else {
            found.high_watermark
        }
    }

    /// One call for these partitions. Where memory is short the answer is smaller than it
    /// might be.
    async fn ask(
        &self,
        server: &Server,
        partitions: &[usize],
        min_bytes: i32,
        found: &mut Found,
    ) -> Result<(), DbError> {
        let asked = partitions.iter().filter_map(|index| self.asked.get(*index));
        let positions: Vec<_> = asked.map(|asked| &asked.position).collect();
        if positions.is_empty() {
            return Ok(());
        }
        let reserved = read::reserve(server, self.max_bytes, &positions).await;
        let call = FetchCall {
            positions: &positions,
            max_bytes: self.max_bytes,
            min_bytes,
            isolation: self.isolation,
        };
        let read = read::read(server, call, reserved).await?;
        found.reserved = Some(read.reserved);
        for (index, answer) in partitions.iter().zip(read.partitions) {
            if let Some(partition) = found.partitions.get_mut(*index) {
                *partition = answer;
            }
        }
        Ok(())
    }

    /// The partitions to wait for by name, or `None` where a topic's name cannot be
    /// told: the answer will say that it is unknown.
    async fn subjects(&self, server: &Server) -> Result<Option<Vec<Subject>>, DbError> {
        let mut subjects: Vec<Subject> = Vec::with_capacity(self.asked.len());
        for asked in &self.asked {
            let position = &asked.position;
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

/// There are records, and so enough of them, or there is an error to tell.
fn is_answer(found: &[Fetched]) -> bool {
    found
        .iter()
        .any(|partition| partition.error_code != code::NONE || !partition.records.is_empty())
}

async fn topic_name(server: &Server, id: Uuid) -> Result<Option<Arc<str>>, DbError> {
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
