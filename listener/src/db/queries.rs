//! Topics, records and waits: arrays in, one row per element out.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::error::DbError;

use super::packed;
use super::query::Query;
use super::session::{Sent, Session};

/// A topic as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicRef {
    Name(String),
    Id(Uuid),
}

impl TopicRef {
    fn name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Name(name) => Some(sql_text(name)),
            Self::Id(_) => None,
        }
    }

    pub fn id(&self) -> Option<Uuid> {
        match self {
            Self::Name(_) => None,
            Self::Id(id) => Some(*id),
        }
    }
}

/// A client's string as any database encoding can hold it. What is changed was no legal
/// name before and is none after.
pub(super) fn sql_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect()
}

/// The arrays `topics` and `topic_ids`, the latter null where no element has one.
pub(super) struct TopicArrays<'a> {
    pub(super) names: Vec<Option<Cow<'a, str>>>,
    pub(super) ids: Option<Vec<Option<Uuid>>>,
}

impl<'a> TopicArrays<'a> {
    pub(super) fn new(topics: impl Iterator<Item = &'a TopicRef> + Clone) -> Self {
        let ids: Vec<_> = topics.clone().map(TopicRef::id).collect();
        Self {
            names: topics.map(TopicRef::name).collect(),
            ids: Some(ids).filter(|ids| ids.iter().any(Option::is_some)),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct ClusterInfo {
    pub cluster_id: String,
    pub leader_epoch: i32,
    pub in_recovery: bool,
}

#[derive(Debug, Clone)]
pub struct TopicDescription {
    pub topic: Option<String>,
    pub topic_id: Option<Uuid>,
    pub partitions: i32,
    pub error_code: i16,
    pub error_message: Option<String>,
}

/// One partition's share of a produce call.
#[derive(Debug, Clone)]
pub struct Batches {
    pub topic: TopicRef,
    pub partition: i32,
    pub records: Bytes,
    /// Of batches that are part of one.
    pub transaction: Option<BatchTransaction>,
}

#[derive(Debug, Clone)]
pub struct BatchTransaction {
    pub transactional_id: StrBytes,
    /// 2 where the partition becomes part of the transaction by the batch (KIP-890), 1
    /// where it has to be.
    pub version: i16,
}

#[derive(Debug, Clone)]
pub struct Produced {
    pub error_code: i16,
    pub error_message: Option<String>,
    pub base_offset: i64,
    pub log_append_time: i64,
    pub log_start_offset: i64,
}

#[derive(Debug, Clone)]
pub struct FetchPosition {
    /// Shared by the partitions of a topic.
    pub topic: Arc<TopicRef>,
    pub partition: i32,
    pub fetch_offset: i64,
    pub max_bytes: i32,
}

/// A call of `kafka.fetch_batches_packed`.
#[derive(Debug, Clone, Copy)]
pub struct FetchCall<'a> {
    pub positions: &'a [&'a FetchPosition],
    pub max_bytes: i32,
    pub min_bytes: i32,
    pub isolation: &'a str,
}

#[derive(Debug, Clone)]
pub struct Fetched {
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    /// Behind the last batch of `records`; where there is none, the offset asked for.
    pub next_offset: i64,
    /// Whose batches a reader at `read_committed` skips: (producer id, first offset) each.
    pub aborted: Vec<(i64, i64)>,
    pub records: Bytes,
}

#[derive(Debug, Clone)]
pub struct ListedOffset {
    pub error_code: i16,
    pub offset: i64,
    pub timestamp: i64,
    pub leader_epoch: i32,
}

/// A partition parked fetches wait for, and the high watermark they know.
#[derive(Debug, Clone)]
pub struct WatchedPartition {
    pub topic: Arc<str>,
    pub partition: i32,
    pub high_watermark: i64,
}

pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, DbError> {
    row.try_get(column).map_err(DbError::from)
}

/// `idx` counts from 1; rows may come in any order.
pub(super) fn index(row: &Row) -> Result<usize, DbError> {
    let idx: i32 = column(row, 0)?;
    usize::try_from(idx.wrapping_sub(1)).map_err(|_| unexpected("an idx below 1"))
}

pub(super) fn unexpected(what: &str) -> DbError {
    DbError::Server {
        sqlstate: "XX000".into(),
        message: format!("pg_kafka returned {what}"),
        detail: None,
        hint: Some("Run the listener and the extension in the same version.".into()),
        fatal: false,
    }
}

/// Puts rows into the order of the call's arrays; every element has to have one.
pub(super) fn by_index<T>(
    rows: &[Row],
    count: usize,
    read: impl Fn(&Row) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let mut found: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for row in rows {
        let slot = found
            .get_mut(index(row)?)
            .ok_or_else(|| unexpected("an idx beyond the call's arrays"))?;
        *slot = Some(read(row)?);
    }
    found
        .into_iter()
        .map(|element| element.ok_or_else(|| unexpected("fewer rows than elements")))
        .collect()
}

/// Nothing where the database says nothing.
pub(super) fn list<T>(row: &Row, number: usize) -> Result<Vec<T>, DbError>
where
    Option<Vec<T>>: for<'a> FromSql<'a>,
{
    Ok(column::<Option<Vec<T>>>(row, number)?.unwrap_or_default())
}

pub(super) fn only_row(rows: &[Row]) -> Result<&Row, DbError> {
    rows.first().ok_or_else(|| unexpected("no row"))
}

/// A row that is kept for as long as a part of its column is being sent.
struct OnlyColumn(Row);

impl AsRef<[u8]> for OnlyColumn {
    fn as_ref(&self) -> &[u8] {
        self.0.try_get(0).unwrap_or_default()
    }
}

impl Session {
    pub async fn cluster(&self) -> Result<ClusterInfo, DbError> {
        let rows = self.query(Query::Cluster, &[]).await?;
        let row = only_row(&rows)?;
        Ok(ClusterInfo {
            cluster_id: column(row, 0)?,
            leader_epoch: column(row, 1)?,
            in_recovery: column(row, 2)?,
        })
    }

    /// `None`: every topic.
    pub async fn describe_topics(
        &self,
        topics: Option<&[TopicRef]>,
        auto_create: bool,
    ) -> Result<Vec<TopicDescription>, DbError> {
        let arrays = topics.map(|topics| TopicArrays::new(topics.iter()));
        let names = arrays.as_ref().map(|arrays| &arrays.names);
        let ids = arrays.as_ref().and_then(|arrays| arrays.ids.as_ref());
        let rows = self
            .query(Query::DescribeTopics, &[&names, &ids, &auto_create])
            .await?;
        let count = topics.map_or(rows.len(), <[_]>::len);
        by_index(&rows, count, |row| {
            Ok(TopicDescription {
                topic: column(row, 1)?,
                topic_id: column(row, 2)?,
                partitions: column::<Option<i32>>(row, 3)?.unwrap_or(0),
                error_code: column(row, 4)?,
                error_message: column(row, 5)?,
            })
        })
    }

    /// The new topic's id (none with `validate_only`) and number of partitions.
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: Option<i32>,
        config: &str,
        validate_only: bool,
    ) -> Result<(Option<Uuid>, i32), DbError> {
        let topic = sql_text(topic);
        let params: [&(dyn ToSql + Sync); 4] = [&topic, &partitions, &config, &validate_only];
        let rows = self.query(Query::CreateTopic, &params).await?;
        let row = only_row(&rows)?;
        Ok((column(row, 0)?, column(row, 1)?))
    }

    pub async fn delete_topic(&self, topic: &str) -> Result<(), DbError> {
        self.query(Query::DeleteTopic, &[&sql_text(topic)]).await?;
        Ok(())
    }

    /// The new log start offset.
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        before_offset: i64,
    ) -> Result<i64, DbError> {
        let params: [&(dyn ToSql + Sync); 3] = [&sql_text(topic), &partition, &before_offset];
        let rows = self.query(Query::DeleteRecords, &params).await?;
        column(only_row(&rows)?, 0)
    }

    pub async fn create_partitions(
        &self,
        topic: &str,
        partitions: i32,
        validate_only: bool,
    ) -> Result<(), DbError> {
        let params: [&(dyn ToSql + Sync); 3] = [&sql_text(topic), &partitions, &validate_only];
        self.query(Query::CreatePartitions, &params).await?;
        Ok(())
    }

    pub async fn produce_batches(&self, batches: &[&Batches]) -> Result<Vec<Produced>, DbError> {
        let call = ProduceCall::new(batches);
        let rows = self.query(Query::ProduceBatches, &call.params()).await?;
        produced(&rows, batches.len())
    }

    /// Sends batches, to be appended later.
    pub async fn send_batches(&mut self, batches: &[&Batches]) -> Result<SentBatches<'_>, DbError> {
        let call = ProduceCall::new(batches);
        Ok(SentBatches {
            sent: self.send(Query::ProduceBatches, &call.params()).await?,
            count: batches.len(),
        })
    }

    pub async fn fetch_batches(&self, call: &FetchCall<'_>) -> Result<Vec<Fetched>, DbError> {
        let positions = call.positions;
        let arrays = TopicArrays::new(positions.iter().map(|position| &*position.topic));
        let partitions: Vec<i32> = positions.iter().map(|p| p.partition).collect();
        let offsets: Vec<i64> = positions.iter().map(|p| p.fetch_offset).collect();
        let partition_max_bytes: Vec<i32> = positions.iter().map(|p| p.max_bytes).collect();
        let params: [&(dyn ToSql + Sync); 8] = [
            &arrays.names,
            &partitions,
            &offsets,
            &partition_max_bytes,
            &call.max_bytes,
            &call.min_bytes,
            &call.isolation,
            &arrays.ids,
        ];
        let rows = self.query(Query::FetchBatches, &params).await?;
        let row = rows
            .into_iter()
            .next()
            .ok_or_else(|| unexpected("no row"))?;
        // Checked here, so that the column can be lent out without a check later.
        column::<&[u8]>(&row, 0)?;
        packed::unpack(Bytes::from_owner(OnlyColumn(row)), positions.len())
    }

    pub async fn list_offsets(
        &self,
        partitions: &[(String, i32, i64)],
        isolation: &str,
    ) -> Result<Vec<ListedOffset>, DbError> {
        let topics: Vec<_> = partitions.iter().map(|(name, ..)| sql_text(name)).collect();
        let numbers: Vec<i32> = partitions.iter().map(|(_, number, _)| *number).collect();
        let timestamps: Vec<i64> = partitions.iter().map(|(.., time)| *time).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&topics, &numbers, &timestamps, &isolation];
        let rows = self.query(Query::ListOffsets, &params).await?;
        by_index(&rows, partitions.len(), |row| {
            Ok(ListedOffset {
                error_code: column(row, 1)?,
                offset: column::<Option<i64>>(row, 2)?.unwrap_or(-1),
                timestamp: column::<Option<i64>>(row, 3)?.unwrap_or(-1),
                leader_epoch: column::<Option<i32>>(row, 4)?.unwrap_or(-1),
            })
        })
    }

    /// (index into `partitions`, high watermark or -1 where the partition is gone) of
    /// those that have moved; nothing when the time is over or the wait was interrupted.
    pub async fn wait_for_records(
        &self,
        partitions: &[WatchedPartition],
        max_wait_ms: i32,
        waiter: i32,
    ) -> Result<Vec<(usize, i64)>, DbError> {
        let topics: Vec<&str> = partitions.iter().map(|p| &*p.topic).collect();
        let numbers: Vec<i32> = partitions.iter().map(|p| p.partition).collect();
        let known: Vec<i64> = partitions.iter().map(|p| p.high_watermark).collect();
        let params: [&(dyn ToSql + Sync); 5] = [&topics, &numbers, &known, &max_wait_ms, &waiter];
        let rows = self.query(Query::WaitForRecords, &params).await?;
        rows.iter()
            .map(|row| Ok((index(row)?, column(row, 1)?)))
            .collect()
    }

    /// The number of sessions woken.
    pub async fn interrupt_wait(&self, waiter: i32) -> Result<i32, DbError> {
        let rows = self.query(Query::InterruptWait, &[&waiter]).await?;
        column(only_row(&rows)?, 0)
    }
}

/// Batches that the server has and has not appended yet.
pub struct SentBatches<'a> {
    sent: Sent<'a>,
    count: usize,
}

impl SentBatches<'_> {
    /// Other sessions' batches come behind these from now on. The answer holds when they are
    /// committed.
    pub async fn append(&self) -> Result<Vec<Produced>, DbError> {
        produced(&self.sent.run().await?, self.count)
    }

    pub async fn commit(self) -> Result<(), DbError> {
        self.sent.commit().await
    }
}

/// The arguments of `kafka.produce_batches_packed`.
struct ProduceCall<'a> {
    topics: TopicArrays<'a>,
    partitions: Vec<i32>,
    lengths: Vec<i32>,
    records: Joined<'a>,
    /// Each request's acks were judged before requests were joined.
    acks: i16,
    transactional_ids: Option<Vec<Option<&'a str>>>,
    versions: Option<Vec<i16>>,
}

impl<'a> ProduceCall<'a> {
    fn new(batches: &[&'a Batches]) -> Self {
        let (transactional_ids, versions) = transaction_arrays(batches).unzip();
        Self {
            topics: TopicArrays::new(batches.iter().map(|batches| &batches.topic)),
            partitions: batches.iter().map(|batches| batches.partition).collect(),
            // Frames are shorter.
            lengths: batches.iter().map(|b| b.records.len() as i32).collect(),
            records: Joined(batches.iter().map(|b| &b.records[..]).collect()),
            acks: -1,
            transactional_ids,
            versions,
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 8] {
        [
            &self.topics.names,
            &self.partitions,
            &self.lengths,
            &self.records,
            &self.topics.ids,
            &self.acks,
            &self.transactional_ids,
            &self.versions,
        ]
    }
}

/// One bytea, which is written into the message at once: a buffer that grows copies what it
/// has again and again.
#[derive(Debug)]
struct Joined<'a>(Vec<&'a [u8]>);

impl ToSql for Joined<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.reserve(self.0.iter().map(|part| part.len()).sum());
        for part in &self.0 {
            out.extend_from_slice(part);
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }

    to_sql_checked!();
}

fn produced(rows: &[Row], count: usize) -> Result<Vec<Produced>, DbError> {
    by_index(rows, count, |row| {
        Ok(Produced {
            error_code: column(row, 1)?,
            error_message: column(row, 2)?,
            base_offset: column::<Option<i64>>(row, 3)?.unwrap_or(-1),
            log_append_time: column::<Option<i64>>(row, 4)?.unwrap_or(-1),
            log_start_offset: column::<Option<i64>>(row, 5)?.unwrap_or(-1),
        })
    })
}

/// Transactional ids and versions, or nothing where no batch is part of a transaction.
fn transaction_arrays<'a>(batches: &[&'a Batches]) -> Option<(Vec<Option<&'a str>>, Vec<i16>)> {
    let transactions = batches.iter().map(|batches| batches.transaction.as_ref());
    transactions.clone().flatten().next()?;
    let arrays = transactions.map(|transaction| match transaction {
        Some(transaction) => (Some(&*transaction.transactional_id), transaction.version),
        None => (None, 1),
    });
    Some(arrays.unzip())
}
