#!/usr/bin/env bash
# Make `docker compose` (v2) work for this user, where it does not: takes the two CLI plugins, Compose and Buildx,
# out of packages of Debian trixie. Installs no package and needs no root.
set -eu
. "$(dirname "$0")/debian.sh"

if docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then
    exit 0
fi
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
mirror=$(debian_mirror)
[ -n "$mirror" ] || fail "this is no Debian with apt sources; install Docker's own compose and buildx plugins"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root" "$plugins"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror trixie main" >"$work/sources.list"

# Its own lists and cache, so that the machine's apt never sees the other suite.
trixie() {
    apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}
quietly trixie update || fail "the package list of trixie could not be read, see above"
cd "$work"
quietly trixie download docker-compose docker-buildx || fail "the packages could not be downloaded, see above"
for package in ./*.deb; do
    dpkg-deb --extract "$package" root
done
for plugin in docker-compose docker-buildx; do
    found=$(find root -type f -path "*/cli-plugins/$plugin")
    [ -n "$found" ] || fail "there is no cli-plugins/$plugin in its package; the package has changed"
    install -m 755 "$found" "$plugins/$plugin"
done
docker compose version >/dev/null 2>&1 || fail "the plugins are in $plugins, but \`docker compose version\` fails"
