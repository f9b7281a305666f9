-- Idempotent producers: by producer id, epoch and sequence number a batch is appended, known already, or refused, for each partition by itself.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
-- Three records of a producer.
CREATE FUNCTION batch(producer_id bigint, epoch int, sequence int) RETURNS bytea LANGUAGE sql AS $$
    SELECT patched('\x00000000000000000000004cffffffff022ae9f2480000000000020000018cc251f4000000018cc251f400ffffffffffffffffffffffffffff00000003100000000104763100100000020104763200100000040104763300', 43, int8send(producer_id) || int2send(epoch::int2) || int4send(sequence))
$$;
SELECT kafka.create_topic('idempotence', 9) IS NOT NULL AS created;
CREATE FUNCTION send(partition int, VARIADIC batches bytea[]) RETURNS TABLE (idx int, error_code int2, error_message text, base_offset bigint) LANGUAGE sql AS $$
    SELECT p.idx, p.error_code, p.error_message, p.base_offset
    FROM kafka.produce_batches(array_fill('idempotence'::text, ARRAY[cardinality(batches)]), array_fill(partition, ARRAY[cardinality(batches)]), batches) AS p
$$;

-- The first batch, the same again: answered with its offset, not appended. The next one, a gap, the next again.
SELECT * FROM send(0, batch(7, 0, 0));
SELECT * FROM send(0, batch(7, 0, 0));
SELECT * FROM send(0, batch(7, 0, 3));
SELECT * FROM send(0, batch(7, 0, 9));
SELECT * FROM send(0, batch(7, 0, 4));
SELECT * FROM send(0, batch(7, 0, 6));
SELECT high_watermark FROM kafka.partitions WHERE topic = 'idempotence' AND partition = 0;
-- The last five batches are remembered; what is older cannot be told from a gap.
SELECT * FROM send(0, batch(7, 0, 9), batch(7, 0, 12), batch(7, 0, 15));
SELECT * FROM send(0, batch(7, 0, 0));
SELECT s, p.error_code, p.base_offset FROM unnest(ARRAY[3, 6, 9, 12, 15]) AS s, send(0, batch(7, 0, s)) AS p;
SELECT high_watermark FROM kafka.partitions WHERE topic = 'idempotence' AND partition = 0;

-- Epochs: a new one begins at 0, an old one is fenced.
SELECT * FROM send(0, batch(7, 1, 18));
SELECT * FROM send(0, batch(7, 1, 0));
SELECT * FROM send(0, batch(7, 0, 18));
SELECT * FROM send(0, batch(7, 0, 15));
SELECT * FROM send(0, batch(7, 1, 0));
SELECT * FROM send(0, batch(7, 1, 3));
-- Another producer in the same partition, and this one in another: nothing to do with each other.
SELECT * FROM send(0, batch(8, 0, 0));
SELECT * FROM send(1, batch(7, 0, 0));
-- A producer that the partition does not know may begin with any number.
SELECT * FROM send(2, batch(7, 0, 1000));
SELECT * FROM send(2, batch(7, 0, 1000), batch(7, 0, 1003));
-- Sequence numbers wrap from 2^31-1 to 0, also within a batch.
SELECT * FROM send(3, batch(7, 0, 2147483644));
SELECT * FROM send(3, batch(7, 0, 2147483647), batch(7, 0, 2), batch(7, 0, 2147483647));
SELECT * FROM send(3, batch(7, 0, 2147483646));

-- One call with several partitions judges each by its own numbers.
SELECT idx, error_code, base_offset, partition FROM kafka.produce_batches(
    array_fill('idempotence'::text, ARRAY[6]), ARRAY[4, 5, 4, 5, 0, 4],
    ARRAY[batch(9, 0, 0), batch(9, 0, 0), batch(9, 0, 3), batch(9, 0, 6), batch(7, 0, 0), batch(9, 0, 3)]);
SELECT idx, error_code, base_offset, partition FROM kafka.produce_batches(array_fill('idempotence'::text, ARRAY[2]), ARRAY[4, 5], ARRAY[batch(9, 0, 6), batch(9, 0, 3)]);

-- A refused batch leaves the producer where it was.
SELECT * FROM send(6, batch(7, 0, 0));
SELECT error_code FROM send(6, set_byte(batch(7, 0, 3), 70, 255));
SELECT * FROM send(6, batch(7, 0, 3));

-- What is rolled back was not produced: the numbers go back with the records.
BEGIN;
SELECT error_code FROM send(7, batch(7, 0, 0));
SELECT error_code FROM send(7, batch(7, 0, 3));
ROLLBACK;
SELECT error_code, base_offset IN (0, 6) AS appended FROM send(7, batch(7, 0, 0));
BEGIN;
SELECT error_code FROM send(7, batch(7, 0, 3));
SAVEPOINT s;
SELECT error_code FROM send(7, batch(7, 0, 6));
ROLLBACK TO s;
SELECT error_code FROM send(7, batch(7, 0, 6));
COMMIT;
SELECT error_code FROM send(7, batch(7, 0, 6), batch(7, 0, 9));
SELECT count(*) FROM kafka.fetch('idempotence', 7, 0);

-- Without a producer id nothing is judged: the same batch twice is two batches.
SELECT * FROM send(8, batch(-1, -1, -1), batch(-1, -1, -1));
-- Several batches in one element carry no producer id.
SELECT * FROM send(8, batch(7, 0, 0) || batch(7, 0, 3));

-- A deleted topic forgets its producers.
SELECT kafka.delete_topic('idempotence');
SELECT kafka.create_topic('idempotence', 1) IS NOT NULL AS created;
SELECT * FROM send(0, batch(7, 0, 500));

-- kafka.init_producer_id: each call another id, epoch 0; not given back by a rollback.
SELECT producer_id AS first FROM kafka.init_producer_id() \gset
BEGIN;
SELECT producer_id AS second FROM kafka.init_producer_id() \gset
ROLLBACK;
SELECT producer_id > :second AS third_is_new, :second > :first AS second_is_new, :first >= 0 AS legal, producer_epoch FROM kafka.init_producer_id();
DROP FUNCTION send, batch;
