-- A transaction with so many partitions that what is kept of it takes more than a page: added to, ended, and taken back.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT kafka.create_topic('wide', 4000) IS NOT NULL AS created;
SELECT producer_id AS id FROM kafka.init_producer_id('wide') \gset
CREATE FUNCTION add(first int, last int) RETURNS TABLE (error_code int2, count bigint) LANGUAGE sql AS $$
    SELECT error_code, count(*)
    FROM kafka.transactions AS t, (SELECT array_agg('wide'::text), array_agg(n) FROM generate_series(first, last) AS n) AS p (topics, partitions),
         kafka.add_partitions_to_txn('wide', t.producer_id, t.producer_epoch, topics, partitions)
    WHERE transactional_id = 'wide' GROUP BY 1
$$;
CREATE VIEW wide AS SELECT state, producer_epoch, cardinality(topic_partitions) AS partitions FROM kafka.transactions WHERE transactional_id = 'wide';

SELECT * FROM add(0, 1999);
SELECT * FROM add(1000, 2999);
SELECT * FROM wide;
-- Taken back to a savepoint, at an isolation level with one snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM add(3000, 3499);
SAVEPOINT s;
SELECT * FROM add(3500, 3999);
SELECT * FROM wide;
ROLLBACK TO s;
SELECT * FROM wide;
SELECT error_code FROM txn_send('wide', :id, 0, 1, 'wide', 3499, 0, 'one');
SELECT error_code FROM txn_send('wide', :id, 0, 1, 'wide', 3500, 0, 'not added');
COMMIT;
SELECT * FROM wide;
SELECT error_code FROM kafka.end_txn('wide', :id, '0', true);
SELECT * FROM wide;
-- Each of them has got its marker.
SELECT high_watermark, count(*) FROM kafka.partitions WHERE topic = 'wide' GROUP BY 1 ORDER BY 1;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('wide');
-- The next transaction is as any other.
SELECT * FROM add(7, 7);
SELECT error_code FROM txn_send('wide', :id, 0, 1, 'wide', 7, 0, 'two');
SELECT error_code FROM kafka.end_txn('wide', :id, '0', false);
SELECT * FROM wide;
SELECT last_sequence, txn_first_offset, count(*) FROM kafka.producers WHERE topic = 'wide' GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FROM kafka.records('wide');
SELECT kafka.delete_topic('wide');
DELETE FROM kafka_log.transactions WHERE transactional_id = 'wide';
DROP VIEW wide;
DROP FUNCTION add;
