-- Past pg_kafka.produce_buffer the transaction's records are appended before it ends; nobody sees a difference.
SELECT kafka.create_topic('produce_buffer', 2) IS NOT NULL AS created;
SET pg_kafka.produce_buffer = '64kB';
CREATE FUNCTION fill(n int, mark text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kafka.produce('produce_buffer', rpad(mark || ' ' || i, 1000, '.'), partition => i % 2)) FROM generate_series(1, n) AS i
$$;
CREATE VIEW filled AS
    SELECT split_part(convert_from(value, 'UTF8'), ' ', 1) AS mark, rtrim(split_part(convert_from(value, 'UTF8'), ' ', 2), '.')::int AS i, partition, "offset"
    FROM kafka.records('produce_buffer', 'read_uncommitted');

BEGIN;
SELECT fill(1000, 'a');
-- Most of it has left the buffer already.
SELECT sum(record_count) < 100 AS little_left FROM kafka.flush();
SELECT count(*) FROM filled;
COMMIT;
SELECT mark, count(*), count(DISTINCT i), bool_and(in_order) AS in_order
FROM (SELECT mark, i, i > lag(i, 1, 0) OVER (PARTITION BY partition ORDER BY "offset") AS in_order FROM filled) AS f GROUP BY mark;
SELECT sum(batch_count) BETWEEN 20 AND 60 AS several_batches FROM kafka.partitions WHERE topic = 'produce_buffer';

-- Rolled back.
BEGIN;
SELECT fill(200, 'undone');
ROLLBACK;

-- The buffer runs over inside a savepoint that is rolled back: what came before it is produced exactly once.
BEGIN;
SELECT fill(30, 'b');
SAVEPOINT s;
SELECT fill(200, 'undone');
ROLLBACK TO s;
SELECT fill(10, 'c');
COMMIT;
-- The same in a loop of blocks, where every second fails.
DO $$
BEGIN
    FOR block IN 1..10 LOOP
        PERFORM fill(15, 'd' || block);
        BEGIN
            PERFORM fill(60, CASE WHEN block % 2 = 0 THEN 'undone' ELSE 'e' || block END);
            IF block % 2 = 0 THEN
                RAISE EXCEPTION 'oops';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT mark, count(*), count(DISTINCT i), bool_and(in_order) AS in_order
FROM (SELECT mark, i, i > lag(i, 1, 0) OVER (PARTITION BY mark, partition ORDER BY "offset") AS in_order FROM filled WHERE mark <> 'a') AS f
GROUP BY mark ORDER BY mark COLLATE "C";
-- The blocks come in order too.
SELECT partition, string_agg(mark, ' ' ORDER BY first) FROM (SELECT partition, mark, min("offset") AS first FROM filled GROUP BY 1, 2) AS f GROUP BY partition;
-- Records that are larger than the whole buffer.
SELECT count(kafka.produce('produce_buffer', rpad('f ' || i, 200000, '.'), partition => 0)) FROM generate_series(1, 3) AS i;
SELECT i FROM filled WHERE mark = 'f';
DROP VIEW filled;
DROP FUNCTION fill;
