-- kafka.records: a whole topic as a table.
SELECT kafka.create_topic('records', 3) IS NOT NULL AS created;
SELECT * FROM kafka.records('records');
SET timezone = 'UTC';
SELECT kafka.produce('records', 'v' || i, 'k' || i, '{"h": "x"}'::jsonb, i % 3, '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 hour') FROM generate_series(1, 7) AS i;
SELECT kafka.produce('records', 'v8', partition => 2, "timestamp" => '2024-01-02 00:00:00+00');
SELECT * FROM kafka.records('records');
SELECT partition, count(*), max("timestamp") FROM kafka.records('records') GROUP BY partition ORDER BY partition;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('records') WHERE key = 'k5';
-- The last value of each key, as log compaction would keep it.
SELECT kafka.produce('records', 'newer v5', 'k5', partition => 2);
SELECT DISTINCT ON (key) convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value FROM kafka.records('records') WHERE key IS NOT NULL ORDER BY key, "offset" DESC;
-- LIMIT stops early; isolation by name.
SELECT count(*) FROM (SELECT FROM kafka.records('records') LIMIT 2) AS r;
SELECT count(*) FROM kafka.records('records', isolation => 'read_uncommitted');
SELECT count(*) FROM kafka.records('records', isolation => 'dirty');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.records('no_such_topic');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kafka.records(NULL);
-- What a statement itself produces it does not read: copying a topic into itself ends.
SELECT count(kafka.produce('records', value, key, partition => partition)) FROM kafka.records('records');
SELECT count(*) FROM kafka.records('records');
