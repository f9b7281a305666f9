-- PREPARE TRANSACTION keeps what was produced, invisible, until it is known how the transaction ends.
SELECT kafka.create_topic('prepared') IS NOT NULL AS created;
CREATE TABLE prepared_table (id int);
BEGIN;
INSERT INTO prepared_table VALUES (1);
SELECT kafka.produce('prepared', 'one', "timestamp" => '2024-01-01 00:00:00+00');
SELECT kafka.produce('prepared', 'two', "timestamp" => '2024-01-01 00:00:01+00');
PREPARE TRANSACTION 'pg_kafka_first';
-- It is in the log, and nobody can read it.
SELECT log_start_offset, high_watermark, last_stable_offset, batch_count FROM kafka.partitions WHERE topic = 'prepared';
SELECT count(*) FROM kafka.records('prepared', isolation => 'read_uncommitted');
SELECT * FROM kafka.fetch('prepared', 0, 0, isolation => 'read_uncommitted');
-- What others commit meanwhile comes behind it and waits for it.
SELECT kafka.produce('prepared', 'three', "timestamp" => '2024-01-01 00:00:02+00');
SELECT * FROM kafka.fetch('prepared', 0, 0);
SELECT * FROM kafka.list_offsets('prepared', 0, 'latest');
SELECT * FROM kafka.list_offsets('prepared', 0, '2024-01-01 00:00:00+00'::timestamptz);
COMMIT PREPARED 'pg_kafka_first';
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.fetch('prepared', 0, 0);
SELECT id FROM prepared_table;

-- Rolled back: a gap.
BEGIN;
SELECT kafka.produce('prepared', 'undone');
PREPARE TRANSACTION 'pg_kafka_second';
SELECT kafka.produce('prepared', 'four');
SELECT high_watermark FROM kafka.partitions WHERE topic = 'prepared';
ROLLBACK PREPARED 'pg_kafka_second';
SELECT high_watermark FROM kafka.partitions WHERE topic = 'prepared';
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.fetch('prepared', 0, 0);

-- This session produces nothing of it a second time, neither at once nor later.
SELECT kafka.produce('prepared', 'five');
SELECT count(*) FROM kafka.records('prepared');

-- With savepoints and a flush; a topic that is made in the prepared transaction.
BEGIN;
SELECT kafka.produce('prepared', 'six');
SAVEPOINT s;
SELECT kafka.produce('prepared', 'undone');
SELECT base_offset, record_count FROM kafka.flush();
ROLLBACK TO s;
SELECT kafka.produce('prepared', 'seven');
SELECT kafka.produce('prepared_made', 'one');
PREPARE TRANSACTION 'pg_kafka_third';
SELECT * FROM kafka.records('prepared_made');
COMMIT PREPARED 'pg_kafka_third';
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('prepared', 0, 4);
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('prepared_made');

-- Nothing to produce: nothing happens.
BEGIN;
INSERT INTO prepared_table VALUES (2);
PREPARE TRANSACTION 'pg_kafka_fourth';
COMMIT PREPARED 'pg_kafka_fourth';
SELECT gid FROM pg_prepared_xacts;
DROP TABLE prepared_table;
