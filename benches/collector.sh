#!/bin/sh
# `quorate collector` and another OTLP endpoint under the same load, in turn, so that both are measured in the
# same minute; then the ratios of their medians.
#
#   benches/collector.sh PEER_ENDPOINT PEER_PID [OPTION...]
#
# The peer is started by you; further options go to `quorate bench otlp` for both. Environment: ROUNDS
# (default 3), SECONDS_EACH (default 8), WARMUP (default 9: longer than the quiet window, so that traces are
# sealed as fast as they come), CONFIG (of the collector), QUORATE (the binary, default
# target/release/quorate). The collector's data goes below TMPDIR: choose a real disk.
#
# Ratios are Quorate over the peer: above 1 is better in spans/s, below 1 in the others.
set -eu

if [ "$#" -lt 2 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
peer=$1 peer_pid=$2
shift 2

rounds=${ROUNDS:-3}
quorate=${QUORATE:-target/release/quorate}
data=$(mktemp -d "${TMPDIR:-/tmp}/quorate-bench.XXXXXX")
pid=
stop() {
    trap - EXIT INT TERM
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start: a collector with an empty directory; sets pid and endpoint.
start() {
    "$quorate" collector ${CONFIG:+--config "$CONFIG"} --data "$data/collector" \
        --grpc 127.0.0.1:0 --http 127.0.0.1:0 --query 127.0.0.1:0 >"$data/said" 2>&1 &
    pid=$!
    tries=0
    until grep -q "is ready" "$data/said"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            cat "$data/said" >&2
            exit 3
        fi
        sleep 0.1
    done
    endpoint=$(sed -n 's/.*OTLP\/gRPC on \([^,]*\),.*/\1/p' "$data/said")
}

# measure SIDE ENDPOINT PID [OPTION...]: shows a row and keeps it.
measure() {
    side=$1
    table=$("$quorate" bench otlp --endpoint "$2" --pid "$3" --seconds "${SECONDS_EACH:-8}" \
        --warmup-seconds "${WARMUP:-9}" $4)
    row=$(echo "$table" | awk '/^spans a second/ { rate = $NF } /^latency p99, / { p99 = $NF }
        /^server CPU/ { cpu = $NF } /^server peak/ { peak = $NF }
        END { printf "%12s%12s%12s%12s\n", rate, p99, cpu, peak }')
    printf '%-8s%s\n' "$side" "$row"
    echo "$side $row" >>"$data/rows"
}

printf '%-8s%12s%12s%12s%12s\n' "" spans/s p99_ms cpu_s/M peak_MiB
round=1
while [ "$round" -le "$rounds" ]; do
    start
    measure quorate "$endpoint" "$pid" "$*"
    kill "$pid"
    wait "$pid" 2>/dev/null || true
    pid=
    rm -rf "$data/collector"
    measure peer "$peer" "$peer_pid" "$*"
    round=$((round + 1))
done

# median SIDE COLUMN
median() {
    awk -v side="$1" -v column="$2" '$1 == side { print $column }' "$data/rows" | sort -n |
        awk '{ value[NR] = $1 }
            END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}
printf '%-8s' ratio
for column in 2 3 4 5; do
    awk -v a="$(median quorate "$column")" -v b="$(median peer "$column")" \
        'BEGIN { if (b > 0) printf "%12.2f", a / b; else printf "%12s", "-" }'
done
echo
