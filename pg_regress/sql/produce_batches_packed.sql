-- kafka.produce_batches_packed: kafka.produce_batches with all batches in one value.
SELECT kafka.create_topic('packed_source', 2) IS NOT NULL AS created;
SELECT kafka.produce('packed_source', repeat('x', n), 'key ' || n, partition => n % 2, "timestamp" => '2024-01-01 00:00:00+00') FROM generate_series(1, 6) AS n;
SELECT records AS first FROM kafka.fetch_batches(ARRAY['packed_source'], ARRAY[0], ARRAY[0]) \gset
SELECT records AS second FROM kafka.fetch_batches(ARRAY['packed_source'], ARRAY[1], ARRAY[0]) \gset
SELECT length(:'first'::bytea) AS first_length, length(:'second'::bytea) AS second_length \gset

-- The same answers, errors of single elements among them.
SELECT kafka.create_topic('packed_one_by_one', 3) AS topic_id \gset
SELECT kafka.create_topic('packed_together', 3) AS together_id \gset
SELECT * FROM kafka.produce_batches(ARRAY['packed_one_by_one', 'no_such_topic', NULL, 'packed_one_by_one'], ARRAY[0, 0, 2, 1],
    ARRAY[:'first', :'second', :'second', '\x00']::bytea[], topic_ids => ARRAY[NULL, NULL, :'topic_id', NULL]::uuid[]);
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together', 'no_such_topic', NULL, 'packed_together'], ARRAY[0, 0, 2, 1],
    ARRAY[:first_length, :second_length, :second_length, 1], :'first'::bytea || :'second'::bytea || :'second'::bytea || '\x00', topic_ids => ARRAY[NULL, NULL, :'together_id', NULL]::uuid[]);
SELECT partition, "offset", convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value FROM kafka.records('packed_together') ORDER BY partition, "offset";
SELECT (SELECT array_agg((r.partition, r."offset", r.key, r.value) ORDER BY r.partition, r."offset") FROM kafka.records('packed_one_by_one') AS r)
     = (SELECT array_agg((r.partition, r."offset", r.key, r.value) ORDER BY r.partition, r."offset") FROM kafka.records('packed_together') AS r) AS same;
-- Several batches in one element; no batch in one.
SELECT idx, error_code, error_message, base_offset FROM kafka.produce_batches_packed(ARRAY['packed_together', 'packed_together'], ARRAY[0, 0], ARRAY[:first_length + :second_length, 0], :'first'::bytea || :'second'::bytea);

-- Lengths that do not add up are an error of the call, and nothing is appended.
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together'], ARRAY[0], ARRAY[:first_length - 1], :'first');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together', 'packed_together'], ARRAY[0, 0], ARRAY[:first_length, 1], :'first');
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together', 'packed_together'], ARRAY[0, 0], ARRAY[2147483647, 2147483647], :'first');
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together', 'packed_together'], ARRAY[0, 0], ARRAY[-1, :first_length + 1], :'first');
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together'], ARRAY[0], ARRAY[NULL, :first_length], :'first');
SELECT * FROM kafka.produce_batches_packed(ARRAY['packed_together'], ARRAY[0], ARRAY[0, :first_length], :'first');
SELECT * FROM kafka.produce_batches_packed('{}', '{}', '{}', :'first');
SELECT * FROM kafka.produce_batches_packed('{}', '{}', '{}', '');
SELECT high_watermark FROM kafka.partitions WHERE topic = 'packed_together' AND partition = 0;

-- Large batches together: they come back as they went, in a table that is not much larger than they are.
SELECT kafka.create_topic('packed_large', 2) IS NOT NULL AS created;
SELECT kafka.produce('packed_source', repeat(md5(n::text), 30000), partition => 0) FROM generate_series(1, 2) AS n;
SELECT records AS large, length(records) AS large_length FROM kafka.fetch_batches(ARRAY['packed_source'], ARRAY[0], ARRAY[3], max_bytes => 1) \gset
SELECT (kafka.produce_batches_packed(ARRAY['packed_large', 'packed_large'], ARRAY[0, 1], ARRAY[:large_length, :large_length], :'large'::bytea || :'large'::bytea)).base_offset FROM generate_series(1, 4);
SELECT count(*), count(DISTINCT md5(value)) AS different, min(length(value)) AS length FROM kafka.records('packed_large');
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'packed_large' \gset
SELECT pg_relation_size(:'log_table') BETWEEN 8 * :large_length AND 9 * :large_length AS not_much_larger;
