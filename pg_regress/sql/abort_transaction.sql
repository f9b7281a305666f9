-- What administrators see of transactions, and how they end one that hangs (KIP-664).
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 5000;
SELECT kafka.create_topic('abort', 3) IS NOT NULL AS created;
CREATE VIEW ends AS SELECT partition, high_watermark, last_stable_offset FROM kafka.partitions WHERE topic = 'abort' ORDER BY 1;
SELECT i, p.producer_id, p.producer_epoch FROM generate_series(0, 3) AS i, kafka.init_producer_id('abort-' || i, 300000 + i) AS p ORDER BY i;
SELECT error_code FROM txn_send('abort-0', 5000, 0, 2, 'abort', 0, 0, 'zero');
SELECT error_code FROM txn_send('abort-0', 5000, 0, 2, 'abort', 1, 0, 'zero', 'and another');
SELECT error_code FROM kafka.txn_offset_commit('abort-0', 'abort', 5000, '0', ARRAY['abort'], ARRAY[2], ARRAY[1]::bigint[], transaction_version => '2');
SELECT error_code FROM txn_send('abort-1', 5001, 0, 2, 'abort', 0, 0, 'one');
SELECT error_code FROM kafka.end_txn('abort-1', 5001, '0', true, '2');
SELECT error_code FROM txn_send('abort-2', 5002, 0, 2, 'abort', 0, 0, 'two');
SELECT error_code FROM kafka.end_txn('abort-2', 5002, '0', false, '2');
SELECT error_code FROM kafka.produce_batches(ARRAY['abort'], ARRAY[0], ARRAY[record_batch(7, 3, 9, false, 'idempotent')]);

SELECT idx, error_code, error_message, transactional_id, state, timeout_ms, started_at > extract(epoch FROM now() - interval '1 hour') * 1000 AS started, producer_id, producer_epoch, topics, partitions, group_ids
FROM kafka.describe_transactions(ARRAY['abort-0', 'abort-1', 'no such id', 'abort-2', 'abort-3', '', 'abort-0']);
SELECT * FROM kafka.describe_transactions('{}');
-- By state, producer id, duration and a regular expression that the whole id matches; what is null or empty asks for all.
SELECT * FROM kafka.list_transactions() WHERE transactional_id LIKE 'abort-%';
SELECT * FROM kafka.list_transactions('{}', '{}', -1, '') WHERE transactional_id LIKE 'abort-%';
SELECT * FROM kafka.list_transactions('{Ongoing,Empty}', transactional_id_pattern => 'abort-.*');
SELECT * FROM kafka.list_transactions('{CompleteCommit,CompleteAbort,no such state}', transactional_id_pattern => 'abort-.*');
SELECT * FROM kafka.list_transactions('{no such state}');
SELECT * FROM kafka.list_transactions(producer_ids => '{5000,5003,1}');
SELECT * FROM kafka.list_transactions('{Ongoing}', '{5001}');
SELECT * FROM kafka.list_transactions(transactional_id_pattern => 'abort-[12]');
SELECT * FROM kafka.list_transactions(transactional_id_pattern => 'abort');
SELECT * FROM kafka.list_transactions(transactional_id_pattern => 'bort-.');
SELECT * FROM kafka.list_transactions(transactional_id_pattern => 'abort-(');
\echo :LAST_ERROR_SQLSTATE
UPDATE kafka_log.transactions SET started_at = started_at - 60000 WHERE transactional_id LIKE 'abort-%';
SELECT * FROM kafka.list_transactions(min_duration_ms => 60000, transactional_id_pattern => 'abort-.*');
SELECT * FROM kafka.list_transactions(min_duration_ms => 120000, transactional_id_pattern => 'abort-.*');
-- Producers of partitions.
SELECT idx, error_code, error_message, producer_id, producer_epoch, last_sequence, last_timestamp > 0 AS last_timestamp, coordinator_epoch, txn_first_offset
FROM kafka.describe_producers(ARRAY['abort', 'abort', 'abort', 'abort', 'no_such_topic'], ARRAY[0, 1, 2, 3, 0]);
-- The last batch's time, or that of the marker where the epoch has no batch.
SELECT producer_id, last_timestamp = 1704067200000 AS of_the_batch FROM kafka.describe_producers(ARRAY['abort'], ARRAY[0]);
SELECT topic, partition, producer_id, producer_epoch, last_sequence, txn_first_offset FROM kafka.producers WHERE topic = 'abort' ORDER BY partition, producer_id;

-- By transactional id: as if it had timed out.
SELECT * FROM ends;
SELECT kafka.abort_transaction('abort-0');
SELECT * FROM ends;
SELECT partition, convert_from(value, 'UTF8') AS value FROM kafka.records('abort') ORDER BY partition, "offset";
SELECT state, producer_epoch, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id = 'abort-0';
SELECT error_code FROM txn_send('abort-0', 5000, 0, 2, 'abort', 0, 1, 'late');
SELECT error_code FROM kafka.end_txn('abort-0', 5000, '0', true);
-- Once more, and one that has none open: nothing to abort, and nobody is fenced.
SELECT kafka.abort_transaction('abort-0'), kafka.abort_transaction('abort-1'), kafka.abort_transaction('abort-3'), kafka.abort_transaction(NULL);
SELECT transactional_id, producer_epoch FROM kafka.transactions WHERE transactional_id IN ('abort-1', 'abort-3') ORDER BY 1;
SELECT kafka.abort_transaction('no such id');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.abort_transaction('');
-- In the caller's transaction.
SELECT error_code FROM txn_send('abort-1', 5001, 1, 2, 'abort', 0, 0, 'kept');
BEGIN;
SELECT kafka.abort_transaction('abort-1');
ROLLBACK;
SELECT error_code FROM kafka.end_txn('abort-1', 5001, '1', true, '2');
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('abort') WHERE value = 'kept';

-- By partition: a marker by hand, where the coordinator knows nothing of the transaction (any more).
SELECT error_code FROM txn_send('abort-3', 5003, 0, 2, 'abort', 0, 0, 'hangs');
SELECT error_code FROM txn_send('abort-3', 5003, 0, 2, 'abort', 1, 0, 'hangs');
DELETE FROM kafka_log.transactions WHERE transactional_id = 'abort-3';
SELECT * FROM ends;
SELECT * FROM kafka.write_txn_markers(ARRAY[5003, 5003, 5003, 5003, 5003]::bigint[], ARRAY[-1, 0, 0, 0, 0]::int2[], '{f,f,f,f,t}', ARRAY['abort', 'no_such_topic', 'abort', 'abort', 'abort'], ARRAY[0, 0, 3, 0, 1]);
SELECT * FROM ends;
SELECT partition, convert_from(value, 'UTF8') AS value FROM kafka.records('abort') WHERE value = 'hangs';
SELECT idx, aborted_producer_ids, aborted_first_offsets FROM kafka.fetch_batches(ARRAY['abort', 'abort'], ARRAY[0, 1], ARRAY[0, 0]::bigint[], isolation => 'read_committed');
-- An older coordinator's marker is refused, and an older epoch's.
SELECT * FROM kafka.write_txn_markers(ARRAY[5003, 5003]::bigint[], ARRAY[0, 1]::int2[], '{f,f}', ARRAY['abort', 'abort'], ARRAY[0, 0], ARRAY[0, 7]);
SELECT * FROM kafka.write_txn_markers(ARRAY[5003, 5003]::bigint[], ARRAY[0, 1]::int2[], '{f,f}', ARRAY['abort', 'abort'], ARRAY[0, 0], ARRAY[7, 6]);
SELECT producer_epoch, coordinator_epoch FROM kafka.describe_producers(ARRAY['abort'], ARRAY[0]) WHERE producer_id = 5003;
-- A marker where nothing is open ends nothing; the log has it.
SELECT error_code FROM kafka.write_txn_markers(ARRAY[6000]::bigint[], ARRAY[2]::int2[], '{f}', ARRAY['abort'], ARRAY[2]);
SELECT * FROM ends WHERE partition = 2;
SELECT producer_id, producer_epoch, last_sequence FROM kafka.describe_producers(ARRAY['abort'], ARRAY[2]);
SELECT aborted_producer_ids FROM kafka.fetch_batches(ARRAY['abort'], ARRAY[2], ARRAY[0]::bigint[], isolation => 'read_committed');
SELECT * FROM kafka.write_txn_markers('{}', '{}', '{}', '{}', '{}');
-- Where it has ended a transaction in one partition, the transaction's own end passes over that, and ends the others.
SELECT producer_id AS pid FROM kafka.init_producer_id('abort-4') \gset
SELECT p.error_code FROM generate_series(0, 1) AS i, txn_send('abort-4', :pid, 0, 2, 'abort', i, 0, 'half') AS p;
SELECT error_code FROM kafka.write_txn_markers(ARRAY[:pid]::bigint[], ARRAY[9]::int2[], '{f}', ARRAY['abort'], ARRAY[0]);
SELECT error_code FROM kafka.end_txn('abort-4', :pid, '0', true, '2');
SELECT partition FROM kafka.records('abort') WHERE value = 'half';
SELECT bool_and(high_watermark = last_stable_offset) AS stable FROM ends;
SELECT kafka.delete_topic('abort'), kafka.delete_group('abort');
DROP VIEW ends;
