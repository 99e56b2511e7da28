#!/usr/bin/env bash
# Fill a folder with what a GPU machine without network needs beside this repository: the sample extension before and
# after its migration, the stable library built here with another torch, and the packages of the command line.
#
#   tests/gpu/prepare.sh [FOLDER] [GROUP...]     FOLDER is build/gpu; without groups, all that have golden cases
#
# PYTHON is the interpreter that has torch-stabilize's packages. NO_LIBRARY=1 leaves the library out. RELEASE=1 adds the
# release whose all-reduce kernels run between two GPUs (prepare_release.py); it is fetched as `make replay` does it.
# libraries.json says which units `run.py --units-alone` builds.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$repository/build/gpu}
shift || true
python=${PYTHON:-python3}
if [ $# -gt 0 ]; then groups=("$@"); else
  groups=()
  for cases in "$repository"/golden/*/cases.toml; do groups+=("$(basename "$(dirname "$cases")")"); done
fi
tool=("$python" -c "from torch_stabilize.cli.main import main; main()")
export PYTHONPATH="$repository/codemod"
export GIT_AUTHOR_NAME=gpu GIT_AUTHOR_EMAIL=gpu@example.org GIT_COMMITTER_NAME=gpu GIT_COMMITTER_EMAIL=gpu@example.org

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cp -R "$repository/csrc" "$folder/legacy"
cp -R "$repository/csrc" "$folder/stable"
rm -rf "$folder"/{legacy,stable}/segments # a package of its own
(
  cd "$folder/stable"
  git init -q . && git add -A && git commit -q -m "The legacy extension"
  "${tool[@]}" migrate "${groups[@]}" --json | "$python" -m tests.gpu.describe_sample "$folder"
  "${tool[@]}" migrate "${groups[@]}" --write >"$folder/migrate.log"
  rm -rf .git
)

# Pure Python, for whichever Python the other machine has.
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$folder/deps" click rich
# The headers of CUTLASS, which setup.py looks for.
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$folder/deps" --no-deps nvidia-cutlass
find "$folder/deps" -path '*/source/*' -not -path '*/source/include/*' -type f -delete
rm -rf "$folder/deps/bin"

if [ -z "${NO_LIBRARY:-}" ]; then
  (cd "$folder/stable" && "$python" setup.py --quiet build_ext --inplace >"$folder/build.log" 2>&1)
  mkdir "$folder/other_torch"
  mv "$folder"/stable/samplex/_C_stable*.so "$folder/other_torch/"
  strip --strip-debug "$folder"/other_torch/*.so
  "$python" -c "import torch; print(torch.__version__)" >"$folder/other_torch/built_with"
  rm -rf "$folder"/stable/build "$folder"/stable/samplex/*.so
fi
if [ -n "${RELEASE:-}" ]; then
  (cd "$repository" && "$python" -m tests.gpu.prepare_release "$folder/release")
fi
git -C "$repository" describe --always --dirty --abbrev=12 >"$folder/commit" 2>/dev/null || true
du -sh "$folder"
