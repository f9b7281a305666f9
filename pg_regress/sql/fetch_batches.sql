-- kafka.fetch_batches: stored batches of several partitions at once, unchanged, with an error code for each.
SELECT kafka.create_topic('fetch_batches', 4) AS topic_id \gset
CREATE FUNCTION part(partition int, n int, size int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kafka.produce('fetch_batches', repeat('x', size), partition => partition, "timestamp" => '2024-01-01 00:00:00+00')) FROM generate_series(1, n)
$$;
-- Partition 0: three batches of two records and 105 bytes; partition 1: two of one and 278; partition 2: one of one and 100072.
SELECT part(0, 2, 15), part(1, 1, 208), part(2, 1, 100000);
SELECT part(0, 2, 15), part(1, 1, 208);
SELECT part(0, 2, 15);
SELECT partition, high_watermark, size_bytes, batch_count FROM kafka.partitions WHERE topic = 'fetch_batches';
-- What lies in the log, and what a fetch returns of it.
CREATE FUNCTION fetched(partitions int[], offsets bigint[], partition_max_bytes int[] DEFAULT NULL, max_bytes int DEFAULT 52428800, min_bytes int DEFAULT 0) RETURNS TABLE (idx int, error_code int2, high_watermark bigint, bytes int) LANGUAGE sql AS $$
    SELECT idx, error_code, high_watermark, length(records)
    FROM kafka.fetch_batches(array_fill('fetch_batches'::text, ARRAY[cardinality(partitions)]), partitions, offsets, partition_max_bytes, max_bytes, min_bytes)
$$;
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'fetch_batches' \gset
SELECT records = (SELECT string_agg(data, '' ORDER BY last_offset, piece) FROM :log_table WHERE partition = 0) AS as_stored
FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['fetch_batches', 'fetch_batches'], ARRAY[0, 3], ARRAY[4, 0]);
-- From the middle of a batch: the whole batch, which the client skips into, as in Kafka.
SELECT get_byte(records, 7) AS first_base_offset, length(records) FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[3]);
-- At the high watermark: nothing, and no error.
SELECT * FROM fetched(ARRAY[0, 3], ARRAY[6, 0]);

-- Limits. By partition: whole batches within it.
SELECT * FROM fetched(ARRAY[0, 1, 2], ARRAY[0, 0, 0]);
SELECT * FROM fetched(ARRAY[0, 1, 2], ARRAY[0, 0, 0], ARRAY[210, 300, 1000000]);
SELECT * FROM fetched(ARRAY[0, 1, 2], ARRAY[0, 0, 0], ARRAY[209, 278, 1]);
-- In all, in the order asked for.
SELECT * FROM fetched(ARRAY[0, 1, 2], ARRAY[0, 0, 0], max_bytes => 700);
SELECT * FROM fetched(ARRAY[2, 1, 0], ARRAY[0, 0, 0], max_bytes => 100500);
-- The first batch of all goes out even if it is larger than either limit: of the first partition that has one.
SELECT * FROM fetched(ARRAY[3, 2, 0], ARRAY[0, 0, 0], ARRAY[10, 10, 10], max_bytes => 10);
SELECT * FROM fetched(ARRAY[2, 0], ARRAY[0, 0], max_bytes => 0);
SELECT * FROM fetched(ARRAY[0, 1], ARRAY[0, 0], ARRAY[0, 0]);
SELECT * FROM fetched(ARRAY[0, 1], ARRAY[0, 0], ARRAY[-1, -1], max_bytes => -1);
-- min_bytes: all or nothing, the watermarks in any case.
SELECT * FROM fetched(ARRAY[0, 1], ARRAY[0, 0], min_bytes => 315 + 556);
SELECT * FROM fetched(ARRAY[0, 1], ARRAY[0, 0], min_bytes => 315 + 556 + 1);
SELECT * FROM fetched(ARRAY[3], ARRAY[0], min_bytes => 1);
-- The same partition twice.
SELECT * FROM fetched(ARRAY[1, 1], ARRAY[0, 1]);

-- Errors of single elements; the others are answered.
SELECT idx, error_code, error_message, high_watermark, last_stable_offset, log_start_offset, length(records) AS bytes FROM kafka.fetch_batches(
    ARRAY['fetch_batches', 'no_such_topic', 'fetch_batches', 'fetch_batches', 'fetch_batches', NULL, 'fetch_batches', 'no good'],
    ARRAY[0, 0, 4, 0, 0, 0, 1, 0], ARRAY[4, 0, 0, 7, -1, 0, 1, 0]);
-- An error does not take the place of the first batch.
SELECT idx, error_code, length(records) AS bytes FROM kafka.fetch_batches(ARRAY['no_such_topic', 'fetch_batches'], ARRAY[0, 2], ARRAY[0, 0], max_bytes => 1);
-- By id; the id goes before the name.
SELECT idx, error_code, error_message, length(records) AS bytes FROM kafka.fetch_batches(ARRAY[NULL, 'no_such_topic', 'fetch_batches', 'fetch_batches'], ARRAY[0, 0, 0, 0], ARRAY[4, 4, 4, 4],
    topic_ids => ARRAY[:'topic_id', :'topic_id', NULL, '00000000-0000-0000-0000-000000000001']::uuid[]);

-- Isolation levels, and errors of the whole call.
SELECT length(records) AS bytes FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0], isolation => 'read_committed');
SELECT length(records) AS bytes FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0], isolation => 'committed');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0, 1], ARRAY[0, 0]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0, 0]);
SELECT * FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0], ARRAY[1, 2]);
SELECT * FROM kafka.fetch_batches(ARRAY['fetch_batches'], ARRAY[0], ARRAY[0], topic_ids => '{}');
SELECT * FROM kafka.fetch_batches('{}', '{}', '{}');

-- Nothing of an open transaction, this one's included.
BEGIN;
SELECT part(0, 2, 15);
SELECT base_offset FROM kafka.flush();
SELECT * FROM fetched(ARRAY[0], ARRAY[4]);
SELECT * FROM fetched(ARRAY[0], ARRAY[6]);
ROLLBACK;
SELECT * FROM fetched(ARRAY[0], ARRAY[6]);
DROP FUNCTION part, fetched;
