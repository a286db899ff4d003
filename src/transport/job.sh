# Durable jobs: work that outlives the connection and the program that asked for it.
#
# A job is the folder $co_jobs/<name>, made elsewhere and renamed into place, so that it is there whole or not at all:
#
#   runner   the script that does the work; its first line says for which estate
#   in/      its secret files and its stdin; removed when the work has ended
#   pid      "<pid> <start time> <boot id>" of the runner. Made by link(2), which succeeds for one runner only: whoever
#            has it does the work, all others go away. Synced before the work begins, so that not even a power cut makes
#            us start the work twice
#   output   what the work has written
#   exit     "ended <members> <member> <code> ..."; written last, synced, renamed into place
#
# Needs a POSIX shell, coreutils, /proc, and setsid (util-linux) or perl. Set before: co_jobs, the folder of all jobs,
# and co_job, the name of this one.

co_boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
co_dir=$co_jobs/$co_job

# co_stat PID: sets co_state, co_session and co_start of a process; fails when there is none.
co_stat() {
    co_line=
    { IFS= read -r co_line <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The name in the second field may hold anything; what follows its last bracket is numbers.
    co_line=${co_line##*) }
    set -- $co_line
    co_state=$1 co_session=$4 co_start=${20}
    [ -n "$co_start" ]
}

# co_alive: true when the runner of this job lives. Sets co_pid when one was ever started.
co_alive() {
    co_pid= co_born= co_when=
    { read -r co_pid co_born co_when <"$co_dir/pid"; } 2>/dev/null || return 1
    [ "$co_when" = "$co_boot" ] && co_stat "$co_pid" || return 1
    [ "$co_start" = "$co_born" ] || return 1
    case $co_state in [ZX]) return 1 ;; esac
}

# co_look: sets co_what to absent, waiting (never begun), running, vanished, or "ended ...".
co_look() {
    co_what=absent
    [ -d "$co_dir" ] || return 0
    for co_try in 1 2; do
        if { IFS= read -r co_what <"$co_dir/exit"; } 2>/dev/null; then return 0; fi
        # An ending that appears between the two looks is seen the second time.
        if co_alive; then co_what=running; return 0; fi
        if [ -n "$co_pid" ]; then co_what=vanished; else co_what=waiting; fi
    done
    [ "$co_what" != vanished ] || rm -rf "$co_dir/in"
}

# co_launch: starts the runner in a session of its own, unless another one has the work already.
co_launch() {
    if command -v setsid >/dev/null 2>&1; then
        (setsid /bin/sh "$co_dir/runner" </dev/null >/dev/null 2>&1 &)
    elif command -v perl >/dev/null 2>&1; then
        (perl -MPOSIX -e 'POSIX::setsid(); exec @ARGV' /bin/sh "$co_dir/runner" </dev/null >/dev/null 2>&1 &)
    else
        echo "neither setsid (util-linux) nor perl is there; one of them is needed to start durable work" >&2
        return 1
    fi
}

# co_prepare SIZE...: receives the runner and its files into a new folder, $co_stage.
co_prepare() {
    mkdir -p "$co_jobs" || exit 96
    # What a start that was cut off has left behind may hold secrets.
    find "$co_jobs" -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
    co_stage=$(mktemp -d "$co_jobs/.new.XXXXXXXXXX") || exit 96
    trap 'rm -rf "$co_stage"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir "$co_stage/in" || exit 96
    co_d=$co_stage/in
    co_store "$@"
    co_d=
    mv "$co_stage/in/0" "$co_stage/runner" || exit 96
    co_i=1
    while [ -e "$co_stage/in/$co_i" ]; do
        mv "$co_stage/in/$co_i" "$co_stage/in/$((co_i - 1))" || exit 96
        co_i=$((co_i + 1))
    done
}

# co_start: renames the prepared folder $co_stage into place and begins the work. Says "started" or "there".
co_start() {
    co_word=started
    if ! mv -T "$co_stage" "$co_dir" 2>"$co_jobs/.say.$$"; then
        # A folder that is there and has something in it cannot be replaced by a rename.
        if [ ! -d "$co_dir" ]; then cat "$co_jobs/.say.$$" >&2; rm -rf "$co_stage" "$co_jobs/.say.$$"; return 1; fi
        rm -rf "$co_stage"
        co_word=there
    fi
    rm -f "$co_jobs/.say.$$"
    co_look
    # The folder may be there without anybody having begun: whoever made it was cut off.
    [ "$co_what" != waiting ] || co_launch || return 1
    co_left=5000 co_nap=10
    while [ "$co_left" -gt 0 ]; do
        co_look
        case $co_what in
            waiting) sleep "0.$(printf '%03d' "$co_nap")" 2>/dev/null || { sleep 1; co_nap=1000; } ;;
            *) echo "$co_word"; return 0 ;;
        esac
        co_left=$((co_left - co_nap))
        [ "$co_nap" -ge 50 ] || co_nap=$((co_nap * 2))
    done
    echo "the work was launched, but did not begin within 5 s" >&2
    return 1
}

# co_run MEMBERS: what the runner does. co_work is a function that leaves the codes of its members in $co_codes.
co_run() {
    cd / || exit 1
    co_stat $$ || exit 1
    echo "$$ $co_start $co_boot" >"$co_dir/pid.$$"
    sync "$co_dir/pid.$$"
    ln "$co_dir/pid.$$" "$co_dir/pid" 2>/dev/null || { rm -f "$co_dir/pid.$$"; exit 0; }
    rm -f "$co_dir/pid.$$"
    sync "$co_dir"
    # The members die of a TERM to the group; the runner must live to write down how.
    trap : HUP INT TERM
    # Room for the ending is taken now: the disk may be full by then.
    printf '%04096d\n' 0 >"$co_dir/exit.new"
    CO_JOB=$co_job
    export CO_JOB
    co_d=$co_dir/in
    exec </dev/null >>"$co_dir/output" 2>&1
    co_work
    rm -rf "$co_dir/in"
    printf 'ended %s\n' "$(echo $1 $co_codes)" 1<>"$co_dir/exit.new"
    sync "$co_dir/exit.new"
    mv -f "$co_dir/exit.new" "$co_dir/exit"
    sync "$co_dir"
}

# co_poll OFFSET TENTHS LIMIT: waits for output beyond OFFSET or for the end, then says "<bytes> <state>" in one line
# and the bytes. The state is read before the output. What is written little by little is gathered for 0.4 s, or until
# it is LIMIT bytes: every look costs shells here and a round trip, and rsync says something for each file.
co_poll() {
    co_offset=$1 co_left=$(($2 * 100)) co_nap=20 co_gather=400
    while :; do
        co_look
        co_size=0
        [ ! -e "$co_dir/output" ] || co_size=$(wc -c <"$co_dir/output")
        co_more=$((co_size - co_offset))
        if [ "$co_left" -le 0 ] || [ "$co_more" -ge "$3" ]; then break; fi
        if [ "$co_more" -gt 0 ] && [ "$co_gather" -le 0 ]; then break; fi
        case $co_what in running | waiting) ;; *) break ;; esac
        sleep "0.$(printf '%03d' "$co_nap")" 2>/dev/null || { sleep 1; co_nap=1000; }
        co_left=$((co_left - co_nap)) co_gather=$((co_gather - co_nap))
        [ "$co_nap" -ge 250 ] || co_nap=$((co_nap * 5 / 4 + 1))
    done
    [ "$co_more" -gt 0 ] || co_more=0
    [ "$co_more" -le "$3" ] || co_more=$3
    echo "$co_more $co_what"
    if [ "$co_more" -gt 1048576 ] && dd if=/dev/null count=0 iflag=skip_bytes,count_bytes 2>/dev/null; then
        # tail and head would pass on eight kilobytes at a time.
        dd if="$co_dir/output" bs=262144 iflag=skip_bytes,count_bytes skip="$co_offset" count="$co_more" 2>/dev/null
    elif [ "$co_more" -gt 0 ]; then
        tail -c "+$((co_offset + 1))" "$co_dir/output" | head -c "$co_more"
    fi
}

# co_members: sets co_found to the living processes of the job's session, the runner excepted. When the runner is dead,
# its number may belong to somebody else by now: then only what carries the job's name in its environment is ours.
co_members() {
    co_found=
    [ -n "$co_pid" ] && [ "$co_when" = "$co_boot" ] || return 0
    co_led=no
    ! co_alive || co_led=yes
    for co_proc in /proc/[0-9]*; do
        co_one=${co_proc#/proc/}
        [ "$co_one" != "$co_pid" ] && co_stat "$co_one" || continue
        [ "$co_session" = "$co_pid" ] || continue
        case $co_state in [ZX]) continue ;; esac
        if [ "$co_led" = no ]; then
            tr '\0' '\n' <"$co_proc/environ" 2>/dev/null | grep -qxF "CO_JOB=$co_job" || continue
        fi
        co_found="$co_found $co_one"
    done
}

# co_cancel TENTHS: TERM to the group, KILL after so many tenths of a second, then says the state in one line and who is
# still alive, "<pid> <command>" a line.
co_cancel() {
    co_look
    if [ "$co_what" = waiting ]; then
        # Nobody has begun: take the work ourselves, so that nobody ever will.
        echo "0 0 cancelled" >"$co_dir/pid.$$"
        ln "$co_dir/pid.$$" "$co_dir/pid" 2>/dev/null
        rm -f "$co_dir/pid.$$"
        co_look
    fi
    if [ "$co_what" = running ]; then kill -s TERM -- "-$co_pid" 2>/dev/null; fi
    co_members
    if [ "$co_what" != running ] && [ -n "$co_found" ]; then kill -s TERM $co_found 2>/dev/null; fi
    co_left=$1
    while [ "$co_left" -gt 0 ]; do
        co_look
        co_members
        if [ "$co_what" != running ] && [ -z "$co_found" ]; then break; fi
        sleep 0.1 2>/dev/null || { sleep 1; co_left=$((co_left - 9)); }
        co_left=$((co_left - 1))
    done
    # The runner last: when its members are gone it writes down how they ended.
    [ -z "$co_found" ] || kill -s KILL $co_found 2>/dev/null
    co_left=50
    while [ "$co_left" -gt 0 ]; do
        co_look
        co_members
        if [ "$co_what" != running ] && [ -z "$co_found" ]; then break; fi
        if [ "$co_left" -eq 10 ] && co_alive; then kill -s KILL "$co_pid" 2>/dev/null; fi
        [ -z "$co_found" ] || kill -s KILL $co_found 2>/dev/null
        sleep 0.1 2>/dev/null || { sleep 1; co_left=$((co_left - 9)); }
        co_left=$((co_left - 1))
    done
    co_look
    co_members
    echo "$co_what"
    for co_one in $co_found; do
        co_words=$(tr '\0' ' ' <"/proc/$co_one/cmdline" 2>/dev/null | head -c 200 | tr '\n' ' ')
        echo "$co_one ${co_words:-?}"
    done
}

# co_forget: removes an ended job. A running one stays.
co_forget() {
    co_look
    case $co_what in
        absent | running) return 0 ;;
        waiting)
            # Nobody may begin while the folder goes away.
            echo "0 0 cancelled" >"$co_dir/pid.$$"
            ln "$co_dir/pid.$$" "$co_dir/pid" 2>/dev/null || { rm -f "$co_dir/pid.$$"; return 0; } ;;
    esac
    co_bin=$co_jobs/.gone.$$.$co_n
    mv -T "$co_dir" "$co_bin" && rm -rf "$co_bin"
}

# co_at_work MARK: says the names of the jobs whose runner begins with the line MARK and of which anything lives.
co_at_work() {
    for co_dir in "$co_jobs"/*; do
        { IFS= read -r co_mark <"$co_dir/runner"; } 2>/dev/null || continue
        [ "$co_mark" = "$1" ] && [ ! -e "$co_dir/exit" ] || continue
        co_job=${co_dir##*/}
        # A runner that was killed may have left its members behind.
        co_alive || co_members
        if co_alive || [ -n "$co_found" ]; then echo "$co_job"; fi
    done
}
