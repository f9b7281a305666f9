-- What time brings about: transactions that are open for too long, transactional ids and producer ids that nobody uses.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 4000;
SELECT kafka.create_topic('timeout', 2) IS NOT NULL AS created;
CREATE VIEW state AS SELECT transactional_id, producer_id, producer_epoch, state, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id LIKE 'timeout%' ORDER BY 1;
CREATE VIEW ends AS SELECT partition, high_watermark, last_stable_offset FROM kafka.partitions WHERE topic = 'timeout' ORDER BY 1;
CREATE FUNCTION maintained() RETURNS TABLE (task text, done bigint) LANGUAGE sql AS $$
    SELECT task, done FROM kafka.maintain() WHERE task ~ 'transaction|producer'
$$;
-- As if a transaction had begun that much earlier.
CREATE FUNCTION older(id text, ms int) RETURNS void LANGUAGE sql AS $$
    UPDATE kafka_log.transactions SET started_at = started_at - ms WHERE transactional_id = id
$$;
-- What other tests have left is none of this one's.
DELETE FROM kafka_log.transactions WHERE transactional_id NOT LIKE 'timeout%';
DELETE FROM kafka_log.producers;

-- By kafka.maintain(): aborted, its producer fenced, its offsets forgotten.
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('timeout', 600000);
SELECT error_code FROM txn_send('timeout', 4000, 0, 2, 'timeout', 0, 0, 'too slow');
SELECT error_code FROM kafka.txn_offset_commit('timeout', 'timeout', 4000, '0', ARRAY['timeout'], ARRAY[0], ARRAY[1]::bigint[], transaction_version => '2');
SELECT older('timeout', 500000);
SELECT * FROM maintained();
SELECT * FROM state;
SELECT older('timeout', 100001);
SELECT * FROM maintained();
SELECT * FROM state;
SELECT * FROM ends WHERE partition = 0;
SELECT count(*) FROM kafka.records('timeout');
SELECT aborted_producer_ids, aborted_first_offsets FROM kafka.fetch_batches(ARRAY['timeout'], ARRAY[0], ARRAY[0]::bigint[], isolation => 'read_committed');
SELECT error_code, "offset" FROM kafka.committed_offsets('timeout', ARRAY['timeout'], ARRAY[0], require_stable => true);
SELECT * FROM txn_send('timeout', 4000, 0, 2, 'timeout', 0, 1, 'too late');
SELECT error_code FROM kafka.end_txn('timeout', 4000, '0', true);
-- By version 2 its abort is one that is repeated, which tells it the new epoch.
SELECT * FROM kafka.end_txn('timeout', 4000, '0', true, '2');
SELECT * FROM kafka.end_txn('timeout', 4000, '0', false, '2');
SELECT * FROM kafka.init_producer_id('timeout', 600000, 4000, '0');
SELECT * FROM maintained();

-- By the next call of any kind, without kafka.maintain(): what it asks for comes too late.
CREATE FUNCTION late(call text) RETURNS TABLE (epoch int, state text, error_code int2, error_message text, after text, epoch_after int2) LANGUAGE plpgsql AS $$
DECLARE
    producer record;
BEGIN
    SELECT * INTO producer FROM kafka.init_producer_id('timeout-late', 600000);
    PERFORM * FROM txn_send('timeout-late', producer.producer_id, producer.producer_epoch, 2, 'timeout', 1, 0, 'too slow');
    PERFORM older('timeout-late', 600001);
    epoch := producer.producer_epoch;
    EXECUTE format('SELECT error_code, error_message FROM ' || call, producer.producer_id, producer.producer_epoch) INTO error_code, error_message;
    SELECT x.state, x.producer_epoch INTO after, epoch_after FROM kafka_log.transactions AS x WHERE transactional_id = 'timeout-late';
    RETURN NEXT;
END $$;
SELECT call, l.epoch, l.error_code, l.error_message, l.after, l.epoch_after FROM (VALUES
    (1, $$kafka.end_txn('timeout-late', %s, '%s', true)$$),
    (2, $$kafka.end_txn('timeout-late', %s, '%s', true, '2')$$),
    (3, $$kafka.end_txn('timeout-late', %s, '%s', false, '2')$$),
    (4, $$txn_send('timeout-late', %s, %s, 1, 'timeout', 1, 1, 'late')$$),
    (5, $$txn_send('timeout-late', %s, %s, 2, 'timeout', 0, 0, 'late')$$),
    (6, $$kafka.add_partitions_to_txn('timeout-late', %s, '%s', ARRAY['timeout'], ARRAY[0])$$),
    (7, $$kafka.add_partitions_to_txn('timeout-late', %s, '%s', ARRAY['timeout'], ARRAY[1], true)$$),
    (8, $$kafka.add_offsets_to_txn('timeout-late', %s, '%s', 'g')$$),
    (9, $$kafka.txn_offset_commit('timeout-late', 'g', %s, '%s', ARRAY['timeout'], ARRAY[0], ARRAY[1]::bigint[])$$),
    (10, $$kafka.init_producer_id('timeout-late')$$),
    (11, $$kafka.init_producer_id('timeout-late', 600000, %s, '%s')$$)
) AS c (n, call), LATERAL late(call) AS l ORDER BY n;
SELECT count(*) FROM kafka.records('timeout');
SELECT bool_and(last_stable_offset = high_watermark) AS stable FROM ends;
SELECT count(*) FROM kafka.groups WHERE group_id = 'g';
-- Looking on does not end it, and readers wait for the end.
SELECT producer_id AS pid, producer_epoch AS epoch FROM kafka.init_producer_id('timeout-look', 600000) \gset
SELECT error_code FROM txn_send('timeout-look', :pid, :epoch, 2, 'timeout', 0, 0, 'too slow');
SELECT older('timeout-look', 600001);
SELECT state FROM kafka.describe_transactions(ARRAY['timeout-look']);
SELECT high_watermark - last_stable_offset AS waiting FROM ends WHERE partition = 0;
-- kafka.abort_transaction finds that the timeout came before it.
SELECT kafka.abort_transaction('timeout-look');
SELECT high_watermark - last_stable_offset AS waiting FROM ends WHERE partition = 0;
-- The time counts from the first partition or group on, not from the initialization.
SELECT producer_id AS pid, producer_epoch AS epoch FROM kafka.init_producer_id('timeout-idle', 600000) \gset
UPDATE kafka_log.transactions SET updated_at = updated_at - 700000 WHERE transactional_id = 'timeout-idle';
SELECT error_code FROM txn_send('timeout-idle', :pid, :epoch, 2, 'timeout', 0, 0, 'in time');
SELECT error_code FROM kafka.end_txn('timeout-idle', :pid, :'epoch', true, '2');
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('timeout');
-- Rolled back together with the call that found it.
SELECT error_code FROM txn_send('timeout-idle', :pid, :epoch + 1, 2, 'timeout', 0, 0, 'too slow');
SELECT older('timeout-idle', 600001);
BEGIN;
SELECT error_code FROM kafka.end_txn('timeout-idle', :pid, (:epoch + 1)::int2, true);
ROLLBACK;
SELECT state FROM state WHERE transactional_id = 'timeout-idle';
SELECT * FROM maintained();
SELECT state FROM state WHERE transactional_id = 'timeout-idle';
-- A topic that is gone does not keep the others' partitions from their markers.
SELECT kafka.create_topic('timeout_gone') IS NOT NULL AS created;
SELECT error_code FROM txn_send('timeout-idle', :pid, :epoch + 2, 2, 'timeout_gone', 0, 0, 'too slow');
SELECT error_code FROM txn_send('timeout-idle', :pid, :epoch + 2, 2, 'timeout', 0, 0, 'too slow');
SELECT older('timeout-idle', 600001);
SELECT kafka.delete_topic('timeout_gone');
SELECT * FROM maintained();
SELECT bool_and(last_stable_offset = high_watermark) AS stable FROM ends;

-- Transactional ids that nobody uses are forgotten, but for open transactions.
SELECT error_code FROM txn_send('timeout-idle', :pid, :epoch + 3, 2, 'timeout', 0, 0, 'open');
UPDATE kafka_log.transactions SET updated_at = updated_at - 7 * 24 * 3600000::bigint + 600000 WHERE transactional_id LIKE 'timeout%';
SELECT * FROM maintained();
SET pg_kafka.transactional_id_expiration = '6d';
SELECT * FROM maintained();
RESET pg_kafka.transactional_id_expiration;
SELECT transactional_id, state FROM state;
SELECT * FROM kafka.end_txn('timeout', 4000, '2', false, '2');
-- One that comes back is another producer, with another id.
SELECT producer_id > 4000 AS another_id, producer_epoch FROM kafka.init_producer_id('timeout', 600000, 4000, '2');
SELECT error_code FROM kafka.end_txn('timeout-idle', :pid, (:epoch + 3)::int2, false, '2');

-- Producer ids that have written nothing for a day are forgotten in their partitions, but for open transactions.
SELECT producer_id AS pid FROM kafka.init_producer_id('timeout') \gset
SELECT error_code FROM txn_send('timeout', :pid, 1, 2, 'timeout', 1, 0, 'open');
SELECT error_code FROM kafka.produce_batches(ARRAY['timeout'], ARRAY[1], ARRAY[record_batch(7, 0, 5, false, 'idempotent')]);
SELECT count(*), count(txn_first_offset) AS open FROM kafka.producers WHERE topic = 'timeout';
UPDATE kafka_log.producers SET updated_at = now() - interval '23 hours';
SELECT * FROM maintained();
UPDATE kafka_log.producers SET updated_at = now() - interval '25 hours';
SELECT done > 0 AS expired FROM maintained() WHERE task = 'producer ids expired';
SELECT partition, producer_id = :pid AS open FROM kafka.producers WHERE topic = 'timeout';
-- A producer that was forgotten goes on at any number.
SELECT error_code FROM kafka.produce_batches(ARRAY['timeout'], ARRAY[1], ARRAY[record_batch(7, 0, 99, false, 'idempotent')]);
SET pg_kafka.producer_id_expiration = '2d';
UPDATE kafka_log.producers SET updated_at = now() - interval '25 hours';
SELECT * FROM maintained();
RESET pg_kafka.producer_id_expiration;
SELECT error_code FROM kafka.end_txn('timeout', :pid, '1', true, '2');
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('timeout') WHERE partition = 1;
-- What was aborted stays so when its producer is forgotten.
UPDATE kafka_log.producers SET updated_at = now() - interval '25 hours';
SELECT done > 0 AS expired FROM maintained() WHERE task = 'producer ids expired';
SELECT count(*) FROM kafka.producers WHERE topic = 'timeout';
SELECT partition, convert_from(value, 'UTF8') AS value FROM kafka.records('timeout') ORDER BY partition, "offset";

SELECT kafka.delete_topic('timeout'), kafka.delete_group('timeout');
DROP VIEW state, ends;
DROP FUNCTION maintained, late, older;
