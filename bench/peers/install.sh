#!/bin/sh
# Installs what `make bench` compares paxosd with: etcd and h2load out of Debian's packages (as root), strace for the
# slow disk, a C compiler if there is none, and the Python peers into this checkout's virtual environment. What cannot
# be had is named; `make bench` then reports those rows as missing.
set -u
cd "$(dirname "$0")/../.."

missing=""
have() { command -v "$1" >/dev/null 2>&1; }
have etcd || missing="$missing etcd-server"
have h2load || missing="$missing nghttp2-client"
have strace || missing="$missing strace"
have cc || missing="$missing gcc libc6-dev"
if [ -n "$missing" ]; then
    if have apt-get && [ "$(id -u)" = 0 ]; then
        # A package of a server may start it: it must not here.
        export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get update -qq
        for package in $missing; do
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "$package: not installed"
        done
    else
        echo "not installed, which takes Debian's apt-get, as root:$missing"
    fi
fi

make --no-print-directory .venv/installed
.venv/bin/python -m pip install --quiet --group bench || echo "the Python peers: not all are installed"
