#!/usr/bin/env bash
# Print the DOCKER_CONFIG with which `docker compose` (v2) works: that of this user, if it does; otherwise a directory
# in the virtual environment of this checkout, with the two CLI plugins, Compose and Buildx, out of packages of Debian
# trixie, and with links to what else the user has configured. Installs no package, needs no root, and writes nothing
# into the home of the user.
set -eu
. "$(dirname "$0")/debian.sh"

usual=${DOCKER_CONFIG:-$HOME/.docker}
own=$(cd "$(dirname "$0")/../.." && pwd)/.venv/docker
works() { docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

if works; then
    echo "$usual"
    exit 0
fi
export DOCKER_CONFIG=$own
if works; then
    echo "$own"
    exit 0
fi
mirror=$(debian_mirror)
[ -n "$mirror" ] || fail "\`docker compose\` does not work, and this is no Debian with apt sources to take it from;" \
    "install Docker's own compose and buildx plugins"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root" "$own/cli-plugins"
for each in "$usual"/*; do
    [ ! -e "$each" ] || [ "${each##*/}" = cli-plugins ] || ln -sfn "$each" "$own/${each##*/}"
done
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
    install -m 755 "$found" "$own/cli-plugins/$plugin"
done
works || fail "the plugins are in $own/cli-plugins, but \`docker compose version\` fails"
echo "$own"
