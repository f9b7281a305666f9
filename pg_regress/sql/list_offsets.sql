-- kafka.list_offsets: where a partition begins and ends, and the first record at or after a time.
SET timezone = 'UTC';
SELECT kafka.create_topic('list', 4) IS NOT NULL AS created;
-- Partition 0: one batch of four records, then one each; times go up, stand still, go back.
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 minute') FROM generate_series(0, 3) AS i;
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:10:00+00');
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:10:00+00');
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:05:00+00');
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:20:00+00');
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:15:00+00');
SELECT "offset", "timestamp" FROM kafka.fetch('list', 0, 0);

SELECT * FROM kafka.list_offsets('list', 0, 'earliest');
SELECT * FROM kafka.list_offsets('list', 0, 'latest');
SELECT * FROM kafka.list_offsets('list', 0, 'max_timestamp');
-- By time: before all, at one, between two, at repeated times, at one that only an older record passes, at the last, after all.
SELECT at, o."offset", o."timestamp"
FROM unnest(ARRAY['2023-12-31 00:00:00', '2024-01-01 00:00:00', '2024-01-01 00:01:30', '2024-01-01 00:02:00', '2024-01-01 00:03:00.001', '2024-01-01 00:05:00', '2024-01-01 00:10:00',
                  '2024-01-01 00:12:00', '2024-01-01 00:20:00', '2024-01-01 00:20:00.001']::timestamptz[]) WITH ORDINALITY AS t (at, n),
     kafka.list_offsets('list', 0, at) AS o
ORDER BY n;
-- As text; and finer than Kafka's milliseconds, which a record at 00:02:00.000 is before.
SELECT * FROM kafka.list_offsets('list', 0, '2024-01-01 00:01:00+00');
SELECT * FROM kafka.list_offsets('list', 0, '2024-01-01 00:02:00.0001+00'::timestamptz);
SELECT * FROM kafka.list_offsets('list', 0, now());
-- Times before 1970 come before every record, infinity after.
SELECT at, o.* FROM unnest(ARRAY['1969-12-31 23:59:59.999+00', '1969-12-31 23:59:59.998+00', '1969-12-31 23:59:59.997+00', '1950-01-01 00:00:00+00', '-infinity', 'infinity']::timestamptz[]) WITH ORDINALITY AS t (at, n),
     kafka.list_offsets('list', 0, at) AS o
ORDER BY n;
-- By Kafka's own numbers: -1 latest, -2 earliest, -3 max timestamp, -4 earliest local, -5 latest tiered (there is no tier), else milliseconds.
SELECT at, o.* FROM unnest(ARRAY[-1, -2, -3, -4, -5, 0, 1704067200000, 1704067200001]::bigint[]) WITH ORDINALITY AS t (at, n), kafka.list_offsets('list', 0, at) AS o ORDER BY n;
SELECT * FROM kafka.list_offsets('list', 0, -6);
\echo :LAST_ERROR_SQLSTATE

-- An empty partition.
SELECT at, o.* FROM unnest(ARRAY[-1, -2, -3, -4, -5, 0, 1704067200000]::bigint[]) WITH ORDINALITY AS t (at, n), kafka.list_offsets('list', 1, at) AS o ORDER BY n;

-- Uncommitted records do not count; rolled back ones neither, though they had the largest timestamp.
BEGIN;
SELECT kafka.produce('list', 'undone', partition => 0, "timestamp" => '2024-01-01 00:30:00+00');
SELECT record_count FROM kafka.flush();
SELECT * FROM kafka.list_offsets('list', 0, 'latest');
SELECT * FROM kafka.list_offsets('list', 0, 'max_timestamp');
ROLLBACK;
SELECT kafka.produce('list', 'v', partition => 0, "timestamp" => '2024-01-01 00:16:00+00');
SELECT "offset" = 7 AS seven, "timestamp" FROM kafka.list_offsets('list', 0, 'max_timestamp');
SELECT * FROM kafka.list_offsets('list', 0, '2024-01-01 00:25:00+00'::timestamptz);

-- Many batches: the search meets the first record of each of 200 times.
DO $$ BEGIN FOR i IN 0..199 LOOP PERFORM kafka.produce('list', 'v', partition => 2, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second'), kafka.produce('list', 'w', partition => 2, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second'); COMMIT; END LOOP; END $$;
SELECT count(*) FILTER (WHERE o."offset" = 2 * i AND o."timestamp" = '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second') AS exactly,
       count(*) FILTER (WHERE between_two."offset" = 2 * i) AS between
FROM generate_series(0, 199) AS i, kafka.list_offsets('list', 2, '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second') AS o,
     kafka.list_offsets('list', 2, '2024-01-01 00:00:00+00'::timestamptz + (i - 0.5) * interval '1 second') AS between_two;
-- Times that only go back: the first record answers for all earlier times, nothing for later ones.
DO $$ BEGIN FOR i IN REVERSE 50..1 LOOP PERFORM kafka.produce('list', 'v', partition => 3, "timestamp" => '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second'); COMMIT; END LOOP; END $$;
SELECT array_agg(DISTINCT o."offset") FROM generate_series(1, 50) AS i, kafka.list_offsets('list', 3, '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second') AS o;
SELECT * FROM kafka.list_offsets('list', 3, '2024-01-01 00:00:51+00'::timestamptz);
SELECT * FROM kafka.list_offsets('list', 3, 'max_timestamp');

-- Words and partitions that do not exist.
SELECT * FROM kafka.list_offsets('list', 0, 'newest');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.list_offsets('list', 4, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.list_offsets('no_such_topic', 0, -1);
SELECT * FROM kafka.list_offsets('list', 0, NULL::text);

-- The form for many partitions: one row each, an error code where it fails, nothing raised.
SELECT * FROM kafka.list_offsets(
    ARRAY['list', 'list', 'list', 'list', 'no_such_topic', 'list', 'list', NULL],
    ARRAY[2, 0, 1, 2, 0, 4, 0, 0],
    ARRAY[-1, -3, 1704067200000, 1704067200001, -1, -1, -7, -1]);
SELECT * FROM kafka.list_offsets('{}'::text[], '{}', '{}');
SELECT idx, "offset" FROM kafka.list_offsets(topics => ARRAY['list'], partitions => ARRAY[0], timestamps => ARRAY[-2], isolation => 'read_committed');
SELECT * FROM kafka.list_offsets(ARRAY['list'], ARRAY[0, 1], ARRAY[-1]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.list_offsets(ARRAY['list'], ARRAY[0], ARRAY[-1], 'sloppy');
