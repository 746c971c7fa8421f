#!/bin/sh
# The whole job against a simulated Campaign, as a person would type it. Called by `make demo`.
set -eu

samples=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
simulator=
trap 'test -z "$simulator" || { kill "$simulator"; wait "$simulator" || true; }; rm -rf "$work"' EXIT
cd "$work"

mkfifo url
bulk-sync simulate --port 0 --profiles-csv "$samples/profiles.csv" \
    --organization acme --api-key demo-key --access-token demo-token >url 2>simulator.log &
simulator=$!
read -r BULK_SYNC_ENDPOINT <url
export BULK_SYNC_ENDPOINT BULK_SYNC_ORGANIZATION=acme BULK_SYNC_API_KEY=demo-key
export BULK_SYNC_ACCESS_TOKEN=demo-token BULK_SYNC_STATE_DIR="$work/state"
echo "A simulated Campaign with 1,000 made-up profiles answers at $BULK_SYNC_ENDPOINT."

results=$samples/../.cache/demo
rm -rf "$results"
mkdir -p "$results"
results=$(cd "$results" && pwd)
number=0
run() {
    number=$((number + 1))
    echo
    echo "\$ bulk-sync run messy.csv"
    status=0
    bulk-sync run "$samples/messy.csv" --report "$results/run-$number.csv" -q || status=$?
    echo "(exit status $status)"
    test "$status" -eq 3
}

run
echo
echo "messy.csv holds every kind of bad row on purpose; the report explains each. Once more, to show"
echo "that nothing is left to write:"
run
echo
echo "Nothing was written the second time. Every run and every write is in the ledger:"
echo
echo "\$ bulk-sync runs"
bulk-sync runs
echo
echo "\$ bulk-sync ledger verify"
bulk-sync ledger verify
echo
echo "The report, one line per row of messy.csv:"
echo "  $results/run-1.csv"
