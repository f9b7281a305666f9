-- kafka.fetch: the records of one partition from an offset on.
SELECT kafka.create_topic('fetch', 2) IS NOT NULL AS created;
CREATE FUNCTION part(first int, last int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kafka.produce('fetch', repeat(chr(97 + i % 26), 10), i::text, partition => 0, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second'))
    FROM generate_series(first, last) AS i
$$;
-- An empty partition has nothing at its only offset.
SELECT * FROM kafka.fetch('fetch', 0, 0);
SELECT * FROM kafka.fetch('fetch', 0, 1);
\echo :LAST_ERROR_SQLSTATE
-- Three batches: 0-4, 5-9, 10-14.
SELECT part(0, 4);
SELECT part(5, 9);
SELECT part(10, 14);
SELECT batch_count FROM kafka.partitions WHERE topic = 'fetch' AND partition = 0;
SET timezone = 'UTC';
SELECT * FROM kafka.fetch('fetch', 0, 0);
-- From the middle of a batch: not what is before it.
SELECT "offset", convert_from(key, 'UTF8') AS key FROM kafka.fetch('fetch', 0, 7);
SELECT "offset" FROM kafka.fetch('fetch', 0, 14);
-- At the high watermark there is nothing yet; past it, and before the log's start, is an error.
SELECT "offset" FROM kafka.fetch('fetch', 0, 15);
SELECT "offset" FROM kafka.fetch('fetch', 0, 16);
\echo :LAST_ERROR_SQLSTATE
SELECT "offset" FROM kafka.fetch('fetch', 0, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT "offset" FROM kafka.fetch('fetch', 0, 9223372036854775807);

-- max_records, within and across batches.
SELECT "offset" FROM kafka.fetch('fetch', 0, 3, max_records => 1);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 3, max_records => 4);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_records => 5);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_records => 100);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_records => 0);
-- max_bytes counts keys and values. The first record is returned even if it is larger, so that a reader gets on.
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_bytes => 33);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_bytes => 32);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_bytes => 1);
SELECT array_agg("offset") FROM kafka.fetch('fetch', 0, 0, max_bytes => 0);
SELECT kafka.produce('fetch', repeat('x', 500000), partition => 0);
SELECT "offset", length(value) FROM kafka.fetch('fetch', 0, 15, max_bytes => 1000);
SELECT "offset", length(value) FROM kafka.fetch('fetch', 0, 14, max_bytes => 1000);
-- 500 records by default.
SELECT count(kafka.produce('fetch', i::text, partition => 1)) FROM generate_series(1, 600) AS i;
SELECT count(*), min("offset"), max("offset") FROM kafka.fetch('fetch', 1, 0);
SELECT count(*), min("offset"), max("offset") FROM kafka.fetch('fetch', 1, 500);

-- Both isolation levels read what is committed; another word is refused.
SELECT count(*) FROM kafka.fetch('fetch', 0, 0, isolation => 'read_committed');
SELECT count(*) FROM kafka.fetch('fetch', 0, 0, isolation => 'read_uncommitted');
SELECT count(*) FROM kafka.fetch('fetch', 0, 0, isolation => 'serializable');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kafka.fetch('fetch', 0, 0, isolation => 'READ_COMMITTED');

-- Unknown topics and partitions; null arguments.
SELECT * FROM kafka.fetch('no_such_topic', 0, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.fetch('fetch', 2, 0);
SELECT * FROM kafka.fetch('fetch', -1, 0);
SELECT count(*) FROM kafka.fetch(NULL, 0, 0);
SELECT count(*) FROM kafka.fetch('fetch', 0, NULL);

-- max_wait_ms: waits that long for a first record, no longer when there is one.
SELECT clock_timestamp() AS start \gset
SELECT * FROM kafka.fetch('fetch', 0, 16, max_wait_ms => 300);
SELECT clock_timestamp() - :'start' BETWEEN '300 ms' AND '5 s' AS waited;
SELECT clock_timestamp() AS start \gset
SELECT "offset" FROM kafka.fetch('fetch', 0, 14, max_records => 1, max_wait_ms => 60000);
SELECT clock_timestamp() - :'start' < '30 s' AS at_once;
SELECT * FROM kafka.fetch('fetch', 0, 17, max_wait_ms => 60000);
SELECT * FROM kafka.fetch('fetch', 0, 16, max_wait_ms => -1);
-- A wait can be cancelled, and the session goes on.
SET statement_timeout = '200 ms';
SELECT * FROM kafka.fetch('fetch', 0, 16, max_wait_ms => 60000);
RESET statement_timeout;
SELECT "offset" FROM kafka.fetch('fetch', 0, 16, max_wait_ms => 1);
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'userlock';
DROP FUNCTION part;
