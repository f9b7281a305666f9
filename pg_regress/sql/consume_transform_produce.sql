-- Consume, transform, produce in one transaction: what was read, what was made of it and what was sent on hold together, or nothing does.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('payments', 1) IS NOT NULL AND kafka.create_topic('balances', 1) IS NOT NULL AS created;
CREATE TABLE balances (account text PRIMARY KEY, amount int CHECK (amount >= -500));
SELECT count(kafka.produce('payments', amount, key => account)) AS produced FROM (VALUES ('ann', '100'), ('bob', '20'), ('ann', '-30'), ('bob', '5')) AS p (account, amount);
CREATE VIEW sent AS SELECT "offset", convert_from(key, 'UTF8') AS account, convert_from(value, 'UTF8') AS amount FROM kafka.records('balances');
CREATE VIEW progress AS SELECT committed_offset, lag FROM kafka.consumer_lag WHERE group_id = 'accounting';
CREATE FUNCTION book(max_records int) RETURNS bigint LANGUAGE sql AS $$
    WITH paid AS (
        SELECT convert_from(key, 'UTF8') AS account, sum(convert_from(value, 'UTF8')::int) AS amount
        FROM kafka.poll('accounting', ARRAY['payments'], max_records => max_records) GROUP BY key
    ), booked AS (
        INSERT INTO balances AS b SELECT * FROM paid
        ON CONFLICT (account) DO UPDATE SET amount = b.amount + excluded.amount RETURNING account, amount
    )
    SELECT count(kafka.produce('balances', amount::text, key => account)) FROM (SELECT * FROM booked ORDER BY account) AS s
$$;

BEGIN;
SELECT book(2);
SELECT * FROM balances ORDER BY account;
ROLLBACK;
-- Nothing read, nothing booked, nothing sent.
SELECT * FROM progress;
SELECT count(*) FROM balances;
SELECT * FROM sent;
-- The same records again, and now for good.
BEGIN;
SELECT book(2);
COMMIT;
SELECT * FROM progress;
SELECT * FROM balances ORDER BY account;
SELECT * FROM sent;
SELECT book(10);
SELECT * FROM sent;
SELECT book(10);
-- An error takes everything back: no balance goes below -500.
SELECT kafka.produce('payments', '-1000', key => 'ann');
SELECT kafka.produce('payments', '1', key => 'bob');
SELECT book(10);
SELECT * FROM progress;
SELECT * FROM balances ORDER BY account;
-- A savepoint takes back what could not be booked, and the record goes where somebody will look at it.
CREATE PROCEDURE book_one_by_one() LANGUAGE plpgsql AS $$
DECLARE
    payment record;
    booked int;
BEGIN
    LOOP
        SELECT convert_from(key, 'UTF8') AS account, value, "offset" INTO payment FROM kafka.poll('accounting', ARRAY['payments'], max_records => 1);
        EXIT WHEN NOT FOUND;
        BEGIN
            INSERT INTO balances AS b VALUES (payment.account, convert_from(payment.value, 'UTF8')::int)
            ON CONFLICT (account) DO UPDATE SET amount = b.amount + convert_from(payment.value, 'UTF8')::int RETURNING amount INTO booked;
            PERFORM kafka.produce('balances', booked::text, key => payment.account);
        EXCEPTION WHEN OTHERS THEN
            PERFORM kafka.produce('payments_refused', payment.value, convert_to(payment.account, 'UTF8'), jsonb_build_object('sqlstate', SQLSTATE, 'offset', payment."offset"::text));
        END;
        COMMIT;
    END LOOP;
END $$;
SELECT kafka.produce('payments', 'no number', key => 'bob');
CALL book_one_by_one();
SELECT * FROM progress;
SELECT * FROM balances ORDER BY account;
SELECT * FROM sent WHERE "offset" > 3;
SELECT convert_from(r.key, 'UTF8') AS account, convert_from(r.value, 'UTF8') AS payment, h.key, convert_from(h.value, 'UTF8') AS header
FROM kafka.records('payments_refused') AS r, unnest(r.headers) AS h ORDER BY r."offset", h.key;

SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group('accounting', ARRAY[m.member_id]) AS l WHERE m.group_id = 'accounting';
SELECT kafka.delete_group('accounting'), count(kafka.delete_topic(topic)) FROM kafka.topics WHERE topic IN ('payments', 'balances', 'payments_refused');
DROP PROCEDURE book_one_by_one;
DROP FUNCTION book;
DROP VIEW sent, progress;
DROP TABLE balances;
