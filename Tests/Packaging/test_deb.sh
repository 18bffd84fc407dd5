#!/bin/bash
# The package and `make install`: what they put where, with which modes, and that nothing stays behind.
# Usage: Tests/Packaging/test_deb.sh [--binary FILE] [--config FILE]
# Two test roots: a scratch folder that dpkg fills without a chroot, and, for root, a copy-on-write view of this
# machine in a mount namespace of its own, where the maintainer scripts run as on a host without systemd running.
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=$here/.build/release/godwit
config=$here/config.toml
while (($#)); do
    case $1 in
        --binary) binary=$(realpath "$2") ;;
        --config) config=$(realpath "$2") ;;
        *) echo "test_deb: unknown option $1" >&2; exit 64 ;;
    esac
    shift 2
done
export PATH=$PATH:/usr/sbin:/sbin

passed=0 failed=0 skipped=0
# check NAME COMMAND...: one test; the command's output shows when it fails.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        [[ -n $said ]] && sed 's/^/     /' <<<"$said" | tail -n 30
    fi
}
skip() { skipped=$((skipped + 1)); echo "skip $1"; }
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed)) && exit 1
    exit 0
}
same() { [[ $1 == "$2" ]] || { printf 'wanted: %s\n   got: %s\n' "$1" "$2"; return 1; }; }
no_difference() { diff -u "$1" "$2"; }

for tool in dpkg-deb dpkg-shlibdeps; do
    command -v $tool >/dev/null || { skip "everything: no $tool (package dpkg-dev)"; finish; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(cat "$here/packaging/VERSION")

# -- Building ----------------------------------------------------------------------------------------------------------

build() { "$here/packaging/build-deb" --binary "$binary" --version "$version" --output "$1" --config "$config"; }
export SOURCE_DATE_EPOCH=1700000000
check "the package builds" build "$work/one"
deb=$(echo "$work"/one/*.deb)
[[ -e $deb ]] || finish
build "$work/two" >/dev/null 2>&1
check "the same inputs give the same bytes" cmp "$deb" "$(echo "$work"/two/*.deb)"

want_modes='drwxr-xr-x ./etc/godwit/
-rw-r----- ./etc/godwit/config.toml
-rw-r--r-- ./etc/default/godwit
-rwxr-xr-x ./usr/bin/godwit
-rw-r--r-- ./usr/lib/systemd/system/godwit.service
-rw-r--r-- ./usr/lib/sysusers.d/godwit.conf
-rw-r--r-- ./usr/lib/tmpfiles.d/godwit.conf
-rw-r--r-- ./usr/share/man/man1/godwit.1.gz
-rw-r--r-- ./usr/share/bash-completion/completions/godwit
-rw-r--r-- ./usr/share/zsh/vendor-completions/_godwit
-rw-r--r-- ./usr/share/fish/vendor_completions.d/godwit.fish
-rw-r--r-- ./usr/share/doc/godwit/copyright'
listing=$(dpkg-deb --contents "$deb")
modes() {
    while read -r mode path; do
        grep -qE "^$mode root/root .* ${path//./\\.}$" <<<"$listing" || echo "missing or wrong: $mode $path"
    done <<<"$want_modes" | { ! grep .; }
}
check "every file is there with its mode" modes
check "everything belongs to root" same "" "$(grep -v ' root/root ' <<<"$listing")"
check "nothing is writable for others" same "" "$(grep -E '^[-d].......w' <<<"$listing")"
check "the configuration files are marked" same \
    "/etc/godwit/config.toml /etc/default/godwit" "$(dpkg-deb --info "$deb" conffiles | xargs)"
field() { dpkg-deb --field "$deb" "$1"; }
check "the version is the tree's" same "$version" "$(field Version)"
check "the architecture is this machine's" same "$(dpkg --print-architecture)" "$(field Architecture)"
depends() { for name in libc6 libcurl4 zlib1g libstdc++6; do field Depends | grep -qF "$name" || { echo "no $name in: $(field Depends)"; return 1; }; done; }
check "the libraries are dependencies" depends
scripts_parse() { mkdir -p "$work/control" && dpkg-deb --control "$deb" "$work/control" && for s in postinst prerm postrm; do sh -n "$work/control/$s" || return 1; done; }
check "the maintainer scripts parse" scripts_parse
sums() { dpkg-deb --extract "$deb" "$work/extracted" && cd "$work/extracted" && md5sum --quiet -c "$work/control/md5sums"; }
check "the checksums hold" sums
check "the packaged binary runs" "$work/extracted/usr/bin/godwit" --version
check "the program tells the package's version" same "$version" "$("$binary" --version)"
check "the packaged binary is stripped" same "" "$(nm "$work/extracted/usr/bin/godwit" 2>/dev/null)"

# -- A scratch root without a chroot -----------------------------------------------------------------------------------

root=$work/root
# With the folders that any Debian root has, and something in them, so that dpkg keeps them.
mkdir -p "$root"/{etc/systemd/system,etc/default,var/lib/dpkg/{info,updates},var/lib/systemd,usr/bin,usr/sbin,run,tmp}
touch "$root"/{usr/bin,etc/default}/other
: >"$root/var/lib/dpkg/status"
: >"$root/var/lib/dpkg/available"
into() { dpkg --root="$root" --force-not-root --force-script-chrootless --force-depends --log="$work/dpkg.log" "$@"; }
remains() { (cd "$root" && find . -mindepth 1 ! -path './var/lib/dpkg/*' ! -path './etc/*passwd*' ! -path './etc/*group*' \
    ! -path './etc/*shadow*' ! -path './etc/.pwd.lock' | LC_ALL=C sort); }
remains >"$work/before"

check "scratch root: installs" into --install "$deb"
mode_of() { stat -c '%a' "$root/$1"; }
check "scratch root: state is private" same 700 "$(mode_of var/lib/godwit)"
if command -v systemd-sysusers >/dev/null; then
    number() { awk -F: '$1 == "godwit" { print $3 }' "$root/etc/$1"; }
    check "scratch root: the user is made in that root" grep -q '^godwit:' "$root/etc/passwd"
    if ((EUID == 0)); then
        check "scratch root: the group reads the configuration, others do not" same \
            "640 0:$(number group)" "$(stat -c '%a %u:%g' "$root/etc/godwit/config.toml")"
        check "scratch root: the state is the user's" same \
            "$(number passwd):$(number group)" "$(stat -c '%u:%g' "$root/var/lib/godwit")"
    fi
else
    skip "scratch root: the user (no systemd-sysusers)"
fi
echo "# mine" >>"$root/etc/godwit/config.toml"
touch "$root/var/lib/godwit/backlog"
check "scratch root: installs again over itself" into --force-confdef --install "$deb"
check "scratch root: an edited configuration stays" grep -q '^# mine' "$root/etc/godwit/config.toml"
check "scratch root: removes" into --remove godwit
gone() { [[ ! -e $root/usr/bin/godwit && ! -e $root/usr/lib/systemd/system/godwit.service ]]; }
check "scratch root: removing takes the program" gone
kept() { [[ -e $root/etc/godwit/config.toml && -e $root/var/lib/godwit/backlog ]]; }
check "scratch root: removing keeps configuration and state" kept
check "scratch root: purges" into --purge godwit
remains >"$work/after"
check "scratch root: purging leaves nothing" no_difference "$work/before" "$work/after"

# -- This machine seen copy-on-write -----------------------------------------------------------------------------------

cat >"$work/inside" <<'INSIDE'
set -eu
deb=$1
export DEBIAN_FRONTEND=noninteractive
# What an agent that once ran here as root left behind is not this package's.
rm -rf /var/lib/godwit /etc/godwit
snapshot() { find /etc /usr /var /opt ! -path '/var/lib/dpkg/*' ! -path '/var/cache/*' ! -path '/var/log/*' ! -path '/etc/*passwd*' \
    ! -path '/etc/*group*' ! -path '/etc/*shadow*' ! -path '/etc/*subuid*' ! -path '/etc/*subgid*' ! -path '/etc/.pwd.lock' \
    ! -path '/var/lib/systemd/deb-systemd-helper-enabled' 2>/dev/null | LC_ALL=C sort; }
[ "${2-}" != bare ] || rm -f /usr/bin/systemd-sysusers /usr/bin/systemd-tmpfiles /usr/bin/deb-systemd-helper
snapshot >/tmp/before
dpkg --install "$deb"
id godwit
[ "$(stat -c '%a %U:%G' /etc/godwit/config.toml)" = '640 root:godwit' ]
[ "$(stat -c '%a %U:%G' /var/lib/godwit)" = '700 godwit:godwit' ]
[ "$(getent passwd godwit | cut -d: -f7)" = /usr/sbin/nologin ]
godwit --version
if [ "${2-}" != bare ]; then
    systemd-analyze verify --man=no /usr/lib/systemd/system/godwit.service 2>&1 | { ! grep godwit.service; }
    [ -L /etc/systemd/system/multi-user.target.wants/godwit.service ]
fi
! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q '/usr/bin/godwit$'
dpkg --install "$deb"
dpkg --remove godwit
[ -d /var/lib/godwit ] && [ -e /etc/godwit/config.toml ]
dpkg --install "$deb"
dpkg --purge godwit
snapshot >/tmp/after
diff /tmp/before /tmp/after
INSIDE
# in_overlay ARGUMENT...: runs the script above in a chroot over an overlay of /, gone when it ends.
in_overlay() {
    unshare --mount --pid --fork bash -euc '
        mount -t tmpfs -o size=1g tmpfs "$1"
        mkdir "$1/upper" "$1/work" "$1/root"
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
        mount -t proc proc "$1/root/proc"
        mount -t tmpfs tmpfs "$1/root/run"
        mount -t tmpfs tmpfs "$1/root/tmp"
        mknod -m 666 "$1/root/run/null" c 1 3
        mount --bind /dev "$1/root/dev"
        cp "$2" "$1/root/tmp/inside"; cp "$3" "$1/root/tmp/godwit.deb"
        chroot "$1/root" sh /tmp/inside /tmp/godwit.deb "${4-}"' overlay "$work/overlay" "$work/inside" "$deb" "$@"
}
mkdir -p "$work/overlay"
if ((EUID != 0)); then
    skip "copy-on-write root: not root"
elif ! unshare --mount bash -c 'mount -t tmpfs t "$1" && cd "$1" && mkdir u w r &&
        mount -t overlay o -o lowerdir=/,upperdir=u,workdir=w r' probe "$work/overlay" 2>/dev/null; then
    skip "copy-on-write root: this kernel mounts no overlay here"
elif id godwit >/dev/null 2>&1 || dpkg -s godwit >/dev/null 2>&1; then
    skip "copy-on-write root: godwit is already installed on this machine"
else
    check "a host without systemd running: installs, upgrades, removes, purges and leaves nothing" in_overlay
    check "the same without systemd's tools: the user comes from adduser" in_overlay bare
fi

# -- make install ------------------------------------------------------------------------------------------------------

place() { make --no-print-directory -C "$here" "$1" DESTDIR="$work/dest" PREFIX="$2" BINARY="$binary"; }
files_left() { (cd "$work/dest" && find . -type f -o -type l | LC_ALL=C sort); }
if [[ -e $here/config.toml ]]; then
    check "make install DESTDIR=" place install /usr
    check "make install: the binary runs" "$work/dest/usr/bin/godwit" --version
    check "make install: modes" same "755 644 640" "$(cd "$work/dest" && echo $(stat -c %a usr/bin/godwit usr/lib/systemd/system/godwit.service etc/godwit/config.toml))"
    check "make uninstall DESTDIR=" place uninstall /usr
    check "make uninstall leaves no file" same "" "$(files_left)"
    place install /usr/local >/dev/null 2>&1
    check "make install PREFIX=/usr/local: the unit starts that binary" grep -q \
        '^ExecStart=/usr/local/bin/godwit run --config /etc/godwit/config.toml$' "$work/dest/usr/local/lib/systemd/system/godwit.service"
    echo "# mine" >>"$work/dest/etc/godwit/config.toml"
    place install /usr/local >/dev/null 2>&1
    check "make install keeps an edited configuration" grep -q '^# mine' "$work/dest/etc/godwit/config.toml"
    place uninstall /usr/local >/dev/null 2>&1
    check "make uninstall keeps an edited configuration" same ./etc/godwit/config.toml "$(files_left)"
else
    skip "make install: no config.toml in this tree"
fi

# -- Man page and completions ------------------------------------------------------------------------------------------

page=$here/docs/man/godwit.1
if command -v man >/dev/null; then
    check "the man page renders without a warning" same "" \
        "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)"
else
    skip "the man page renders: no man"
fi
documented() {
    "$binary" --experimental-dump-help >"$work/help.json" && python3 - "$work/help.json" "$page" <<'PYTHON'
import json
import re
import sys

page = open(sys.argv[2]).read().replace("\\-", "-")
missing = []


def walk(command, path):
    name = command["commandName"]
    if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page):
        missing.append(" ".join(path + [name]))
    for argument in command.get("arguments", []):
        if not argument.get("shouldDisplay", True):
            continue
        for spelling in argument.get("names", []):
            if spelling["kind"] == "long" and not re.search(rf"--{re.escape(spelling['name'])}(?![\w-])", page):
                missing.append(" ".join(path + [name, "--" + spelling["name"]]))
    for inner in command.get("subcommands", []):
        walk(inner, path + [name])


walk(json.load(open(sys.argv[1]))["command"], [])
print("\n".join(missing))
sys.exit(1 if missing else 0)
PYTHON
}
check "the man page names every command and option" documented
check "the bash completion parses" bash -n "$work/extracted/usr/share/bash-completion/completions/godwit"
for name in zsh/vendor-completions/_godwit fish/vendor_completions.d/godwit.fish; do
    check "the completion $name names the commands" grep -q 'run' "$work/extracted/usr/share/$name"
done
finish
