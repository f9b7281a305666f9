-- Values around the sizes where PostgreSQL stores differently (2 kB, 8 kB: TOAST) and where Kafka's limit is.
SELECT kafka.create_topic('large') IS NOT NULL AS created;
CREATE FUNCTION value_of(size int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(decode(string_agg(md5(i::text), '' ORDER BY i), 'hex'), 1, size) FROM generate_series(1, size / 16 + 1) AS i
$$;
CREATE TABLE sizes (size int);
INSERT INTO sizes SELECT s + d FROM unnest(ARRAY[1900, 2000, 2032, 8000, 8100, 8160, 8192, 65536, 131072]) AS s, unnest(ARRAY[-1, 0, 1]) AS d;
INSERT INTO sizes VALUES (0), (1), (1000000), (1048488);
-- Each in a batch of its own.
DO $$
DECLARE
    s int;
BEGIN
    FOR s IN SELECT size FROM sizes ORDER BY size LOOP
        PERFORM kafka.produce('large', value_of(s), s::text::bytea);
        COMMIT;
    END LOOP;
END $$;
SELECT count(*), count(*) FILTER (WHERE value = value_of(convert_from(key, 'UTF8')::int)) AS as_produced FROM kafka.records('large');
SELECT count(*), count(*) FILTER (WHERE value = value_of(convert_from(key, 'UTF8')::int)) AS as_produced FROM kafka.fetch('large', 0, 0);
SELECT length(records) = (SELECT size_bytes FROM kafka.partitions WHERE topic = 'large') AS complete FROM kafka.fetch_batches(ARRAY['large'], ARRAY[0], ARRAY[0]);
-- All in one transaction, and once more by their batches.
SELECT count(kafka.produce('large_together', value_of(size), size::text::bytea)) FROM (SELECT size FROM sizes ORDER BY size) AS s;
SELECT count(*), count(*) FILTER (WHERE value = value_of(convert_from(key, 'UTF8')::int)) AS as_produced FROM kafka.records('large_together');
SELECT p.error_code FROM kafka.fetch_batches(ARRAY['large_together'], ARRAY[0], ARRAY[0]) AS f, kafka.produce_batches(ARRAY['large_together'], ARRAY[0], ARRAY[f.records]) AS p;
SELECT count(*), count(DISTINCT value) FROM kafka.records('large_together');

-- The largest batch by default is 1048588 bytes, as Kafka's. A record that might not fit is refused, as by the Java client.
SELECT kafka.produce('large', value_of(1048588));
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('large', repeat('x', 1048502));
SELECT kafka.produce('large', repeat('x', 1048501));
SELECT kafka.produce('large', NULL, repeat('k', 2000000));
SELECT kafka.produce('large', 'v', headers => ARRAY[('h', convert_to(repeat('h', 2000000), 'UTF8'))]::kafka.header[]);
-- Larger ones where a topic or the setting allows them.
SELECT kafka.create_topic('large_allowed', config => '{"max.message.bytes": 30000000}') IS NOT NULL AS created;
SELECT kafka.produce('large_allowed', repeat('x', 20000000));
SELECT kafka.produce('large_allowed', 'after it');
SELECT "offset", length(value), md5(value) = md5(repeat('x', 20000000)) AS same FROM kafka.fetch('large_allowed', 0, 0) AS r;
SELECT "offset", length(value) FROM kafka.fetch('large_allowed', 0, 0, max_bytes => 1000);
SET pg_kafka.message_max_bytes = '10MB';
SELECT kafka.produce('large', repeat('x', 5000000));
RESET pg_kafka.message_max_bytes;
SELECT length(value) FROM kafka.fetch('large', 0, (SELECT high_watermark - 1 FROM kafka.partitions WHERE topic = 'large'));
-- The log is stored as it is, never compressed by PostgreSQL a second time.
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'large_allowed' \gset
SELECT base_offset, count(pg_column_compression(data)) AS compressed, max(pg_column_size(data)) < 8160 AS in_pages FROM :log_table GROUP BY base_offset ORDER BY base_offset;
DROP TABLE sizes;
DROP FUNCTION value_of;
