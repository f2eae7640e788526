#!/usr/bin/env bash
# Puts alerta into .cache/alerta, a virtual environment of its own, for the benchmarks to measure beside.
#
# Where that cannot be, this says why and ends well: the figures are then left out.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=.cache/alerta
lock=tests/benchmarks/alerta.lock
made=$folder/.made

[[ ! $made -nt $lock ]] || exit 0
echo 'Installing alerta for the benchmarks …'
rm -rf "$folder"
mkdir -p .cache
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Wheels only: a compiler and the headers of PostgreSQL are not to be asked for.
if "${PYTHON:-python3}" -m venv "$folder" >"$log" 2>&1 &&
  "$folder/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
    --require-hashes --only-binary :all: -r "$lock" >>"$log" 2>&1; then
  touch "$made"
else
  rm -rf "$folder"
  {
    echo '*** alerta cannot be installed here, and is not measured beside:'
    tail -n 3 "$log"
  } >&2
fi
