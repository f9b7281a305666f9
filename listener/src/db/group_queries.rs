//! Calls about groups and their offsets.

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::DbError;

use super::Call;
use super::groups::{
    AssignedPartition, CommitCall, CommittedCall, CommittedOffset, ConsumerAnswer, ConsumerCall,
    DeleteGroup, DeleteOffsets, DescribeGroups, GroupDescription, Heartbeat, JoinCall, Joined,
    LeaveCall, ListGroups, ListedGroup, MemberDescription, SyncCall, Synced, Wait, WatchedGroup,
};
use super::queries::{TopicArrays, by_index, column, index, list, only_row, sql_text, unexpected};
use super::query::Query;
use super::session::Session;

impl Call for JoinCall<'_> {
    type Answer = Joined;

    async fn run(&self, session: &Session) -> Result<Joined, DbError> {
        let params: [&(dyn ToSql + Sync); 13] = [
            &self.group_id,
            &self.member_id,
            &self.group_instance_id,
            &self.session_timeout_ms,
            &self.rebalance_timeout_ms,
            &self.protocol_type,
            &self.protocols,
            &self.metadata,
            &self.client_id,
            &self.client_host,
            &self.require_member_id,
            &self.reason,
            &self.supports_skipping_assignment,
        ];
        let rows = session.query(Query::JoinGroup, &params).await?;
        let row = only_row(&rows)?;
        Ok(Joined {
            error_code: column(row, 0)?,
            member_id: column(row, 1)?,
            generation_id: column(row, 2)?,
            protocol_type: column(row, 3)?,
            protocol_name: column(row, 4)?,
            leader: column(row, 5)?,
            skip_assignment: column::<Option<bool>>(row, 6)?.unwrap_or(false),
            members: joined_members(row)?,
            wait: wait(row, 10)?,
        })
    }
}

impl Call for SyncCall<'_> {
    type Answer = Synced;

    async fn run(&self, session: &Session) -> Result<Synced, DbError> {
        let params: [&(dyn ToSql + Sync); 8] = [
            &self.group_id,
            &self.generation_id,
            &self.member_id,
            &self.group_instance_id,
            &self.protocol_type,
            &self.protocol_name,
            &self.assigned_member_ids,
            &self.assignments,
        ];
        let rows = session.query(Query::SyncGroup, &params).await?;
        let row = only_row(&rows)?;
        Ok(Synced {
            error_code: column(row, 0)?,
            protocol_type: column(row, 1)?,
            protocol_name: column(row, 2)?,
            assignment: bytes(row, 3)?,
            wait: wait(row, 4)?,
        })
    }
}

impl Call for Heartbeat {
    type Answer = i16;

    async fn run(&self, session: &Session) -> Result<i16, DbError> {
        let params: [&(dyn ToSql + Sync); 4] = [
            &&*self.group_id,
            &self.generation_id,
            &&*self.member_id,
            &self.group_instance_id.as_deref(),
        ];
        let rows = session.query(Query::Heartbeat, &params).await?;
        column(only_row(&rows)?, 0)
    }
}

impl Call for LeaveCall<'_> {
    type Answer = Vec<(i16, Option<String>)>;

    async fn run(&self, session: &Session) -> Result<Vec<(i16, Option<String>)>, DbError> {
        let members: Vec<&str> = self.leaving.iter().map(|l| l.member_id).collect();
        let instances: Vec<Option<&str>> =
            self.leaving.iter().map(|l| l.group_instance_id).collect();
        let reasons: Vec<Option<&str>> = self.leaving.iter().map(|l| l.reason).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&self.group_id, &members, &instances, &reasons];
        let rows = session.query(Query::LeaveGroup, &params).await?;
        by_index(&rows, self.leaving.len(), |row| {
            Ok((column(row, 1)?, column(row, 2)?))
        })
    }
}

impl Call for ConsumerCall<'_> {
    type Answer = ConsumerAnswer;

    async fn run(&self, session: &Session) -> Result<ConsumerAnswer, DbError> {
        let topics = self.subscribed_topics.as_ref();
        let topics: Option<Vec<_>> =
            topics.map(|topics| topics.iter().copied().map(sql_text).collect());
        let owned = self.owned.as_ref();
        let owned_ids: Option<Vec<Uuid>> = owned.map(|o| o.iter().map(|(id, _)| *id).collect());
        let owned_partitions: Option<Vec<i32>> = owned.map(|o| o.iter().map(|(_, p)| *p).collect());
        let params: [&(dyn ToSql + Sync); 13] = [
            &self.group_id,
            &self.member_id,
            &self.member_epoch,
            &topics,
            &self.subscribed_topic_regex,
            &owned_ids,
            &owned_partitions,
            &self.group_instance_id,
            &self.rack_id,
            &self.rebalance_timeout_ms,
            &self.server_assignor,
            &self.client_id,
            &self.client_host,
        ];
        let rows = session
            .query(Query::ConsumerGroupHeartbeat, &params)
            .await?;
        let row = only_row(&rows)?;
        let ids: Option<Vec<Uuid>> = column(row, 5)?;
        let partitions: Option<Vec<i32>> = column(row, 6)?;
        Ok(ConsumerAnswer {
            error_code: column(row, 0)?,
            error_message: column(row, 1)?,
            member_id: column(row, 2)?,
            member_epoch: column::<Option<i32>>(row, 3)?.unwrap_or(0),
            heartbeat_interval_ms: column::<Option<i32>>(row, 4)?.unwrap_or(0),
            assigned: ids
                .zip(partitions)
                .map(|(ids, partitions)| ids.into_iter().zip(partitions).collect()),
        })
    }
}

impl Call for DescribeGroups<'_> {
    type Answer = Vec<GroupDescription>;

    async fn run(&self, session: &Session) -> Result<Vec<GroupDescription>, DbError> {
        let rows = session.query(Query::DescribeGroups, &[&self.0]).await?;
        let mut found: Vec<Option<GroupDescription>> = vec![None; self.0.len()];
        for row in &rows {
            let slot = found
                .get_mut(index(row)?)
                .ok_or_else(|| unexpected("an idx beyond the call's arrays"))?;
            let group = match slot {
                Some(group) => group,
                None => slot.insert(group_description(row)?),
            };
            group.members.extend(member_description(row)?);
        }
        found
            .into_iter()
            .map(|group| group.ok_or_else(|| unexpected("fewer groups than asked for")))
            .collect()
    }
}

impl Call for ListGroups<'_> {
    type Answer = Vec<ListedGroup>;

    async fn run(&self, session: &Session) -> Result<Vec<ListedGroup>, DbError> {
        let states: Vec<_> = self.states.iter().copied().map(sql_text).collect();
        let types: Vec<_> = self.types.iter().copied().map(sql_text).collect();
        let rows = session.query(Query::ListGroups, &[&states, &types]).await?;
        let listed = rows.iter().map(|row| {
            Ok(ListedGroup {
                group_id: column(row, 0)?,
                group_type: column(row, 1)?,
                state: column(row, 2)?,
                protocol_type: column(row, 3)?,
            })
        });
        listed.collect()
    }
}

impl Call for DeleteGroup<'_> {
    type Answer = ();

    async fn run(&self, session: &Session) -> Result<(), DbError> {
        session.query(Query::DeleteGroup, &[&self.0]).await?;
        Ok(())
    }
}

impl Call for CommitCall<'_> {
    type Answer = Vec<i16>;

    async fn run(&self, session: &Session) -> Result<Vec<i16>, DbError> {
        let topics = TopicArrays::new(self.commits.iter().map(|c| c.topic));
        let partitions: Vec<i32> = self.commits.iter().map(|c| c.partition).collect();
        let offsets: Vec<i64> = self.commits.iter().map(|c| c.offset).collect();
        let leader_epochs: Vec<Option<i32>> = self.commits.iter().map(|c| c.leader_epoch).collect();
        let metadata: Vec<Option<&str>> = self.commits.iter().map(|c| c.metadata).collect();
        let params: [&(dyn ToSql + Sync); 10] = [
            &self.group_id,
            &topics.names,
            &partitions,
            &offsets,
            &leader_epochs,
            &metadata,
            &self.member_id,
            &self.generation_id,
            &self.group_instance_id,
            &topics.ids,
        ];
        let rows = session.query(Query::CommitOffsets, &params).await?;
        by_index(&rows, self.commits.len(), |row| column(row, 1))
    }
}

impl Call for CommittedCall<'_> {
    type Answer = Vec<CommittedOffset>;

    async fn run(&self, session: &Session) -> Result<Vec<CommittedOffset>, DbError> {
        let topics = self
            .partitions
            .map(|asked| TopicArrays::new(asked.iter().map(|(topic, _)| *topic)));
        let names = topics.as_ref().map(|topics| &topics.names);
        let ids = topics.as_ref().and_then(|topics| topics.ids.as_ref());
        let numbers: Option<Vec<i32>> = self
            .partitions
            .map(|asked| asked.iter().map(|(_, number)| *number).collect());
        let (member_id, member_epoch) = self.member.unzip();
        let params: [&(dyn ToSql + Sync); 7] = [
            &self.group_id,
            &names,
            &numbers,
            &ids,
            &member_id,
            &member_epoch,
            &self.require_stable,
        ];
        let rows = session.query(Query::CommittedOffsets, &params).await?;
        match self.partitions {
            Some(asked) => by_index(&rows, asked.len(), committed_offset),
            None => rows.iter().map(committed_offset).collect(),
        }
    }
}

impl Call for DeleteOffsets<'_> {
    type Answer = Vec<i16>;

    async fn run(&self, session: &Session) -> Result<Vec<i16>, DbError> {
        let topics: Vec<_> = self.partitions.iter().map(|(t, _)| sql_text(t)).collect();
        let numbers: Vec<i32> = self.partitions.iter().map(|(_, number)| *number).collect();
        let params: [&(dyn ToSql + Sync); 3] = [&self.group_id, &topics, &numbers];
        let rows = session.query(Query::DeleteOffsets, &params).await?;
        by_index(&rows, self.partitions.len(), |row| column(row, 1))
    }
}

impl Session {
    /// An error code for each; `None` where only a call for this one can tell.
    pub async fn heartbeats(&self, heartbeats: &[&Heartbeat]) -> Result<Vec<Option<i16>>, DbError> {
        let groups: Vec<&str> = heartbeats.iter().map(|h| &*h.group_id).collect();
        let generations: Vec<i32> = heartbeats.iter().map(|h| h.generation_id).collect();
        let members: Vec<&str> = heartbeats.iter().map(|h| &*h.member_id).collect();
        let instances: Vec<Option<&str>> = heartbeats
            .iter()
            .map(|h| h.group_instance_id.as_deref())
            .collect();
        let params: [&(dyn ToSql + Sync); 4] = [&groups, &generations, &members, &instances];
        let rows = self.query(Query::Heartbeats, &params).await?;
        by_index(&rows, heartbeats.len(), |row| column(row, 1))
    }

    /// (index into `groups`, version or -1 where the group is gone) of those that have
    /// moved; nothing when the time is over or the wait was interrupted.
    pub async fn wait_for_groups(
        &self,
        groups: &[WatchedGroup],
        max_wait_ms: i32,
        waiter: i32,
    ) -> Result<Vec<(usize, i64)>, DbError> {
        let group_ids: Vec<&str> = groups.iter().map(|g| &*g.group_id).collect();
        let versions: Vec<i64> = groups.iter().map(|g| g.version).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&group_ids, &versions, &max_wait_ms, &waiter];
        let rows = self.query(Query::WaitForGroups, &params).await?;
        rows.iter()
            .map(|row| Ok((index(row)?, column(row, 1)?)))
            .collect()
    }

    pub async fn maintain(&self) -> Result<(), DbError> {
        self.query(Query::Maintain, &[]).await?;
        Ok(())
    }
}

fn wait(row: &Row, first: usize) -> Result<Wait, DbError> {
    Ok(Wait {
        wait_ms: column(row, first)?,
        version: column(row, first + 1)?,
    })
}

fn bytes(row: &Row, number: usize) -> Result<Bytes, DbError> {
    let found: Option<Vec<u8>> = column(row, number)?;
    Ok(found.map(Bytes::from).unwrap_or_default())
}

fn joined_members(row: &Row) -> Result<Vec<(String, Option<String>, Bytes)>, DbError> {
    let ids: Vec<String> = list(row, 7)?;
    let instances: Vec<Option<String>> = list(row, 8)?;
    let metadata: Vec<Vec<u8>> = list(row, 9)?;
    if instances.len() != ids.len() || metadata.len() != ids.len() {
        return Err(unexpected("arrays of different lengths"));
    }
    let rest = instances
        .into_iter()
        .zip(metadata.into_iter().map(Bytes::from));
    Ok(ids
        .into_iter()
        .zip(rest)
        .map(|(id, (instance, metadata))| (id, instance, metadata))
        .collect())
}

fn group_description(row: &Row) -> Result<GroupDescription, DbError> {
    Ok(GroupDescription {
        error_code: column(row, 1)?,
        error_message: column(row, 2)?,
        group_type: column(row, 3)?,
        state: column::<Option<String>>(row, 4)?.unwrap_or_default(),
        protocol_type: column(row, 5)?,
        protocol_name: column(row, 6)?,
        generation_id: column::<Option<i32>>(row, 7)?.unwrap_or(0),
        assignment_epoch: column::<Option<i32>>(row, 8)?.unwrap_or(0),
        members: Vec::new(),
    })
}

/// `None`: the row of a group without members.
fn member_description(row: &Row) -> Result<Option<MemberDescription>, DbError> {
    let Some(member_id) = column(row, 9)? else {
        return Ok(None);
    };
    Ok(Some(MemberDescription {
        member_id,
        group_instance_id: column(row, 10)?,
        member_type: column(row, 11)?,
        member_epoch: column::<Option<i32>>(row, 12)?.unwrap_or(-1),
        client_id: column::<Option<String>>(row, 13)?.unwrap_or_default(),
        client_host: column::<Option<String>>(row, 14)?.unwrap_or_default(),
        rack_id: column(row, 15)?,
        subscribed_topics: list(row, 16)?,
        subscribed_topic_regex: column(row, 17)?,
        metadata: bytes(row, 18)?,
        assignment: bytes(row, 19)?,
        assigned: assigned(row, 20)?,
        target: assigned(row, 23)?,
    }))
}

/// Topics, topic ids and partitions, one array each.
fn assigned(row: &Row, first: usize) -> Result<Vec<AssignedPartition>, DbError> {
    let topics: Vec<Option<String>> = list(row, first)?;
    let ids: Vec<Uuid> = list(row, first + 1)?;
    let partitions: Vec<i32> = list(row, first + 2)?;
    let assigned = topics.into_iter().zip(ids).zip(partitions);
    Ok(assigned
        .map(|((topic, topic_id), partition)| AssignedPartition {
            topic: topic.unwrap_or_default(),
            topic_id,
            partition,
        })
        .collect())
}

fn committed_offset(row: &Row) -> Result<CommittedOffset, DbError> {
    Ok(CommittedOffset {
        error_code: column::<Option<i16>>(row, 1)?.unwrap_or(0),
        topic: column::<Option<String>>(row, 2)?.unwrap_or_default(),
        topic_id: column::<Option<Uuid>>(row, 3)?.unwrap_or_default(),
        partition: column(row, 4)?,
        offset: column::<Option<i64>>(row, 5)?.unwrap_or(-1),
        leader_epoch: column::<Option<i32>>(row, 6)?.unwrap_or(-1),
        metadata: column::<Option<String>>(row, 7)?.unwrap_or_default(),
    })
}
