-- Transactions of producers, as clients have them: begun, written into several partitions, committed or aborted as a whole.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SET pg_kafka.group_initial_rebalance_delay = 0;
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 1000;
SELECT kafka.create_topic('txn', 3) IS NOT NULL AS created;
-- What readers at read_uncommitted have, and which of it is committed, by each of the functions.
CREATE FUNCTION seen(name text DEFAULT 'txn') RETURNS TABLE (partition int, "offset" bigint, value text, records boolean, fetched boolean) LANGUAGE sql AS $$
    SELECT u.partition, u."offset", convert_from(u.value, 'UTF8'),
           (u.partition, u."offset") IN (SELECT r.partition, r."offset" FROM kafka.records(name) AS r),
           u."offset" IN (SELECT f."offset" FROM kafka.fetch(name, u.partition, 0) AS f)
    FROM kafka.records(name, 'read_uncommitted') AS u ORDER BY 1, 2
$$;
CREATE VIEW ends AS SELECT partition, high_watermark, last_stable_offset FROM kafka.partitions WHERE topic = 'txn' ORDER BY partition;
CREATE VIEW open AS SELECT transactional_id, producer_id, producer_epoch, state, timeout_ms, started_at IS NOT NULL AS started, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id LIKE 'txn%' ORDER BY 1;
-- One line for each batch: base offset, attributes in hexadecimal, producer, epoch, base sequence, count of records.
CREATE FUNCTION batches(records bytea) RETURNS SETOF text LANGUAGE sql AS $$
    WITH RECURSIVE b (batch, rest) AS (
        SELECT substr(records, 1, 12 + ('x' || encode(substr(records, 9, 4), 'hex'))::bit(32)::int), substr(records, 13 + ('x' || encode(substr(records, 9, 4), 'hex'))::bit(32)::int) WHERE length(records) > 0
        UNION ALL
        SELECT substr(rest, 1, 12 + ('x' || encode(substr(rest, 9, 4), 'hex'))::bit(32)::int), substr(rest, 13 + ('x' || encode(substr(rest, 9, 4), 'hex'))::bit(32)::int) FROM b WHERE length(rest) > 0
    )
    SELECT format('%s: attributes %s, producer %s epoch %s sequence %s, %s records', ('x' || encode(substr(batch, 1, 8), 'hex'))::bit(64)::bigint,
                  encode(substr(batch, 22, 2), 'hex'), ('x' || encode(substr(batch, 44, 8), 'hex'))::bit(64)::bigint, ('x' || encode(substr(batch, 52, 2), 'hex'))::bit(16)::int,
                  ('x' || encode(substr(batch, 54, 4), 'hex'))::bit(32)::int, ('x' || encode(substr(batch, 58, 4), 'hex'))::bit(32)::int) FROM b
$$;

-- Begun by the first partition. Before that nothing can be written.
SELECT * FROM kafka.init_producer_id('txn-a');
SELECT * FROM open;
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 0, 0, 'too early');
SELECT * FROM kafka.add_partitions_to_txn('txn-a', 1000, '0', ARRAY['txn', 'txn'], ARRAY[1, 0]);
SELECT * FROM open;
SELECT * FROM kafka.producers WHERE topic = 'txn';
SELECT kafka.produce('txn', 'plain', partition => 0);
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 0, 0, 'a1', 'a2');
SELECT kafka.produce('txn', 'plain behind it', partition => 0);
-- An idempotent producer, whose batches are not part of any transaction.
SELECT error_code, base_offset FROM kafka.produce_batches(ARRAY['txn'], ARRAY[0], ARRAY[record_batch(7, 0, 0, false, 'idempotent')]);
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 0, 2, 'a3');
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 1, 0, 'a4');
-- Another partition has to be added.
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 2, 0, 'not added');
SELECT topic, partition, producer_id, producer_epoch, last_sequence, txn_first_offset FROM kafka.producers WHERE topic = 'txn' ORDER BY partition, producer_id;
-- Readers at read_committed stop where it begins, others do not.
SELECT * FROM seen();
SELECT * FROM ends;
SELECT i AS isolation, o.idx, o."offset" FROM unnest(ARRAY['read_uncommitted', 'read_committed']) AS i, kafka.list_offsets(ARRAY['txn', 'txn', 'txn'], ARRAY[0, 1, 0], ARRAY[-1, -1, 0]::bigint[], i) AS o;
SELECT i AS isolation, f.idx, f.high_watermark, f.last_stable_offset, f.aborted_producer_ids, f.aborted_first_offsets, b AS batch
FROM unnest(ARRAY['read_uncommitted', 'read_committed']) AS i, kafka.fetch_batches(ARRAY['txn', 'txn'], ARRAY[0, 1], ARRAY[0, 0]::bigint[], isolation => i) AS f LEFT JOIN LATERAL batches(records) AS b ON true;
SELECT topic, partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']);
SELECT topic, partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']);
-- Beyond the last stable offset there is nothing yet, which is no error.
SELECT count(*) FROM kafka.fetch('txn', 0, 4);
SELECT error_code, length(records) FROM kafka.fetch_batches(ARRAY['txn'], ARRAY[0], ARRAY[4]::bigint[], isolation => 'read_committed');

-- Committed: all of it at once, in the order of the log. The markers take an offset.
SELECT * FROM kafka.end_txn('txn-a', 1000, '0', true);
SELECT * FROM seen();
SELECT * FROM ends;
SELECT * FROM open;
SELECT partition, producer_id, producer_epoch, last_sequence, txn_first_offset FROM kafka.producers WHERE topic = 'txn' ORDER BY partition, producer_id;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']) ORDER BY 1, 2;
-- Behind the marker there is nothing; the group passes over it.
SELECT count(*) FROM kafka.poll('txn', ARRAY['txn']);
SELECT partition, committed_offset, lag FROM kafka.consumer_lag WHERE group_id = 'txn' ORDER BY partition;
SELECT count(*) FROM kafka.fetch('txn', 1, 1);
SELECT * FROM kafka.fetch('txn', 1, 2);
SELECT count(*) FROM kafka.fetch('txn', 1, 1, isolation => 'read_uncommitted');
SELECT f.idx, f.high_watermark, f.last_stable_offset, f.aborted_producer_ids, f.aborted_first_offsets, b AS batch
FROM kafka.fetch_batches(ARRAY['txn', 'txn'], ARRAY[0, 1], ARRAY[4, 0]::bigint[], isolation => 'read_committed') AS f, batches(records) AS b;
-- A marker: the checksum is right; version and type (1 is commit) in the key, version and coordinator epoch in the value.
SELECT crc32c_bytes(substr(records, 22)) = substr(records, 18, 4) AS checksum, substr(records, 22, 6) AS attributes, substr(records, 62) AS record,
       ('x' || encode(substr(records, 28, 8), 'hex'))::bit(64)::bigint BETWEEN extract(epoch FROM now() - interval '1 hour') * 1000 AND extract(epoch FROM now() + interval '1 hour') * 1000 AS recent
FROM kafka.fetch_batches(ARRAY['txn'], ARRAY[1], ARRAY[1]::bigint[]);
-- By version 1 the epoch stays, and the sequence goes on.
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 0, 3, 'not added again');
SELECT * FROM kafka.add_partitions_to_txn('txn-a', 1000, '0', ARRAY['txn', 'txn', 'txn'], ARRAY[0, 1, 2]);
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 0, 3, 'b1', 'b2');
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 1, 1, 'b3');
-- A repeated batch is answered with its offset.
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 1, 1, 'b3');
SELECT kafka.produce('txn', 'between', partition => p) FROM generate_series(0, 1) AS p;

-- Aborted: nobody reads it at read_committed. A marker goes into each partition that was added, also without records.
SELECT * FROM kafka.end_txn('txn-a', 1000, '0', false);
SELECT * FROM seen() WHERE "offset" > 1;
SELECT * FROM ends;
SELECT partition, last_offset, producer_id, first_offset FROM kafka_log.aborted_transactions JOIN kafka_log.topics USING (topic_number) WHERE topic = 'txn' ORDER BY 1, 2;
SELECT i AS isolation, f.idx, f.aborted_producer_ids, f.aborted_first_offsets, b AS batch
FROM unnest(ARRAY['read_uncommitted', 'read_committed']) AS i, kafka.fetch_batches(ARRAY['txn', 'txn', 'txn'], ARRAY[0, 1, 2], ARRAY[6, 2, 0]::bigint[], isolation => i) AS f, batches(records) AS b;
SELECT substr(records, 62) AS abort_marker FROM kafka.fetch_batches(ARRAY['txn'], ARRAY[2], ARRAY[0]::bigint[]);
-- A fetch that ends before the aborted records does not tell of them, one from the middle does.
SELECT offsets AS from, f.aborted_producer_ids, f.aborted_first_offsets, b AS batch
FROM unnest(ARRAY[0, 8, 10]) AS offsets, kafka.fetch_batches(ARRAY['txn'], ARRAY[0], ARRAY[offsets], max_bytes => 1, isolation => 'read_committed') AS f, batches(records) AS b;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']) ORDER BY 1, 2;
SELECT count(*) FROM kafka.poll('txn', ARRAY['txn']);
SELECT sum(lag) AS lag FROM kafka.consumer_lag WHERE group_id = 'txn';
-- What the group has committed beyond the last stable offset, as a reader at read_uncommitted does, is kept.
SELECT error_code FROM kafka.add_partitions_to_txn('txn-a', 1000, '0', ARRAY['txn'], ARRAY[1]);
SELECT * FROM txn_send('txn-a', 1000, 0, 1, 'txn', 1, 2, 'c1');
SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group('txn', ARRAY[m.member_id]) AS l WHERE m.group_id = 'txn';
SELECT kafka.commit_offset('txn', 'txn', 1, 6);
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']) ORDER BY 1, 2;
SELECT error_code FROM kafka.end_txn('txn-a', 1000, '0', true);
SELECT kafka.produce('txn', 'c2', partition => 1);
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.poll('txn', ARRAY['txn']) ORDER BY 1, 2;

-- Version 2: partitions become part of the transaction when they are written to, and each transaction has an epoch of its own.
SELECT * FROM kafka.init_producer_id('txn-v2', 120000);
SELECT * FROM txn_send('txn-v2', 1001, 0, 2, 'txn', 2, 1, 'overtakes what is lost');
SELECT * FROM txn_send('txn-v2', 1001, 0, 2, 'txn', 2, 0, 'd1');
SELECT * FROM txn_send('txn-v2', 1001, 0, 2, 'txn', 2, 1, 'd2');
SELECT * FROM open WHERE transactional_id = 'txn-v2';
SELECT * FROM kafka.end_txn('txn-v2', 1001, '0', true, '2');
-- Repeated: the same answer, nothing is written.
SELECT * FROM kafka.end_txn('txn-v2', 1001, '0', true, '2');
SELECT * FROM kafka.end_txn('txn-v2', 1001, '0', false, '2');
SELECT * FROM ends WHERE partition = 2;
-- The marker has the new epoch, so nothing of the old one gets in any more, a repeated batch included; the sequence begins anew.
SELECT * FROM txn_send('txn-v2', 1001, 0, 2, 'txn', 2, 1, 'd2');
SELECT * FROM txn_send('txn-v2', 1001, 0, 2, 'txn', 0, 0, 'late');
SELECT * FROM txn_send('txn-v2', 1001, 1, 2, 'txn', 2, 2, 'd3');
SELECT * FROM txn_send('txn-v2', 1001, 1, 2, 'txn', 2, 0, 'd3');
SELECT * FROM txn_send('txn-v2', 1001, 1, 2, 'txn', 0, 0, 'd4');
SELECT * FROM open WHERE transactional_id = 'txn-v2';
SELECT * FROM kafka.end_txn('txn-v2', 1001, '1', false, '2');
SELECT * FROM kafka.end_txn('txn-v2', 1001, '1', false, '2');
-- An abort without a transaction gives another epoch, a commit is an error.
SELECT * FROM kafka.end_txn('txn-v2', 1001, '2', true, '2');
SELECT * FROM kafka.end_txn('txn-v2', 1001, '2', false, '2');
SELECT f.aborted_producer_ids, f.aborted_first_offsets, b AS batch FROM kafka.fetch_batches(ARRAY['txn'], ARRAY[2], ARRAY[0]::bigint[], isolation => 'read_committed') AS f, batches(records) AS b;
SELECT * FROM seen() WHERE partition = 2;
-- When the epochs are used up the producer gets another id.
UPDATE kafka_log.transactions SET producer_epoch = 32766 WHERE transactional_id = 'txn-v2';
SELECT * FROM txn_send('txn-v2', 1001, 32766, 2, 'txn', 2, 0, 'the last epoch');
SELECT * FROM kafka.end_txn('txn-v2', 1001, '32766', true, '2');
SELECT * FROM kafka.end_txn('txn-v2', 1001, '32766', true, '2');
SELECT * FROM txn_send('txn-v2', 1001, 32766, 2, 'txn', 2, 1, 'late');
SELECT * FROM txn_send('txn-v2', 1002, 0, 2, 'txn', 2, 0, 'another id');
SELECT error_code, producer_id, producer_epoch FROM kafka.end_txn('txn-v2', 1002, '0', true, '2');
SELECT * FROM seen() WHERE partition = 2;

-- Interleaved with another producer: each ends by itself, and the first open one stops the readers.
SELECT kafka.create_topic('txn_two') IS NOT NULL AS created;
SELECT * FROM kafka.init_producer_id('txn-one');
SELECT * FROM kafka.init_producer_id('txn-other');
SELECT base_offset FROM txn_send('txn-one', 1003, 0, 2, 'txn_two', 0, 0, 'one');
SELECT base_offset FROM txn_send('txn-other', 1004, 0, 2, 'txn_two', 0, 0, 'other');
SELECT base_offset FROM txn_send('txn-one', 1003, 0, 2, 'txn_two', 0, 1, 'one');
SELECT error_code FROM kafka.end_txn('txn-other', 1004, '0', false, '2');
SELECT high_watermark, last_stable_offset FROM kafka.partitions WHERE topic = 'txn_two';
SELECT base_offset FROM txn_send('txn-other', 1004, 1, 2, 'txn_two', 0, 0, 'other again');
SELECT error_code FROM kafka.end_txn('txn-one', 1003, '0', true, '2');
SELECT high_watermark, last_stable_offset FROM kafka.partitions WHERE topic = 'txn_two';
SELECT * FROM seen('txn_two');
SELECT error_code FROM kafka.end_txn('txn-other', 1004, '1', false, '2');
SELECT * FROM seen('txn_two');
-- The order of the ends; both are of one producer.
SELECT aborted_producer_ids, aborted_first_offsets FROM kafka.fetch_batches(ARRAY['txn_two'], ARRAY[0], ARRAY[0]::bigint[], isolation => 'read_committed');
SELECT aborted_producer_ids, aborted_first_offsets FROM kafka.fetch_batches(ARRAY['txn_two'], ARRAY[0], ARRAY[4]::bigint[], isolation => 'read_committed');

-- Everything is the caller's transaction's: rolled back it did not happen.
BEGIN;
SELECT base_offset FROM txn_send('txn-one', 1003, 1, 2, 'txn_two', 0, 0, 'begun');
COMMIT;
BEGIN;
SELECT error_code, producer_epoch FROM kafka.end_txn('txn-one', 1003, '1', true, '2');
ROLLBACK;
SELECT state FROM open WHERE transactional_id = 'txn-one';
SELECT last_stable_offset FROM kafka.partitions WHERE topic = 'txn_two';
BEGIN;
SELECT error_code FROM kafka.end_txn('txn-one', 1003, '1', false, '2');
SAVEPOINT s;
SELECT error_code FROM txn_send('txn-one', 1003, 2, 2, 'txn_two', 0, 0, 'undone');
ROLLBACK TO s;
COMMIT;
SELECT state, topic_partitions FROM open WHERE transactional_id = 'txn-one';
SELECT last_stable_offset = high_watermark AS stable FROM kafka.partitions WHERE topic = 'txn_two';
SELECT * FROM seen('txn_two') WHERE "offset" > 6;
-- A whole one in one transaction, with a record of kafka.produce: nothing before the commit.
BEGIN;
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('txn-whole');
SELECT error_code FROM txn_send('txn-whole', 1005, 0, 2, 'txn_two', 0, 0, 'whole');
SELECT kafka.produce('txn_two', 'plain');
SELECT error_code FROM kafka.end_txn('txn-whole', 1005, '0', true, '2');
SELECT value FROM seen('txn_two') WHERE value IN ('whole', 'plain');
COMMIT;
SELECT value, records, fetched FROM seen('txn_two') WHERE value IN ('whole', 'plain');

-- Topics that store another codec or their own time: still transactional, and the markers are right.
SELECT kafka.create_topic('txn_zstd', config => '{"compression.type": "zstd", "message.timestamp.type": "LogAppendTime"}') IS NOT NULL AS created;
SELECT error_code FROM txn_send('txn-whole', 1005, 1, 2, 'txn_zstd', 0, 0, 'compressed', 'and aborted');
SELECT error_code FROM kafka.end_txn('txn-whole', 1005, '1', false, '2');
SELECT error_code FROM txn_send('txn-whole', 1005, 2, 2, 'txn_zstd', 0, 0, 'compressed', 'and committed');
SELECT error_code FROM kafka.end_txn('txn-whole', 1005, '2', true, '2');
SELECT * FROM seen('txn_zstd');
SELECT b AS batch FROM kafka.fetch_batches(ARRAY['txn_zstd'], ARRAY[0], ARRAY[0]::bigint[]) AS f, batches(records) AS b;
SELECT crc32c_bytes(substr(records, 22)) = substr(records, 18, 4) AS checksum FROM kafka.fetch_batches(ARRAY['txn_zstd'], ARRAY[0], ARRAY[5]::bigint[]);
-- Batches by topic id are taken; records routed by key are not.
SELECT p.error_code, p.error_message FROM kafka.topics AS t, kafka.produce_batches(ARRAY[NULL, 'txn'], ARRAY[0, -1], ARRAY[record_batch(1005, 3, 0, true, 'by id'), record_batch(1005, 3, 0, true, 'by key')],
    topic_ids => ARRAY[t.topic_id, NULL], transactional_ids => ARRAY['txn-whole', 'txn-whole'], transaction_versions => '{2,2}') AS p WHERE t.topic = 'txn';
SELECT error_code FROM kafka.end_txn('txn-whole', 1005, '3', true, '2');

SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group('txn', ARRAY[m.member_id]) AS l WHERE m.group_id = 'txn';
SELECT kafka.delete_group('txn'), count(kafka.delete_topic(topic)) FROM kafka.topics WHERE topic IN ('txn', 'txn_two', 'txn_zstd');
SELECT count(*) FROM kafka_log.aborted_transactions AS a WHERE NOT EXISTS (SELECT FROM kafka_log.topics AS t WHERE t.topic_number = a.topic_number);
DROP VIEW ends, open;
DROP FUNCTION seen, batches;
