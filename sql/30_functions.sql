-- Topics
CREATE FUNCTION kafka.create_topic(
    topic text,
    partitions int4 DEFAULT NULL,
    config jsonb DEFAULT '{}',
    validate_only boolean DEFAULT false
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'create_topic_wrapper';

CREATE FUNCTION kafka.create_partitions(topic text, partitions int4, validate_only boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'create_partitions_wrapper';

CREATE FUNCTION kafka.delete_topic(topic text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'delete_topic_wrapper';

CREATE FUNCTION kafka.delete_records(topic text, partition int4, before_offset int8) RETURNS int8
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'delete_records_wrapper';

CREATE FUNCTION kafka.describe_topics(
    topics text[] DEFAULT NULL,
    topic_ids uuid[] DEFAULT NULL,
    auto_create boolean DEFAULT false
) RETURNS TABLE (idx int4, topic text, topic_id uuid, partitions int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'describe_topics_wrapper';

-- Produce
CREATE FUNCTION kafka.produce(
    topic text,
    value bytea,
    key bytea DEFAULT NULL,
    headers kafka.header[] DEFAULT NULL,
    partition int4 DEFAULT NULL,
    "timestamp" timestamptz DEFAULT NULL
) RETURNS int4
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'produce_wrapper';

CREATE FUNCTION kafka.produce(
    topic text,
    value text,
    key text DEFAULT NULL,
    headers kafka.header[] DEFAULT NULL,
    partition int4 DEFAULT NULL,
    "timestamp" timestamptz DEFAULT NULL
) RETURNS int4
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'produce_text_wrapper';

CREATE FUNCTION kafka.flush()
    RETURNS TABLE (topic text, partition int4, base_offset int8, record_count int4)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'flush_wrapper';

CREATE FUNCTION kafka.produce_batches(
    topics text[],
    partitions int4[],
    batches bytea[],
    topic_ids uuid[] DEFAULT NULL,
    acks int2 DEFAULT -1
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    base_offset int8,
    log_append_time int8,
    log_start_offset int8,
    partition int4
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'produce_batches_wrapper';

CREATE FUNCTION kafka.init_producer_id() RETURNS TABLE (producer_id int8, producer_epoch int2)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'init_producer_id_wrapper';

-- Fetch
CREATE FUNCTION kafka.fetch(
    topic text,
    partition int4,
    "offset" int8,
    max_records int4 DEFAULT 500,
    max_bytes int4 DEFAULT 52428800,
    max_wait_ms int4 DEFAULT 0,
    isolation text DEFAULT 'read_committed'
) RETURNS TABLE ("offset" int8, "timestamp" timestamptz, key bytea, value bytea, headers kafka.header[])
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 500 AS 'MODULE_PATHNAME', 'fetch_wrapper';

CREATE FUNCTION kafka.fetch_batches(
    topics text[],
    partitions int4[],
    offsets int8[],
    partition_max_bytes int4[] DEFAULT NULL,
    max_bytes int4 DEFAULT 52428800,
    min_bytes int4 DEFAULT 0,
    isolation text DEFAULT 'read_uncommitted',
    topic_ids uuid[] DEFAULT NULL
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    high_watermark int8,
    last_stable_offset int8,
    log_start_offset int8,
    records bytea
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'fetch_batches_wrapper';

CREATE FUNCTION kafka.records(topic text, isolation text DEFAULT 'read_committed')
    RETURNS TABLE (partition int4, "offset" int8, "timestamp" timestamptz, key bytea, value bytea, headers kafka.header[])
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 100000 AS 'MODULE_PATHNAME', 'records_wrapper';

-- Offsets
CREATE FUNCTION kafka.list_offsets(
    topics text[],
    partitions int4[],
    timestamps int8[],
    isolation text DEFAULT 'read_uncommitted'
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    "offset" int8,
    "timestamp" int8,
    leader_epoch int4
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'list_offsets_wrapper';

CREATE FUNCTION kafka.list_offsets(topic text, partition int4, at int8)
    RETURNS TABLE ("offset" int8, "timestamp" timestamptz)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'list_offset_wrapper';

CREATE FUNCTION kafka.list_offsets(topic text, partition int4, at timestamptz)
    RETURNS TABLE ("offset" int8, "timestamp" timestamptz)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'list_offset_at_wrapper';

CREATE FUNCTION kafka.list_offsets(topic text, partition int4, at text)
    RETURNS TABLE ("offset" int8, "timestamp" timestamptz)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'list_offset_text_wrapper';

-- Waiting
CREATE FUNCTION kafka.wait_for_records(
    topics text[],
    partitions int4[],
    high_watermarks int8[],
    max_wait_ms int4,
    waiter int4 DEFAULT NULL
) RETURNS TABLE (idx int4, high_watermark int8)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'wait_for_records_wrapper';

CREATE FUNCTION kafka.interrupt_wait(waiter int4) RETURNS int4
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'interrupt_wait_wrapper';

-- Inspection
CREATE FUNCTION kafka.cluster() RETURNS TABLE (cluster_id text, leader_epoch int4, in_recovery boolean)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'cluster_wrapper';

CREATE FUNCTION kafka.watermarks(topic text, partition int4)
    RETURNS TABLE (log_start_offset int8, high_watermark int8, last_stable_offset int8)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'watermarks_wrapper';

CREATE FUNCTION kafka.partition_size(topic text, partition int4)
    RETURNS TABLE (size_bytes int8, batch_count int8)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'partition_size_wrapper';
