# Sourced by the checks beside it: throwaway clusters in a folder that goes away at the end.
# shellcheck shell=bash
set -euo pipefail
PG_BIN=${PG_BIN:-/usr/lib/postgresql/15/bin}
work=$(mktemp -d "${TMPDIR:-/tmp}/pg_kafka.XXXXXX")
clusters=()

stop_all() {
  local name
  for name in "${clusters[@]}"; do
    "$PG_BIN/pg_ctl" -D "$work/$name" -s -m immediate stop 2>/dev/null || true
  done
  rm -rf "$work"
}
trap stop_all EXIT

# Clusters have no TCP port: the socket's folder tells them apart.
start() {
  clusters+=("$1")
  mkdir "$work/$1.socket"
  "$PG_BIN/pg_ctl" -D "$work/$1" -s -w -l "$work/$1.log" -o "-c listen_addresses='' -k $work/$1.socket" start ||
    { tail -n 30 "$work/$1.log"; return 1; }
}

new_cluster() {
  "$PG_BIN/initdb" -D "$work/$1" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
  echo "max_prepared_transactions = 20" >>"$work/$1/postgresql.conf"
  start "$1"
}

# on CLUSTER PROGRAM ARGUMENT...: a client program of the server's own version.
on() {
  local cluster=$1 program=$2
  shift 2
  PGHOST=$work/$cluster.socket PGUSER=postgres PGDATABASE=${db:-postgres} "$PG_BIN/$program" "$@"
}

# sql CLUSTER STATEMENT: one statement (or several in one transaction), bare rows out.
sql() { on "$1" psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$2"; }

# expect WHAT WANTED FOUND
expect() {
  if [ "$2" != "$3" ]; then
    printf '%s\nwanted: %s\nfound:  %s\n' "$1" "$2" "$3"
    exit 1
  fi
}
