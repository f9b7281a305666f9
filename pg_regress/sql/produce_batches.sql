-- kafka.produce_batches: record batches as clients send them, one row for each element, an error code for what is wrong with it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT crc32c_bytes('123456789') AS check_value;

-- A batch of three records, as kafka.produce makes it.
SELECT kafka.create_topic('batches_source') IS NOT NULL AS created;
SELECT kafka.produce('batches_source', 'v' || i, 'k' || i, '{"h": "x"}'::jsonb, "timestamp" => '2024-01-01 00:00:00+00') FROM generate_series(1, 3) AS i;
SELECT records AS batch, length(records) AS size FROM kafka.fetch_batches(ARRAY['batches_source'], ARRAY[0], ARRAY[0]) \gset
SELECT patched(:'batch', 21, '\x0000') = :'batch' AS helpers_work;

SELECT kafka.create_topic('batches', 7) AS topic_id \gset
SELECT * FROM kafka.produce_batches(ARRAY['batches'], ARRAY[0], ARRAY[:'batch']::bytea[]);
SELECT * FROM kafka.produce_batches(topics => ARRAY['batches', 'batches'], partitions => ARRAY[0, 1], batches => ARRAY[:'batch', :'batch']::bytea[], acks => 1::int2);
SELECT partition, "offset", "timestamp" AT TIME ZONE 'UTC' AS "timestamp", convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value, headers FROM kafka.records('batches');
-- Stored as sent: only base offset (bytes 0 to 7) and leader epoch (12 to 15) are the server's.
SELECT get_byte(records, 7) AS base_offset, get_byte(records, 15) = (SELECT leader_epoch FROM kafka.cluster()) AS leader_epoch,
       substr(records, 9, 4) = substr(:'batch'::bytea, 9, 4) AS same_length, substr(records, 17) = substr(:'batch'::bytea, 17) AS same_rest
FROM kafka.fetch_batches(ARRAY['batches'], ARRAY[0], ARRAY[3]);
-- Whatever the client wrote there does not matter.
SELECT error_code, base_offset FROM kafka.produce_batches(ARRAY['batches'], ARRAY[0], ARRAY[overlay(overlay(:'batch'::bytea PLACING '\x00000000000003e8' FROM 1) PLACING '\x7fffffff' FROM 13)]);

-- Faults of single elements; the good ones among them are appended.
SELECT idx, error_code, error_message, base_offset, log_append_time, log_start_offset, partition FROM kafka.produce_batches(
    ARRAY['batches', 'batches', 'no_such_topic', 'batches', 'batches', 'batches', NULL],
    ARRAY[2, 2, 0, 7, -2, 3, 0],
    ARRAY[:'batch', set_byte(:'batch', :size - 1, 0), :'batch', :'batch', :'batch', :'batch', :'batch']::bytea[]);
SELECT name, p.error_code, p.error_message FROM (VALUES
    (1, 'a flipped bit', set_byte(:'batch', :size - 2, get_byte(:'batch', :size - 2) # 1)),
    (2, 'magic 0', '\x0000000000000000000000101fecd70a0000000000016b0000000176'),
    (3, 'magic 1', '\x00000000000000000000001839268c3301000000018bcfe56800000000016b0000000176'),
    (4, 'magic 3', set_byte(:'batch', 16, 3)),
    (5, 'cut off by one byte', substr(:'batch'::bytea, 1, :size - 1)),
    (6, 'the header cut off', substr(:'batch'::bytea, 1, 40)),
    (7, 'a few bytes', '\x0000'),
    (8, 'one byte after it', :'batch'::bytea || '\x00'),
    (9, 'a negative length', overlay(:'batch'::bytea PLACING '\xffffffff' FROM 9)),
    (10, 'a huge length', overlay(:'batch'::bytea PLACING '\x7fffffff' FROM 9)),
    (11, 'no batch', '\x'),
    (12, 'null', NULL),
    (13, 'codec 5', patched(:'batch', 21, '\x0005')),
    (14, 'a control batch', patched(:'batch', 21, '\x0020')),
    (15, 'transactional, no producer id', patched(:'batch', 21, '\x0010')),
    (16, 'transactional', patched(patched(:'batch', 21, '\x0010'), 43, '\x0000000000000007000000000000')),
    (17, 'LogAppendTime', patched(:'batch', 21, '\x0008')),
    (18, 'last offset delta 3', patched(:'batch', 23, '\x00000003')),
    (19, 'record count 0', patched(patched(:'batch', 23, '\xffffffff'), 57, '\x00000000')),
    (20, 'record count 2^31-1', patched(patched(:'batch', 23, '\x7ffffffe'), 57, '\x7fffffff')),
    (21, 'a producer id without an epoch', patched(:'batch', 43, '\x0000000000000007ffff00000000')),
    (22, 'a producer id without a sequence', patched(:'batch', 43, '\x00000000000000070000ffffffff'))
) AS b (n, name, batch), kafka.produce_batches(ARRAY['batches'], ARRAY[4], ARRAY[b.batch::bytea]) AS p ORDER BY n;
SELECT partition, high_watermark FROM kafka.partitions WHERE topic = 'batches';

-- Larger than the topic's max.message.bytes; exactly that large.
SELECT kafka.create_topic('batches_limited', config => jsonb_build_object('max.message.bytes', :size - 1)) IS NOT NULL AS created;
SELECT kafka.create_topic('batches_fitting', config => jsonb_build_object('max.message.bytes', :size)) IS NOT NULL AS created;
SELECT idx, error_code, error_message, base_offset FROM kafka.produce_batches(ARRAY['batches_limited', 'batches_fitting'], ARRAY[0, 0], ARRAY[:'batch', :'batch']::bytea[]);

-- acks: -1, 0 and 1; anything else is an error of every element.
SELECT acks, array_agg(error_code) AS error_codes, min(error_message) AS error_message FROM unnest(ARRAY[-1, 0, 1, 2, -2]::int2[]) AS a (acks), kafka.produce_batches(ARRAY['batches', 'no_such_topic'], ARRAY[4, 0], ARRAY[:'batch', :'batch']::bytea[], acks => acks) GROUP BY acks ORDER BY acks;

-- Topics by id; the id goes before the name.
SELECT idx, error_code, error_message, base_offset FROM kafka.produce_batches(
    ARRAY[NULL, 'no_such_topic', 'batches', NULL], ARRAY[5, 5, 5, 5], ARRAY[:'batch', :'batch', :'batch', :'batch']::bytea[],
    topic_ids => ARRAY[:'topic_id', :'topic_id', NULL, '00000000-0000-0000-0000-000000000001']::uuid[]);

-- Partition -1: each record by its key, as the Java client would have sent it; those without a key together. The first offset given is returned.
SELECT kafka.produce('batches_source', key || ' value', key, "timestamp" => '2024-01-01 00:00:01+00') FROM unnest(ARRAY['21', 'foobar', 'a-little-bit-long-string', 'a-little-bit-longer-string', NULL, 'abc', NULL, '21']) AS key;
SELECT records AS keyed FROM kafka.fetch_batches(ARRAY['batches_source'], ARRAY[0], ARRAY[3]) \gset
SELECT kafka.create_topic('batches_routed', 7) IS NOT NULL AS created;
SELECT * FROM kafka.produce_batches(ARRAY['batches_routed'], ARRAY[-1], ARRAY[:'keyed']::bytea[]);
SELECT partition, "offset", convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value FROM kafka.records('batches_routed') WHERE key IS NOT NULL;
SELECT count(*), count(DISTINCT partition) AS partitions FROM kafka.records('batches_routed') WHERE key IS NULL;
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['batches_routed'], ARRAY[-1], ARRAY[patched(:'keyed', 43, '\x0000000000000007000000000000')]);

-- Several batches in one element: all of them, or none if one is bad.
SELECT error_code, base_offset FROM kafka.produce_batches(ARRAY['batches'], ARRAY[6], ARRAY[:'batch'::bytea || :'keyed'::bytea || :'batch'::bytea]);
SELECT error_code, base_offset FROM kafka.produce_batches(ARRAY['batches'], ARRAY[6], ARRAY[:'batch'::bytea || set_byte(:'batch', :size - 1, 1)]);
SELECT high_watermark, batch_count FROM kafka.partitions WHERE topic = 'batches' AND partition = 6;

-- Partitions in turn: each gets its own in the order of the call, and so come the results. What is there already, or does not follow, is left out.
SELECT kafka.create_topic('batches_turns', 2) IS NOT NULL AS created;
SELECT idx, error_code, base_offset, partition FROM kafka.produce_batches(array_fill('batches_turns'::text, ARRAY[8]), ARRAY[1, 0, 1, 0, -1, 1, 0, 1], ARRAY[
    record_batch(7, 0, 0, false, 'a1', 'a2'), record_batch(8, 0, 0, false, 'b1'), record_batch(7, 0, 2, false, 'a3'), record_batch(8, 0, 2, false, 'too early'),
    NULL, record_batch(7, 0, 0, false, 'a1', 'a2'), record_batch(8, 0, 1, false, 'b2'), record_batch(-1, -1, -1, false, 'c1')]);
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('batches_turns');
-- More than is written in one turn, between others.
SELECT kafka.produce('batches_turns', repeat(md5('1'), 30000)::bytea, partition => 0);
SELECT p.idx, p.error_code, p.base_offset, p.partition FROM kafka.fetch_batches(ARRAY['batches_turns'], ARRAY[0], ARRAY[2]) AS f,
    kafka.produce_batches(array_fill('batches_turns'::text, ARRAY[6]), ARRAY[1, 0, 1, 1, 0, 1], array_fill(f.records, ARRAY[5]) || record_batch(-1, -1, -1, false, 'last')) AS p;
SELECT partition, "offset", length(value), left(convert_from(value, 'UTF8'), 4) AS value FROM kafka.records('batches_turns') WHERE "offset" >= 2;

-- The call appends in the caller's transaction: nothing to read before the commit, or after a rollback.
BEGIN;
SELECT error_code, base_offset FROM kafka.produce_batches(ARRAY['batches'], ARRAY[6], ARRAY[:'batch']::bytea[]);
SELECT high_watermark FROM kafka.partitions WHERE topic = 'batches' AND partition = 6;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT error_code FROM kafka.produce_batches(ARRAY['batches'], ARRAY[5], ARRAY[:'batch']::bytea[]);
ROLLBACK TO s;
-- What kafka.produce buffers comes at the commit, behind it.
SELECT kafka.produce('batches', 'buffered', partition => 5);
SELECT error_code FROM kafka.produce_batches(ARRAY['batches'], ARRAY[5], ARRAY[:'batch']::bytea[]);
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('batches', 5, 9);

-- A topic that stores another codec than what came: the same records.
SELECT kafka.create_topic('batches_gzip', config => '{"compression.type": "gzip"}') IS NOT NULL AS created;
SELECT kafka.create_topic('batches_plain', config => '{"compression.type": "uncompressed"}') IS NOT NULL AS created;
SELECT error_code FROM kafka.produce_batches(ARRAY['batches_gzip'], ARRAY[0], ARRAY[:'batch']::bytea[]);
SELECT records AS gzipped, get_byte(records, 22) AS codec FROM kafka.fetch_batches(ARRAY['batches_gzip'], ARRAY[0], ARRAY[0]) \gset
SELECT :codec AS gzip;
SELECT error_code FROM kafka.produce_batches(ARRAY['batches_gzip', 'batches_plain', 'batches_fitting'], ARRAY[0, 0, 0], ARRAY[:'gzipped', :'gzipped', :'gzipped']::bytea[]);
SELECT substr(records, 17) = substr(:'batch'::bytea, 17) AS as_it_was FROM kafka.fetch_batches(ARRAY['batches_plain'], ARRAY[0], ARRAY[0]);
SELECT (SELECT string_agg(r.key || r.value, '' ORDER BY "offset") FROM kafka.records('batches_gzip') AS r WHERE "offset" >= 3) = (SELECT string_agg(r.key || r.value, '' ORDER BY "offset") FROM kafka.records('batches_plain') AS r) AS same_records;

-- Arrays of different lengths are an error of the call; empty ones are nothing to do.
SELECT * FROM kafka.produce_batches(ARRAY['batches', 'batches'], ARRAY[0], ARRAY[:'batch']::bytea[]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches(ARRAY['batches'], ARRAY[0], ARRAY[:'batch', :'batch']::bytea[]);
SELECT * FROM kafka.produce_batches(ARRAY['batches'], ARRAY[0], ARRAY[:'batch']::bytea[], topic_ids => '{}');
SELECT * FROM kafka.produce_batches('{}', '{}', '{}');
