-- The records of one transaction share batches: one row of the log for each partition, or for each max.message.bytes of it.
SELECT kafka.create_topic('batching', 2) IS NOT NULL AS created;
BEGIN;
SELECT count(kafka.produce('batching', 'record ' || i, (i % 100)::text)) FROM generate_series(1, 100000) AS i;
COMMIT;
SELECT count(*) AS partitions, sum(high_watermark) AS records, sum(batch_count) <= 10 AS few_batches FROM kafka.partitions WHERE topic = 'batching';
-- In the log itself.
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'batching' \gset
SELECT count(*) <= 10 AS few_batches, sum(records) AS records, max(bytes) <= 1048588 AS within_the_limit
FROM (SELECT last_offset - base_offset + 1 AS records, sum(length(data)) AS bytes FROM :log_table GROUP BY partition, base_offset, last_offset) AS b;
SELECT count(*), count(DISTINCT value) FROM kafka.records('batching');
-- Single calls in one transaction, as a trigger makes them.
BEGIN;
DO $$ BEGIN FOR i IN 1..10000 LOOP PERFORM kafka.produce('batching', 'single', partition => 0); END LOOP; END $$;
SELECT record_count FROM kafka.flush();
COMMIT;

-- No batch is larger than the topic's max.message.bytes.
SELECT kafka.create_topic('batching_small', config => '{"max.message.bytes": 1000}') IS NOT NULL AS created;
SELECT count(kafka.produce('batching_small', repeat('x', 100), "timestamp" => '2024-01-01')) FROM generate_series(1, 50) AS i;
SELECT high_watermark, size_bytes, batch_count FROM kafka.partitions WHERE topic = 'batching_small';
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'batching_small' \gset
SELECT base_offset, last_offset, length(data) <= 1000 AS within_the_limit FROM :log_table ORDER BY last_offset;

-- One transaction for each record: one batch for each.
DO $$ BEGIN FOR i IN 1..20 LOOP PERFORM kafka.produce('batching_small', 'alone'); COMMIT; END LOOP; END $$;
SELECT count(*) FROM :log_table WHERE base_offset = last_offset AND base_offset >= 50;
-- Offsets join without gaps or overlaps.
SELECT count(*) FROM (SELECT base_offset <> lag(last_offset, 1, -1::bigint) OVER (ORDER BY last_offset) + 1 AS wrong FROM :log_table) AS l WHERE wrong;
