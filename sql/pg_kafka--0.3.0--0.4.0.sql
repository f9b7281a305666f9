-- Version 0.4.0: batches in rows that fill pages, batches to and from clients in one value. A new
-- installation runs this script behind the others, so that it ends where an upgrade ends.

-- Tables
CREATE FUNCTION kafka.upgrade_logs() RETURNS int4
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    log pg_catalog.oid;
    old pg_catalog.oid;
    upgraded int4 := 0;
BEGIN
    FOR log IN
        SELECT c.oid FROM kafka_log.topics AS t
        JOIN pg_catalog.pg_class AS c
            ON c.relname OPERATOR(pg_catalog.=) pg_catalog.format('t%s_%s', t.topic_number, t.segment)::pg_catalog.name
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE n.nspname OPERATOR(pg_catalog.=) 'kafka_log' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) 'piece')
        ORDER BY t.topic_number
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ADD COLUMN piece pg_catalog.int4 NOT NULL DEFAULT 0', log::pg_catalog.regclass);
        EXECUTE pg_catalog.format('CREATE UNIQUE INDEX ON %s (partition, last_offset, piece)', log::pg_catalog.regclass);
        FOR old IN
            SELECT i.indexrelid FROM pg_catalog.pg_index AS i
            WHERE i.indrelid OPERATOR(pg_catalog.=) log AND i.indisunique AND i.indnkeyatts OPERATOR(pg_catalog.=) 2
              AND i.indkey::pg_catalog.text OPERATOR(pg_catalog.=) '1 2'
        LOOP
            EXECUTE pg_catalog.format('DROP INDEX %s', old::pg_catalog.regclass);
        END LOOP;
        upgraded := upgraded OPERATOR(pg_catalog.+) 1;
    END LOOP;
    RETURN upgraded;
END $$;
COMMENT ON FUNCTION kafka.upgrade_logs() IS
    'Brings log tables of versions before 0.4.0 into today''s form and returns how many there were. ALTER EXTENSION ... UPDATE calls it; call it yourself after restoring a dump of such a version. Stored batches stay as they are.';
REVOKE ALL ON FUNCTION kafka.upgrade_logs() FROM PUBLIC;
SELECT kafka.upgrade_logs();

-- Produce
CREATE FUNCTION kafka.produce_batches_packed(
    topics text[],
    partitions int4[],
    lengths int4[],
    batches bytea,
    topic_ids uuid[] DEFAULT NULL,
    acks int2 DEFAULT -1,
    transactional_ids text[] DEFAULT NULL,
    transaction_versions int2[] DEFAULT NULL
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    base_offset int8,
    log_append_time int8,
    log_start_offset int8,
    partition int4
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'produce_batches_packed_wrapper';

COMMENT ON FUNCTION kafka.produce_batches_packed(text[], int4[], int4[], bytea, uuid[], int2, text[], int2[]) IS 'The same as kafka.produce_batches with all batches in one value, for the listener: one behind the other in the order of topics, lengths[i] bytes of each. Raises KF042 (INVALID_REQUEST) where the lengths do not add up to those of batches.';

REVOKE ALL ON FUNCTION kafka.produce_batches_packed(text[], int4[], int4[], bytea, uuid[], int2, text[], int2[]) FROM PUBLIC;

-- Fetch
CREATE FUNCTION kafka.fetch_batches_packed(
    topics text[],
    partitions int4[],
    offsets int8[],
    partition_max_bytes int4[] DEFAULT NULL,
    max_bytes int4 DEFAULT 52428800,
    min_bytes int4 DEFAULT 0,
    isolation text DEFAULT 'read_uncommitted',
    topic_ids uuid[] DEFAULT NULL
) RETURNS bytea
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'fetch_batches_packed_wrapper';

COMMENT ON FUNCTION kafka.fetch_batches_packed(text[], int4[], int8[], int4[], int4, int4, text, uuid[]) IS 'The same as kafka.fetch_batches in one value, for the listener. Big endian, for each partition asked for, in order: int16 error_code, int64 high_watermark, int64 last_stable_offset, int64 log_start_offset, int64 next_offset (behind the last batch returned, otherwise the offset asked for), int32 number of aborted transactions, for each of them int64 producer_id and int64 first_offset, int32 length of the records, the records. After an error the offsets are -1.';

REVOKE ALL ON FUNCTION kafka.fetch_batches_packed(text[], int4[], int8[], int4[], int4, int4, text, uuid[]) FROM PUBLIC;
