-- PostgreSQL's own maintenance of a log table, with rolled back batches in it, changes nothing that a consumer sees.
SELECT kafka.create_topic('maintenance', 2) IS NOT NULL AS created;
SELECT format('kafka_log.t%s_%s', topic_number, segment) AS log_table FROM kafka_log.topics WHERE topic = 'maintenance' \gset
CREATE PROCEDURE fill(mark text) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..20 LOOP
        PERFORM kafka.produce('maintenance', mark || i, partition => i % 2, "timestamp" => '2024-01-01 00:00:00+00');
        PERFORM kafka.flush();
        IF i % 5 = 0 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION contents() RETURNS TABLE (partition int, records bigint, in_order boolean, digest text) LANGUAGE sql AS $$
    SELECT partition, count(*), bool_and(ordered), md5(string_agg(convert_from(value, 'UTF8'), ',' ORDER BY "offset"))
    FROM (SELECT *, "offset" > lag("offset", 1, -1::bigint) OVER (PARTITION BY partition ORDER BY "offset") AS ordered FROM kafka.records('maintenance')) AS r
    GROUP BY partition
$$;
CREATE FUNCTION watermarks() RETURNS TABLE (log_start_offset bigint, high_watermark bigint) LANGUAGE sql AS $$
    SELECT log_start_offset, high_watermark FROM kafka.partitions WHERE topic = 'maintenance' ORDER BY partition
$$;
CALL fill('a');
CREATE TABLE before AS SELECT * FROM contents();
CREATE TABLE watermarks_before AS SELECT * FROM watermarks();
SELECT partition, records, in_order FROM before ORDER BY partition;
VACUUM :log_table;
SELECT count(*) AS same FROM (SELECT * FROM contents() INTERSECT SELECT * FROM before) AS s;
VACUUM FREEZE :log_table;
REINDEX TABLE :log_table;
ANALYZE :log_table;
SELECT count(*) AS same FROM (SELECT * FROM contents() INTERSECT SELECT * FROM before) AS s;
VACUUM FULL :log_table;
SELECT count(*) AS same FROM (SELECT * FROM contents() INTERSECT SELECT * FROM before) AS s;
SELECT count(*) AS same FROM (SELECT * FROM watermarks() INTERSECT SELECT * FROM watermarks_before) AS s;
-- It goes on behind what was there.
CALL fill('b');
SELECT partition, records, in_order FROM contents() ORDER BY partition;
SELECT bool_and(w.high_watermark > b.high_watermark) AS onwards FROM watermarks() WITH ORDINALITY AS w (log_start_offset, high_watermark, n), (SELECT *, row_number() OVER () AS n FROM watermarks_before) AS b WHERE b.n = w.n;
-- In a transaction that has the table open.
BEGIN;
SELECT kafka.produce('maintenance', 'c1', partition => 0);
REINDEX TABLE :log_table;
SELECT kafka.produce('maintenance', 'c2', partition => 0);
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('maintenance', 0, (SELECT high_watermark - 2 FROM kafka.partitions WHERE topic = 'maintenance' AND partition = 0));
DROP PROCEDURE fill;
DROP FUNCTION contents, watermarks;
DROP TABLE before, watermarks_before;
