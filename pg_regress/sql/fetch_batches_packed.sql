-- kafka.fetch_batches_packed: the answer of kafka.fetch_batches in one value.
SELECT kafka.create_topic('packed', 4) AS topic_id \gset
CREATE FUNCTION part(partition int, n int, size int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kafka.produce('packed', repeat('x', size), partition => partition, "timestamp" => '2024-01-01 00:00:00+00')) FROM generate_series(1, n)
$$;
-- Partition 0: three batches of two records and 105 bytes; partition 1: two of one and 278; partition 2: one of one and 100072.
SELECT part(0, 2, 15), part(1, 1, 208), part(2, 1, 100000);
SELECT part(0, 2, 15), part(1, 1, 208);
SELECT part(0, 2, 15);

-- As its comment says: big endian, one element behind another, to the last byte.
CREATE FUNCTION int_at(bytes bytea, at int, length int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE length
        WHEN 2 THEN ('x' || encode(substr(bytes, at, 2), 'hex'))::bit(16)::int::bigint - CASE WHEN get_byte(bytes, at - 1) > 127 THEN 65536 ELSE 0 END
        WHEN 4 THEN ('x' || encode(substr(bytes, at, 4), 'hex'))::bit(32)::int::bigint
        WHEN 8 THEN ('x' || encode(substr(bytes, at, 8), 'hex'))::bit(64)::bigint
    END
$$;
CREATE FUNCTION unpack(packed bytea) RETURNS TABLE (idx int, error_code int, high_watermark bigint, last_stable_offset bigint, log_start_offset bigint, next_offset bigint, aborted_producer_ids bigint[], aborted_first_offsets bigint[], records bytea) LANGUAGE plpgsql AS $$
DECLARE
    at int := 1;
    aborted int;
BEGIN
    idx := 0;
    WHILE at <= length(packed) LOOP
        idx := idx + 1;
        error_code := int_at(packed, at, 2);
        high_watermark := int_at(packed, at + 2, 8);
        last_stable_offset := int_at(packed, at + 10, 8);
        log_start_offset := int_at(packed, at + 18, 8);
        next_offset := int_at(packed, at + 26, 8);
        aborted := int_at(packed, at + 34, 4);
        at := at + 38;
        SELECT COALESCE(array_agg(int_at(packed, at + 16 * i, 8) ORDER BY i), '{}'), COALESCE(array_agg(int_at(packed, at + 16 * i + 8, 8) ORDER BY i), '{}')
        INTO aborted_producer_ids, aborted_first_offsets FROM generate_series(0, aborted - 1) AS i;
        at := at + 16 * aborted;
        records := substr(packed, at + 4, int_at(packed, at, 4)::int);
        at := at + 4 + int_at(packed, at, 4)::int;
        RETURN NEXT;
    END LOOP;
    ASSERT at = length(packed) + 1, 'the last element ends where the value ends';
END $$;
-- What lies behind the last of the batches: its last offset + 1.
CREATE FUNCTION next_offset(batches bytea, asked bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at int := 1;
BEGIN
    WHILE at < length(batches) LOOP
        asked := int_at(batches, at, 8) + int_at(batches, at + 23, 4) + 1;
        at := at + 12 + int_at(batches, at + 8, 4)::int;
    END LOOP;
    RETURN asked;
END $$;
-- Both functions asked the same: what the packed one says, and whether the other says so too.
CREATE FUNCTION compare(topics text[], partitions int[], offsets bigint[], partition_max_bytes int[] DEFAULT NULL, max_bytes int DEFAULT 52428800, min_bytes int DEFAULT 0, isolation text DEFAULT 'read_uncommitted', topic_ids uuid[] DEFAULT NULL)
RETURNS TABLE (idx int, error_code int, high_watermark bigint, last_stable_offset bigint, log_start_offset bigint, next_offset bigint, aborted bigint, bytes int, same boolean) LANGUAGE sql AS $$
    SELECT p.idx, p.error_code, p.high_watermark, p.last_stable_offset, p.log_start_offset, p.next_offset, cardinality(p.aborted_first_offsets), length(p.records),
           (p.error_code, p.high_watermark, p.last_stable_offset, p.log_start_offset, p.aborted_producer_ids, p.aborted_first_offsets, p.records)
               IS NOT DISTINCT FROM
           (f.error_code::int, f.high_watermark, f.last_stable_offset, f.log_start_offset, f.aborted_producer_ids, f.aborted_first_offsets, f.records)
           AND p.next_offset = CASE WHEN f.error_code = 0 THEN next_offset(f.records, offsets[f.idx]) ELSE -1 END
    FROM unpack(kafka.fetch_batches_packed(topics, partitions, offsets, partition_max_bytes, max_bytes, min_bytes, isolation, topic_ids)) AS p
    FULL JOIN kafka.fetch_batches(topics, partitions, offsets, partition_max_bytes, max_bytes, min_bytes, isolation, topic_ids) AS f USING (idx)
    ORDER BY p.idx
$$;
CREATE FUNCTION compare(partitions int[], offsets bigint[], partition_max_bytes int[] DEFAULT NULL, max_bytes int DEFAULT 52428800, min_bytes int DEFAULT 0)
RETURNS TABLE (idx int, high_watermark bigint, next_offset bigint, bytes int, same boolean) LANGUAGE sql AS $$
    SELECT idx, high_watermark, next_offset, bytes, same
    FROM compare(array_fill('packed'::text, ARRAY[cardinality(partitions)]), partitions, offsets, partition_max_bytes, max_bytes, min_bytes)
$$;

-- The bytes themselves, of one partition without a record and of one with a batch.
SELECT kafka.fetch_batches_packed(ARRAY['packed'], ARRAY[3], ARRAY[0]);
SELECT kafka.fetch_batches_packed(ARRAY['packed', 'packed', 'no_such_topic'], ARRAY[3, 0, 0], ARRAY[0, 4, 0]);
SELECT kafka.fetch_batches_packed('{}', '{}', '{}');

SELECT * FROM compare(ARRAY[0, 1, 2, 3], ARRAY[0, 0, 0, 0]);
-- From the middle of a batch, and at the high watermark.
SELECT * FROM compare(ARRAY[0, 0, 1], ARRAY[3, 6, 1]);

-- Limits: of a partition, and in all; the first batch of all goes out whatever its size.
SELECT * FROM compare(ARRAY[0, 1, 2], ARRAY[0, 0, 0], ARRAY[210, 300, 1000000]);
SELECT * FROM compare(ARRAY[0, 1, 2], ARRAY[0, 0, 0], ARRAY[209, 278, 1]);
SELECT * FROM compare(ARRAY[0, 1, 2], ARRAY[0, 0, 0], max_bytes => 700);
SELECT * FROM compare(ARRAY[3, 2, 0], ARRAY[0, 0, 0], ARRAY[10, 10, 10], max_bytes => 10);
SELECT * FROM compare(ARRAY[0, 1], ARRAY[0, 0], ARRAY[-1, -1], max_bytes => -1);
-- min_bytes: all or nothing, the watermarks in any case; nothing read, the offset asked for is the next.
SELECT * FROM compare(ARRAY[0, 1], ARRAY[2, 0], min_bytes => 210 + 556);
SELECT * FROM compare(ARRAY[0, 1], ARRAY[2, 0], min_bytes => 210 + 556 + 1);
SELECT * FROM compare(ARRAY[3, 0], ARRAY[0, 3], min_bytes => 1000000000);
SELECT * FROM compare(ARRAY[0], ARRAY[3], min_bytes => NULL);

-- Errors of single elements; the others are answered.
SELECT * FROM compare(ARRAY['packed', 'no_such_topic', 'packed', 'packed', 'packed', NULL, 'packed', 'no good'],
    ARRAY[0, 0, 4, 0, 0, 0, 1, 0], ARRAY[4, 0, 0, 7, -1, 0, 1, 0]);
SELECT * FROM compare(ARRAY['no_such_topic', 'packed'], ARRAY[0, 0], ARRAY[0, 0], min_bytes => 10000);
-- By id; the id goes before the name.
SELECT idx, error_code, bytes, same FROM compare(ARRAY[NULL, 'no_such_topic', 'packed', 'packed'], ARRAY[0, 0, 0, 0], ARRAY[4, 4, 4, 4],
    topic_ids => ARRAY[:'topic_id', :'topic_id', NULL, '00000000-0000-0000-0000-000000000001']::uuid[]);

-- Errors of the whole call.
SELECT kafka.fetch_batches_packed(ARRAY['packed'], ARRAY[0], ARRAY[0], isolation => 'committed');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.fetch_batches_packed(ARRAY['packed'], ARRAY[0, 1], ARRAY[0, 0]);
SELECT kafka.fetch_batches_packed(ARRAY['packed'], ARRAY[0], ARRAY[0], ARRAY[1, 2]);

-- Transactions: of partition 3 two producers' ones, aborted, open and committed.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT producer_id AS one FROM kafka.init_producer_id('packed-1') \gset
SELECT producer_id AS two FROM kafka.init_producer_id('packed-2') \gset
SELECT base_offset FROM txn_send('packed-1', :one, 0, 2, 'packed', 3, 0, 'aborted');
SELECT base_offset FROM txn_send('packed-2', :two, 0, 2, 'packed', 3, 0, 'aborted too');
SELECT error_code FROM kafka.end_txn('packed-2', :two, 0::int2, false, 2::int2);
SELECT error_code FROM kafka.end_txn('packed-1', :one, 0::int2, false, 2::int2);
SELECT part(3, 1, 15), part(0, 1, 15);
SELECT base_offset FROM txn_send('packed-1', :one, 1, 2, 'packed', 3, 0, 'open');
SELECT part(3, 1, 15);
SELECT i AS isolation, b.* FROM unnest(ARRAY['read_uncommitted', 'read_committed']) AS i, compare(ARRAY['packed', 'packed', 'packed'], ARRAY[0, 3, 1], ARRAY[6, 0, 0], isolation => i) AS b;
-- The lists themselves, and records behind them as they are stored.
SELECT aborted_producer_ids = ARRAY[:two, :one]::bigint[] AS producers, aborted_first_offsets, next_offset
FROM unpack(kafka.fetch_batches_packed(ARRAY['packed'], ARRAY[3], ARRAY[0], isolation => 'read_committed'));
-- A batch at a time.
SELECT b.* FROM generate_series(0, 4) AS o, compare(ARRAY['packed', 'packed'], ARRAY[3, 0], ARRAY[o, 0], max_bytes => 1, isolation => 'read_committed') AS b;
-- Too few bytes.
SELECT * FROM compare(ARRAY['packed', 'packed'], ARRAY[3, 0], ARRAY[1, 0], min_bytes => 100000, isolation => 'read_committed');
SELECT error_code FROM kafka.end_txn('packed-1', :one, 1::int2, true, 2::int2);
SELECT * FROM compare(ARRAY['packed', 'packed'], ARRAY[3, 0], ARRAY[0, 0], isolation => 'read_committed');

-- Larger than what is reserved at first, in many pieces.
SELECT count(part(2, 1, 300000)) FROM generate_series(1, 10);
SELECT * FROM compare(ARRAY[2, 0, 2], ARRAY[0, 0, 0]);
-- Nothing of an open transaction, this one's included.
BEGIN;
SELECT part(1, 2, 15);
SELECT base_offset FROM kafka.flush();
SELECT * FROM compare(ARRAY[1], ARRAY[2]);
ROLLBACK;
DROP FUNCTION part, int_at, unpack, next_offset, compare(int[], bigint[], int[], int, int), compare(text[], int[], bigint[], int[], int, int, text, uuid[]);
