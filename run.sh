#!/bin/sh
# Boots an example kernel: the same as `cargo xtask run`, from any folder, on a machine that may still lack things.
# Only the shell itself is used until cargo is known to be there.

called_from=$PWD
case $0 in
    */*) cd -- "${0%/*}" || exit 1 ;;
esac

# The oldest Rust that builds the examples stands in xtask's manifest, and nowhere else.
while read -r key equals value rest; do
    if [ "$key $equals" = "rust-version =" ]; then
        needed=${value#\"}
        needed=${needed%\"}
    fi
done <xtask/Cargo.toml

advise() {
    echo "error: $1; Rust $needed or newer is needed, and this installs it:" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\"" >&2
    exit 1
}

command -v cargo >/dev/null 2>&1 || advise "there is no cargo"

# "cargo 1.95.0 (…)": the number between the first two dots decides.
version=$(cargo --version 2>/dev/null) || advise "cargo does not run"
version=${version#cargo }
version=${version%% *}
minor=${version#*.}
minor=${minor%%.*}
case $minor in
    '' | *[!0-9]*) advise "cargo's version is not understood ($version)" ;;
esac
[ "$minor" -ge "${needed#*.}" ] || advise "cargo is too old ($version); with rustup, \`rustup update\` is enough"

# Programs that run on this machine, xtask first, are linked by the C compiler.
if ! command -v cc >/dev/null 2>&1; then
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    install="$root apt-get install --no-install-recommends gcc libc6-dev"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "error: there is no C compiler (cc), which Rust links with; install gcc or clang" >&2
        exit 1
    fi
    if [ -n "$root" ] && { ! command -v sudo >/dev/null 2>&1 || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; }; then
        echo "error: there is no C compiler (cc), which Rust links with; type: $install" >&2
        exit 1
    fi
    if [ -t 0 ]; then
        printf 'There is no C compiler (cc), which Rust links with. Install gcc with apt? [Y/n] ' >&2
        read -r answer || answer=n
        case $answer in
            '' | [Yy]*) ;;
            *) echo "error: then type: $install" >&2; exit 1 ;;
        esac
    fi
    $root timeout 300 apt-get --quiet=2 update
    $root timeout 900 env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 install --yes --no-install-recommends \
        gcc libc6-dev >&2 || { echo "error: that did not work; type: $install" >&2; exit 1; }
fi

# Only the first time, when it takes a while: cargo shows how far it is, on a terminal.
if [ ! -e "${CARGO_TARGET_DIR:-target}/debug/xtask" ]; then
    if [ -t 2 ]; then
        cargo build --package xtask || exit 1
    else
        echo "building xtask ..." >&2
    fi
fi

XTASK_CALLED_FROM=$called_from
export XTASK_CALLED_FROM
exec cargo xtask run "$@"
