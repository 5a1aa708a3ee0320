#!/usr/bin/env bash
# Make a Debian image with Python to build paxosd on, where no image registry can be reached.
#
#   tests/compose/base_image.sh [--fresh]     prints the image's tag; makes it only if there is none, or --fresh
#
# The image trusts the certificate authorities that this machine trusts, so that pip works in a build behind a
# proxy that this machine works behind.
set -eu
. "$(dirname "$0")/debian.sh"

TAG=${PAXOSD_BASE_TAG:-paxosd-base:debian}
PACKAGES=python3,python3-venv,python3-pip,ca-certificates
BUNDLE=/etc/ssl/certs/ca-certificates.crt

if [ "${1:-}" != --fresh ] && docker image inspect "$TAG" >/dev/null 2>&1; then
    echo "$TAG"
    exit 0
fi
command -v debootstrap >/dev/null || fail "debootstrap is not installed; install it (apt-get install debootstrap)"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root; run this once as root, it is kept as the image $TAG"

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
suite=$(debian_suite)
mirror=$(debian_mirror)
quietly debootstrap --variant=minbase --include="$PACKAGES" "${suite:-bookworm}" "$root" ${mirror:+"$mirror"} ||
    fail "debootstrap failed, see above; is a Debian mirror reachable?"

cp "${PIP_CERT:-$BUNDLE}" "$root$BUNDLE" || fail "there is no certificate bundle; install ca-certificates"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" --one-file-system --exclude='./dev/*' . |
    quietly docker import --change "ENV PIP_CERT=$BUNDLE" - "$TAG" || fail "docker import failed, see above"
echo "$TAG"
