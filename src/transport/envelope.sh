# What stands before every script that is sent to a host. It receives the files that follow the script on stdin, waits
# until all has arrived, brackets the output with marks, and stops the work when the other end hangs up.
#
# Needs a POSIX shell and coreutils. Set before: co_n, a word that appears nowhere else.

umask 077
co_d=
PATH="${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

# co_receive SIZE...: stores the files that follow, in order, as $co_d/0, $co_d/1, ... (0600 in a folder 0700).
co_receive() {
    co_total=0
    for co_size; do co_total=$((co_total + co_size)); done
    # Memory is the better place for a secret, but not for megabytes.
    co_bases="${XDG_RUNTIME_DIR:-/dev/shm} /dev/shm ${TMPDIR:-/tmp} /tmp"
    [ "$co_total" -le 1048576 ] || co_bases="${TMPDIR:-/tmp} /tmp"
    for co_base in $co_bases; do
        co_d=$(mktemp -d "$co_base/changeover.XXXXXXXXXX" 2>/dev/null) && break
        co_d=
    done
    [ -n "$co_d" ] || { echo "cannot make a folder for temporary files in any of: $co_bases" >&2; exit 96; }
    trap 'rm -rf "$co_d"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    co_store "$@"
}

# co_store SIZE...: the part of co_receive that reads; $co_d is there already.
co_store() {
    co_i=0
    for co_size; do
        head -c "$co_size" >"$co_d/$co_i" || exit 96
        [ "$(wc -c <"$co_d/$co_i")" -eq "$co_size" ] || exit 97
        co_i=$((co_i + 1))
    done
}

# co_begin: nothing has been done before this line, and all has arrived. From here on the work may start.
co_begin() {
    co_go=
    IFS= read -r co_go
    [ "$co_go" = "$co_n" ] || exit 97
    # The other end keeps stdin open for as long as it wants the work to go on. A background job would get an empty
    # stdin, therefore the copy in 3.
    exec 3<&0 </dev/null
    (
        trap '' HUP INT TERM
        exec >/dev/null 2>&1
        IFS= read -r co_go <&3
        exec 3<&-
        kill -TERM 0
        sleep 5
        [ -z "$co_d" ] || rm -rf "$co_d"
        kill -KILL 0
    ) &
    co_w=$!
    exec 3<&-
    printf 'CO-GO-%s\n' "$co_n" >&2
    printf 'CO-GO-%s\n' "$co_n"
}

# co_finish WORD...: the work is done and this is how it ended. What comes after the marks is not read.
co_finish() {
    { kill -KILL "$co_w"; wait "$co_w"; } 2>/dev/null
    [ -z "$co_d" ] || rm -rf "$co_d"
    printf '\nCO-END-%s %s\n' "$co_n" "$*" >&2
    printf '\nCO-END-%s %s\n' "$co_n" "$*"
}
