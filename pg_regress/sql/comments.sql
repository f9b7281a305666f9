-- Every object of the extension says what it is; but for arrays and row types, which are members from PostgreSQL 17 on.
SELECT pg_describe_object(d.classid, d.objid, 0) AS object FROM pg_depend AS d
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_kafka') AND d.deptype = 'e'
  AND obj_description(d.objid, d.classid::regclass::text::name) IS NULL
  AND NOT EXISTS (SELECT FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
                  WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (t.typcategory = 'A' OR c.relkind <> 'c'))
ORDER BY object;
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension FROM pg_extension WHERE extname = 'pg_kafka';
SELECT nspname, obj_description(oid, 'pg_namespace') IS NOT NULL AS described FROM pg_namespace WHERE nspname LIKE 'kafka%' ORDER BY nspname;
-- The columns of views and tables.
SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
WHERE c.relnamespace = 'kafka'::regnamespace AND c.relkind = 'v' AND attnum > 0 AND col_description(attrelid, attnum) IS NULL ORDER BY 1, attnum;
