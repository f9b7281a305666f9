-- A rollback to a savepoint takes back exactly what was produced after it.
SELECT kafka.create_topic('savepoints', 2) IS NOT NULL AS created;
CREATE FUNCTION savepoints(text, partition int DEFAULT 0) RETURNS int LANGUAGE sql AS $$ SELECT kafka.produce('savepoints', $1, partition => $2) $$;
CREATE VIEW savepoints AS SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('savepoints', 'read_uncommitted');

BEGIN;
SELECT savepoints('before');
SAVEPOINT a;
SELECT savepoints('undone'), savepoints('undone', 1);
ROLLBACK TO a;
SELECT savepoints('between', 1);
SAVEPOINT b;
SELECT savepoints('released');
RELEASE b;
SELECT savepoints('after');
COMMIT;
SELECT * FROM savepoints;

-- Nested: what an outer rollback takes back includes what inner levels released.
BEGIN;
SELECT savepoints('1 kept');
SAVEPOINT a;
SELECT savepoints('2 undone');
SAVEPOINT b;
SELECT savepoints('3 undone');
SAVEPOINT c;
SELECT savepoints('4 undone');
RELEASE c;
RELEASE b;
SELECT savepoints('5 undone');
ROLLBACK TO a;
SELECT savepoints('6 kept');
SAVEPOINT d;
SELECT savepoints('7 kept');
SAVEPOINT e;
SELECT savepoints('8 undone');
ROLLBACK TO e;
SELECT savepoints('9 kept');
RELEASE d;
COMMIT;
SELECT * FROM savepoints WHERE partition = 0 AND "offset" >= 3;

-- Rolling back twice to the same savepoint; a savepoint of the same name again.
BEGIN;
SAVEPOINT s;
SELECT savepoints('undone');
ROLLBACK TO s;
SELECT savepoints('undone');
ROLLBACK TO s;
SAVEPOINT s;
SELECT savepoints('undone');
ROLLBACK TO s;
SELECT savepoints('undone by the outer savepoint');
RELEASE s;
SELECT savepoints('undone');
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM savepoints WHERE value LIKE 'undone%';

-- A rollback of everything after all.
BEGIN;
SAVEPOINT s;
SELECT savepoints('undone');
RELEASE s;
ROLLBACK;

-- PL/pgSQL: a block with EXCEPTION is a savepoint.
DO $$
BEGIN
    PERFORM savepoints('10 kept');
    BEGIN
        PERFORM savepoints('undone');
        BEGIN
            PERFORM savepoints('undone');
        EXCEPTION WHEN OTHERS THEN
            PERFORM savepoints('never reached');
        END;
        RAISE EXCEPTION 'oops';
    EXCEPTION WHEN OTHERS THEN
        PERFORM savepoints('11 kept');
    END;
    BEGIN
        PERFORM savepoints('12 kept');
        PERFORM savepoints('no such partition', 5);
    EXCEPTION WHEN SQLSTATE 'KF003' THEN
        RAISE NOTICE 'the block is undone, with what it had produced before: %', SQLERRM;
    END;
    PERFORM savepoints('13 kept');
END $$;
SELECT * FROM savepoints WHERE value ~ '^1[0-9]|undone|never';

-- In a loop: every third is undone.
DO $$
BEGIN
    FOR i IN 100..199 LOOP
        BEGIN
            PERFORM savepoints(i::text, i % 2);
            IF i % 3 = 0 THEN
                RAISE EXCEPTION 'oops';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT partition, count(*), min(value), max(value), count(*) FILTER (WHERE value::int % 3 = 0) AS undone,
       array_agg(value ORDER BY "offset") = array_agg(value ORDER BY value) AS in_order
FROM savepoints WHERE value ~ '^1..$' GROUP BY partition ORDER BY partition;
-- The whole loop was one transaction: one batch for each partition.
SELECT partition, batch_count FROM kafka.partitions WHERE topic = 'savepoints';

-- Deep nesting.
CREATE FUNCTION savepoints_deep(depth int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM savepoints('deep ' || depth);
    IF depth < 60 THEN
        BEGIN
            PERFORM savepoints_deep(depth + 1);
            IF depth = 30 THEN
                RAISE EXCEPTION 'undo 31 to 60';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END IF;
    PERFORM savepoints('up ' || depth);
END $$;
SELECT savepoints_deep(1);
SELECT left(value, 2) AS way, count(*), min(substr(value, 6)::int), max(substr(value, 6)::int) FROM savepoints WHERE value LIKE 'deep%' GROUP BY 1;
SELECT left(value, 2) AS way, count(*), min(substr(value, 4)::int), max(substr(value, 4)::int) FROM savepoints WHERE value LIKE 'up%' GROUP BY 1;
DROP VIEW savepoints;
DROP FUNCTION savepoints, savepoints_deep;
