-- message.timestamp.type: CreateTime keeps the producer's times, LogAppendTime replaces them by that of the append.
SELECT kafka.create_topic('created', config => '{"message.timestamp.type": "CreateTime"}') IS NOT NULL AS created;
SELECT kafka.create_topic('appended', config => '{"message.timestamp.type": "LogAppendTime"}') IS NOT NULL AS created;
SELECT now() AS before \gset
SELECT kafka.produce('created', i::text, "timestamp" => '2001-02-03 04:05:06.789+00'::timestamptz + i * interval '1 day') FROM generate_series(1, 3) AS i;
SELECT kafka.produce('appended', i::text, "timestamp" => '2001-02-03 04:05:06.789+00'::timestamptz + i * interval '1 day') FROM generate_series(1, 3) AS i;
SELECT "offset", "timestamp" AT TIME ZONE 'UTC' AS "timestamp" FROM kafka.records('created');
SELECT count(*), count(DISTINCT "timestamp"), bool_and("timestamp" BETWEEN date_trunc('milliseconds', :'before'::timestamptz) AND clock_timestamp()) AS now FROM kafka.records('appended');
-- The first record of the batch answers for its time.
SELECT o."offset", o."timestamp" >= date_trunc('milliseconds', :'before'::timestamptz) AS now FROM kafka.list_offsets('appended', 0, 'max_timestamp') AS o;
SELECT o."offset" FROM kafka.list_offsets('appended', 0, '2001-02-05 00:00:00+00'::timestamptz) AS o;
SELECT o."offset" FROM kafka.list_offsets('created', 0, '2001-02-05 00:00:00+00'::timestamptz) AS o;
SELECT o."offset" FROM kafka.list_offsets('appended', 0, clock_timestamp() + interval '1 second') AS o;
-- kafka.produce_batches says which time it stamped, -1 where it stamped none.
SELECT records FROM kafka.fetch_batches(ARRAY['created'], ARRAY[0], ARRAY[0]) \gset
SELECT base_offset, log_append_time FROM kafka.produce_batches(ARRAY['created'], ARRAY[0], ARRAY[:'records']::bytea[]);
SELECT base_offset, log_append_time AS stamped FROM kafka.produce_batches(ARRAY['appended'], ARRAY[0], ARRAY[:'records']::bytea[]) \gset
SELECT :base_offset, count(*), bool_and("timestamp" = 'epoch'::timestamptz + :stamped * interval '1 ms') AS stamped FROM kafka.fetch('appended', 0, 3);
-- The stamped batch is still a valid one, and is marked as such (bit 3 of its attributes); a client may not claim this itself.
SELECT get_byte(records, 22) AS attributes, records AS stamped_records FROM kafka.fetch_batches(ARRAY['appended'], ARRAY[0], ARRAY[3]) \gset
SELECT :attributes & 8;
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['created', 'appended'], ARRAY[0, 0], ARRAY[:'stamped_records', :'stamped_records']::bytea[]);
-- With compression.
SELECT kafka.create_topic('appended_gzip', config => '{"message.timestamp.type": "LogAppendTime", "compression.type": "gzip"}') IS NOT NULL AS created;
SELECT kafka.produce('appended_gzip', 'v', "timestamp" => '2001-02-03 04:05:06.789+00');
SELECT "timestamp" >= date_trunc('milliseconds', :'before'::timestamptz) AS now, convert_from(value, 'UTF8') AS value FROM kafka.records('appended_gzip');
