#!/bin/sh
# Two running clusters under the same load, in turn, level by level, so that both are measured in the same
# minute; then the ratios of their medians.
#
#   benches/compare.sh TARGET_A ENDPOINTS_A PIDS_A TARGET_B ENDPOINTS_B PIDS_B [OPTION...]
#
# Endpoints and pids are lists separated by commas; further options go to `quorate bench kv` for both.
# Environment: CLIENTS (levels, default "1 16 64 256"), ROUNDS (default 3), SECONDS_EACH (default 5),
# QUORATE (the binary, default target/release/quorate).
#
# Ratios are A over B: above 1 is better for A in puts/s, below 1 in latency and CPU. The same cluster
# given twice shows how far the ratios stray by chance.
set -eu

if [ "$#" -lt 6 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
target_a=$1 endpoints_a=$2 pids_a=$3 target_b=$4 endpoints_b=$5 pids_b=$6
shift 6

clients=${CLIENTS:-1 16 64 256}
rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-5}
quorate=${QUORATE:-target/release/quorate}
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# measure SIDE TARGET ENDPOINTS PIDS CLIENTS [OPTION...]: shows the row and keeps it.
measure() {
    side=$1 target=$2 endpoints=$3 pids=$4 level=$5
    shift 5
    table=$("$quorate" bench kv --target "$target" --endpoints "$endpoints" --pids "$pids" \
        --clients "$level" --seconds "$seconds" "$@")
    row=$(echo "$table" | tail -n 1)
    printf '%s %-8s%s\n' "$side" "$target" "$row"
    echo "$side $row" >>"$rows"
}

echo "  target       clients      puts/s      p50_ms      p99_ms    p99.9_ms      max_ms      errors members_cpu  client_cpu"
for level in $clients; do
    round=1
    while [ "$round" -le "$rounds" ]; do
        # Who goes first changes each round, lest a slow drift of the machine favours one side.
        if [ $((round % 2)) -eq 1 ]; then
            measure A "$target_a" "$endpoints_a" "$pids_a" "$level" "$@"
            measure B "$target_b" "$endpoints_b" "$pids_b" "$level" "$@"
        else
            measure B "$target_b" "$endpoints_b" "$pids_b" "$level" "$@"
            measure A "$target_a" "$endpoints_a" "$pids_a" "$level" "$@"
        fi
        round=$((round + 1))
    done
done

# median SIDE CLIENTS COLUMN, where column 2 is the number of clients
median() {
    awk -v side="$1" -v level="$2" -v column="$3" '$1 == side && $2 == level { print $column }' "$rows" |
        sort -n | awk '{ value[NR] = $1 }
            END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}

echo
echo "ratios $target_a/$target_b of the medians of $rounds rounds"
printf '%12s%12s%12s%12s%12s\n' clients puts/s p50 p99 members_cpu
for level in $clients; do
    printf '%12s' "$level"
    for column in 3 4 5 9; do
        a=$(median A "$level" "$column") b=$(median B "$level" "$column")
        awk -v a="$a" -v b="$b" 'BEGIN { if (b > 0) printf "%12.2f", a / b; else printf "%12s", "-" }'
    done
    echo
done
