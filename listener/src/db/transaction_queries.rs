//! Calls about producers and their transactions.

use std::borrow::Cow;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::DbError;

use super::Call;
use super::queries::{TopicArrays, by_index, column, index, list, only_row, sql_text, unexpected};
use super::query::Query;
use super::session::Session;
use super::transactions::{
    ActiveProducer, AddOffsetsCall, AddPartitionsCall, DescribeProducers, DescribeTransactions,
    EndTxnCall, InitProducerIdCall, ListTransactions, ListedTransaction, PartitionProducers,
    ProducerAnswer, TransactionDescription, TxnOffsetCommitCall, WriteMarkers,
};

impl Call for InitProducerIdCall<'_> {
    type Answer = ProducerAnswer;

    async fn run(&self, session: &Session) -> Result<ProducerAnswer, DbError> {
        let (producer_id, producer_epoch) = self.current.unzip();
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.transactional_id,
            &self.transaction_timeout_ms,
            &producer_id,
            &producer_epoch,
        ];
        let rows = session.query(Query::InitProducerId, &params).await?;
        producer_answer(only_row(&rows)?)
    }
}

impl Call for AddPartitionsCall<'_> {
    type Answer = Vec<i16>;

    async fn run(&self, session: &Session) -> Result<Vec<i16>, DbError> {
        let (topics, numbers) = partition_arrays(self.partitions);
        let params: [&(dyn ToSql + Sync); 6] = [
            &self.producer.transactional_id,
            &self.producer.producer_id,
            &self.producer.producer_epoch,
            &topics,
            &numbers,
            &self.verify_only,
        ];
        let rows = session.query(Query::AddPartitionsToTxn, &params).await?;
        by_index(&rows, self.partitions.len(), |row| column(row, 1))
    }
}

impl Call for AddOffsetsCall<'_> {
    type Answer = i16;

    async fn run(&self, session: &Session) -> Result<i16, DbError> {
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.producer.transactional_id,
            &self.producer.producer_id,
            &self.producer.producer_epoch,
            &self.group_id,
        ];
        let rows = session.query(Query::AddOffsetsToTxn, &params).await?;
        column(only_row(&rows)?, 0)
    }
}

impl Call for TxnOffsetCommitCall<'_> {
    type Answer = Vec<i16>;

    async fn run(&self, session: &Session) -> Result<Vec<i16>, DbError> {
        let topics = TopicArrays::new(self.commits.iter().map(|c| c.topic));
        let partitions: Vec<i32> = self.commits.iter().map(|c| c.partition).collect();
        let offsets: Vec<i64> = self.commits.iter().map(|c| c.offset).collect();
        let leader_epochs: Vec<Option<i32>> = self.commits.iter().map(|c| c.leader_epoch).collect();
        let metadata: Vec<Option<&str>> = self.commits.iter().map(|c| c.metadata).collect();
        let params: [&(dyn ToSql + Sync); 13] = [
            &self.producer.transactional_id,
            &self.group_id,
            &self.producer.producer_id,
            &self.producer.producer_epoch,
            &topics.names,
            &partitions,
            &offsets,
            &leader_epochs,
            &metadata,
            &self.member_id,
            &self.generation_id,
            &self.group_instance_id,
            &self.transaction_version,
        ];
        let rows = session.query(Query::TxnOffsetCommit, &params).await?;
        by_index(&rows, self.commits.len(), |row| column(row, 1))
    }
}

impl Call for EndTxnCall<'_> {
    type Answer = ProducerAnswer;

    async fn run(&self, session: &Session) -> Result<ProducerAnswer, DbError> {
        let params: [&(dyn ToSql + Sync); 5] = [
            &self.producer.transactional_id,
            &self.producer.producer_id,
            &self.producer.producer_epoch,
            &self.committed,
            &self.transaction_version,
        ];
        let rows = session.query(Query::EndTxn, &params).await?;
        producer_answer(only_row(&rows)?)
    }
}

impl Call for WriteMarkers<'_> {
    type Answer = Vec<i16>;

    async fn run(&self, session: &Session) -> Result<Vec<i16>, DbError> {
        let producer_ids: Vec<i64> = self.0.iter().map(|m| m.producer_id).collect();
        let producer_epochs: Vec<i16> = self.0.iter().map(|m| m.producer_epoch).collect();
        let committed: Vec<bool> = self.0.iter().map(|m| m.committed).collect();
        let topics: Vec<_> = self.0.iter().map(|m| sql_text(m.topic)).collect();
        let partitions: Vec<i32> = self.0.iter().map(|m| m.partition).collect();
        let coordinator_epochs: Vec<i32> = self.0.iter().map(|m| m.coordinator_epoch).collect();
        let params: [&(dyn ToSql + Sync); 6] = [
            &producer_ids,
            &producer_epochs,
            &committed,
            &topics,
            &partitions,
            &coordinator_epochs,
        ];
        let rows = session.query(Query::WriteTxnMarkers, &params).await?;
        by_index(&rows, self.0.len(), |row| column(row, 1))
    }
}

impl Call for DescribeProducers<'_> {
    type Answer = Vec<PartitionProducers>;

    async fn run(&self, session: &Session) -> Result<Vec<PartitionProducers>, DbError> {
        let (topics, numbers) = partition_arrays(self.0);
        let rows = session
            .query(Query::DescribeProducers, &[&topics, &numbers])
            .await?;
        let mut found: Vec<Option<PartitionProducers>> = vec![None; self.0.len()];
        for row in &rows {
            let slot = found
                .get_mut(index(row)?)
                .ok_or_else(|| unexpected("an idx beyond the call's arrays"))?;
            let partition = match slot {
                Some(partition) => partition,
                None => slot.insert(PartitionProducers {
                    error_code: column(row, 1)?,
                    error_message: column(row, 2)?,
                    producers: Vec::new(),
                }),
            };
            partition.producers.extend(active_producer(row)?);
        }
        found
            .into_iter()
            .map(|partition| partition.ok_or_else(|| unexpected("fewer rows than partitions")))
            .collect()
    }
}

impl Call for DescribeTransactions<'_> {
    type Answer = Vec<TransactionDescription>;

    async fn run(&self, session: &Session) -> Result<Vec<TransactionDescription>, DbError> {
        let rows = session
            .query(Query::DescribeTransactions, &[&self.0])
            .await?;
        by_index(&rows, self.0.len(), |row| {
            let topics: Vec<String> = list(row, 7)?;
            let numbers: Vec<i32> = list(row, 8)?;
            Ok(TransactionDescription {
                error_code: column(row, 1)?,
                state: column::<Option<String>>(row, 2)?.unwrap_or_default(),
                timeout_ms: column::<Option<i32>>(row, 3)?.unwrap_or(0),
                started_at: number(row, 4)?,
                producer_id: number(row, 5)?,
                producer_epoch: column::<Option<i16>>(row, 6)?.unwrap_or(-1),
                partitions: topics.into_iter().zip(numbers).collect(),
            })
        })
    }
}

impl Call for ListTransactions<'_> {
    type Answer = Vec<ListedTransaction>;

    async fn run(&self, session: &Session) -> Result<Vec<ListedTransaction>, DbError> {
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.states,
            &self.producer_ids,
            &self.min_duration_ms,
            &self.transactional_id_pattern,
        ];
        let rows = session.query(Query::ListTransactions, &params).await?;
        let listed = rows.iter().map(|row| {
            Ok(ListedTransaction {
                transactional_id: column(row, 0)?,
                producer_id: column(row, 1)?,
                state: column(row, 2)?,
            })
        });
        listed.collect()
    }
}

fn partition_arrays<'a>(partitions: &[(&'a str, i32)]) -> (Vec<Cow<'a, str>>, Vec<i32>) {
    let partitions = partitions.iter();
    partitions
        .map(|(topic, number)| (sql_text(topic), *number))
        .unzip()
}

/// -1 where the database says nothing.
fn number(row: &Row, place: usize) -> Result<i64, DbError> {
    Ok(column::<Option<i64>>(row, place)?.unwrap_or(-1))
}

fn producer_answer(row: &Row) -> Result<ProducerAnswer, DbError> {
    Ok(ProducerAnswer {
        error_code: column(row, 0)?,
        producer_id: number(row, 1)?,
        producer_epoch: column::<Option<i16>>(row, 2)?.unwrap_or(-1),
    })
}

/// `None`: the row of a partition without producers.
fn active_producer(row: &Row) -> Result<Option<ActiveProducer>, DbError> {
    let Some(producer_id) = column(row, 3)? else {
        return Ok(None);
    };
    Ok(Some(ActiveProducer {
        producer_id,
        producer_epoch: column::<Option<i16>>(row, 4)?.unwrap_or(-1),
        last_sequence: column::<Option<i32>>(row, 5)?.unwrap_or(-1),
        last_timestamp: number(row, 6)?,
        coordinator_epoch: column::<Option<i32>>(row, 7)?.unwrap_or(-1),
        txn_first_offset: number(row, 8)?,
    }))
}
