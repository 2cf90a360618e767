#!/usr/bin/env bash
# The same system in three checkers, one after the other: TLC, stateright and the graph of quorate-fair.
#   benches/checkers.sh [RESOURCE-MANAGERS]
# TLC is fetched by specs/check; two threads each, but for quorate-fair, which has one.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
managers=${1:-8}
[[ $managers =~ ^[0-9]+$ ]] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

cd "$root"
cargo build --release --quiet -p quorate-model --example two_phase
specs/check TwoPhase3 >&2 # fetches TLC and Java where they are missing

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp specs/fair/TwoPhase.tla "$scratch"
sed "s/N = .*/N = $managers/" specs/fair/TwoPhase8.cfg >"$scratch/TwoPhase.cfg"
jar=${TLC_JAR:-$root/target/tlc/tla2tools.jar}
began=$(date +%s.%N)
(cd "$scratch" && java -XX:+UseParallelGC "-Xmx${TLC_HEAP:-4g}" -cp "$jar" tlc2.TLC -workers 2 -deadlock \
    -metadir "$scratch/states" -config TwoPhase.cfg TwoPhase.tla) >"$scratch/out"
ended=$(date +%s.%N)
counts=$(grep 'states left on queue' "$scratch/out" | tail -1)
read -r generated distinct < <(sed 's/^\([0-9]*\) states generated, \([0-9]*\) distinct.*/\1 \2/' <<<"$counts")
awk -v distinct="$distinct" -v generated="$generated" -v began="$began" -v ended="$ended" 'BEGIN {
    rate = generated / (ended - began)
    printf "TLC: %d distinct, %d generated, %d a second on 2 threads, its start included\n", distinct, generated, rate
}'
target/release/examples/two_phase "$managers" 2
