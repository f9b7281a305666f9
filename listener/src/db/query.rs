//! The SQL the listener speaks: one statement per function of schema `kafka`.

/// Casts choose among overloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    Cluster,
    DescribeTopics,
    CreateTopic,
    DeleteTopic,
    DeleteRecords,
    CreatePartitions,
    ProduceBatches,
    FetchBatches,
    ListOffsets,
    WaitForRecords,
    InterruptWait,
    JoinGroup,
    SyncGroup,
    Heartbeat,
    Heartbeats,
    LeaveGroup,
    ConsumerGroupHeartbeat,
    DescribeGroups,
    ListGroups,
    DeleteGroup,
    CommitOffsets,
    CommittedOffsets,
    DeleteOffsets,
    WaitForGroups,
    InitProducerId,
    AddPartitionsToTxn,
    AddOffsetsToTxn,
    TxnOffsetCommit,
    EndTxn,
    WriteTxnMarkers,
    DescribeProducers,
    DescribeTransactions,
    ListTransactions,
    Maintain,
}

impl Query {
    pub const COUNT: usize = Self::Maintain as usize + 1;

    pub fn sql(self) -> &'static str {
        match self {
            Self::Cluster => "SELECT cluster_id, leader_epoch, in_recovery FROM kafka.cluster()",
            Self::DescribeTopics => {
                "SELECT idx, topic, topic_id, partitions, error_code, error_message \
                 FROM kafka.describe_topics($1::text[], $2::uuid[], $3::bool)"
            }
            // The default that the server has applied is read after it has applied it.
            Self::CreateTopic => {
                "WITH created AS MATERIALIZED (SELECT kafka.create_topic($1::text, $2::int4, \
                 $3::text::jsonb, $4::bool) AS topic_id) SELECT topic_id, coalesce($2::int4, \
                 current_setting('pg_kafka.default_partitions')::int4) FROM created"
            }
            Self::DeleteTopic => "SELECT kafka.delete_topic($1::text)",
            Self::DeleteRecords => "SELECT kafka.delete_records($1::text, $2::int4, $3::int8)",
            Self::CreatePartitions => {
                "SELECT kafka.create_partitions($1::text, $2::int4, $3::bool)"
            }
            Self::ProduceBatches => {
                "SELECT idx, error_code, error_message, base_offset, log_append_time, \
                 log_start_offset FROM kafka.produce_batches_packed($1::text[], $2::int4[], \
                 $3::int4[], $4::bytea, $5::uuid[], $6::int2, $7::text[], $8::int2[])"
            }
            Self::FetchBatches => {
                "SELECT kafka.fetch_batches_packed(topics => $1::text[], \
                 partitions => $2::int4[], offsets => $3::int8[], \
                 partition_max_bytes => $4::int4[], max_bytes => $5::int4, \
                 min_bytes => $6::int4, isolation => $7::text, topic_ids => $8::uuid[])"
            }
            Self::ListOffsets => {
                "SELECT idx, error_code, \"offset\", \"timestamp\", leader_epoch \
                 FROM kafka.list_offsets($1::text[], $2::int4[], $3::int8[], $4::text)"
            }
            Self::WaitForRecords => {
                "SELECT idx, high_watermark FROM kafka.wait_for_records($1::text[], $2::int4[], \
                 $3::int8[], $4::int4, $5::int4)"
            }
            Self::InterruptWait => "SELECT kafka.interrupt_wait($1::int4)",
            Self::Maintain => "SELECT count(*) FROM kafka.maintain()",
            // Parameters go by name where there are many, most of them with a default.
            Self::JoinGroup => {
                "SELECT error_code, member_id, generation_id, protocol_type, protocol_name, \
                 leader, skip_assignment, member_ids, member_instance_ids, member_metadata, \
                 wait_ms, version FROM kafka.join_group(group_id => $1::text, \
                 member_id => $2::text, group_instance_id => $3::text, \
                 session_timeout_ms => $4::int4, rebalance_timeout_ms => $5::int4, \
                 protocol_type => $6::text, protocols => $7::text[], metadata => $8::bytea[], \
                 client_id => $9::text, client_host => $10::text, \
                 require_member_id => $11::bool, reason => $12::text, \
                 supports_skipping_assignment => $13::bool)"
            }
            Self::SyncGroup => {
                "SELECT error_code, protocol_type, protocol_name, assignment, wait_ms, version \
                 FROM kafka.sync_group(group_id => $1::text, generation_id => $2::int4, \
                 member_id => $3::text, group_instance_id => $4::text, \
                 protocol_type => $5::text, protocol_name => $6::text, \
                 assigned_member_ids => $7::text[], assignments => $8::bytea[])"
            }
            Self::Heartbeat => {
                "SELECT error_code FROM kafka.heartbeat(group_id => $1::text, \
                 generation_id => $2::int4, member_id => $3::text, \
                 group_instance_id => $4::text)"
            }
            Self::Heartbeats => {
                "SELECT idx, error_code FROM kafka.heartbeats(group_ids => $1::text[], \
                 generation_ids => $2::int4[], member_ids => $3::text[], \
                 group_instance_ids => $4::text[])"
            }
            Self::LeaveGroup => {
                "SELECT idx, error_code, member_id FROM kafka.leave_group(group_id => $1::text, \
                 member_ids => $2::text[], group_instance_ids => $3::text[], \
                 reasons => $4::text[])"
            }
            Self::ConsumerGroupHeartbeat => {
                "SELECT error_code, error_message, member_id, member_epoch, \
                 heartbeat_interval_ms, assigned_topic_ids, assigned_partitions \
                 FROM kafka.consumer_group_heartbeat(group_id => $1::text, \
                 member_id => $2::text, member_epoch => $3::int4, \
                 subscribed_topics => $4::text[], subscribed_topic_regex => $5::text, \
                 owned_topic_ids => $6::uuid[], owned_partitions => $7::int4[], \
                 group_instance_id => $8::text, rack_id => $9::text, \
                 rebalance_timeout_ms => $10::int4, server_assignor => $11::text, \
                 client_id => $12::text, client_host => $13::text)"
            }
            Self::DescribeGroups => {
                "SELECT idx, error_code, error_message, group_type, state, protocol_type, \
                 protocol_name, generation_id, assignment_epoch, member_id, group_instance_id, \
                 member_type, member_epoch, client_id, client_host, rack_id, subscribed_topics, \
                 subscribed_topic_regex, metadata, assignment, assigned_topics, \
                 assigned_topic_ids, assigned_partitions, target_topics, target_topic_ids, \
                 target_partitions FROM kafka.describe_groups($1::text[])"
            }
            Self::ListGroups => {
                "SELECT group_id, group_type, state, protocol_type \
                 FROM kafka.list_groups($1::text[], $2::text[])"
            }
            Self::DeleteGroup => "SELECT kafka.delete_group($1::text)",
            Self::CommitOffsets => {
                "SELECT idx, error_code FROM kafka.commit_offsets(group_id => $1::text, \
                 topics => $2::text[], partitions => $3::int4[], offsets => $4::int8[], \
                 leader_epochs => $5::int4[], metadata => $6::text[], member_id => $7::text, \
                 generation_id => $8::int4, group_instance_id => $9::text, \
                 topic_ids => $10::uuid[])"
            }
            Self::CommittedOffsets => {
                "SELECT idx, error_code, topic, topic_id, partition, \"offset\", leader_epoch, \
                 metadata FROM kafka.committed_offsets(group_id => $1::text, \
                 topics => $2::text[], partitions => $3::int4[], topic_ids => $4::uuid[], \
                 member_id => $5::text, member_epoch => $6::int4, \
                 require_stable => $7::bool)"
            }
            Self::DeleteOffsets => {
                "SELECT idx, error_code \
                 FROM kafka.delete_offsets($1::text, $2::text[], $3::int4[])"
            }
            Self::WaitForGroups => {
                "SELECT idx, version \
                 FROM kafka.wait_for_groups($1::text[], $2::int8[], $3::int4, $4::int4)"
            }
            Self::InitProducerId => {
                "SELECT error_code, producer_id, producer_epoch \
                 FROM kafka.init_producer_id(transactional_id => $1::text, \
                 transaction_timeout_ms => $2::int4, producer_id => $3::int8, \
                 producer_epoch => $4::int2)"
            }
            Self::AddPartitionsToTxn => {
                "SELECT idx, error_code FROM kafka.add_partitions_to_txn($1::text, $2::int8, \
                 $3::int2, $4::text[], $5::int4[], $6::bool)"
            }
            Self::AddOffsetsToTxn => {
                "SELECT error_code \
                 FROM kafka.add_offsets_to_txn($1::text, $2::int8, $3::int2, $4::text)"
            }
            Self::TxnOffsetCommit => {
                "SELECT idx, error_code \
                 FROM kafka.txn_offset_commit(transactional_id => $1::text, \
                 group_id => $2::text, producer_id => $3::int8, producer_epoch => $4::int2, \
                 topics => $5::text[], partitions => $6::int4[], offsets => $7::int8[], \
                 leader_epochs => $8::int4[], metadata => $9::text[], member_id => $10::text, \
                 generation_id => $11::int4, group_instance_id => $12::text, \
                 transaction_version => $13::int2)"
            }
            Self::EndTxn => {
                "SELECT error_code, producer_id, producer_epoch \
                 FROM kafka.end_txn($1::text, $2::int8, $3::int2, $4::bool, $5::int2)"
            }
            Self::WriteTxnMarkers => {
                "SELECT idx, error_code FROM kafka.write_txn_markers($1::int8[], $2::int2[], \
                 $3::bool[], $4::text[], $5::int4[], $6::int4[])"
            }
            Self::DescribeProducers => {
                "SELECT idx, error_code, error_message, producer_id, producer_epoch, \
                 last_sequence, last_timestamp, coordinator_epoch, txn_first_offset \
                 FROM kafka.describe_producers($1::text[], $2::int4[])"
            }
            Self::DescribeTransactions => {
                "SELECT idx, error_code, state, timeout_ms, started_at, producer_id, \
                 producer_epoch, topics, partitions FROM kafka.describe_transactions($1::text[])"
            }
            Self::ListTransactions => {
                "SELECT transactional_id, producer_id, state FROM kafka.list_transactions( \
                 $1::text[], $2::int8[], $3::int8, $4::text)"
            }
        }
    }
}
