-- kafka.delete_records: the log of a partition begins later.
SELECT kafka.create_topic('delete_records', 2) IS NOT NULL AS created;
SELECT kafka.produce('delete_records', i::text, partition => 0, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 minute') FROM generate_series(0, 4) AS i;
SELECT kafka.produce('delete_records', i::text, partition => 0, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 minute') FROM generate_series(5, 9) AS i;
SELECT kafka.produce('delete_records', 'other', partition => 1);
CREATE VIEW kept AS SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('delete_records');
-- It returns the new log start offset.
SELECT kafka.delete_records('delete_records', 0, 0);
SELECT kafka.delete_records('delete_records', 0, 3);
SELECT * FROM kept;
SELECT topic, partition, log_start_offset, high_watermark, batch_count FROM kafka.partitions WHERE topic = 'delete_records' ORDER BY partition;
SELECT "offset" FROM kafka.fetch('delete_records', 0, 3, max_records => 2);
SELECT "offset" FROM kafka.fetch('delete_records', 0, 2);
\echo :LAST_ERROR_SQLSTATE
SELECT error_code, log_start_offset FROM kafka.fetch_batches(ARRAY['delete_records', 'delete_records'], ARRAY[0, 0], ARRAY[2, 3]);
SELECT * FROM kafka.list_offsets('delete_records', 0, 'earliest');
SELECT "offset" FROM kafka.list_offsets('delete_records', 0, '2024-01-01 00:00:00+00'::timestamptz);
SELECT "offset" FROM kafka.list_offsets('delete_records', 0, 'max_timestamp');
-- It never moves back; lower offsets are deleted already.
SELECT kafka.delete_records('delete_records', 0, 1);
-- Up to the high watermark, which -1 stands for, and no further.
SELECT kafka.delete_records('delete_records', 0, 11);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.delete_records('delete_records', 0, 5);
SELECT * FROM kept WHERE partition = 0;
SELECT kafka.delete_records('delete_records', 0, -1);
SELECT * FROM kept;
SELECT topic, partition, log_start_offset, high_watermark, batch_count FROM kafka.partitions WHERE topic = 'delete_records' ORDER BY partition;
SELECT * FROM kafka.list_offsets('delete_records', 0, 'latest');
SELECT * FROM kafka.list_offsets('delete_records', 0, 'max_timestamp');
-- Offsets go on where they were.
SELECT kafka.produce('delete_records', 'next', partition => 0);
SELECT * FROM kept;
-- Also when the rows are gone for good.
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'delete_records' \gset
SELECT kafka.delete_records('delete_records', 0, -1);
VACUUM :log_table;
SELECT log_start_offset, high_watermark FROM kafka.partitions WHERE topic = 'delete_records' AND partition = 0;
SELECT kafka.produce('delete_records', 'after a vacuum', partition => 0);
SELECT * FROM kept;
-- And when the index has forgotten some of them, which readers bring about that pass over deleted rows.
SELECT kafka.create_topic('delete_records_index') IS NOT NULL AS created;
SELECT kafka.produce('delete_records_index', 'a');
SELECT kafka.produce('delete_records_index', 'b');
SELECT kafka.produce('delete_records_index', 'c');
SELECT kafka.delete_records('delete_records_index', 0, -1);
SELECT log_start_offset, high_watermark FROM kafka.watermarks('delete_records_index', 0);
SELECT kafka.produce('delete_records_index', 'd');
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('delete_records_index');
SELECT kafka.delete_topic('delete_records_index');

-- In a transaction: undone by a rollback.
BEGIN;
SELECT kafka.delete_records('delete_records', 0, -1);
SELECT * FROM kept WHERE partition = 0;
ROLLBACK;
SELECT * FROM kept WHERE partition = 0;
-- Not what is not committed yet.
BEGIN;
SELECT kafka.produce('delete_records', 'flushed', partition => 0);
SELECT base_offset FROM kafka.flush();
SELECT kafka.delete_records('delete_records', 0, -1);
COMMIT;
SELECT * FROM kept;

SELECT kafka.delete_records('delete_records', 2, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.delete_records('no_such_topic', 0, 0);
SELECT kafka.delete_records('delete_records', 0, -2);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.delete_records('delete_records', 0, NULL);
BEGIN READ ONLY;
SELECT kafka.delete_records('delete_records', 0, -1);
ROLLBACK;
-- A topic that is deleted and created again begins at 0.
SELECT kafka.delete_topic('delete_records');
SELECT kafka.create_topic('delete_records') IS NOT NULL AS created;
SELECT log_start_offset, high_watermark FROM kafka.partitions WHERE topic = 'delete_records';
DROP VIEW kept;
