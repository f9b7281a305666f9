-- kafka.delete_topic: the topic and all it stored is gone.
SELECT kafka.create_topic('doomed', 2) AS first_id \gset
SELECT kafka.produce('doomed', 'a', partition => 0);
SELECT kafka.produce('doomed', 'b', partition => 1);
SELECT count(*) FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND relkind = 'r' \gset tables_before_
SELECT kafka.delete_topic('doomed');
SELECT count(*) - :tables_before_count AS log_tables FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND relkind = 'r';
SELECT count(*) FROM kafka.topics WHERE topic = 'doomed';
SELECT count(*) FROM kafka.partitions WHERE topic = 'doomed';
SELECT * FROM kafka.fetch('doomed', 0, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.delete_topic('doomed');
\echo :LAST_ERROR_SQLSTATE

-- Created again it is another topic, which begins at 0; this session had the old one cached.
SELECT kafka.create_topic('doomed', 1) AS second_id \gset
SELECT :'first_id' <> :'second_id' AS another_id;
SELECT kafka.produce('doomed', 'new');
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('doomed');
SELECT topic, error_code FROM kafka.describe_topics(topic_ids => ARRAY[:'first_id', :'second_id']::uuid[]);

-- Produce, then delete, in one transaction: nothing is left over.
BEGIN;
SELECT kafka.produce('doomed', 'last words');
SELECT kafka.delete_topic('doomed');
COMMIT;
SELECT count(*) FROM kafka.topics WHERE topic = 'doomed';

-- The same with automatic creation: what comes after the deletion makes a new topic.
BEGIN;
SELECT kafka.produce('doomed', 'one');
SELECT kafka.delete_topic('doomed');
SELECT kafka.produce('doomed', 'two');
COMMIT;
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('doomed');

-- Delete and create again in one transaction.
BEGIN;
SELECT kafka.delete_topic('doomed');
SELECT kafka.create_topic('doomed', 3) IS NOT NULL AS created;
SELECT kafka.produce('doomed', 'three', partition => 2);
COMMIT;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('doomed');

-- A rollback, also to a savepoint, brings it back with its records, and with what was produced before.
BEGIN;
SELECT kafka.delete_topic('doomed');
SELECT * FROM kafka.fetch('doomed', 2, 0);
ROLLBACK;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('doomed');
BEGIN;
SELECT kafka.produce('doomed', 'four', partition => 2);
SAVEPOINT s;
SELECT kafka.delete_topic('doomed');
SELECT kafka.create_topic('doomed', 1) IS NOT NULL AS created;
SELECT kafka.produce('doomed', 'into the one that never was');
ROLLBACK TO s;
SELECT kafka.produce('doomed', 'five', partition => 2);
COMMIT;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('doomed');

-- What idempotent producers left behind goes too.
SELECT count(*) FROM kafka_log.producers AS p WHERE NOT EXISTS (SELECT FROM kafka_log.topics AS t WHERE t.topic_number = p.topic_number);
SELECT count(*) FROM kafka_log.partitions AS p WHERE NOT EXISTS (SELECT FROM kafka_log.topics AS t WHERE t.topic_number = p.topic_number);
