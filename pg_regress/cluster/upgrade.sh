# ALTER EXTENSION ... UPDATE from any version ends where CREATE EXTENSION ends, and keeps
# what is stored.
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

config="select array_agg(c::regclass::text order by c::regclass::text) from pg_extension, unnest(extconfig) c where extname = 'pg_kafka'"
version="select extversion from pg_extension where extname = 'pg_kafka'"
sql fresh "$objects" >"$work/fresh.objects"

for old in 0.1.0 0.2.0 0.3.0; do
  new_cluster "$old"
  # Every version is the first one and the upgrades to it.
  sql "$old" "create extension pg_kafka version '0.1.0'"
  if [ "$old" != 0.1.0 ]; then sql "$old" "alter extension pg_kafka update to '$old'"; fi
  expect "the version before" "$old" "$(sql "$old" "$version")"
  sql "$old" "select kafka.create_topic('orders', 2)" >/dev/null
  sql "$old" "select count(kafka.produce('orders', 'v' || i, partition => 0)) from generate_series(1, 10) i" >/dev/null
  if [ "$old" != 0.1.0 ]; then sql "$old" "select kafka.commit_offset('before', 'orders', 0, 4)" >/dev/null; fi
  # What an idempotent producer has left; its batch is one of those that are remembered.
  sql "$old" "insert into kafka_log.producers (topic_number, partition, producer_id, producer_epoch, batches) select topic_number, 1, 7, 0, '{0,0,0,0}' from kafka_log.topics" >/dev/null
  sql "$old" "create role reader login; grant usage on schema kafka to reader; grant execute on function kafka.records(text, text) to reader" >/dev/null
  sql "$old" "alter extension pg_kafka update"

  expect "the version from $old" "$(sql fresh "$version")" "$(sql "$old" "$version")"
  # The right that was granted before is the one difference.
  sql "$old" "revoke all on function kafka.records(text, text) from reader" >/dev/null
  sql "$old" "$objects" >"$work/objects"
  diff "$work/fresh.objects" "$work/objects"
  expect "what pg_dump takes along" "$(sql fresh "$config")" "$(sql "$old" "$config")"
  expect "records" 10 "$(sql "$old" "select count(*) from kafka.records('orders')")"
  if [ "$old" != 0.1.0 ]; then expect "an offset committed before" 4 "$(sql "$old" "select kafka.committed_offset('before', 'orders', 0)")"; fi
  sql "$old" "select kafka.commit_offset('g', 'orders', 0, 7)" >/dev/null
  expect "a committed offset" 3 "$(sql "$old" "select lag from kafka.consumer_lag where group_id = 'g'")"
  expect "a producer from before" "7|0|0|" "$(sql "$old" "select producer_id, producer_epoch, last_sequence, txn_first_offset from kafka.producers")"
  # Transactions are there, and readers of what was stored before need not know of them.
  on "$old" psql -X -q -v ON_ERROR_STOP=1 -f "$(dirname "$0")/../include/batch.sql"
  producer=$(sql "$old" "select producer_id from kafka.init_producer_id('first')")
  expect "a transaction" 10 "$(sql "$old" "select base_offset from txn_send('first', $producer, 0, 2, 'orders', 0, 0, 'in a transaction')")"
  expect "an open transaction" 10 "$(sql "$old" "select count(*) from kafka.records('orders')")"
  expect "its end" 0 "$(sql "$old" "select error_code from kafka.end_txn('first', $producer, '0', true, '2')")"
  expect "a committed transaction" 11 "$(sql "$old" "select count(*) from kafka.records('orders')")"
done
