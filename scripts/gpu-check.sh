#!/bin/sh
# Checks the cuda backend on a machine with an NVIDIA GPU and no network, in less than eight minutes. Prints one JSON line.
#
#   node scripts/gpu-check.mjs FOLDER    # here, with the network: makes FOLDER with all that is needed
#   sh FOLDER/gpu-check.sh               # there; uses FOLDER/node.gz if it is there, else the system's Node
#
# NVRTC and cuBLASLt are those of the system or of PyTorch; QUERN_NVRTC and QUERN_CUBLASLT name others. PyTorch, where python3 has it, is timed beside Quern.
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
node="$room/node"
{ [ -f "$here/node.gz" ] && gzip -dc "$here/node.gz" > "$node" && chmod +x "$node"; } || node=$(command -v node) || { echo "gpu-check: no Node beside this script and none in PATH" >&2; exit 2; }
# PyTorch brings both libraries; their folder depends on the version of CUDA.
in_python() {
  command -v python3 > /dev/null || return 0
  python3 - "$1" <<'PYTHON'
import glob, site, sys
roots = site.getsitepackages() + [site.getusersitepackages()]
found = [path for root in roots for path in glob.glob(root + "/nvidia/*/lib/" + sys.argv[1])]
print(found[0] if found else "")
PYTHON
}
[ -n "$QUERN_NVRTC" ] || QUERN_NVRTC=$(in_python "libnvrtc.so.*")
[ -n "$QUERN_NVRTC" ] && export QUERN_NVRTC || unset QUERN_NVRTC
[ -n "$QUERN_CUBLASLT" ] || QUERN_CUBLASLT=$(in_python "libcublasLt.so.*")
[ -n "$QUERN_CUBLASLT" ] && export QUERN_CUBLASLT || unset QUERN_CUBLASLT
QUERN_CACHE=${QUERN_CACHE:-$room}
export QUERN_CACHE
exec timeout 480 "$node" "$here/dist/test/backends/cuda/gpu-check.js" "$@"
