# Functions for the scripts in tests/setup, which read this file.

# Runs a command as root; by sudo, if need be.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs Debian packages.
install_packages() {
    echo "installing $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# Installs a package of a Debian release's backports, for which the machine may not be set up.
install_from_backports() {
    release=$1 package=$2
    # Only what has been fetched is told below.
    as_root apt-get update -qq
    archive=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sed -n "s/ $release\$//p" | head -1)
    list=/etc/apt/sources.list.d/dogpile-backports.list
    echo "deb $archive $release-backports main" | as_root tee "$list" >/dev/null
    install_packages -t "$release-backports" "$package"
}
