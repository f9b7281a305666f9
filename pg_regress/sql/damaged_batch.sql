-- Batches whose checksum is right and whose records cannot be read.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT kafka.create_topic('damaged', 3) IS NOT NULL AS created;
SELECT kafka.create_topic('damaged_gzip', config => '{"compression.type": "gzip"}') IS NOT NULL AS created;
-- Three records, "v1" to "v3"; the same with the length of the first too large.
CREATE TABLE damage (good bytea, bad bytea);
INSERT INTO damage SELECT b, patched(b, 61, '\x7e') FROM (VALUES ('\x00000000000000000000004cffffffff022ae9f2480000000000020000018cc251f4000000018cc251f400ffffffffffffffffffffffffffff00000003100000000104763100100000020104763200100000040104763300'::bytea)) AS v (b);
-- The door refuses them, as Kafka's broker does: else they would stop every reader.
SELECT p.idx, p.error_code, p.error_message, p.base_offset FROM damage,
    kafka.produce_batches(ARRAY['damaged', 'damaged', 'damaged', 'damaged', 'damaged_gzip'], ARRAY[0, 0, 0, -1, 0], ARRAY[good, bad, good, bad, bad]) AS p;
-- Compressed bytes that do not inflate.
SELECT name, p.idx, p.error_code, p.error_message LIKE 'invalid record: %' AS invalid FROM damage, (VALUES (1, 'gzip'), (2, 'snappy'), (3, 'lz4'), (4, 'zstd')) AS c (number, name),
    kafka.produce_batches(ARRAY['damaged', 'damaged_gzip'], ARRAY[1, 0], ARRAY[patched(good, 21, int2send(number::int2)), patched(good, 21, int2send(number::int2))]) AS p ORDER BY number, p.idx;
-- Fewer records than declared, more than declared, bytes after the last.
SELECT name, p.error_code, p.error_message FROM damage, LATERAL (VALUES
    (1, 'one missing', patched(patched(good, 23, '\x00000003'), 57, '\x00000004')),
    (2, 'one too many', patched(patched(good, 23, '\x00000001'), 57, '\x00000002')),
    (3, 'a byte after them', patched(good || '\x00', 8, int4send(length(good) + 1 - 12))),
    (4, 'offsets that do not grow', patched(good, 73, '\x00')),
    (5, 'a header that is not there', patched(good, 69, '\x02'))
) AS b (n, name, batch), kafka.produce_batches(ARRAY['damaged'], ARRAY[2], ARRAY[b.batch]) AS p ORDER BY n;
SELECT topic, partition, high_watermark FROM kafka.partitions WHERE topic LIKE 'damaged%' ORDER BY topic, partition;

-- Damaged on disk: an error for who asks for it, which says where to read on; everything around it can be read.
SELECT error_code FROM damage, kafka.produce_batches(ARRAY['damaged'], ARRAY[0], ARRAY[good]);
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'damaged' \gset
UPDATE :log_table SET data = overlay(bad PLACING int8send(3) FROM 1) FROM damage WHERE base_offset = 3 AND partition = 0;
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.fetch('damaged', 0, 0);
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.fetch('damaged', 0, 3);
\echo :LAST_ERROR_SQLSTATE
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.fetch('damaged', 0, 6);
SELECT count(*) FROM kafka.records('damaged');
\echo :LAST_ERROR_SQLSTATE
SELECT length(records) FROM kafka.fetch_batches(ARRAY['damaged'], ARRAY[0], ARRAY[0]);

-- A header key that is no UTF-8, and one with a zero byte: what text cannot hold is U+FFFD, so that a reader gets past it.
SELECT kafka.create_topic('damaged_header') IS NOT NULL AS created;
SELECT kafka.produce('damaged_header', 'v', headers => '{"k": "w"}'::jsonb, "timestamp" => '2024-01-01 00:00:00+00');
SELECT records AS header, position('\x026b0277' IN records) AS at FROM kafka.fetch_batches(ARRAY['damaged_header'], ARRAY[0], ARRAY[0]) \gset
SELECT error_code FROM kafka.produce_batches(ARRAY['damaged_header', 'damaged_header'], ARRAY[0, 0], ARRAY[patched(:'header', :at, '\xff'), patched(:'header', :at, '\x00')]);
SELECT r."offset", h.key, convert_from(h.value, 'UTF8') AS value FROM kafka.fetch('damaged_header', 0, 0) AS r, unnest(r.headers) AS h;
DROP TABLE damage;
