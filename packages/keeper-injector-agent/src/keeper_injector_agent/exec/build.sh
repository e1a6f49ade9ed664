#!/bin/sh
# Builds keeper-exec, a static program without dependencies. Usage: build.sh [OUTPUT]; default: beside its source.
#   CC       compiler; default: musl-gcc (Debian: apt install musl-tools) or cc, if its libc can be linked statically
#   CFLAGS   additional flags, such as -Wno-error for a compiler that is newer than this script
#   VERSION  the version that --version prints
set -eu
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/keeper-exec}
compiler=${CC:-$(command -v musl-gcc || command -v cc)} || { echo "build.sh: no compiler; install musl-tools, or set CC" >&2; exit 1; }

# Debian's musl-gcc accepts -static-pie but links dynamically, so check the program headers of the result.
for linkage in -static-pie -static; do
    # shellcheck disable=SC2086 # CC and CFLAGS may be several words
    $compiler -std=c11 -Os -DVERSION="\"${VERSION:-unreleased}\"" \
        -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
        -fPIE -fstack-protector-strong -fstack-clash-protection -ffunction-sections ${CFLAGS:-} \
        "$linkage" -s -Wl,--gc-sections,--build-id=none,-z,relro,-z,now,-z,noexecstack \
        -o "$output.new" "$here/keeper-exec.c"
    if ! readelf --program-headers "$output.new" | grep -q INTERP; then
        mv "$output.new" "$output"
        exit 0
    fi
done
rm "$output.new"
echo "build.sh: $compiler links dynamically, but keeper-exec must run in images without a libc; set CC" >&2
exit 1
