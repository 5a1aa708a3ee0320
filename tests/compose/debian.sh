# What the other scripts share; to be sourced. Needs bash.

# Where this machine takes Debian's packages from, by its own apt sources; empty if it is no Debian.
debian_mirror() {
    command -v apt-get >/dev/null || return 0
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite="$(debian_suite)" '$2 == suite && $3 == "main" { print $1; exit }'
}

# The suite this machine runs, such as bookworm; empty if it is no Debian.
debian_suite() {
    . /etc/os-release
    [ "${ID:-}" != debian ] || echo "${VERSION_CODENAME:-}"
}

# fail MESSAGE: what happened, why, and what to do next.
fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# quietly COMMAND...: show what it prints only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" = 0 ] || tail -n 40 "$log" >&2
    rm -f "$log"
    return "$status"
}
