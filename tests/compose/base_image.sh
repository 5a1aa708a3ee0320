#!/usr/bin/env bash
# Print the tag of an image to build paxosd on: $PYTHON_IMAGE if it is set, the usual one if a registry can be
# reached, and otherwise a Debian with Python, which is made with debootstrap (needs root, takes a minute) and kept.
#
#   PYTHON_IMAGE=$(tests/compose/base_image.sh) docker compose up
#
# The Debian image trusts the certificate authorities that this machine trusts, so that pip works in a build behind a
# proxy that this machine works behind.
set -eu
. "$(dirname "$0")/debian.sh"

USUAL=python:3.13-slim
OWN=paxosd-base:debian
PACKAGES=python3,python3-venv,python3-pip,ca-certificates
BUNDLE=/etc/ssl/certs/ca-certificates.crt

there() { docker image inspect "$1" >/dev/null 2>&1; }

if [ -n "${PYTHON_IMAGE:-}" ]; then
    echo "$PYTHON_IMAGE"
    exit 0
elif there "$USUAL"; then
    echo "$USUAL"
    exit 0
elif there "$OWN"; then
    echo "$OWN"
    exit 0
elif timeout 120 docker pull --quiet "$USUAL" >/dev/null 2>&1; then
    echo "$USUAL"
    exit 0
fi

or="or set PYTHON_IMAGE to an image that this machine has, with Python 3.11 or newer, venv and pip"
command -v debootstrap >/dev/null ||
    fail "$USUAL cannot be pulled, and there is no debootstrap to make an image with: apt-get install debootstrap, $or"
[ "$(id -u)" = 0 ] || fail "$USUAL cannot be pulled, and debootstrap needs root: run this once as root, $or"
certificates=${PIP_CERT:-$BUNDLE}
[ -f "$certificates" ] || fail "there is no certificate bundle $certificates: install ca-certificates"

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
suite=$(debian_suite)
mirror=$(debian_mirror)
quietly debootstrap --variant=minbase --include="$PACKAGES" "${suite:-bookworm}" "$root" ${mirror:+"$mirror"} ||
    fail "debootstrap failed, see above; is a Debian mirror reachable?"

cp "$certificates" "$root$BUNDLE"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" --one-file-system --exclude='./dev/*' . |
    quietly docker import --change "ENV PIP_CERT=$BUNDLE" - "$OWN" || fail "docker import failed, see above"
echo "$OWN"
