#!/usr/bin/env bash
# The stable library of the sample extension, built with the torch of one Python for an older target, in the torch of
# another: it loads there and gives the recorded outputs.
#
#   tests/two_torches.sh FOLDER OTHER_PYTHON [GROUP...]
#
# FOLDER is made anew. PYTHON is the interpreter to build with, TARGET the oldest torch that has to run the library.
# OTHER_PYTHON needs torch and numpy alone. Without groups, all that have golden cases are run.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
target=${TARGET:-2.10}
folder=$1
other=$2
shift 2
if [ $# -gt 0 ]; then groups=("$@"); else
  groups=()
  for cases in "$repository"/golden/*/cases.toml; do groups+=("$(basename "$(dirname "$cases")")"); done
fi
export PYTHONPATH="$repository/codemod"
export GIT_AUTHOR_NAME=two GIT_AUTHOR_EMAIL=two@example.org GIT_COMMITTER_NAME=two GIT_COMMITTER_EMAIL=two@example.org
tool() { "$python" -c "from torch_stabilize.cli.main import main; main()" "$@"; }
torch_of() { "$1" -c "import torch; print(torch.__version__)"; }

rm -rf "$folder"
mkdir -p "$folder"
cp -R "$repository/csrc" "$folder/samplex"
rm -rf "$folder/samplex/segments" # a package of its own
cd "$folder/samplex"
git init -q . && git add -A && git commit -q -m "The legacy extension"
tool migrate "${groups[@]}" --target "$target" --write >../migrate.log
echo "building with torch $(torch_of "$python") for target $target"
"$python" setup.py build_ext --inplace >../build.log 2>&1
library=$(ls "$PWD"/samplex/_C_stable*.so)

echo "running with torch $(torch_of "$other")"
failed=0
for group in "${groups[@]}"; do
  printf '%s: ' "$group"
  tool golden check "$group" --device cpu --golden "$repository/golden" --library "$library" --python "$other" \
    | sed -n '1s/^golden outputs *//p' || failed=1
done
exit "$failed"
