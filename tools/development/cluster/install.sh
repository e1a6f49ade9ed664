#!/bin/sh
# Installs what a node and building images need on Debian or Ubuntu; Go comes with neither in a version that is new enough.
set -eu

[ "$(id -u)" = 0 ] || { echo "install.sh: this is root's to do: sudo $0" >&2; exit 77; } # EX_NOPERM
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# iptables and conntrack are only recommended by what uses them, so they are named.
apt-get install -y -qq --no-install-recommends \
    containerd runc containernetworking-plugins iptables conntrack iproute2 \
    buildah mmdebstrap ca-certificates musl-tools >/dev/null
command -v go >/dev/null || echo "install.sh: the node's program needs Go 1.26 or newer: https://go.dev/dl" >&2
