# A streaming standby serves fetches, with the primary's watermarks and transactions, and
# refuses to produce; promoted, it goes on at the next offset with a higher leader epoch, and
# transactions that are open are ended there.
# shellcheck shell=bash source=pg_regress/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

new_cluster primary
sql primary "create extension pg_kafka"
sql primary "select kafka.create_topic('orders', 2)" >/dev/null
sql primary "select count(kafka.produce('orders', 'value ' || i, partition => i % 2)) from generate_series(1, 100) i" >/dev/null

on primary pg_basebackup -D "$work/standby" -R -c fast -X stream
start standby

caught_up() {
  local lsn
  lsn=$(sql primary "select pg_current_wal_insert_lsn()")
  until [ "$(sql standby "select pg_last_wal_replay_lsn() >= '$lsn'")" = t ]; do sleep 0.1; done
}
records="select partition, \"offset\", convert_from(value, 'UTF8') from kafka.records('orders') order by 1, 2"
watermarks="select partition, high_watermark from kafka.partitions where topic = 'orders' order by 1"

sql primary "select kafka.produce('orders', 'after the backup', partition => 0)" >/dev/null
# Appended, then rolled back: the standby has the row, and must not show it.
sql primary "begin; select kafka.produce('orders', 'never', partition => 0); select kafka.flush(); rollback" >/dev/null
sql primary "select kafka.produce('orders', 'last', partition => 0)" >/dev/null
# Appended and still open: neither shown nor counted by the watermark.
sql primary "begin; select kafka.produce('orders', 'prepared', partition => 1); prepare transaction 'open'" >/dev/null
sql primary "select kafka.commit_offset('readers', 'orders', 0, 7)" >/dev/null
sql primary "checkpoint"
caught_up

expect "records on the standby" "$(sql primary "$records")" "$(sql standby "$records")"
expect "records by fetch" "102" "$(sql standby "select count(*) from generate_series(0, 1) p, kafka.fetch('orders', p, 0)")"
expect "watermarks on the standby" "$(sql primary "$watermarks")" "$(sql standby "$watermarks")"
expect "cluster()" "t" "$(sql standby "select in_recovery from kafka.cluster()")"
if refused=$(sql standby "select kafka.produce('orders', 'no')" 2>&1); then
  expect "produce on a standby" "an error" "$refused"
fi
case $refused in *recovery* | *standby* | *read-only*) ;; *) expect "produce on a standby" "a clear error" "$refused" ;; esac

sql primary "commit prepared 'open'"
caught_up
expect "the prepared record" "prepared" \
  "$(sql standby "select convert_from(value, 'UTF8') from kafka.fetch('orders', 1, 50)")"

# Groups and offsets can be read there, not changed.
expect "a committed offset on the standby" 7 "$(sql standby "select kafka.committed_offset('readers', 'orders', 0)")"
expect "groups on the standby" "readers|Empty" "$(sql standby "select group_id, state from kafka.groups")"
if refused=$(sql standby "select kafka.commit_offset('readers', 'orders', 0, 8)" 2>&1); then
  expect "a commit on a standby" "an error" "$refused"
fi

# Transactions: one committed, one aborted, one open, one whose end is prepared.
on primary psql -X -q -v ON_ERROR_STOP=1 -f "$(dirname "$0")/../include/batch.sql"
sql primary "select kafka.create_topic('txn', 2)" >/dev/null
sql primary "select kafka.init_producer_id('txn-' || i, 900000) from generate_series(1, 4) i" >/dev/null
send() { sql primary "select error_code from kafka.transactions t, txn_send('$1', t.producer_id, t.producer_epoch, 2, 'txn', $2, $3, '$4') where t.transactional_id = '$1'" >/dev/null; }
end() { echo "select error_code from kafka.transactions t, kafka.end_txn(t.transactional_id, t.producer_id, t.producer_epoch, $2, '2') where t.transactional_id = '$1'"; }
seen="select w.high_watermark, w.last_stable_offset, (select array_agg(convert_from(value, 'UTF8') order by \"offset\") from kafka.fetch('txn', p, 0)), f.aborted_first_offsets
  from generate_series(0, 1) p, kafka.watermarks('txn', p) w, kafka.fetch_batches(array['txn'], array[p], array[0]::bigint[], isolation => 'read_committed') f order by p"
transactions="select transactional_id, producer_id, producer_epoch, state, topic_partitions from kafka.transactions order by 1"
producers="select partition, producer_id, producer_epoch, txn_first_offset from kafka.producers order by 1, 2"
send txn-1 0 0 aborted
send txn-2 0 0 committed
sql primary "$(end txn-1 false)" >/dev/null
sql primary "$(end txn-2 true)" >/dev/null
send txn-3 0 0 open
send txn-4 1 0 prepared
sql primary "begin; $(end txn-4 true); prepare transaction 'end'" >/dev/null
sql primary "select kafka.produce('txn', 'behind', partition => p) from generate_series(0, 1) p" >/dev/null
caught_up
expect "transactions on the primary" "6|4|{committed}|{0}
1|0||{}" "$(sql primary "$seen")"
expect "transactions on the standby" "$(sql primary "$seen")" "$(sql standby "$seen")"
expect "states on the standby" "$(sql primary "$transactions")" "$(sql standby "$transactions")"
expect "producers on the standby" "$(sql primary "$producers")" "$(sql standby "$producers")"
expect "descriptions on the standby" "txn-3|Ongoing|{txn}|{0}|4" \
  "$(sql standby "select t.transactional_id, t.state, t.topics, t.partitions, p.txn_first_offset from kafka.list_transactions(array['Ongoing']) l,
    kafka.describe_transactions(array[l.transactional_id]) t, kafka.describe_producers(t.topics, t.partitions) p
    where l.transactional_id = 'txn-3' and p.producer_id = t.producer_id")"
for call in "kafka.abort_transaction('txn-3')" "kafka.init_producer_id('txn-3')"; do
  if sql standby "select $call" >/dev/null 2>&1; then expect "$call on a standby" "an error" "none"; fi
done
sql primary "commit prepared 'end'"
caught_up
expect "the prepared end" "6|4|{committed}|{0}
3|3|{prepared,behind}|{}" "$(sql standby "$seen")"

wanted=$(sql primary "$records")
epoch=$(sql primary "select leader_epoch from kafka.cluster()")
"$PG_BIN/pg_ctl" -D "$work/primary" -s -m immediate stop
"$PG_BIN/pg_ctl" -D "$work/standby" -s -w promote
expect "records after the promotion" "$wanted" "$(sql standby "$records")"
next=$(sql standby "select high_watermark from kafka.partitions where topic = 'orders' and partition = 0")
sql standby "select kafka.produce('orders', 'promoted', partition => 0)" >/dev/null
expect "the first record after the promotion" "$next|promoted" \
  "$(sql standby "select \"offset\", convert_from(value, 'UTF8') from kafka.fetch('orders', 0, $next)")"
expect "a higher leader epoch" "t" "$(sql standby "select leader_epoch > $epoch from kafka.cluster()")"
# What was open is still open, and is ended by the new primary, as its marker says.
expect "transactions after the promotion" "6|4|{committed}|{0}
3|3|{prepared,behind}|{}" "$(sql standby "$seen")"
expect "an end after the promotion" 0 "$(sql standby "$(end txn-3 true)")"
expect "the transaction that was open" "7|7|{committed,open,behind}|{0}
3|3|{prepared,behind}|{}" "$(sql standby "$seen")"
expect "the marker's coordinator epoch" "t" \
  "$(sql standby "select coordinator_epoch = (select leader_epoch from kafka.cluster()) and coordinator_epoch > $epoch
    from kafka.describe_producers(array['txn'], array[0]) p join kafka.transactions t using (producer_id) where t.transactional_id = 'txn-3'")"
