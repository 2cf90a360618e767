#!/bin/sh
# Three Quorate members on free loopback ports, with their data in a temporary directory.
#
#   benches/quorate.sh                    starts them, prints how to reach them, stops them on Enter or Ctrl-C
#   benches/quorate.sh COMMAND [ARG...]   runs the command meanwhile, with QUORATE_ENDPOINTS and QUORATE_PIDS set
#
# Data goes below TMPDIR: choose a real disk, since a sync on tmpfs costs nothing. QUORATE is the binary
# (default target/release/quorate); all settings of the members are its defaults.
set -eu

quorate=${QUORATE:-target/release/quorate}
data=$(mktemp -d "${TMPDIR:-/tmp}/quorate-bench.XXXXXX")
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

endpoints=
for member in 1 2 3; do
    free_port; client=$port
    free_port
    printf '[members.%s]\npeer = "127.0.0.1:%s"\nclient = "127.0.0.1:%s"\n' \
        "$member" "$port" "$client" >>"$data/members"
    endpoints="$endpoints${endpoints:+,}127.0.0.1:$client"
done
for member in 1 2 3; do
    {
        printf 'cluster = "bench-%s"\nid = %s\ndata = "%s/m%s"\n' "$$" "$member" "$data" "$member"
        cat "$data/members"
    } >"$data/m$member.toml"
    "$quorate" node --config "$data/m$member.toml" >"$data/m$member.log" 2>&1 &
    pids="$pids${pids:+ }$!"
done

# A member says when it is ready; `quorate bench` waits for the election by itself.
tries=0
for member in 1 2 3; do
    until grep -q "is ready" "$data/m$member.log"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ]; then
            echo "quorate.sh: member $member is not ready after 30 s" >&2
            cat "$data/m$member.log" >&2
            exit 3
        fi
        sleep 0.1
    done
done

QUORATE_ENDPOINTS=$endpoints
QUORATE_PIDS=$(echo "$pids" | tr ' ' ',')
export QUORATE_ENDPOINTS QUORATE_PIDS

if [ "$#" -gt 0 ]; then
    "$@"
else
    echo "endpoints $QUORATE_ENDPOINTS"
    echo "pids $QUORATE_PIDS"
    echo "Press Enter to stop." >&2
    read -r _ || true
fi
