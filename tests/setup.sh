# Functions for the scripts in tests/setup, which read this file.

# Installs Debian packages; as root, or by sudo.
install_packages() {
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo "installing $*"
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
