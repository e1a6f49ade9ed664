#!/bin/sh
# Builds keeper-exec, one static program without dependencies. Usage: build.sh [OUTPUT]; default: beside its source.
#   CC       compiler; default musl-gcc (Debian: apt install musl-tools), else cc, whose libc must link statically
#   CFLAGS   further flags, such as -Wno-error for a compiler newer than this file
#   VERSION  what --version says
set -eu
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/keeper-exec}
compiler=${CC:-$(command -v musl-gcc || command -v cc)} || { echo "build.sh: no compiler; install musl-tools, or set CC" >&2; exit 1; }

# Debian's musl-gcc takes -static-pie and links dynamically all the same: the program header says which it became.
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
echo "build.sh: $compiler links dynamically; keeper-exec must run in images without a libc" >&2
exit 1
