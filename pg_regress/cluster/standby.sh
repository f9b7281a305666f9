# A streaming standby serves fetches, with the primary's watermarks, and refuses to produce;
# promoted, it goes on at the next offset with a higher leader epoch.
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
