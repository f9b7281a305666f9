-- Producing to a topic that does not exist creates it, unless pg_kafka.auto_create_topics is off.
SET pg_kafka.default_partitions = 3;
SELECT kafka.produce('auto_made', 'v', partition => 2);
RESET pg_kafka.default_partitions;
SHOW pg_kafka.auto_create_topics;
SELECT topic, partitions, config FROM kafka.topics WHERE topic LIKE 'auto%';
-- Only a name that is legal.
SELECT kafka.produce('auto made', 'v');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('', 'v');
-- The record is refused: so is the topic.
SELECT kafka.produce('auto_not_made', 'v', partition => 9);
SELECT count(*) FROM kafka.topics WHERE topic = 'auto_not_made';
-- It is rolled back with what it was made for, also to a savepoint.
BEGIN;
SELECT kafka.produce('auto_undone', 'v');
SAVEPOINT s;
SELECT kafka.produce('auto_undone_too', 'v');
ROLLBACK TO s;
SELECT topic FROM kafka.topics WHERE topic LIKE 'auto_undone%';
ROLLBACK;
SELECT topic FROM kafka.topics WHERE topic LIKE 'auto_undone%';

SET pg_kafka.auto_create_topics = off;
SELECT kafka.produce('auto_unwanted', 'v');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('auto_made', 'w', partition => 2);
SELECT topic, error_code FROM kafka.describe_topics(ARRAY['auto_made', 'auto_unwanted'], auto_create => true);
RESET pg_kafka.auto_create_topics;

-- Reading never creates; kafka.describe_topics does where it is asked to.
SELECT * FROM kafka.fetch('auto_unwanted', 0, 0);
SELECT * FROM kafka.list_offsets('auto_unwanted', 0, 'latest');
SELECT idx, topic, partitions, error_code FROM kafka.describe_topics(ARRAY['auto_unwanted', 'auto_made', 'auto made']);
SELECT idx, topic, partitions, error_code FROM kafka.describe_topics(ARRAY['auto_unwanted', 'auto_made', 'auto made'], auto_create => true);
-- kafka.produce_batches, as in Kafka, does not: clients ask for the metadata first.
SELECT error_code FROM kafka.produce_batches(ARRAY['auto_never'], ARRAY[0], ARRAY['\x'::bytea]);
SELECT topic, partitions FROM kafka.topics WHERE topic LIKE 'auto%' ORDER BY topic;
