# pg_dump and restore into a new cluster keep topics, settings, records, offsets and
# transactions, and producing goes on at the next offset; in plain and in custom format.
# shellcheck shell=bash source=pg_regress/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

everything="select topic, partition, \"offset\", extract(epoch from \"timestamp\"), key, value, headers
  from kafka.topics t, lateral kafka.records(t.topic) order by 1, 2, 3"
topics="select topic, topic_id, partitions, config from kafka.topics order by 1"
groups="select group_id, state, generation_id, (select array_agg(member_id) from kafka_log.group_members m where m.group_id = g.group_id) from kafka_log.groups g order by 1"
offsets="select group_id, topic, partition, \"offset\", metadata from kafka.consumer_offsets order by 1, 2, 3"
watermarks="select topic, partition, log_start_offset, high_watermark from kafka.partitions order by 1, 2"

new_cluster old
sql old "create extension pg_kafka"
sql old "select kafka.create_topic('orders', 3, '{\"compression.type\": \"zstd\", \"max.message.bytes\": \"2000000\"}')" >/dev/null
sql old "select kafka.create_topic('empty', 2)" >/dev/null
sql old "select kafka.create_topic('gone')" >/dev/null
sql old "select kafka.produce('gone', 'x')" >/dev/null
sql old "select kafka.delete_topic('gone')" >/dev/null
sql old "select count(kafka.produce('orders', 'value ' || i, key => 'key ' || i, headers => jsonb_build_object('n', i::text)))
  from generate_series(1, 1000) i" >/dev/null
sql old "select kafka.produce('orders', null::text, key => 'tombstone', partition => 1)" >/dev/null
# A rolled back record leaves a gap or nothing, but never a record.
sql old "begin; select kafka.produce('orders', 'never', partition => 0); select kafka.flush(); rollback" >/dev/null
sql old "select kafka.produce('orders', repeat('large', 100000), partition => 0)" >/dev/null
sql old "select kafka.commit_offset('readers', 'orders', p, 7 + p, metadata => 'kept') from generate_series(0, 2) p" >/dev/null
# Transactions: one aborted, one open, with records and offsets.
on old psql -X -q -v ON_ERROR_STOP=1 -f "$(dirname "$0")/../include/batch.sql"
sql old "select kafka.create_topic('txn', 2)" >/dev/null
aborted=$(sql old "select producer_id from kafka.init_producer_id('aborted', 900000)")
open=$(sql old "select producer_id from kafka.init_producer_id('open', 900000)")
sql old "select txn_send('aborted', $aborted, 0, 2, 'txn', 0, 0, 'aborted')" >/dev/null
sql old "select txn_send('open', $open, 0, 2, 'txn', p, 0, 'open') from generate_series(0, 1) p" >/dev/null
sql old "select kafka.txn_offset_commit('open', 'readers', $open, '0', array['orders'], array[0], array[99]::bigint[], transaction_version => '2')" >/dev/null
sql old "select kafka.end_txn('aborted', $aborted, '0', false, '2')" >/dev/null
sql old "select kafka.produce('txn', 'behind', partition => 0)" >/dev/null
transactions="select transactional_id, producer_id, producer_epoch, state, timeout_ms, started_at, updated_at, topic_partitions, group_ids from kafka.transactions order by 1"
stable="select w.high_watermark, w.last_stable_offset, (select array_agg(convert_from(value, 'UTF8') order by \"offset\") from kafka.fetch('txn', p, 0)), f.aborted_producer_ids, f.aborted_first_offsets
  from generate_series(0, 1) p, kafka.watermarks('txn', p) w, kafka.fetch_batches(array['txn'], array[p], array[0]::bigint[], isolation => 'read_committed') f order by p"
member=$(sql old "select member_id from kafka.join_group('members', array['orders'], session_timeout_ms => 1800000)")
expect "records before the dump" 1002 "$(sql old "select count(*) from kafka.records('orders')")"

for format in plain custom; do
  new_cluster "$format"
  if [ "$format" = plain ]; then
    on old pg_dump >"$work/dump"
    on plain psql -X -q -v ON_ERROR_STOP=1 -f "$work/dump" >/dev/null
  else
    on old pg_dump -Fc >"$work/dump"
    on custom pg_restore -d postgres --exit-on-error "$work/dump"
  fi
  expect "topics ($format)" "$(sql old "$topics")" "$(sql "$format" "$topics")"
  expect "watermarks ($format)" "$(sql old "$watermarks")" "$(sql "$format" "$watermarks")"
  expect "groups ($format)" "$(sql old "$groups")" "$(sql "$format" "$groups")"
  expect "committed offsets ($format)" "$(sql old "$offsets")" "$(sql "$format" "$offsets")"
  expect "a member goes on ($format)" 0 "$(sql "$format" "select error_code from kafka.join_group('members', member_id => '$member')")"
  sql old "$everything" >"$work/wanted"
  sql "$format" "$everything" >"$work/found"
  cmp "$work/wanted" "$work/found"
  for partition in 0 1 2; do
    next=$(sql "$format" "select high_watermark from kafka.partitions where topic = 'orders' and partition = $partition")
    sql "$format" "select kafka.produce('orders', 'after', partition => $partition)" >/dev/null
    expect "the offset after the restore ($format, partition $partition)" "$next|after" \
      "$(sql "$format" "select \"offset\", convert_from(value, 'UTF8') from kafka.fetch('orders', $partition, $next)")"
  done
  # The open transaction goes on, and is committed with all its parts; a new producer id is a new one.
  expect "transactions ($format)" "$(sql old "$transactions")" "$(sql "$format" "$transactions")"
  expect "what is stable ($format)" "$(sql old "$stable")" "$(sql "$format" "$stable")"
  expect "an offset that is not stable ($format)" 88 "$(sql "$format" "select error_code from kafka.committed_offsets('readers', array['orders'], array[0], require_stable => true)")"
  expect "a repeated batch ($format)" "1|0" "$(sql "$format" "select (txn_send('open', $open, 0, 2, 'txn', 0, 0, 'open')).base_offset, (txn_send('open', $open, 0, 2, 'txn', 0, 1, 'more')).error_code")"
  expect "the end ($format)" "0|1" "$(sql "$format" "select error_code, producer_epoch from kafka.end_txn('open', $open, '0', true, '2')")"
  expect "what is stable afterwards ($format)" "6|6|{open,behind,more}|{$aborted}|{0}
2|2|{open}|{}|{}" "$(sql "$format" "$stable")"
  expect "the offset afterwards ($format)" 99 "$(sql "$format" "select kafka.committed_offset('readers', 'orders', 0)")"
  expect "a new producer id ($format)" t "$(sql "$format" "select producer_id > $open from kafka.init_producer_id()")"
  # Deleted and new topics: names and numbers are not taken twice.
  sql "$format" "select kafka.create_topic('later')" >/dev/null
  sql "$format" "select kafka.produce('later', 'y')" >/dev/null
  expect "a new topic ($format)" "0|y" "$(sql "$format" "select \"offset\", convert_from(value, 'UTF8') from kafka.records('later')")"
  expect "orders beside a new topic ($format)" 1005 "$(sql "$format" "select count(*) from kafka.records('orders')")"
done
