-- In queries that PostgreSQL would run in parallel.
SELECT kafka.create_topic('parallel', 2) IS NOT NULL AS created;
SELECT count(kafka.produce('parallel', i::text, partition => i % 2, "timestamp" => '2024-01-01 00:00:00+00')) FROM generate_series(1, 1000) AS i;
CREATE TABLE parallel_table AS SELECT i AS id, repeat('x', 100) AS filler FROM generate_series(1, 20000) AS i;
ANALYZE parallel_table;
\set settings 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
:settings
-- Parallel without the functions.
SELECT count(*) FROM (SELECT FROM parallel_table WHERE id % 7 = 0) AS t;
SELECT count(*) FROM parallel_table AS t JOIN kafka.records('parallel') AS r ON t.id = convert_from(r.value, 'UTF8')::int;
SELECT count(*) FROM parallel_table AS t WHERE id IN (SELECT convert_from(r.value, 'UTF8')::int FROM kafka.fetch('parallel', 1, 0) AS r);
SELECT count(*), (SELECT "offset" FROM kafka.list_offsets('parallel', 0, 'latest')) FROM parallel_table;
SELECT count(*) FROM parallel_table AS t JOIN kafka.partitions AS p ON t.id = p.high_watermark WHERE p.topic = 'parallel';
SELECT count(*) FROM parallel_table AS t JOIN kafka.fetch_batches(ARRAY['parallel'], ARRAY[0], ARRAY[0]) AS f ON t.id = f.idx;
SELECT count(*) FROM parallel_table WHERE filler IN (SELECT topic FROM kafka.describe_topics());
SELECT count(kafka.headers(jsonb_build_object('id', id))) FROM parallel_table;
SELECT count(kafka.produce('parallel', id::text, partition => 0)) FROM parallel_table WHERE id % 100 = 0;
CREATE TABLE parallel_copy AS SELECT t.id, r."offset" FROM parallel_table AS t JOIN kafka.records('parallel') AS r ON t.id = convert_from(r.value, 'UTF8')::int WHERE r.partition = 1;
SELECT count(*) FROM parallel_copy;
-- For each row of a scan that could be parallel; in new sessions, which have to read the catalogue.
\c -
:settings
SELECT string_agg(id || ':' || w, ' ' ORDER BY id) FROM (SELECT id, (SELECT high_watermark FROM kafka.watermarks('parallel', id / 10000)) AS w FROM parallel_table WHERE id % 5000 = 1) AS t;
\c -
:settings
SELECT string_agg(id || ':' || r."offset", ' ' ORDER BY id) FROM parallel_table AS t, LATERAL kafka.fetch('parallel', 1, t.id / 5000, max_records => 1) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || r.count, ' ' ORDER BY id) FROM parallel_table AS t, LATERAL (SELECT count(*) FROM kafka.records('parallel') WHERE partition = t.id / 10000) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || r."offset", ' ' ORDER BY id) FROM parallel_table AS t, LATERAL kafka.list_offsets('parallel', 1, -1 - t.id / 10000) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || r."offset", ' ' ORDER BY id) FROM parallel_table AS t, LATERAL kafka.list_offsets(ARRAY['parallel'], ARRAY[1], ARRAY[(-1 - t.id / 10000)::bigint]) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || length(r.records), ' ' ORDER BY id) FROM parallel_table AS t, LATERAL kafka.fetch_batches(ARRAY['parallel'], ARRAY[1], ARRAY[(t.id / 5000)::bigint]) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || r.high_watermark, ' ' ORDER BY id) FROM parallel_table AS t, LATERAL kafka.wait_for_records(ARRAY['parallel'], ARRAY[t.id / 10000], ARRAY[0::bigint], 0) AS r WHERE id % 5000 = 1;
\c -
:settings
SELECT string_agg(id || ':' || r.leader_epoch, ' ' ORDER BY id) FROM parallel_table AS t, LATERAL (SELECT leader_epoch FROM kafka.cluster() WHERE t.id > 0) AS r WHERE id % 10000 = 1;
SELECT sum(kafka.interrupt_wait(id)) FROM parallel_table WHERE id % 10000 = 1;
DROP TABLE parallel_table, parallel_copy;
