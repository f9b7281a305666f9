-- Kafka errors in SQL: SQLSTATE KFnnn with nnn Kafka's number, a lower-case message, the ids in DETAIL, the remedy in HINT.
SELECT kafka.create_topic('errors', config => '{"max.message.bytes": 1000}') IS NOT NULL AS created;
CREATE FUNCTION try(statement text) RETURNS TABLE (state text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
\x on
SELECT t.* FROM unnest(ARRAY[
    $$SELECT kafka.produce('errors', 'v', partition => 1)$$,
    $$SELECT kafka.produce('errors', repeat('x', 1000))$$,
    $$SELECT kafka.produce('errors', 'v', headers => '1'::jsonb)$$,
    $$SELECT kafka.produce('errors', 'v', "timestamp" => '1969-01-01')$$,
    $$SELECT kafka.produce('no good', 'v')$$,
    $$SELECT * FROM kafka.fetch('no_such_topic', 0, 0)$$,
    $$SELECT * FROM kafka.fetch('errors', 0, 1)$$,
    $$SELECT * FROM kafka.fetch('errors', 0, 0, isolation => 'x')$$,
    $$SELECT kafka.create_topic('errors')$$,
    $$SELECT kafka.create_topic('more_errors', 0)$$,
    $$SELECT kafka.create_topic('more_errors', config => '{"x": 1}')$$,
    $$SELECT kafka.delete_topic('no_such_topic')$$,
    $$SELECT * FROM kafka.list_offsets('errors', 0, -9)$$
]) WITH ORDINALITY AS s (statement, n), try(statement) AS t ORDER BY n;
\x off
-- A hostile name is shown shortened.
SELECT length(message) < 400 AS short_message, length(detail) < 400 AS short_detail, length(t::text) < 1000 AS short FROM try($$SELECT kafka.create_topic(repeat('ü', 100000))$$) AS t;
SELECT length(message) < 400 AS short_message FROM try($$SELECT * FROM kafka.fetch(repeat('x', 100000), 0, 0)$$);
SELECT * FROM try($$SELECT * FROM kafka.fetch(E'quo"te\\back\nline', 0, 0)$$);
-- Caught by its code, in a block of PL/pgSQL; the transaction goes on.
BEGIN;
SELECT kafka.produce('errors', 'before');
DO $$
BEGIN
    PERFORM kafka.produce('errors', repeat('x', 2000));
EXCEPTION WHEN SQLSTATE 'KF010' THEN
    PERFORM kafka.produce('errors', 'instead');
END $$;
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('errors');
-- An error aborts the transaction, as any error does.
BEGIN;
SELECT kafka.produce('errors', 'undone');
SELECT kafka.produce('errors', 'v', partition => 1);
SELECT kafka.produce('errors', 'v');
\echo :LAST_ERROR_SQLSTATE
COMMIT;
SELECT count(*) FROM kafka.records('errors');
-- Errors that are not Kafka's keep their own SQLSTATE afterwards.
SELECT 'x'::int;
\echo :LAST_ERROR_SQLSTATE
SELECT state, message FROM try('SELECT kafka.nothing()');
DROP FUNCTION try;
