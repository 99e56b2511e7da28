#!/usr/bin/env bash
# The whole way on the sample extension, in a copy: scan, the diff, the migration, and the proof, which builds the legacy
# and the stable side, audits the symbols of both, and runs the golden cases on both.
#
#   tests/demo.sh FOLDER [EXTENSION]     FOLDER is made anew; `make demo` puts the tools it needs on PATH
#
# EXTENSION is samplex (csrc/, built like vLLM) or segments (csrc/segments, a small package on pybind11 and autograd).
#
# Every step shows a screenful; what it printed in full is in a file of FOLDER that it names.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
extension=${2:-samplex}
case $extension in
  samplex) source=csrc group=activation shown=activation.cpp minutes=2 ;;
  segments) source=csrc/segments group=threshold shown=threshold.cpp minutes=2 ;;
  *)
    echo "there is no sample extension $extension: samplex and segments are there" >&2
    exit 2
    ;;
esac
rm -rf "$1"
mkdir -p "$1"
demo=$(cd "$1" && pwd)
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.org
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.org

say() { printf '\n== %s\n' "$*"; }

# Run a command, with what it prints in a file of FOLDER. Its exit code may be the second argument: that scan finds
# something is no failure here.
run() {
  local file=$demo/$1 allowed=$2 code=0
  shift 2
  printf '\n$ %s\n' "$*"
  "$@" >"$file" || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne "$allowed" ]; then
    tail -n 20 "$file" >&2
    echo "failed with exit code $code, all of it in $file" >&2
    exit "$code"
  fi
}

# The lines of a file from the first that matches the second argument, 20 at most or what the third says, and where all
# of them are.
excerpt() {
  local file=$demo/$1 most=${3:-20} lines
  lines=$(wc -l <"$file")
  sed -n "/${2:-^}/,\$p" "$file" | sed -n "1,${most}p" | cut -c 1-140
  [ "$lines" -le "$most" ] || echo "... all $lines lines: $file"
}

SECONDS=0
say "A copy of the sample extension: operators in the legacy C++ API"
cp -R "$repository/$source" "$demo/$extension"
[ "$extension" != samplex ] || rm -rf "$demo/samplex/segments" # a package of its own
if [ -d "$repository/golden/$group" ]; then
  mkdir -p "$demo/$extension/golden/$group"
  cp "$repository/golden/$group"/* "$demo/$extension/golden/$group/"
fi
cd "$demo/$extension"
git init -q . && git add -A && git commit -q -m "The legacy extension"
echo "$demo/$extension"

say "What is unstable"
run scan.txt 1 torch-stabilize scan
excerpt scan.txt

say "What migrating the group '$group' would do"
run migrate.diff 0 torch-stabilize migrate $group
excerpt migrate.diff "^diff .*\\/$shown"

say "The migration"
run migrate.txt 0 torch-stabilize migrate $group --write --report "$demo/report.html"
excerpt migrate.txt '^Sites'
echo "The report of it: $demo/report.html"
git add -A && git commit -q -m "Migrate $group to the stable ABI"

say "The proof: both sides are built; their symbols, device code, operators and outputs are compared"
if command -v nvcc >/dev/null; then
  echo "About $minutes minutes on two cores, and 10 more where torch is a CUDA build: all CUDA units are compiled then, too."
else
  echo "About $minutes minutes on two cores. nvcc not found: CUDA units are not compiled."
fi
echo "Objects, libraries and what compilers print: $demo/$extension/build/torch-stabilize"
run verify.txt 0 torch-stabilize verify $group
excerpt verify.txt '' 7
tail -n 1 "$demo/verify.txt"

say "The audit of the library before, and of the stable one after"
if command -v torch-abi-audit >/dev/null; then
  for side in legacy stable; do
    # With nvcc there is one of all objects, those of CUDA units too: it cannot be loaded, but looked at.
    libraries=$(find build/torch-stabilize/$side/audit -name '*.so' 2>/dev/null || true)
    run audit-$side.txt 0 torch-abi-audit ${libraries:-build/torch-stabilize/$side/*.so}
    excerpt audit-$side.txt
  done
else
  echo "torch-abi-audit not found: it needs Python 3.11"
fi

say "Done in $SECONDS s. The migrated tree is $demo/$extension, the report $demo/report.html"
