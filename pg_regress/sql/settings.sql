-- The settings pg_kafka.*: defaults, units, limits, who may change them.
LOAD 'pg_kafka';
SELECT name, setting, unit, vartype, context, min_val, max_val, enumvals, boot_val FROM pg_settings WHERE name LIKE 'pg_kafka.%' ORDER BY name;
SELECT name, short_desc FROM pg_settings WHERE name LIKE 'pg_kafka.%' ORDER BY name;
SELECT count(*) FROM pg_settings WHERE name LIKE 'pg_kafka.%' AND extra_desc IS NULL;
SHOW pg_kafka.produce_buffer;
SHOW pg_kafka.message_max_bytes;

SET pg_kafka.default_partitions = 0;
SET pg_kafka.default_partitions = 10001;
SET pg_kafka.auto_create_topics = perhaps;
SET pg_kafka.compression_type = 'lzma';
SET pg_kafka.message_max_bytes = '2GB';
-- The texts of these differ between versions of PostgreSQL.
\set VERBOSITY sqlstate
SET pg_kafka.message_max_bytes = -1;
SET pg_kafka.produce_buffer = '1kB';
SET pg_kafka.produce_buffer = '1TB';
\set VERBOSITY default
SET pg_kafka.no_such_setting = 1;
\echo :LAST_ERROR_SQLSTATE
SET pg_kafka.produce_buffer = '8MB';
SHOW pg_kafka.produce_buffer;
RESET pg_kafka.produce_buffer;

-- pg_kafka.message_max_bytes is what a topic allows that has no max.message.bytes.
SELECT kafka.create_topic('settings') IS NOT NULL AS created;
SELECT kafka.create_topic('settings_own', config => '{"max.message.bytes": 5000}') IS NOT NULL AS created;
SELECT kafka.produce('settings', repeat('x', 2000));
SET pg_kafka.message_max_bytes = 1000;
SELECT kafka.produce('settings', repeat('x', 2000));
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('settings_own', repeat('x', 2000));
SELECT p.error_code FROM kafka.fetch_batches(ARRAY['settings'], ARRAY[0], ARRAY[0]) AS f, kafka.produce_batches(ARRAY['settings', 'settings_own'], ARRAY[0, 0], ARRAY[f.records, f.records]) AS p;
-- What is stored already stays readable.
SELECT length(value) FROM kafka.records('settings');
RESET pg_kafka.message_max_bytes;

-- By role, database or function, as any setting.
CREATE FUNCTION settings_in_two() RETURNS int LANGUAGE sql SET pg_kafka.default_partitions = 2 AS $$ SELECT kafka.produce('settings_auto', 'v', partition => 1) $$;
SELECT settings_in_two();
SELECT topic, partitions FROM kafka.topics WHERE topic = 'settings_auto';
BEGIN;
SET LOCAL pg_kafka.auto_create_topics = off;
SELECT kafka.produce('settings_none', 'v');
ROLLBACK;
SHOW pg_kafka.auto_create_topics;
DROP FUNCTION settings_in_two;
