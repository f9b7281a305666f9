-- Committed offsets: in the caller's transaction, read back, deleted, expired.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('offsets', 2) IS NOT NULL AS created;
SELECT count(kafka.produce('offsets', 'v', partition => 0)) AS produced FROM generate_series(1, 10);
-- Without members anybody may commit; the group is there from then on.
SELECT kafka.commit_offset('reader', 'offsets', 0, 4, metadata => 'half way', leader_epoch => 1);
SELECT kafka.committed_offset('reader', 'offsets', 0) AS zero, kafka.committed_offset('reader', 'offsets', 1) AS one;
BEGIN;
SELECT kafka.commit_offset('reader', 'offsets', 0, 9);
SELECT kafka.committed_offset('reader', 'offsets', 0);
ROLLBACK;
SELECT group_id, topic, partition, "offset", leader_epoch, metadata FROM kafka.consumer_offsets WHERE group_id = 'reader';
SELECT * FROM kafka.consumer_lag WHERE group_id = 'reader';
SELECT * FROM kafka.groups WHERE group_id = 'reader';
-- Several at once, each judged on its own; of several for one partition the last holds.
SELECT idx, error_code, error_message FROM kafka.commit_offsets('reader', ARRAY['offsets', 'offsets', 'offsets', 'nothing', 'offsets'], ARRAY[1, 0, 9, 0, 0], ARRAY[1, 5, 1, 1, 6]::int8[], metadata => ARRAY['a', NULL, 'c', 'd', repeat('x', 10)]);
SELECT idx, error_code, error_message FROM kafka.commit_offsets('reader', ARRAY['offsets'], ARRAY[0], ARRAY[7]::int8[], metadata => ARRAY[repeat('x', 4097)]);
SELECT idx, error_code, error_message FROM kafka.commit_offsets('reader', ARRAY[NULL], ARRAY[0], ARRAY[7]::int8[], topic_ids => ARRAY['00000000-0000-0000-0000-000000000001']::uuid[]);
SELECT idx, error_code, topic, partition, "offset", leader_epoch, metadata FROM kafka.committed_offsets('reader');
SELECT idx, error_code, topic, partition, "offset", metadata FROM kafka.committed_offsets('reader', ARRAY['offsets', 'offsets', 'nothing', 'offsets'], ARRAY[1, 7, 0, 1]);
SELECT c.idx, c.error_code, c.topic, c."offset" FROM kafka.topics AS t, kafka.committed_offsets('reader', topic_ids => ARRAY[t.topic_id, '00000000-0000-0000-0000-000000000001'], partitions => ARRAY[0, 0]) AS c WHERE t.topic = 'offsets';
SELECT count(*) FROM kafka.committed_offsets('nobody');
-- Errors of a single commit are raised.
SELECT kafka.commit_offset('nobody', 'offsets', 0, 1, member_id => 'stranger', generation_id => 3);
SELECT kafka.commit_offset('reader', 'nothing', 0, 1);
SELECT kafka.commit_offset('reader', 'offsets', 5, 1);
SELECT kafka.commit_offset('reader', 'offsets', NULL, 1);
SELECT kafka.commit_offset('reader', 'offsets', 0, 1, member_id => 'stranger', generation_id => 3);
SELECT kafka.committed_offset('reader', 'nothing', 0);
-- With members only they may commit, in their generation, and not while an assignment is awaited.
SELECT * FROM kafka.join_group('reader', ARRAY['offsets']) \gset m_
SELECT kafka.commit_offset('reader', 'offsets', 0, 7, member_id => :'m_member_id', generation_id => :m_generation_id);
SELECT error_code FROM kafka.sync_group('reader', :m_generation_id, :'m_member_id');
SELECT kafka.commit_offset('reader', 'offsets', 0, 7, member_id => :'m_member_id', generation_id => :m_generation_id);
SELECT kafka.commit_offset('reader', 'offsets', 0, 8);
SELECT error_code FROM kafka.commit_offsets('reader', ARRAY['offsets'], ARRAY[0], ARRAY[8]::int8[], member_id => :'m_member_id', generation_id => 99);
SELECT kafka.committed_offset('reader', 'offsets', 0);
-- Offsets of topics that a member is subscribed to stay.
SELECT error_code, error_message FROM kafka.delete_offsets('reader', ARRAY['offsets'], ARRAY[0]);
SELECT kafka.leave_group('reader', :'m_member_id');
SELECT idx, error_code FROM kafka.delete_offsets('reader', ARRAY['offsets', 'offsets', 'nothing'], ARRAY[0, 9, 0]);
SELECT * FROM kafka.delete_offsets('nobody', ARRAY['offsets'], ARRAY[0]);
SELECT topic, partition, "offset" FROM kafka.committed_offsets('reader');
-- What is old goes, once the group has had no members for as long.
SELECT * FROM kafka.maintain();
UPDATE kafka_log.consumer_offsets SET committed_at = now() - interval '8 days' WHERE group_id = 'reader';
SELECT * FROM kafka.maintain();
UPDATE kafka_log.groups SET changed_at = now() - interval '8 days' WHERE group_id = 'reader';
SET pg_kafka.offsets_retention = '9d';
SELECT * FROM kafka.maintain();
RESET pg_kafka.offsets_retention;
SELECT * FROM kafka.maintain();
SELECT count(*) FROM kafka.groups WHERE group_id = 'reader';
-- The empty group id is a group id like others, as in Kafka.
SELECT kafka.commit_offset('', 'offsets', 0, 1);
SELECT kafka.committed_offset('', 'offsets', 0);
SELECT kafka.delete_group('');
-- A deleted topic takes its offsets along.
SELECT kafka.commit_offset('reader', 'offsets', 0, 4);
SELECT kafka.delete_topic('offsets');
SELECT count(*) FROM kafka.committed_offsets('reader');
SELECT kafka.create_topic('offsets') IS NOT NULL AS created;
SELECT kafka.committed_offset('reader', 'offsets', 0);
SELECT kafka.delete_group('reader'), kafka.delete_topic('offsets');
