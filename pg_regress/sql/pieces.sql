-- A batch that is larger than a page is stored as several rows, and reads as the one batch that it is.
SELECT kafka.create_topic('pieces', 2) IS NOT NULL AS created;
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'pieces' \gset
-- Sizes around what a page takes, and many pages.
CREATE TABLE values_to_send (n int GENERATED ALWAYS AS IDENTITY, size int);
INSERT INTO values_to_send (size)
SELECT * FROM (SELECT unnest(ARRAY[1, 900, 1000, 2000, 2100, 3000, 1000000])) AS few (size)
UNION ALL SELECT 7900 + i * 10 FROM generate_series(0, 30) AS i
UNION ALL SELECT 15900 + i * 20 FROM generate_series(0, 30) AS i;
CREATE FUNCTION value_of(n int, size int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(md5(n::text || i::text), '' ORDER BY i) || repeat('x', size % 32) FROM generate_series(0, size / 32) AS i
$$;
-- Each in a transaction of its own, so a batch of its own.
DO $$
DECLARE v record;
BEGIN
    FOR v IN SELECT n, size FROM values_to_send ORDER BY n LOOP
        PERFORM kafka.produce('pieces', value_of(v.n, v.size), v.n::text, partition => v.n % 2);
        COMMIT;
    END LOOP;
END $$;
SELECT count(*) AS batches, count(*) FILTER (WHERE first = 0 AND last = rows - 1) AS numbered, max(rows) > 100 AS many_rows, min(rows) AS few_rows
FROM (SELECT min(piece) AS first, max(piece) AS last, count(*) AS rows FROM :log_table GROUP BY partition, base_offset) AS b;
SELECT max(pg_column_size(t.*)) <= 8192 AS in_pages, (SELECT reltoastrelid = 0 OR pg_relation_size(reltoastrelid) = 0 FROM pg_class WHERE oid = :'log_table'::regclass) AS nothing_out_of_line
FROM :log_table AS t;
-- Pages are full, whatever the sizes of batches.
SELECT sum(length(data)) > 0.9 * pg_relation_size(:'log_table') AS dense FROM :log_table;
SELECT count(*) AS records, count(*) FILTER (WHERE convert_from(r.value, 'UTF8') = value_of(v.n, v.size)) AS as_sent
FROM kafka.records('pieces') AS r JOIN values_to_send AS v ON v.n = convert_from(r.key, 'UTF8')::int;
SELECT sum(batch_count) AS batches, sum(size_bytes) = (SELECT sum(length(data)) FROM :log_table) AS all_bytes FROM kafka.partitions WHERE topic = 'pieces';
-- As a client sees it: within a limit, from the middle.
SELECT f.error_code, length(f.records) FROM kafka.fetch_batches(ARRAY['pieces'], ARRAY[1], ARRAY[0], max_bytes => 3000) AS f;
SELECT f.high_watermark, f.records = (SELECT string_agg(data, '' ORDER BY last_offset, piece) FROM :log_table WHERE partition = 1 AND last_offset >= 3) AS as_stored
FROM kafka.fetch_batches(ARRAY['pieces'], ARRAY[1], ARRAY[3], max_bytes => 100000000) AS f;
SELECT "offset", length(value) FROM kafka.fetch('pieces', 1, 3, max_records => 2);
SELECT "offset" FROM kafka.list_offsets('pieces', 1, 'max_timestamp');

-- Rows of a transaction that was rolled back are passed over, all of them.
BEGIN;
SELECT kafka.produce('pieces', repeat('lost', 100000), partition => 0);
SELECT record_count FROM kafka.flush();
ROLLBACK;
SELECT kafka.produce('pieces', repeat('kept', 10000), partition => 0);
SELECT count(*), count(*) FILTER (WHERE value = repeat('lost', 100000)::bytea) AS lost, count(*) FILTER (WHERE value = repeat('kept', 10000)::bytea) AS kept FROM kafka.records('pieces');
VACUUM :log_table;
SELECT kafka.produce('pieces', repeat('more', 10000), partition => 0);
SELECT count(*) FROM kafka.records('pieces');

-- Deleted as one.
SELECT kafka.delete_records('pieces', 1, 20);
SELECT min(last_offset), min(piece) FROM :log_table WHERE partition = 1;
SELECT count(*) FROM kafka.records('pieces') WHERE partition = 1;

-- A row that is missing is noticed by whoever reads its batch.
SELECT kafka.create_topic('torn') IS NOT NULL AS created;
SELECT kafka.produce('torn', repeat('x', 30000));
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS torn_table FROM kafka_log.topics WHERE topic = 'torn' \gset
DELETE FROM :torn_table WHERE piece = 1;
SELECT length(records) FROM kafka.fetch_batches(ARRAY['torn'], ARRAY[0], ARRAY[0]);

-- Log tables of versions before 0.4.0: whole batches, stored out of line where they are large.
SELECT md5(string_agg(r::text, ',' ORDER BY partition, "offset")) AS before FROM kafka.records('pieces') AS r \gset
CREATE TABLE kafka_log.old AS
SELECT partition, last_offset, base_offset, stable_offset, max_timestamp, running_max_timestamp, string_agg(data, NULL ORDER BY piece) AS data
FROM :log_table GROUP BY 1, 2, 3, 4, 5, 6;
CREATE TABLE kafka_log.new (partition int4 NOT NULL, last_offset int8 NOT NULL, base_offset int8 NOT NULL, stable_offset int8 NOT NULL,
    max_timestamp int8 NOT NULL, running_max_timestamp int8 NOT NULL, data bytea NOT NULL) WITH (toast_tuple_target = 8160);
ALTER TABLE kafka_log.new ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX ON kafka_log.new (partition, last_offset);
INSERT INTO kafka_log.new SELECT * FROM kafka_log.old ORDER BY partition, last_offset;
SELECT relname AS log_name FROM pg_class WHERE oid = :'log_table'::regclass \gset
DROP TABLE :log_table, kafka_log.old;
ALTER TABLE kafka_log.new RENAME TO :log_name;
\set VERBOSITY sqlstate
SELECT count(*) FROM kafka.records('pieces');
\set VERBOSITY default
SELECT kafka.upgrade_logs();
SELECT kafka.upgrade_logs();
SELECT md5(string_agg(r::text, ',' ORDER BY partition, "offset")) = :'before' AS as_before FROM kafka.records('pieces') AS r;
SELECT sum(batch_count) AS batches, sum(size_bytes) = (SELECT sum(length(data)) FROM :log_table) AS all_bytes FROM kafka.partitions WHERE topic = 'pieces';
SELECT kafka.produce('pieces', repeat('new', 10000), partition => 1);
SELECT count(*) FROM kafka.records('pieces') WHERE value = repeat('new', 10000)::bytea;
SELECT f.records = (SELECT string_agg(data, '' ORDER BY last_offset, piece) FROM :log_table WHERE partition = 1) AS as_stored
FROM kafka.fetch_batches(ARRAY['pieces'], ARRAY[1], ARRAY[20], max_bytes => 100000000) AS f;
DROP TABLE values_to_send;
DROP FUNCTION value_of;
SELECT kafka.delete_topic('pieces'), kafka.delete_topic('torn');
