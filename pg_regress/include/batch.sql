\set ECHO none
-- Record batches as clients send them, for tests; specs take this file too (see run).
-- Bytes of a batch: length 8-11, magic 16, CRC-32C 17-20 over all from 21, attributes 21-22, last offset delta 23-26,
-- producer id 43-50, epoch 51-52, base sequence 53-56, record count 57-60, records from 61.
CREATE OR REPLACE FUNCTION crc32c_bytes(data bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    crc bigint := 4294967295;
BEGIN
    FOR i IN 0..length(data) - 1 LOOP
        crc := crc # get_byte(data, i);
        FOR bit IN 1..8 LOOP
            crc := (crc >> 1) # CASE crc & 1 WHEN 1 THEN 2197175160 ELSE 0 END;
        END LOOP;
    END LOOP;
    RETURN substr(int8send(crc # 4294967295), 5);
END $$;
-- The batch with other bytes at a place, and a right checksum again.
CREATE OR REPLACE FUNCTION patched(batch bytea, at int, new bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT overlay(p PLACING crc32c_bytes(substr(p, 22)) FROM 18) FROM overlay(batch PLACING new FROM at + 1) AS p
$$;
-- A batch of records without keys, each of at most 50 bytes.
CREATE OR REPLACE FUNCTION record_batch(producer_id bigint, epoch int, sequence int, transactional boolean, VARIADIC contents text[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    WITH r AS (
        SELECT count(*)::int AS count, string_agg(set_byte('\x00', 0, 2 * (length(value) + 6)) || '\x0000' || set_byte('\x00', 0, 2 * (n - 1)::int) || '\x01'
                          || set_byte('\x00', 0, 2 * length(value)) || value || '\x00', NULL ORDER BY n) AS bytes
        FROM (SELECT convert_to(content, 'UTF8') AS value, n FROM unnest(contents) WITH ORDINALITY AS c (content, n)) AS v
    )
    SELECT patched('\x0000000000000000' || int4send(49 + length(bytes)) || '\xffffffff02' || '\x00000000' || CASE WHEN transactional THEN '\x0010' ELSE '\x0000' END::bytea
           || int4send(count - 1) || '\x0000018cc251f4000000018cc251f400' || int8send(producer_id) || int2send(epoch::int2) || int4send(sequence) || int4send(count) || bytes, 0, '')
    FROM r
$$;
-- Sends one of a transaction.
CREATE OR REPLACE FUNCTION txn_send(transactional_id text, producer_id bigint, epoch int, version int, topic text, partition int, sequence int, VARIADIC contents text[])
RETURNS TABLE (error_code int2, error_message text, base_offset bigint) LANGUAGE sql AS $$
    SELECT p.error_code, p.error_message, p.base_offset
    FROM kafka.produce_batches(ARRAY[topic], ARRAY[partition], ARRAY[record_batch(producer_id, epoch, sequence, true, VARIADIC contents)],
                               transactional_ids => ARRAY[transactional_id], transaction_versions => ARRAY[version::int2]) AS p
$$;
\set ECHO all
