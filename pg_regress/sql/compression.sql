-- compression.type of a topic, else pg_kafka.compression_type: the codec in which batches are stored.
CREATE TABLE codecs (name text, number int);
INSERT INTO codecs VALUES ('none', 0), ('gzip', 1), ('snappy', 2), ('lz4', 3), ('zstd', 4);
-- What the log holds of a topic's only partition: the codec in each batch's attributes (bytes 21 and 22), and its size.
CREATE FUNCTION stored(topic text) RETURNS TABLE (base_offset bigint, codec int, size int) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE (SELECT format('SELECT base_offset, get_byte(string_agg(data, NULL ORDER BY piece), 22) & 7, sum(length(data))::int FROM kafka_log.t%s_%s GROUP BY base_offset ORDER BY base_offset', topic_number, segment)
                          FROM kafka_log.topics AS t WHERE t.topic = stored.topic);
END $$;
CREATE FUNCTION fill(topic text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kafka.produce(topic, 'record ' || i || repeat(' some text that repeats', 5), i::text, '{"h": "v"}'::jsonb, 0, '2024-01-01 00:00:00+00'))
    FROM generate_series(1, 1000) AS i
$$;
CREATE FUNCTION contents(topic text) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(r::text, ',' ORDER BY "offset")) FROM kafka.records(topic) AS r
$$;

-- By the topic's config.
SELECT name, kafka.create_topic('codec_' || name, config => jsonb_build_object('compression.type', CASE name WHEN 'none' THEN 'uncompressed' ELSE name END)) IS NOT NULL AS created FROM codecs;
SELECT name, fill('codec_' || name) FROM codecs;
SELECT name, number, s.codec = number AS as_configured, s.size < 0.5 * max(s.size) OVER () AS smaller, contents('codec_' || name) = contents('codec_none') AS same_records
FROM codecs, stored('codec_' || name) AS s ORDER BY number;
-- The values really are what was produced.
SELECT DISTINCT "timestamp" AT TIME ZONE 'UTC', convert_from(key, 'UTF8') AS key, left(convert_from(value, 'UTF8'), 33) AS value, length(value), headers
FROM codecs, kafka.fetch('codec_' || name, 0, 999);
-- From the middle of a compressed batch.
SELECT name, r.* FROM codecs, LATERAL (SELECT array_agg("offset"), array_agg(convert_from(key, 'UTF8')) FROM kafka.fetch('codec_' || name, 0, 500, max_records => 3)) AS r ORDER BY number;

-- By the setting, where the topic does not say.
SELECT kafka.create_topic('codec_by_setting') IS NOT NULL AS created;
SHOW pg_kafka.compression_type;
SELECT fill('codec_by_setting');
SET pg_kafka.compression_type = none;
SELECT fill('codec_by_setting');
SET pg_kafka.compression_type = gzip;
SELECT fill('codec_by_setting');
SET pg_kafka.compression_type = snappy;
SELECT fill('codec_by_setting');
SET pg_kafka.compression_type = lz4;
SELECT fill('codec_by_setting');
SET pg_kafka.compression_type = zstd;
SELECT fill('codec_by_setting');
SELECT base_offset, codec, size < 50000 AS small FROM stored('codec_by_setting');
SELECT count(*), count(DISTINCT value) FROM kafka.records('codec_by_setting');
-- The topic's config goes before the setting.
SELECT fill('codec_none'), fill('codec_gzip');
SELECT base_offset, codec FROM stored('codec_none');
SELECT base_offset, codec FROM stored('codec_gzip');
-- producer keeps what SQL produces uncompressed, whatever the setting.
SELECT kafka.create_topic('codec_producer', config => '{"compression.type": "producer"}') IS NOT NULL AS created;
SELECT fill('codec_producer');
SELECT base_offset, codec FROM stored('codec_producer');
RESET pg_kafka.compression_type;
SET pg_kafka.compression_type = brotli;

-- One record, nothing to gain; an empty one; one that does not compress.
SELECT name, kafka.produce('codec_' || name, 'x'), kafka.produce('codec_' || name, NULL) FROM codecs;
SELECT name, kafka.produce('codec_' || name, decode(string_agg(md5(i::text), ''), 'hex')) FROM codecs, generate_series(1, 5000) AS i GROUP BY name ORDER BY name;
SELECT name, count(*), sum(length(value)), max(md5(value)) FILTER (WHERE length(value) = 80000) = md5((SELECT decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 5000) AS i)) AS same
FROM codecs, kafka.fetch('codec_' || name, 0, (SELECT high_watermark - 3 FROM kafka.partitions WHERE topic = 'codec_' || name)) GROUP BY name, number ORDER BY number;
DROP FUNCTION stored, fill, contents;
DROP TABLE codecs;
