# ALTER EXTENSION ... UPDATE from the first version ends where CREATE EXTENSION ends, and
# keeps what is stored.
# shellcheck shell=bash source=pg_regress/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

# Everything that belongs to the extension, with its definition, rights and comment.
objects="select pg_describe_object(d.classid, d.objid, 0), obj_description(d.objid, d.classid::regclass::text::name),
    (select pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') from pg_proc p where d.classid = 'pg_proc'::regclass and p.oid = d.objid),
    (select coalesce(c.relacl::text, '') || coalesce(c.reloptions::text, '') || coalesce(pg_get_viewdef(c.oid), '') from pg_class c where d.classid = 'pg_class'::regclass and c.oid = d.objid),
    (select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum)), ', ' order by a.attnum)
     from pg_attribute a where d.classid = 'pg_class'::regclass and a.attrelid = d.objid and a.attnum > 0)
  from pg_depend d where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
    and d.refobjid = (select oid from pg_extension where extname = 'pg_kafka')
  order by 1"

new_cluster fresh
sql fresh "create extension pg_kafka"

new_cluster upgraded
sql upgraded "create extension pg_kafka version '0.1.0'"
sql upgraded "select kafka.create_topic('orders', 2)" >/dev/null
sql upgraded "select count(kafka.produce('orders', 'v' || i, partition => 0)) from generate_series(1, 10) i" >/dev/null
sql upgraded "create role reader login; grant usage on schema kafka to reader; grant execute on function kafka.records(text, text) to reader" >/dev/null
sql upgraded "alter extension pg_kafka update"

expect "the version" "$(sql fresh "select extversion from pg_extension where extname = 'pg_kafka'")" \
  "$(sql upgraded "select extversion from pg_extension where extname = 'pg_kafka'")"
sql fresh "$objects" >"$work/fresh.objects"
# The right that was granted before is the one difference.
sql upgraded "revoke all on function kafka.records(text, text) from reader" >/dev/null
sql upgraded "$objects" >"$work/upgraded.objects"
diff "$work/fresh.objects" "$work/upgraded.objects"
expect "what pg_dump takes along" \
  "$(sql fresh "select array_agg(c::regclass::text order by c::regclass::text) from pg_extension, unnest(extconfig) c where extname = 'pg_kafka'")" \
  "$(sql upgraded "select array_agg(c::regclass::text order by c::regclass::text) from pg_extension, unnest(extconfig) c where extname = 'pg_kafka'")"
expect "records" 10 "$(sql upgraded "select count(*) from kafka.records('orders')")"
sql upgraded "select kafka.commit_offset('g', 'orders', 0, 7)" >/dev/null
expect "a committed offset" 3 "$(sql upgraded "select lag from kafka.consumer_lag")"
