-- NULL where a value is needed: a clear error from the functions that are not STRICT, no rows from those that are.
SELECT kafka.create_topic('nulls') IS NOT NULL AS created;
SELECT kafka.create_topic(NULL);
\echo :LAST_ERROR_SQLSTATE
-- For these NULL means the default.
SELECT kafka.create_topic('nulls_defaults', NULL, NULL, NULL) IS NOT NULL AS created;
SELECT topic, partitions, config FROM kafka.topics WHERE topic = 'nulls_defaults';
SELECT kafka.produce(NULL::text, 'v');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce(NULL, '\x00'::bytea);
SELECT kafka.produce('nulls', NULL, NULL, NULL, NULL, NULL);
SELECT * FROM kafka.produce_batches(NULL, ARRAY[0], ARRAY['\x'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], NULL, ARRAY['\x'::bytea]);
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[0], NULL);
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[NULL::int], ARRAY['\x'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[0], ARRAY[NULL::bytea], acks => NULL);
SELECT * FROM kafka.fetch_batches(NULL, ARRAY[0], ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], NULL, ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], NULL);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[NULL]::int[], ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], ARRAY[NULL]::int[]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], isolation => NULL);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], max_bytes => NULL);
SELECT idx, error_code, high_watermark, length(records) > 0 AS records FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], min_bytes => NULL);
SELECT * FROM kafka.list_offsets(NULL::text[], ARRAY[0], ARRAY[0]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], NULL, ARRAY[0]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], NULL::bigint[]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], ARRAY[0], NULL);
SELECT * FROM kafka.wait_for_records(NULL, ARRAY[0], ARRAY[0], 0);
SELECT * FROM kafka.wait_for_records(ARRAY['nulls'], ARRAY[NULL]::int[], ARRAY[0], 0);
SELECT * FROM kafka.wait_for_records(ARRAY['nulls'], ARRAY[0], ARRAY[0], NULL);
SELECT count(*) > 0 AS all FROM kafka.describe_topics(NULL, NULL, NULL);
-- STRICT ones.
SELECT kafka.delete_topic(NULL), kafka.create_partitions('nulls', NULL), kafka.interrupt_wait(NULL), kafka.headers(NULL);
SELECT count(*) FROM kafka.fetch('nulls', 0, NULL);
SELECT count(*) FROM kafka.records(NULL);
SELECT count(*) FROM kafka.list_offsets(NULL, 0, 'latest');
SELECT partitions FROM kafka.topics WHERE topic = 'nulls';
