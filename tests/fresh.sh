#!/usr/bin/env bash
# `make demo` and `make test` as on a new machine: in clean clones, with nothing of this user's environment, for each of
# {CPU build, CUDA build of torch} x {with nvcc, without}.
#
#   tests/fresh.sh FOLDER [cpu-nvcc|cpu|cuda-nvcc|cuda]...
#
# FOLDER gets the clones, logs and downloads, 15 GB for all four; what is there is used again, but for the clones. CPU_TORCH
# and CUDA_TORCH say what pip installs, with its options. The last commit is what is cloned.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1/home"
folder=$(cd "$1" && pwd)
shift
declare -A torch=(
  [cpu]=${CPU_TORCH:-torch==2.13.0+cpu --extra-index-url https://download.pytorch.org/whl/cpu}
  [cuda]=${CUDA_TORCH:-torch==2.13.0}
)
combinations=("$@")
[ $# -gt 0 ] || combinations=(cpu-nvcc cpu cuda-nvcc cuda)

# Run `make` in the clone of a combination, into a log.
bare_make() {
  local name=$1 target=$2 hidden=()
  [[ $name == *-nvcc ]] || hidden=("$repository/tests/without_nvcc.sh")
  cd "$folder/$name"
  "${hidden[@]}" env -i HOME="$folder/home" PATH="$PATH" LANG=C.UTF-8 TORCH="${torch[${name%-nvcc}]}" \
    make "$target" >"$folder/$name-$target.log" 2>&1
}

failed=0
for name in "${combinations[@]}"; do
  if [[ $name == *-nvcc ]] && ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    echo "$name: left out, for there is no nvcc here"
    failed=1
    continue
  fi
  rm -rf "${folder:?}/$name"
  git clone --quiet "$repository" "$folder/$name"
  for target in environment demo test; do
    SECONDS=0
    outcome=passed
    bare_make "$name" "$target" || { outcome=FAILED; failed=1; }
    case $target in
      environment) found="$(tail -n 1 "$folder/$name-$target.log"); $(du -sh "$folder/$name/.venv" | cut -f 1)" ;;
      demo) found=$(grep -E '^(nothing but|proven on)' "$folder/$name-demo.log" || true) ;;
      test) found=$(grep -E '^[=]* ?[0-9]+ (passed|failed)' "$folder/$name-test.log" || true) ;;
    esac
    echo "$name: make $target $outcome after $SECONDS s: $found"
  done
done
echo "The logs: $folder/*.log"
exit "$failed"
