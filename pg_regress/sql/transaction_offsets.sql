-- Offsets that a consumer's group commits in a producer's transaction: they hold when it commits.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SET pg_kafka.group_initial_rebalance_delay = 0;
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 3000;
SELECT kafka.create_topic('txn_offsets', 2) IS NOT NULL AS created;
CREATE VIEW offsets AS SELECT group_id, partition, "offset", leader_epoch, metadata FROM kafka.consumer_offsets WHERE topic = 'txn_offsets' ORDER BY 1, 2;
CREATE FUNCTION stable(group_id text) RETURNS TABLE (idx int, error_code int2, error_message text, partition int, "offset" bigint) LANGUAGE sql AS $$
    SELECT idx, error_code, error_message, partition, "offset" FROM kafka.committed_offsets(group_id, ARRAY['txn_offsets', 'txn_offsets'], ARRAY[0, 1], require_stable => true)
$$;
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('offsets');

-- Version 1: the group is added first. The transaction begins with that.
SELECT * FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '0', ARRAY['txn_offsets'], ARRAY[0], ARRAY[5]::bigint[]);
SELECT * FROM kafka.add_offsets_to_txn('offsets', 3000, '0', 'copy');
SELECT state, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id = 'offsets';
SELECT * FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '0', ARRAY['txn_offsets', 'no_such_topic', 'txn_offsets', 'txn_offsets'], ARRAY[0, 0, 2, 1], ARRAY[5, 1, 1, 6]::bigint[], ARRAY[3, 0, 0, -1], ARRAY['half way', '', '', repeat('x', 4097)]);
-- The group is there; its offset is not, and readers who want to know are told that it is about to come.
SELECT group_id, state FROM kafka.groups WHERE group_id = 'copy';
SELECT * FROM offsets;
SELECT kafka.committed_offset('copy', 'txn_offsets', 0);
SELECT * FROM stable('copy');
SELECT idx, error_code, "offset" FROM kafka.committed_offsets('copy', ARRAY['txn_offsets'], ARRAY[0]);
-- The last one of a partition holds.
SELECT * FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '0', ARRAY['txn_offsets', 'txn_offsets'], ARRAY[0, 0], ARRAY[6, 7]::bigint[], ARRAY[4, 4], ARRAY['over', 'and over']);
SELECT error_code FROM kafka.end_txn('offsets', 3000, '0', true);
SELECT * FROM offsets;
SELECT * FROM stable('copy');

-- Aborted: forgotten, and what was committed before holds on.
SELECT error_code FROM kafka.add_offsets_to_txn('offsets', 3000, '0', 'copy');
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '0', ARRAY['txn_offsets', 'txn_offsets'], ARRAY[0, 1], ARRAY[99, 99]::bigint[]);
SELECT * FROM stable('copy');
SELECT idx, error_code, partition, "offset" FROM kafka.committed_offsets('copy', require_stable => true);
SELECT error_code FROM kafka.end_txn('offsets', 3000, '0', false);
SELECT * FROM offsets;
SELECT * FROM stable('copy');
-- The other ends: a new producer, and a transaction of the caller that is rolled back.
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '0', ARRAY['txn_offsets'], ARRAY[0], ARRAY[99]::bigint[], transaction_version => '2');
SELECT * FROM kafka.init_producer_id('offsets');
SELECT * FROM stable('copy');
BEGIN;
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '2', ARRAY['txn_offsets'], ARRAY[0], ARRAY[99]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '2', true, '2');
ROLLBACK;
SELECT * FROM stable('copy');

-- Version 2: no adding first; several groups in one transaction, beside records.
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '2', ARRAY['txn_offsets'], ARRAY[0], ARRAY[10]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'other copy', 3000, '2', ARRAY['txn_offsets', 'txn_offsets'], ARRAY[1, 0], ARRAY[11, 12]::bigint[], transaction_version => '2');
SELECT error_code FROM txn_send('offsets', 3000, 2, 2, 'txn_offsets', 0, 0, 'copied');
SELECT state, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id = 'offsets';
SELECT * FROM kafka.end_txn('offsets', 3000, '2', true, '2');
SELECT * FROM offsets;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('txn_offsets');
-- Nothing of the old epoch.
SELECT * FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '2', ARRAY['txn_offsets'], ARRAY[0], ARRAY[99]::bigint[], transaction_version => '2');

-- Two producers, one group: each its own partition, and its own end.
SELECT producer_id FROM kafka.init_producer_id('offsets-2');
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '3', ARRAY['txn_offsets'], ARRAY[0], ARRAY[20]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.txn_offset_commit('offsets-2', 'copy', 3001, '0', ARRAY['txn_offsets'], ARRAY[1], ARRAY[21]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '3', false, '2');
SELECT * FROM stable('copy');
SELECT error_code FROM kafka.end_txn('offsets-2', 3001, '0', true, '2');
SELECT * FROM offsets WHERE group_id = 'copy';
-- A plain commit meanwhile holds until the transaction commits.
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '4', ARRAY['txn_offsets'], ARRAY[0], ARRAY[30]::bigint[], transaction_version => '2');
SELECT kafka.commit_offset('copy', 'txn_offsets', 0, 25);
SELECT kafka.committed_offset('copy', 'txn_offsets', 0);
SELECT error_code FROM kafka.end_txn('offsets', 3000, '4', true, '2');
SELECT kafka.committed_offset('copy', 'txn_offsets', 0);

-- Members (KIP-447): who has lost its place cannot commit, whatever its producer says.
SELECT member_id AS m1, generation_id AS g1 FROM kafka.join_group('crew', ARRAY['txn_offsets'], group_instance_id => 'instance') \gset
SELECT error_code FROM kafka.sync_group('crew', :g1, :'m1', 'instance');
CREATE FUNCTION commit(epoch int, "offset" bigint, member_id text, generation_id int, instance text DEFAULT NULL) RETURNS TABLE (error_code int2, error_message text) LANGUAGE sql AS $$
    SELECT c.error_code, c.error_message FROM kafka.txn_offset_commit('offsets', 'crew', 3000, epoch::int2, ARRAY['txn_offsets'], ARRAY[0], ARRAY["offset"], NULL, NULL, member_id, generation_id, instance, '2') AS c
$$;
SELECT * FROM commit(5, 1, :'m1', :g1, 'instance');
SELECT * FROM commit(5, 2, :'m1', :g1);
SELECT * FROM commit(5, 3, :'m1', :g1 + 1, 'instance');
SELECT * FROM commit(5, 3, :'m1', :g1 - 1);
SELECT * FROM commit(5, 3, 'stranger', :g1);
SELECT * FROM commit(5, 3, 'stranger', :g1, 'instance');
SELECT * FROM commit(5, 3, :'m1', :g1, 'no such instance');
-- Who names no member may commit, as in Kafka: that is for producers of before KIP-447.
SELECT * FROM commit(5, 4, NULL, NULL);
SELECT * FROM commit(5, 5, '', -1);
-- A member that joins again begins a generation: the offsets of the old one are refused, and those of the new one hold.
SELECT member_id AS m2, generation_id AS g2 FROM kafka.join_group('crew', ARRAY['txn_offsets', 'another'], member_id => :'m1', group_instance_id => 'instance') \gset
SELECT :g2 > :g1 AS next_generation;
SELECT error_code FROM commit(5, 6, :'m1', :g1, 'instance');
SELECT error_code FROM kafka.sync_group('crew', :g2, :'m2', 'instance');
SELECT error_code FROM commit(5, 7, :'m2', :g2, 'instance');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '5', true, '2');
SELECT "offset" FROM offsets WHERE group_id = 'crew';
-- A group that nobody knows: a generation of it is one too many.
SELECT error_code, error_message FROM kafka.txn_offset_commit('offsets', 'unknown crew', 3000, '6', ARRAY['txn_offsets'], ARRAY[0], ARRAY[1]::bigint[], NULL, NULL, 'm', 1, NULL, '2');
SELECT count(*) FROM kafka.groups WHERE group_id = 'unknown crew';
-- Its group has become part of the transaction all the same, which may still end in any way.
SELECT error_code FROM kafka.end_txn('offsets', 3000, '6', true, '2');
SELECT count(*) FROM kafka.groups WHERE group_id = 'unknown crew';
-- A group that the server assigns (KIP-848): the member's epoch is the generation.
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('served crew', 'm', subscribed_topics => ARRAY['txn_offsets']);
SELECT e, i.error_code, i.error_message FROM unnest('{1,0,2}'::int[]) AS e, kafka.txn_offset_commit('offsets', 'served crew', 3000, '7', ARRAY['txn_offsets'], ARRAY[0], ARRAY[100 + e]::bigint[], NULL, NULL, 'm', e, NULL, '2') AS i;
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'served crew', 3000, '7', ARRAY['txn_offsets'], ARRAY[0], ARRAY[1]::bigint[], NULL, NULL, 'stranger', 1, NULL, '2');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '7', true, '2');
SELECT "offset" FROM offsets WHERE group_id = 'served crew';
SELECT error_code FROM kafka.consumer_group_heartbeat('served crew', 'm', -1);
-- kafka.poll in the same group goes on behind what the transaction has committed.
SELECT l.error_code FROM kafka.leave_group('crew', ARRAY[:'m2'], ARRAY['instance']) AS l;
SELECT count(kafka.produce('txn_offsets', 'v', partition => 0)) FROM generate_series(1, 8);
SELECT min("offset") FROM kafka.poll('crew', ARRAY['txn_offsets']) WHERE partition = 0;
SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group('crew', ARRAY[m.member_id]) AS l WHERE m.group_id = 'crew';

-- Groups and topics that are deleted meanwhile take the offsets along; the transaction ends as ever.
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '8', ARRAY['txn_offsets'], ARRAY[0], ARRAY[40]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'new copy', 3000, '8', ARRAY['txn_offsets'], ARRAY[0], ARRAY[40]::bigint[], transaction_version => '2');
SELECT kafka.delete_group('new copy');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '8', true, '2');
SELECT group_id, "offset" FROM offsets WHERE group_id LIKE '%copy' AND partition = 0;
SELECT count(*) FROM kafka.groups WHERE group_id = 'new copy';
-- What is about to be committed keeps a group and its old offsets from expiring.
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'new copy', 3000, '9', ARRAY['txn_offsets'], ARRAY[1], ARRAY[50]::bigint[], transaction_version => '2');
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '9', ARRAY['txn_offsets'], ARRAY[1], ARRAY[50]::bigint[], transaction_version => '2');
UPDATE kafka_log.groups SET changed_at = now() - interval '8 days' WHERE group_id IN ('copy', 'new copy', 'other copy');
UPDATE kafka_log.consumer_offsets SET committed_at = now() - interval '8 days' WHERE group_id IN ('copy', 'other copy');
SELECT task, done FROM kafka.maintain() WHERE task IN ('offsets expired', 'groups deleted');
SELECT group_id FROM kafka.groups WHERE group_id LIKE '%copy' ORDER BY 1;
SELECT error_code FROM kafka.end_txn('offsets', 3000, '9', false, '2');
SELECT task, done FROM kafka.maintain() WHERE task IN ('offsets expired', 'groups deleted');
SELECT group_id FROM kafka.groups WHERE group_id LIKE '%copy' ORDER BY 1;
SELECT error_code FROM kafka.txn_offset_commit('offsets', 'copy', 3000, '10', ARRAY['txn_offsets'], ARRAY[0], ARRAY[60]::bigint[], transaction_version => '2');
SELECT kafka.delete_topic('txn_offsets');
SELECT error_code FROM kafka.end_txn('offsets', 3000, '10', true, '2');
SELECT count(*) FROM kafka.committed_offsets('copy');
SELECT count(*) FROM kafka_log.transaction_offsets;
SELECT kafka.delete_group(group_id) FROM kafka.groups WHERE group_id IN ('copy', 'crew', 'served crew');
DROP VIEW offsets;
DROP FUNCTION stable, commit;
