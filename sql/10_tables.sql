-- The catalogue behind the functions. Log tables (t<topic number>_<segment>) are made by
-- kafka.create_topic in the same schema; they are plain tables, so pg_dump carries them.
CREATE SCHEMA kafka;
CREATE SCHEMA kafka_log;

CREATE SEQUENCE kafka_log.topic_number_seq AS int4;
CREATE TABLE kafka_log.topics (
    topic_number int4 PRIMARY KEY DEFAULT nextval('kafka_log.topic_number_seq'),
    topic text COLLATE "C" NOT NULL UNIQUE,
    topic_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    partitions int4 NOT NULL CHECK (partitions BETWEEN 1 AND 10000),
    config jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
    segment int4 NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER SEQUENCE kafka_log.topic_number_seq OWNED BY kafka_log.topics.topic_number;

CREATE TABLE kafka_log.partitions (
    topic_number int4 NOT NULL,
    partition int4 NOT NULL,
    log_start_offset int8 NOT NULL CHECK (log_start_offset >= 0),
    PRIMARY KEY (topic_number, partition)
);

CREATE SEQUENCE kafka_log.producer_id_seq AS int8;
CREATE TABLE kafka_log.producers (
    topic_number int4 NOT NULL,
    partition int4 NOT NULL,
    producer_id int8 NOT NULL,
    producer_epoch int2 NOT NULL,
    batches int8[] NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic_number, partition, producer_id)
) WITH (fillfactor = 50);

SELECT pg_catalog.pg_extension_config_dump('kafka_log.topics', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.partitions', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.producers', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.topic_number_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.producer_id_seq', '');
