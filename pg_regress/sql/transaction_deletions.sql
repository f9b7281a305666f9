-- Topics and records that are deleted while a transaction is open, or with aborted ones in them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SET pg_kafka.group_initial_rebalance_delay = 0;
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 7000;
SELECT kafka.create_topic('trimmed', 2) IS NOT NULL AS created;
SELECT kafka.create_topic('dropped', 2) IS NOT NULL AS created;
CREATE VIEW ends AS SELECT topic, partition, log_start_offset, high_watermark, last_stable_offset FROM kafka.partitions WHERE topic IN ('trimmed', 'dropped') AND partition = 0 ORDER BY 1 DESC;
CREATE VIEW trimmed AS SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('trimmed') WHERE partition = 0;
CREATE FUNCTION aborted("from" bigint) RETURNS TABLE (producer_ids bigint[], first_offsets bigint[]) LANGUAGE sql AS $$
    SELECT aborted_producer_ids, aborted_first_offsets FROM kafka.fetch_batches(ARRAY['trimmed'], ARRAY[0], ARRAY["from"], isolation => 'read_committed')
$$;
SELECT i, p.producer_id FROM unnest('{one,two,three}'::text[]) WITH ORDINALITY AS i, kafka.init_producer_id('deletions-' || i.i) AS p ORDER BY ordinality;

-- kafka.delete_records up to the middle of an aborted transaction: the rest of it stays aborted.
SELECT base_offset FROM txn_send('deletions-one', 7000, 0, 2, 'trimmed', 0, 0, 'a0', 'a1');
SELECT base_offset FROM txn_send('deletions-one', 7000, 0, 2, 'trimmed', 0, 2, 'a2', 'a3');
SELECT error_code FROM kafka.end_txn('deletions-one', 7000, '0', false, '2');
SELECT kafka.produce('trimmed', 'plain 5', partition => 0);
SELECT * FROM aborted(0);
SELECT kafka.delete_records('trimmed', 0, 1);
SELECT * FROM trimmed;
SELECT kafka.delete_records('trimmed', 0, 3);
SELECT * FROM trimmed;
SELECT * FROM aborted(3);
SELECT kafka.delete_records('trimmed', 0, 4);
SELECT count(*) FROM kafka_log.aborted_transactions JOIN kafka_log.topics USING (topic_number) WHERE topic = 'trimmed';
-- Behind its marker nobody needs to know of it.
SELECT kafka.delete_records('trimmed', 0, 5);
SELECT count(*) FROM kafka_log.aborted_transactions JOIN kafka_log.topics USING (topic_number) WHERE topic = 'trimmed';
SELECT * FROM trimmed;
-- Into an open transaction, as Kafka does: readers wait for its end, wherever the log begins.
SELECT base_offset FROM txn_send('deletions-one', 7000, 1, 2, 'trimmed', 0, 0, 'b6', 'b7');
SELECT kafka.produce('trimmed', 'plain 8', partition => 0);
SELECT base_offset FROM txn_send('deletions-one', 7000, 1, 2, 'trimmed', 0, 2, 'b9');
SELECT kafka.delete_records('trimmed', 0, 8);
SELECT * FROM ends WHERE topic = 'trimmed';
SELECT * FROM trimmed;
SELECT "offset" FROM kafka.list_offsets(ARRAY['trimmed'], ARRAY[0], ARRAY[-1]::bigint[], 'read_committed');
SELECT convert_from(value, 'UTF8') AS value FROM kafka.poll('trimmed', ARRAY['trimmed']);
SELECT error_code FROM kafka.end_txn('deletions-one', 7000, '1', false, '2');
SELECT * FROM ends WHERE topic = 'trimmed';
SELECT * FROM trimmed;
SELECT * FROM aborted(8);
SELECT convert_from(value, 'UTF8') AS value FROM kafka.poll('trimmed', ARRAY['trimmed']);
-- All of an open one: its end is still written, and another one begins behind it.
SELECT base_offset FROM txn_send('deletions-one', 7000, 2, 2, 'trimmed', 0, 0, 'c11');
SELECT kafka.delete_records('trimmed', 0, -1);
SELECT * FROM ends WHERE topic = 'trimmed';
SELECT kafka.produce('trimmed', 'plain 12', partition => 0);
SELECT * FROM trimmed;
SELECT error_code FROM kafka.end_txn('deletions-one', 7000, '2', true, '2');
SELECT * FROM trimmed;
SELECT base_offset FROM txn_send('deletions-one', 7000, 3, 2, 'trimmed', 0, 0, 'd14');
SELECT error_code FROM kafka.end_txn('deletions-one', 7000, '3', true, '2');
SELECT * FROM trimmed;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.poll('trimmed', ARRAY['trimmed']);

-- A topic that is deleted goes with its part of the transaction.
SELECT base_offset FROM txn_send('deletions-two', 7001, 0, 2, 'dropped', 0, 0, 'gone');
SELECT base_offset FROM txn_send('deletions-two', 7001, 0, 2, 'dropped', 1, 0, 'gone');
SELECT base_offset FROM txn_send('deletions-two', 7001, 0, 2, 'trimmed', 1, 0, 'stays');
SELECT error_code FROM kafka.txn_offset_commit('deletions-two', 'deletions', 7001, '0', ARRAY['dropped', 'trimmed'], ARRAY[0, 1], ARRAY[1, 1]::bigint[], transaction_version => '2');
SELECT kafka.delete_topic('dropped');
SELECT state, topic_partitions FROM kafka.transactions WHERE transactional_id = 'deletions-two';
SELECT topics, partitions FROM kafka.describe_transactions(ARRAY['deletions-two']);
SELECT count(*) FROM kafka.producers WHERE topic = 'dropped';
SELECT error_code FROM txn_send('deletions-two', 7001, 0, 2, 'dropped', 0, 1, 'late');
-- One of the same name is another topic, which is not part of it.
SELECT kafka.create_topic('dropped', 1) IS NOT NULL AS created;
SELECT error_code FROM txn_send('deletions-two', 7001, 0, 1, 'dropped', 0, 1, 'not part of it');
SELECT error_code FROM kafka.end_txn('deletions-two', 7001, '0', true, '2');
SELECT * FROM ends WHERE topic = 'dropped';
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('trimmed') WHERE partition = 1;
SELECT topic, partition, "offset" FROM kafka.committed_offsets('deletions');
-- Deleted in the transaction that ends it, before and behind.
SELECT error_code FROM txn_send('deletions-three', 7002, 0, 2, 'dropped', 0, 0, 'x');
BEGIN;
SELECT kafka.delete_topic('dropped');
SELECT error_code FROM kafka.end_txn('deletions-three', 7002, '0', true, '2');
ROLLBACK;
SELECT * FROM ends WHERE topic = 'dropped';
BEGIN;
SELECT error_code FROM kafka.end_txn('deletions-three', 7002, '0', true, '2');
SELECT kafka.delete_topic('dropped');
COMMIT;
SELECT state, topic_partitions FROM kafka.transactions WHERE transactional_id = 'deletions-three';
-- Nothing is left behind.
SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group('trimmed', ARRAY[m.member_id]) AS l WHERE m.group_id = 'trimmed';
SELECT kafka.delete_topic('trimmed'), kafka.delete_group('trimmed'), kafka.delete_group('deletions');
SELECT count(*) FROM (SELECT topic_number FROM kafka_log.producers UNION ALL SELECT topic_number FROM kafka_log.aborted_transactions UNION ALL SELECT topic_number FROM kafka_log.transaction_offsets) AS x
WHERE NOT EXISTS (SELECT FROM kafka_log.topics AS t WHERE t.topic_number = x.topic_number);
DROP VIEW ends, trimmed;
DROP FUNCTION aborted;
-- DROP EXTENSION with a transaction open: a new one knows nothing of it.
\set regression :DBNAME
CREATE DATABASE regress_kafka_transactions;
\c regress_kafka_transactions
CREATE EXTENSION pg_kafka;
\i :batch_helpers
SELECT kafka.create_topic('t') IS NOT NULL AS created;
SELECT producer_id AS pid FROM kafka.init_producer_id('t') \gset
SELECT error_code FROM txn_send('t', :pid, 0, 2, 't', 0, 0, 'x');
\set VERBOSITY terse
DROP EXTENSION pg_kafka CASCADE;
\set VERBOSITY default
CREATE EXTENSION pg_kafka;
SELECT kafka.create_topic('t') IS NOT NULL AS created;
SELECT high_watermark, last_stable_offset FROM kafka.watermarks('t', 0);
SELECT error_code FROM kafka.end_txn('t', :pid, '0', true);
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('t');
\c :regression
DROP DATABASE regress_kafka_transactions;
