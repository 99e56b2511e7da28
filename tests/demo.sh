#!/usr/bin/env bash
# The whole way on the sample extension, in a copy: scan, the diff, the migration, and the proof, which builds the legacy
# and the stable side, audits the symbols of both, and runs the golden cases on both.
#
#   tests/demo.sh FOLDER     FOLDER is made anew; `make demo` puts the tools it needs on PATH
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
group=activation
rm -rf "$1"
mkdir -p "$1"
demo=$(cd "$1" && pwd)
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.org
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.org

say() { printf '\n== %s\n' "$*"; }

# Show a command and run it. The exit code may be `$1`: what scan finds is no failure here.
show() {
  local allowed=$1 code=0
  shift
  printf '\n$ %s\n' "$*"
  "$@" || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne "$allowed" ]; then
    echo "failed with exit code $code: $*" >&2
    exit "$code"
  fi
}

SECONDS=0
say "A copy of the sample extension: operators in the legacy C++ API"
cp -R "$repository/csrc" "$demo/samplex"
mkdir -p "$demo/samplex/golden/$group"
cp "$repository/golden/$group"/* "$demo/samplex/golden/$group/"
cd "$demo/samplex"
git init -q . && git add -A && git commit -q -m "The legacy extension"

say "What is unstable"
show 1 torch-stabilize scan

say "What migrating the group '$group' would do"
show 0 torch-stabilize migrate $group

say "The migration"
show 0 torch-stabilize migrate $group --write --report "$demo/report.html"
git add -A && git commit -q -m "Migrate $group to the stable ABI"

say "The proof: both sides are built; their symbols, device code, operators and outputs are compared"
command -v nvcc >/dev/null || echo "nvcc not found: CUDA units are not compiled"
show 0 torch-stabilize verify $group

say "The audit of the library before, and of the stable one after"
if command -v torch-abi-audit >/dev/null; then
  for side in legacy stable; do
    # With nvcc there is one of all objects, those of CUDA units too: it cannot be loaded, but looked at.
    libraries=$(find build/torch-stabilize/$side/audit -name '*.so' 2>/dev/null || true)
    show 0 torch-abi-audit ${libraries:-build/torch-stabilize/$side/*.so}
  done
else
  echo "torch-abi-audit not found: it needs Python 3.11"
fi

say "Done in $SECONDS s. The migrated tree is $demo/samplex, the report $demo/report.html"
