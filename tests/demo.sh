#!/usr/bin/env bash
# The whole way on the sample extension, in a copy: scan, the diff, the legacy build with its audit and goldens, the
# migration, the build after it with its audit, and the goldens again.
#
#   tests/demo.sh FOLDER     FOLDER is made anew; `make demo` puts the tools it needs on PATH
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
group=activation
rm -rf "$1"
mkdir -p "$1"
demo=$(cd "$1" && pwd)
tree=$demo/samplex
goldens=$demo/golden
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.org
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.org
export MAX_JOBS=${MAX_JOBS:-2}

say() { printf '\n== %s\n' "$*"; }

# Show a command and run it. Exit code 1 of torch-stabilize says that findings remain, which is no failure here.
show() {
  printf '\n$ %s\n' "$*"
  local code=0
  "$@" || code=$?
  if [ "$code" -gt 1 ] || { [ "$code" -eq 1 ] && [ "$1" != torch-stabilize ]; }; then
    echo "failed with exit code $code: $*" >&2
    exit "$code"
  fi
}

# Like show, for a command whose output nobody reads unless it fails.
quietly() {
  printf '\n$ %s\n' "$*"
  "$@" >"$demo/build.log" 2>&1 || { tail -n 60 "$demo/build.log" >&2; exit 1; }
}

SECONDS=0
say "A copy of the sample extension: an op library in the legacy C++ API"
cp -R "$repository/csrc" "$tree"
mkdir -p "$goldens/$group"
cp "$repository/golden/$group"/*.toml "$goldens/$group/"
cd "$tree"
git init -q . && git add -A && git commit -q -m "The legacy extension"

say "What is unstable"
show torch-stabilize scan

say "What a migration of the group '$group' would do"
show torch-stabilize migrate $group

say "The legacy build, its symbols, and what its ops return"
quietly python setup.py build_ext --inplace
legacy=$(ls samplex/_C.*so)
show torch-abi-audit "$legacy" || true
show torch-stabilize golden record $group --library "$legacy" --golden "$goldens"

say "The migration"
show torch-stabilize migrate $group --write --report "$demo/report.html"
git add -A && git commit -q -m "Migrate $group to the stable ABI"

say "The build after it: the legacy library without the group, and the stable library with it"
quietly python setup.py build_ext --inplace
stable=$(ls samplex/_C_stable_libtorch*.so)
show torch-abi-audit "$stable"

say "The same inputs, the same bits"
show torch-stabilize golden check $group --library "$legacy" --library "$stable" --golden "$goldens"

say "Done in $SECONDS s. The migrated tree is $tree, the report $demo/report.html"
