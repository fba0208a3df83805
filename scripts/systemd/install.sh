# What scripts/install-master and scripts/install-worker share. Sourced by them, not run.
# They set: service (d8-master), group (--master), home and source, and define before_start and next_steps.
# shellcheck shell=bash disable=SC2154

prefix=/opt/d8
user=d8
root=""
dry_run=""
uninstall=""

# What a machine needs of a checkout; a release for workers lacks the master.
code=(celeryconfig.py docs examples master requirements requirements.txt scripts tasks worker)

fail() {
    echo "$1" >&2
    exit "${2:-1}"
}

say() { echo "$*" >&2; }

# Does it, or only says so.
run() {
    if [ -n "$dry_run" ]; then
        printf 'would run:' >&2
        printf ' %q' "$@" >&2
        echo >&2
    else
        "$@"
    fi
}

# The same for what changes this system and not only files: with --root, that is left out, too.
run_here() {
    if [ -n "$root" ] && [ -z "$dry_run" ]; then
        printf 'left out:' >&2
        printf ' %q' "$@" >&2
        echo >&2
    else
        run "$@"
    fi
}

# Takes one common option; its number of words, or 0 when it is none of these, is in "taken".
take_option() {
    taken=1
    case "$1" in
    -h | --help)
        usage
        exit 0
        ;;
    --dry-run) dry_run=1 ;;
    --uninstall) uninstall=1 ;;
    --prefix | --home | --root)
        [ $# -ge 2 ] || fail "$1 needs a folder: see '$0 --help'" 2
        case "$2" in /*) ;; *) fail "$1 needs an absolute folder, and '$2' is none" 2 ;; esac
        case "$2" in *[[:space:]%]*) fail "$1 $2: systemd's units take no folder with spaces or %" 2 ;; esac
        case "$1 $2" in
        "--home /home"* | "--home /root"*) fail "$1 $2: the service sees nothing below /home and /root; choose another folder" 2 ;;
        esac
        printf -v "${1#--}" %s "${2%/}"
        taken=2
        ;;
    *) taken=0 ;;
    esac
}

check_machine() {
    # With --root only files are written, and a dry run changes nothing.
    [ -z "$root$dry_run" ] || return 0
    [ "$(id -u)" -eq 0 ] || fail "This makes a user and a system service: run it with sudo ('$0 --dry-run' shows what it would do)." 4
    [ -d /run/systemd/system ] || fail "systemd does not run this machine: start '$source/scripts/d8 up' some other way, or use Docker (docs/install.md)." 3
}

install_code() {
    [ "$source" != "$prefix" ] || return 0
    run install -d -m 0755 "$root$prefix"
    local name
    for name in "${code[@]}"; do
        [ -e "$source/$name" ] || continue
        # Beside the old one first: a copy that breaks off leaves what runs as it was.
        run rm -rf "$root$prefix/.$name.new"
        run cp -R "$source/$name" "$root$prefix/.$name.new"
        run rm -rf "$root$prefix/$name"
        run mv "$root$prefix/.$name.new" "$root$prefix/$name"
    done
    # Whatever umask the checkout was made with: the service's user reads it, and only root writes it.
    run chmod -R u=rwX,go=rX "$root$prefix"
    run find "$root$prefix" -name __pycache__ -not -path "*/.venv/*" -prune -exec rm -rf {} +
}

install_user() {
    id -u "$user" >/dev/null 2>&1 ||
        run_here useradd --system --user-group --home-dir "$home" --no-create-home --shell /usr/sbin/nologin "$user"
    if [ -n "$root" ]; then
        run install -d -m 0700 "$root$home"
    else
        run install -d -m 0700 -o "$user" -g "$user" "$home"
    fi
}

install_unit() {
    local version backoff=$'RestartSec=15'
    version="$(systemctl --version 2>/dev/null | awk 'NR == 1 { print $2 }')"
    # From 254 on systemd waits longer each time; before, a middling while.
    [ "${version:-0}" -lt 254 ] || backoff=$'RestartSec=1\nRestartSteps=8\nRestartMaxDelaySec=120'
    local unit="$root/etc/systemd/system/$service.service"
    if [ -n "$dry_run" ]; then
        say "would write: $unit"
        return 0
    fi
    local text
    text="$(<"$source/scripts/systemd/$service.service")"
    text="${text//@PREFIX@/$prefix}"
    text="${text//@HOME@/$home}"
    text="${text//@BACKOFF@/$backoff}"
    text="${text//@GROUPS@/${groups:-}}"
    text="${text//@HARDENING@/$(<"$source/scripts/systemd/hardening.conf")}"
    install -d -m 0755 "${unit%/*}"
    printf '%s\n' "$text" >"$unit.new"
    chmod 0644 "$unit.new"
    mv "$unit.new" "$unit"
}

do_install() {
    check_machine
    install_code
    run_here "$prefix/scripts/env" "$group"
    install_user
    install_unit
    before_start
    run_here systemctl daemon-reload
    run_here systemctl enable --quiet "$service.service"
    # Not "start": what runs already goes on with the new code.
    run_here systemctl restart "$service.service"
    [ -n "$dry_run$root" ] || next_steps
}

do_uninstall() {
    check_machine
    local unit="$root/etc/systemd/system/$service.service"
    if [ -e "$unit" ]; then
        run_here systemctl disable --now --quiet "$service.service"
        run rm -f "$unit"
        run_here systemctl daemon-reload
    fi
    after_uninstall
    local other=d8-master
    [ "$service" != d8-master ] || other=d8-worker
    if [ -e "$root/etc/systemd/system/$other.service" ]; then
        say "$prefix stays: the other service of this machine runs from it."
    elif [ "$source" = "$prefix" ]; then
        say "$prefix stays, since this runs from it: 'sudo rm -r $prefix' removes it."
    elif [ -d "$root$prefix" ]; then
        run rm -rf "$root$prefix"
    fi
    say "$service is not installed any more. What it knew is still in $home: 'sudo rm -r $home' removes that for" \
        "good, and 'sudo userdel $user' the user."
}
