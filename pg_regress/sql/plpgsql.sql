-- Producing and fetching inside DO blocks, functions and procedures.
SELECT kafka.create_topic('plpgsql') IS NOT NULL AS created;
DO $$
DECLARE
    p int;
BEGIN
    p := kafka.produce('plpgsql', 'from a DO block');
    PERFORM kafka.produce('plpgsql', 'from PERFORM', 'key', '{"a": "b"}'::jsonb);
    RAISE NOTICE 'partition %', p;
END $$;

-- A function that turns a Kafka error into a result.
CREATE FUNCTION plpgsql_try(topic text, partition int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    PERFORM kafka.produce(topic, 'tried', partition => partition);
    RETURN 'produced';
EXCEPTION
    WHEN SQLSTATE 'KF003' OR SQLSTATE 'KF017' THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT plpgsql_try('plpgsql', 0);
SELECT plpgsql_try('plpgsql', 1);
SELECT plpgsql_try('not a topic', 0);
-- An error of another kind after a caught one has its own SQLSTATE.
DO $$
BEGIN
    PERFORM plpgsql_try('plpgsql', 1);
    BEGIN
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE '%', SQLSTATE;
    END;
    PERFORM 1 / 0;
END $$;
\echo :LAST_ERROR_SQLSTATE
SELECT 1 / 0;
\echo :LAST_ERROR_SQLSTATE

-- A procedure that commits in a loop: each part is readable at once, and no sooner.
CREATE PROCEDURE plpgsql_in_parts(parts int) LANGUAGE plpgsql AS $$
BEGIN
    FOR part IN 1..parts LOOP
        PERFORM kafka.produce('plpgsql', 'part ' || part);
        RAISE NOTICE 'in part %: % readable', part, (SELECT count(*) FROM kafka.fetch('plpgsql', 0, 0));
        IF part = 2 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
END $$;
CALL plpgsql_in_parts(3);

-- A cursor over a topic, and a loop that reads and produces.
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM kafka.records('plpgsql') LOOP
        PERFORM kafka.produce('plpgsql_copy', r.value, r.key, r.headers);
    END LOOP;
END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('plpgsql_copy');
FETCH 2 FROM c;
FETCH 2 FROM c;
COMMIT;
SELECT "offset", convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value, headers FROM kafka.records('plpgsql_copy');

-- As part of a larger query: a topic joins like a table.
SELECT a."offset", convert_from(a.value, 'UTF8') AS value FROM kafka.records('plpgsql') AS a
WHERE EXISTS (SELECT FROM kafka.records('plpgsql_copy') AS b WHERE b.value = a.value) ORDER BY 1 DESC LIMIT 2;
WITH produced AS (SELECT kafka.produce('plpgsql', 'in a CTE') AS partition) SELECT * FROM produced;
-- LATERAL: the newest record of each partition.
SELECT p.topic, p.partition, convert_from(r.value, 'UTF8') AS newest
FROM kafka.partitions AS p, kafka.fetch(p.topic, p.partition, p.high_watermark - 1) AS r WHERE p.topic LIKE 'plpgsql%' ORDER BY 1;
DROP PROCEDURE plpgsql_in_parts;
DROP FUNCTION plpgsql_try;
