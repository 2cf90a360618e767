#!/bin/sh
# Three etcd members on free loopback ports, with their data in a temporary directory.
#
#   benches/etcd.sh                    starts them, prints how to reach them, stops them on Enter or Ctrl-C
#   benches/etcd.sh COMMAND [ARG...]   runs the command meanwhile, with ETCD_ENDPOINTS and ETCD_PIDS set
#
# Data goes below TMPDIR: choose a real disk, since a sync on tmpfs costs nothing. All other settings are
# etcd's defaults, in particular a sync before every acknowledgement.
set -eu

command -v etcd >/dev/null || { echo "etcd.sh: etcd is not installed (Debian: etcd-server)" >&2; exit 2; }

data=$(mktemp -d "${TMPDIR:-/tmp}/etcd-bench.XXXXXX")
pids=
stop() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A port is free when no IPv4 socket is bound to it. Those below the kernel's ephemeral range (from 32768
# by default) are looked at, since no outgoing connection is given one of them meanwhile.
next_port=$((20000 + $$ % 10000))
free_port() {
    while awk -v port="$(printf '%04X' "$next_port")" \
        'substr($2, index($2, ":") + 1) == port { found = 1 } END { exit !found }' /proc/net/tcp; do
        next_port=$((next_port + 1))
    done
    port=$next_port
    next_port=$((next_port + 1))
}

cluster= endpoints=
for member in 1 2 3; do
    free_port; eval "client_$member=$port"
    endpoints="$endpoints${endpoints:+,}127.0.0.1:$port"
    free_port; eval "peer_$member=$port"
    cluster="$cluster${cluster:+,}m$member=http://127.0.0.1:$port"
done

for member in 1 2 3; do
    eval "client=http://127.0.0.1:\$client_$member peer=http://127.0.0.1:\$peer_$member"
    etcd --name "m$member" --data-dir "$data/m$member" \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$cluster" --initial-cluster-token "bench-$$" --log-level error \
        >"$data/m$member.log" 2>&1 &
    pids="$pids${pids:+ }$!"
done

# Members that listen may still be electing; `quorate bench` waits for that by itself.
listening() {
    awk -v port="$(printf '%04X' "$1")" \
        '$4 == "0A" && substr($2, index($2, ":") + 1) == port { found = 1 } END { exit !found }' /proc/net/tcp
}
tries=0
for member in 1 2 3; do
    eval "port=\$client_$member"
    until listening "$port"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ]; then
            echo "etcd.sh: member m$member does not listen after 30 s" >&2
            cat "$data/m$member.log" >&2
            exit 3
        fi
        sleep 0.1
    done
done

ETCD_ENDPOINTS=$endpoints
ETCD_PIDS=$(echo "$pids" | tr ' ' ',')
export ETCD_ENDPOINTS ETCD_PIDS

if [ "$#" -gt 0 ]; then
    "$@"
else
    echo "endpoints $ETCD_ENDPOINTS"
    echo "pids $ETCD_PIDS"
    echo "Press Enter to stop." >&2
    read -r _ || true
fi
