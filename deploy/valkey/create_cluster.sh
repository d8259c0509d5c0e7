#!/bin/sh
# Makes a cluster of the nodes that are named (host:port …), three masters and a replica for each, once; where it stands already nothing is done.
# CLI is valkey-cli or redis-cli, PASSWORD_FILE holds the password of CLUSTER_USER, which may read and write no key.
set -eu
CLI="${CLI:-valkey-cli}"
# One of the two is the client's name for it.
REDISCLI_AUTH="$(cat "$PASSWORD_FILE")"
VALKEYCLI_AUTH="$REDISCLI_AUTH"
export REDISCLI_AUTH VALKEYCLI_AUTH

known() {
  "$CLI" --user "$CLUSTER_USER" --no-auth-warning -h "${1%:*}" -p "${1##*:}" cluster info | tr -d '\r'
}

if known "$1" | grep -q '^cluster_slots_assigned:16384$'; then
  echo "the cluster stands"
else
  "$CLI" --user "$CLUSTER_USER" --no-auth-warning --cluster create "$@" --cluster-replicas 1 --cluster-yes
fi
until known "$1" | grep -q '^cluster_state:ok$'; do sleep 1; done
