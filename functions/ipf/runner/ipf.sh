#!/bin/sh
# Runs an IPF in a container that knows nothing of the service: <any POSIX shell> ipf.sh SCRATCH LIMIT_S
#
# What is run stands in SCRATCH/.s2ps/calls, as stage-in filled it in: commands, one after the other, each where none before
# ended with 128 or more. They are stopped when they are over LIMIT_S together, or when neither their output nor the files
# that the processor names change any more.
# Output goes to SCRATCH/log.txt and to this script's own; how it ended to SCRATCH/execution.json, which stage-out judges.
# Exit code: 0 whatever the IPF's was, 143 after SIGTERM (the pod is going: nobody judges), 64 where it is called wrongly.
# Only builtins are needed. sleep, cat, mv and chmod are taken from the image or from SCRATCH/.s2ps/busybox: without sleep
# the time limit is the pod's alone, nobody sees a run that hangs, and output comes at the end; without cat it comes line by line; without mv
# execution.json is written in place. All names begin with _s2ps_: the IPF gets the environment as the container has it.

set +abCefmuvx  # what an image's SHELLOPTS may have set

_s2ps_grace=10

# Whether a program is to be had, from the image or beside this script.
_s2ps_has() { command -v "$1" >/dev/null 2>&1 || [ -x "$_s2ps_home/busybox" ]; }

_s2ps_tool() {
  if command -v "$1" >/dev/null 2>&1; then "$@"; else "$_s2ps_home/busybox" "$@"; fi
}

# Wait so many seconds, so that a signal interrupts it. Fails where there is no sleep.
_s2ps_nap() {
  if command -v sleep >/dev/null 2>&1; then sleep "$1" &
  elif [ -x "$_s2ps_home/busybox" ]; then "$_s2ps_home/busybox" sleep "$1" &
  else return 1; fi
  _s2ps_sleeper=$!
  wait "$_s2ps_sleeper"
  return 0
}

# Hundredths of a second since boot, into _s2ps_now; 0 where the kernel does not say.
_s2ps_clock() {
  _s2ps_now=0 _s2ps_word=
  { read -r _s2ps_word _s2ps_rest </proc/uptime; } 2>/dev/null
  case $_s2ps_word in *.??) _s2ps_now=$((${_s2ps_word%.*} * 100 + 1${_s2ps_word#*.} - 100)) ;; esac
}

# The number beside word $1 in file $2 (without $1: its first word), into _s2ps_number; 0 where there is none.
_s2ps_find() {
  _s2ps_number=0
  [ -r "$2" ] || return 0
  while read -r _s2ps_word _s2ps_value _s2ps_rest; do
    [ -n "$1" ] || _s2ps_value=$_s2ps_word
    [ -n "$1" ] && [ "$_s2ps_word" != "$1" ] || { _s2ps_number=$_s2ps_value; break; }
  done <"$2"
  case $_s2ps_number in '' | *[!0-9]*) _s2ps_number=0 ;; esac
}

# Hundredths of CPU seconds: those of the container (cgroup v2), else of the children that were waited for.
_s2ps_cpu() {
  _s2ps_find usage_usec /sys/fs/cgroup/cpu.stat
  _s2ps_used=$((_s2ps_number / 10000))
  [ "$_s2ps_used" -eq 0 ] || return 0
  [ -d "$_s2ps_home" ] || return 0
  times >"$_s2ps_home/times" && { read -r _s2ps_rest; read -r _s2ps_word _s2ps_value; } <"$_s2ps_home/times" || return 0
  for _s2ps_rest in "$_s2ps_word" "$_s2ps_value"; do  # each as 12m3.45s
    case $_s2ps_rest in *m*[.,]??*s) ;; *) continue ;; esac
    _s2ps_number=${_s2ps_rest#*[.,]}
    _s2ps_number=${_s2ps_number%"${_s2ps_number#??}"}
    _s2ps_word=${_s2ps_rest#*m}
    _s2ps_used=$((_s2ps_used + ${_s2ps_rest%%m*} * 6000 + ${_s2ps_word%%[.,]*} * 100 + 1$_s2ps_number - 100))
  done
}

# Send signal $1 to all that the IPF started: in a container of its own (as process 1) to all there is, else to this
# script's process group where it leads one. Zombies and what serves this script are left out. Fails where nothing is left.
_s2ps_signal() {
  _s2ps_any=1
  { read -r _s2ps_self _s2ps_rest </proc/self/stat; } 2>/dev/null || { kill -s "$1" "$_s2ps_ipf" 2>/dev/null; return; }
  for _s2ps_path in /proc/[0-9]*; do
    _s2ps_line=
    { read -r _s2ps_line <"$_s2ps_path/stat"; } 2>/dev/null || continue
    _s2ps_pid=${_s2ps_path#/proc/}
    set -- "$1" ${_s2ps_line##*) }  # state, parent, group
    case " $$ $_s2ps_self $_s2ps_limiter $_s2ps_teller " in *" $_s2ps_pid "*) continue ;; esac
    [ "$3" != "$_s2ps_teller" ] || continue
    [ "$3" != "$_s2ps_self" ] || [ "$_s2ps_self" = $$ ] || continue
    [ "$2" != Z ] || continue
    [ "$_s2ps_pid" = "$_s2ps_ipf" ] || [ $$ = 1 ] || [ "$4" = $$ ] || continue
    kill -s "$1" "$_s2ps_pid" 2>/dev/null && _s2ps_any=0
  done
  return "$_s2ps_any"
}

# End it: SIGTERM, some time to go, SIGKILL.
_s2ps_end() {
  _s2ps_signal TERM || return 0
  _s2ps_left=$_s2ps_grace
  while [ "$_s2ps_left" -gt 0 ] && _s2ps_nap 1; do
    _s2ps_signal 0 || return 0
    _s2ps_left=$((_s2ps_left - 1))
  done
  _s2ps_signal KILL
}

# From now on, what changes is newer than these. Each file system has its own, since its clock may be another.
_s2ps_mark() { { printf . >"$_s2ps_home/mark"; printf . >"$_s2ps_base/.s2ps-mark"; } 2>/dev/null; }

# Whether anything has changed since: the log, or what the processor names below its base.
_s2ps_active() {
  [ -e "$_s2ps_home/mark" ] && [ -e "$_s2ps_base/.s2ps-mark" ] || return 0
  if [ log.txt -nt "$_s2ps_home/mark" ]; then return 0; fi
  (
    cd "$_s2ps_base" || exit 0
    IFS='
'
    for _s2ps_path in $_s2ps_activity; do
      if [ "$_s2ps_path" -nt .s2ps-mark ]; then exit 0; fi
    done
    exit 1
  )
}

# Wait until the time is over or nothing has changed for too long, then end it and note which of the two it was.
_s2ps_watch() {
  _s2ps_left=$((_s2ps_limit - (_s2ps_now - _s2ps_began) / 100)) _s2ps_still=0 _s2ps_step=10
  [ $((_s2ps_quiet / 4)) -ge 10 ] || _s2ps_step=$((_s2ps_quiet / 4))
  [ "$_s2ps_step" -ge 1 ] || _s2ps_step=1
  while [ "$_s2ps_left" -gt 0 ]; do
    [ "$_s2ps_quiet" -gt 0 ] && [ "$_s2ps_left" -gt "$_s2ps_step" ] || _s2ps_step=$_s2ps_left
    _s2ps_nap "$_s2ps_step"
    _s2ps_left=$((_s2ps_left - _s2ps_step))
    _s2ps_clock
    [ "$_s2ps_began" -eq 0 ] || _s2ps_left=$((_s2ps_limit - (_s2ps_now - _s2ps_began) / 100))
    [ "$_s2ps_quiet" -gt 0 ] || continue
    _s2ps_still=$((_s2ps_still + _s2ps_step))
    if _s2ps_active; then
      _s2ps_still=0
      _s2ps_mark
    elif [ "$_s2ps_still" -ge "$_s2ps_quiet" ]; then
      { printf 1 >"$_s2ps_home/hung"; } 2>/dev/null
      _s2ps_end
      return
    fi
  done
  { printf 1 >"$_s2ps_home/late"; } 2>/dev/null
  _s2ps_end
}

# What came into the log since the last call. The place in it is that of descriptor 3, which all processes share.
_s2ps_tell() {
  if _s2ps_has cat; then _s2ps_tool cat <&3; return; fi
  while IFS= read -r _s2ps_line <&3; do printf '%s\n' "$_s2ps_line"; done
  [ -z "$_s2ps_line" ] || printf '%s\n' "$_s2ps_line"
}

# Nothing is to be stopped any more.
_s2ps_no_limit() { [ -z "$_s2ps_limiter" ] || { kill -s KILL "$_s2ps_limiter" && wait "$_s2ps_limiter"; } 2>/dev/null; }

# Tell the rest. The signal only wakes the teller: one that comes before its trap is set would be lost.
_s2ps_tell_all() {
  { printf 1 >"$_s2ps_home/ended"; } 2>/dev/null
  [ -z "$_s2ps_teller" ] || { kill -s TERM "$_s2ps_teller" && wait "$_s2ps_teller"; } 2>/dev/null
  _s2ps_tell
}

_s2ps_stopped() {
  trap '' TERM
  _s2ps_no_limit
  _s2ps_end
  _s2ps_tell_all
  exit 143
}

[ $# -eq 2 ] || { echo 'ipf.sh: expected SCRATCH LIMIT_S' >&2; exit 64; }
_s2ps_root=$1 _s2ps_limit=$2
_s2ps_home=$_s2ps_root/.s2ps
[ ! -e "$_s2ps_home/skip" ] || { echo 'ipf.sh: stage-in left nothing to do'; exit 0; }
_s2ps_limit=${_s2ps_limit%.*}
case $_s2ps_limit in '' | *[!0-9]*) echo "ipf.sh: LIMIT_S: expected seconds" >&2; exit 64 ;; esac
cd "$_s2ps_root" || exit 64
[ -r "$_s2ps_home/calls" ] || { echo "ipf.sh: expected $_s2ps_home/calls, which stage-in writes" >&2; exit 64; }
. "$_s2ps_home/calls"
umask 0002  # stage-out comes as another user of the same group

_s2ps_ipf='' _s2ps_limiter='' _s2ps_teller=''
: >>log.txt
: >"$_s2ps_home/late"
: >"$_s2ps_home/hung"
: >"$_s2ps_home/ended"
exec 3<log.txt
trap _s2ps_stopped TERM
_s2ps_find oom_kill /sys/fs/cgroup/memory.events
_s2ps_kills=$_s2ps_number
_s2ps_cpu
_s2ps_cpu_before=$_s2ps_used
_s2ps_clock
_s2ps_began=$_s2ps_now

_s2ps_mark
if _s2ps_has sleep; then
  (
    trap 'kill "$_s2ps_sleeper" 2>/dev/null' TERM
    while [ -e "$_s2ps_home/ended" ] && [ ! -s "$_s2ps_home/ended" ] && _s2ps_nap 1; do _s2ps_tell; done
  ) </dev/null 2>/dev/null &
  _s2ps_teller=$!
else
  echo 'ipf.sh: no sleep in this image: its time limit is the pod'\''s' >&2
fi

_s2ps_call=0 _s2ps_code=0 _s2ps_exits=''
while [ "$_s2ps_call" -lt "$_s2ps_calls" ]; do
  _s2ps_call=$((_s2ps_call + 1))
  eval "_s2ps_words=\$_s2ps_call_$_s2ps_call"
  # exec, so that no function or builtin stands in for the program. What cannot be started ends with 126 or 127.
  (
    trap - TERM
    eval "set -- $_s2ps_words"
    exec "$@"
  ) </dev/null >>log.txt 2>&1 3<&- &
  _s2ps_ipf=$!
  if _s2ps_has sleep; then
    _s2ps_watch </dev/null 3<&- &
    _s2ps_limiter=$!
  fi
  wait "$_s2ps_ipf" 2>/dev/null  # a shell may tell of a signal
  _s2ps_exit=$?
  _s2ps_clock
  _s2ps_no_limit
  _s2ps_limiter=''
  _s2ps_signal KILL  # whatever it left behind, and the limit's sleep
  _s2ps_exits="$_s2ps_exits${_s2ps_exits:+, }$_s2ps_exit"
  [ "$_s2ps_exit" -le "$_s2ps_code" ] || _s2ps_code=$_s2ps_exit
  if [ "$_s2ps_exit" -ge 128 ] || [ -s "$_s2ps_home/late" ] || [ -s "$_s2ps_home/hung" ]; then break; fi
done
_s2ps_tell_all

_s2ps_cpu
_s2ps_used=$((_s2ps_used - _s2ps_cpu_before)) _s2ps_now=$((_s2ps_now - _s2ps_began))
_s2ps_find '' /sys/fs/cgroup/memory.peak
_s2ps_peak=$((_s2ps_number * 10 / 1048576))
_s2ps_find oom_kill /sys/fs/cgroup/memory.events
_s2ps_memory=false _s2ps_full=false _s2ps_late=false _s2ps_hung=false
[ "$_s2ps_number" -le "$_s2ps_kills" ] || _s2ps_memory=true
# An IPF may clear its folder, and ours with it.
if [ -d "$_s2ps_home" ]; then { printf '%1048576s' '' >"$_s2ps_home/room"; } 2>/dev/null || _s2ps_full=true; fi
if [ "$_s2ps_base" != "$_s2ps_root" ] && [ -d "$_s2ps_base" ]; then
  { printf '%1048576s' '' >"$_s2ps_base/.s2ps-room"; } 2>/dev/null || _s2ps_full=true
  { printf '' >"$_s2ps_base/.s2ps-room"; } 2>/dev/null
fi
# Room for the last word: what stage-in kept free.
{ printf '' >"$_s2ps_home/room"; printf '' >"$_s2ps_home/reserve"; } 2>/dev/null
[ ! -s "$_s2ps_home/late" ] || _s2ps_late=true
[ ! -s "$_s2ps_home/hung" ] || _s2ps_hung=true
if _s2ps_has chmod; then _s2ps_tool chmod -R g+rwX . "$_s2ps_base" 2>/dev/null; fi
_s2ps_note=execution.json
if [ -d "$_s2ps_home" ] && _s2ps_has mv; then _s2ps_note=.s2ps/execution.json; fi
printf '{"exit_code": %d, "exits": [%s], "timed_out": %s, "hung": %s, "out_of_memory": %s, "disk_full": %s, "seconds": %d.%02d, "cpu_seconds": %d.%02d, "peak_rss_mb": %d.%d}\n' \
  "$_s2ps_code" "$_s2ps_exits" "$_s2ps_late" "$_s2ps_hung" "$_s2ps_memory" "$_s2ps_full" \
  $((_s2ps_now / 100)) $((_s2ps_now % 100)) $((_s2ps_used / 100)) $((_s2ps_used % 100)) \
  $((_s2ps_peak / 10)) $((_s2ps_peak % 10)) >"$_s2ps_note"
if [ "$_s2ps_note" != execution.json ]; then _s2ps_tool mv -f "$_s2ps_note" execution.json; fi
exit 0
