#!/usr/bin/env bash
# tests/pythons.sh FOLDER PYTHON...: the wheel, built from the sdist, installed into a fresh environment of each
# interpreter without torch. scan, migrate and check have to work and to give the same bytes with all of them.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
rm -rf "$folder"/*

"${PYTHON:-python3}" -m venv "$folder/builder"
"$folder/builder/bin/python" -m pip install --quiet build
"$folder/builder/bin/python" -m build --outdir "$folder/dist" "$repository" >"$folder/build.log"  # sdist, then wheel from it
wheel=("$folder"/dist/*.whl)

for python in "$@"; do
  name=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  here=$folder/$name
  "$python" -m venv "$here/venv"
  env -i HOME="$here" PATH="$PATH" "$here/venv/bin/python" -m pip install --quiet "${wheel[0]}"
  cp -R "$repository/csrc" "$here/tree"
  rm -rf "$here/tree/segments"
  git -C "$here/tree" init -q && git -C "$here/tree" add -A
  git -C "$here/tree" -c user.name=p -c user.email=p@example.org commit -qm "the sample"
  tool() { (cd "$here/tree" && env -i HOME="$here" PATH="/usr/bin:/bin" "$here/venv/bin/torch-stabilize" "$@"); }
  { tool scan || [ $? -eq 1 ]; } | sed "s#$here##" >"$here/scan"
  tool migrate activation >"$here/diff" 2>"$here/report"
  tool migrate activation --write --report "$here/report.html" >/dev/null
  tool check >"$here/check"
  sha256sum "$here"/{scan,diff,check} | sed "s#$here/##" >"$here/sums"
  cmp "$here/sums" "${first:=$here/sums}"
  echo "Python $name: $(tail -1 "$here/check")"
done
