-- kafka.produce: one record, as bytes or as text, into the transaction that calls it.
SELECT kafka.create_topic('produce', 3) IS NOT NULL AS created;
SET timezone = 'UTC';

-- It returns the partition. Text is stored as UTF-8, bytea as it is.
SELECT kafka.produce('produce', 'text', 'key', partition => 0, "timestamp" => '2024-05-01 12:00:00.123456+00');
SELECT kafka.produce('produce', '\x00ff'::bytea, '\xfe'::bytea, partition => 0, "timestamp" => '2024-05-01 12:00:01+00');
SELECT kafka.produce('produce', 'grüße €', partition => 0, "timestamp" => '2024-05-01 12:00:02+00');
-- Null and empty are different, for keys as for values.
SELECT kafka.produce('produce', NULL::text, 'a key only', partition => 0, "timestamp" => '2024-05-01 12:00:03+00');
SELECT kafka.produce('produce', ''::text, '', partition => 0, "timestamp" => '2024-05-01 12:00:04+00');
SELECT kafka.produce('produce', NULL::bytea, partition => 0, "timestamp" => '2024-05-01 12:00:05+00');
SELECT kafka.produce('produce', ''::bytea, ''::bytea, partition => 0, "timestamp" => '2024-05-01 12:00:06+00');
-- A bare literal or NULL is text.
SELECT kafka.produce('produce', NULL, partition => 0, "timestamp" => '2024-05-01 12:00:07+00');
SELECT * FROM kafka.fetch('produce', 0, 0);

-- Anything that casts to text or bytea goes in; jsonb and rows by their text.
SELECT kafka.produce('produce', jsonb_build_object('id', 7)::text, 7::text, partition => 1, "timestamp" => '2024-05-01 12:00:00+00');
SELECT kafka.produce('produce', row(1, 'two')::text, partition => 1, "timestamp" => '2024-05-01 12:00:00+00');
SELECT convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value FROM kafka.fetch('produce', 1, 0);

-- Without a timestamp it is the time of the call, to the millisecond.
BEGIN;
SELECT kafka.produce('produce', 'now', partition => 2);
SELECT clock_timestamp() AS later \gset
COMMIT;
SELECT "timestamp" BETWEEN :'later'::timestamptz - interval '1 minute' AND :'later' AS about_now,
       "timestamp" = date_trunc('milliseconds', "timestamp") AS whole_milliseconds FROM kafka.fetch('produce', 2, 0);
-- The first moment there is, and times that Kafka cannot hold.
SELECT kafka.produce('produce', 'epoch', partition => 2, "timestamp" => '1970-01-01 00:00:00+00');
SELECT "timestamp" FROM kafka.fetch('produce', 2, 1);
SELECT kafka.produce('produce', 'too early', partition => 2, "timestamp" => '1969-12-31 23:59:59.999+00');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('produce', 'never', partition => 2, "timestamp" => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('produce', 'never', partition => 2, "timestamp" => '-infinity');
\echo :LAST_ERROR_SQLSTATE

-- A partition that the topic does not have.
SELECT kafka.produce('produce', 'v', partition => 3);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('produce', 'v', partition => -1);

-- One statement, many records; they come in the order in which the calls were made.
SELECT count(kafka.produce('produce', i::text, partition => 1)) FROM generate_series(1, 1000) AS i;
SELECT count(*), min("offset"), max("offset"), bool_and("offset" = convert_from(value, 'UTF8')::int + 1) AS in_order
FROM kafka.fetch('produce', 1, 2, max_records => 10000);
