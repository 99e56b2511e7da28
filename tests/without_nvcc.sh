#!/usr/bin/env bash
# Run a command where neither nvcc nor a CUDA toolkit can be found, on a machine that has both.
#
#   tests/without_nvcc.sh COMMAND...
#
# The command sees the same files but for the toolkits in /usr/local and every nvcc on PATH. That takes a mount namespace
# of its own, which Linux gives root and, unless it is configured otherwise, every user.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  unset CUDA_HOME CUDA_PATH CUDACXX NVCC
  own=(--mount)
  [ "$(id -u)" -eq 0 ] || own+=(--map-root-user)
  if ! unshare "${own[@]}" true; then
    echo "without_nvcc.sh: this machine allows no mount namespace, so the CUDA toolkit cannot be hidden" >&2
    exit 2
  fi
  exec unshare "${own[@]}" "$0" --inside "$@"
fi
shift

# Everything in /usr/local is a link to what it was, except for what is left out.
real=$(mktemp -d)
mount --bind /usr/local "$real"
mount -t tmpfs -o mode=755 tmpfs /usr/local
for entry in "$real"/*; do
  case $(basename "$entry") in
    bin | cuda*) ;;
    *) ln -s "$entry" /usr/local/ ;;
  esac
done
mkdir /usr/local/bin
for program in "$real"/bin/*; do
  [ "$(basename "$program")" = nvcc ] || ln -s "$program" /usr/local/bin/
done
while nvcc=$(command -v nvcc); do
  mount --bind /dev/null "$nvcc"
  hash -r
done
exec "$@"
