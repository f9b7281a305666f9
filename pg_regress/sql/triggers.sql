-- A trigger publishes each change in the transaction that makes it.
SELECT kafka.create_topic('triggers') IS NOT NULL AS created;
CREATE TABLE orders (id int PRIMARY KEY, item text);
CREATE FUNCTION publish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kafka.produce('triggers', to_jsonb(NEW)::text, coalesce(NEW.id, OLD.id)::text, jsonb_build_object('op', TG_OP), partition => 0);
    RETURN NULL;
END $$;
CREATE VIEW published AS
    SELECT "offset", convert_from((headers[1]).value, 'UTF8') AS op, convert_from(key, 'UTF8') AS key, convert_from(value, 'UTF8') AS value
    FROM kafka.records('triggers');
CREATE TRIGGER publish AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION publish();

INSERT INTO orders VALUES (1, 'tea'), (2, 'salt');
UPDATE orders SET item = 'green ' || item WHERE id = 1;
DELETE FROM orders WHERE id = 2;
SELECT * FROM published;

-- Rolled back with the rows.
BEGIN;
INSERT INTO orders VALUES (3, 'undone');
SAVEPOINT s;
INSERT INTO orders VALUES (4, 'undone');
ROLLBACK TO s;
ROLLBACK;
BEGIN;
INSERT INTO orders VALUES (5, 'kept');
SAVEPOINT s;
INSERT INTO orders VALUES (6, 'undone');
ROLLBACK TO s;
COMMIT;
INSERT INTO orders VALUES (7, 'undone'), (1, 'a duplicate key');
SELECT * FROM published WHERE "offset" >= 4;

-- COPY.
COPY orders FROM STDIN WITH (DELIMITER ',');
10,milk
11,bread
12,butter
\.
COPY orders FROM STDIN WITH (DELIMITER ',');
13,undone
10,a duplicate key
\.
SELECT * FROM published WHERE "offset" >= 5;
-- INSERT ... ON CONFLICT, and a tombstone for what is gone: NEW is null in a DELETE, so the value is.
INSERT INTO orders VALUES (10, 'oat milk') ON CONFLICT (id) DO UPDATE SET item = excluded.item;
DELETE FROM orders WHERE id = 11;
SELECT * FROM published WHERE "offset" >= 8;
DROP TRIGGER publish ON orders;

-- A constraint trigger that waits for the end of the transaction.
CREATE CONSTRAINT TRIGGER publish_late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION publish();
BEGIN;
INSERT INTO orders VALUES (20, 'deferred');
SELECT kafka.produce('triggers', 'produced at once', partition => 0);
SELECT * FROM kafka.flush();
COMMIT;
SELECT * FROM published WHERE "offset" >= 10;
BEGIN;
INSERT INTO orders VALUES (21, 'deferred');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT record_count FROM kafka.flush();
ROLLBACK;
DROP TRIGGER publish_late ON orders;

-- A trigger for each statement, with the rows it touched.
CREATE FUNCTION publish_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kafka.produce('triggers', count(*) || ' rows: ' || string_agg(item, ', ' ORDER BY id), 'all', jsonb_build_object('op', TG_OP)) FROM changed;
    RETURN NULL;
END $$;
CREATE TRIGGER publish_all AFTER UPDATE ON orders REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION publish_all();
UPDATE orders SET item = upper(item) WHERE id >= 10 AND id < 20;
SELECT op, key, value FROM published WHERE key = 'all';
DROP TRIGGER publish_all ON orders;

-- BEFORE triggers can produce too; an event trigger publishes DDL.
CREATE FUNCTION publish_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kafka.produce('triggers', 'before', NEW.id::text, jsonb_build_object('op', TG_OP));
    RETURN NEW;
END $$;
CREATE TRIGGER publish_before BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION publish_before();
INSERT INTO orders VALUES (30, 'x');
CREATE FUNCTION publish_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kafka.produce('triggers', tg_tag, 'ddl', jsonb_build_object('op', tg_event));
END $$;
CREATE EVENT TRIGGER publish_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION publish_ddl();
ALTER TABLE orders ADD COLUMN note text;
DROP EVENT TRIGGER publish_ddl;
SELECT op, key, value FROM published WHERE value = 'before' OR key = 'ddl' ORDER BY "offset";
DROP VIEW published;
DROP TABLE orders;
DROP FUNCTION publish, publish_all, publish_before, publish_ddl;
