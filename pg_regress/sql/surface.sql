-- The SQL surface: whatever changes here changes for users.
\pset format unaligned
SELECT p.oid::regprocedure::text || ' -> ' || pg_get_function_result(p.oid) AS functions FROM pg_proc AS p WHERE pronamespace = 'kafka'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT proname, pg_get_function_arguments(oid) AS arguments FROM pg_proc WHERE pronamespace = 'kafka'::regnamespace ORDER BY proname COLLATE "C", oid::regprocedure::text COLLATE "C";
\pset format aligned
SELECT p.oid::regprocedure AS function, l.lanname AS language,
       CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
       proisstrict AS strict, prosecdef AS definer,
       CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang WHERE pronamespace = 'kafka'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";
-- Types, casts, views, tables, sequences.
SELECT t.oid::regtype AS type, a.attname, a.atttypid::regtype FROM pg_type AS t JOIN pg_attribute AS a ON a.attrelid = t.typrelid JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = 'kafka'::regnamespace AND c.relkind = 'c' ORDER BY 1, a.attnum;
SELECT castsource::regtype AS source, casttarget::regtype AS target, castfunc::regprocedure AS function, castcontext AS context FROM pg_cast WHERE castfunc IN (SELECT oid FROM pg_proc WHERE pronamespace = 'kafka'::regnamespace);
SELECT c.oid::regclass AS view, a.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'kafka'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 ORDER BY 1, a.attnum;
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND relkind IN ('r', 'S', 'v') AND relname !~ '^t\d+_\d+$' ORDER BY relname COLLATE "C";
-- What pg_dump takes along.
SELECT unnest(extconfig)::regclass AS dumped FROM pg_extension WHERE extname = 'pg_kafka' ORDER BY 1;
-- Default rows and cost estimates that planners see.
SELECT proname, prorows FROM pg_proc WHERE pronamespace = 'kafka'::regnamespace AND proretset ORDER BY proname COLLATE "C", oid::regprocedure::text COLLATE "C";
