-- REPEATABLE READ and SERIALIZABLE: produce and fetch as ever. The log is read as it is now, not as of the snapshot.
SELECT kafka.create_topic('levels') IS NOT NULL AS created;
CREATE EXTENSION IF NOT EXISTS dblink;
SELECT dblink_connect('other', format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database(), current_user));
CREATE FUNCTION elsewhere(statement text) RETURNS text LANGUAGE sql AS $$ SELECT * FROM dblink('other', statement) AS r (result text) $$;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM kafka.records('levels');
SELECT kafka.produce('levels', 'repeatable read');
SELECT elsewhere($$SELECT kafka.produce('levels', 'elsewhere 1')::text$$);
-- What another session committed meanwhile is readable, as for every Kafka consumer.
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('levels');
SELECT high_watermark FROM kafka.partitions WHERE topic = 'levels';
-- A topic that was made after the snapshot was taken, and one that grew.
SELECT elsewhere($$SELECT (kafka.create_topic('levels_new') IS NOT NULL)::text$$);
SELECT kafka.produce('levels_new', 'into a new topic');
SELECT kafka.create_topic('levels_new');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM kafka.records('levels');
SELECT elsewhere($$SELECT kafka.create_partitions('levels', 2)::text$$);
SELECT kafka.produce('levels', 'into a new partition', partition => 1);
SELECT elsewhere($$SELECT kafka.produce('levels', 'elsewhere 2', partition => 1)::text$$);
COMMIT;
SELECT partition, convert_from(value, 'UTF8') AS value FROM kafka.records('levels');
-- A deleted topic is gone for a snapshot that still knew it.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM kafka.topics WHERE topic = 'levels_new';
SELECT elsewhere($$SELECT kafka.delete_topic('levels_new')::text$$);
SELECT * FROM kafka.records('levels_new');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM kafka.records('levels');
SELECT kafka.produce('levels', 'serializable', partition => 0);
-- Two serializable transactions that read and produce to the same partition do not disturb each other.
SELECT dblink_exec('other', 'BEGIN ISOLATION LEVEL SERIALIZABLE');
SELECT elsewhere($$SELECT count(*)::text FROM kafka.records('levels')$$);
SELECT elsewhere($$SELECT kafka.produce('levels', 'serializable elsewhere', partition => 0)::text$$);
SELECT dblink_exec('other', 'COMMIT');
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('levels', 0, 1);
-- A serialization failure takes the record back with it.
CREATE TABLE levels_table (id int PRIMARY KEY, n int);
INSERT INTO levels_table VALUES (1, 0);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT n FROM levels_table;
SELECT kafka.produce('levels', 'undone', partition => 0);
SELECT dblink_exec('other', 'UPDATE levels_table SET n = n + 1');
UPDATE levels_table SET n = n + 1;
COMMIT;
SELECT count(*) FROM kafka.records('levels', 'read_uncommitted') WHERE value = 'undone';
SELECT dblink_disconnect('other');
DROP TABLE levels_table;
DROP FUNCTION elsewhere;
DROP EXTENSION dblink;
