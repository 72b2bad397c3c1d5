# Ground floor of the rig: where things lie, how it speaks, what it remembers, which processes are its own.
# Sourced by rig/up and rig/down; defines only, does nothing.
# shellcheck shell=bash

STATE=${CAGEMATCH_RIG_DIR:-/var/lib/cagematch-rig}   # survives: images, stores, logs, the ledger
RUN=/run/cagematch-rig                               # does not survive a reboot: sockets, pid files
LEDGER=$STATE/ledger                                 # kind<TAB>value, a line for each thing the rig owns
LOG=$STATE/log/rig.log
ENV_FILE=$CHECKOUT/.env
ROOTLESS_USER=cagematch
SELF=${SELF:-rig}

# ── speaking ────────────────────────────────────────────────────────────────────────────────────────────
changes=()
say()    { printf '%s\n' "$*"; }
note()   { printf '  %s\n' "$*"; }
detail() { printf '%s\n' "$*" >>"$LOG"; }
change() { changes+=("$*"); detail "changed: $*"; }

fail() { # MESSAGE [HINT]
  trap - ERR
  { printf '✖ %s: %s\n' "$SELF" "$1"
    [[ -z ${2:-} ]] || printf '  hint: %s\n' "$2"
    [[ ! -f $LOG ]] || printf '  details: %s\n' "$LOG"; } >&2
  exit 1
}

on_error() { # a command failed that nobody had words for: name it, rather than stop in silence
  local code=$? where="${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}" what=$BASH_COMMAND
  (( BASHPID == $$ )) || exit "$code"
  fail "stopped at $where, exit $code: $what" "tail -30 $LOG"
}

step() { # TITLE COMMAND… : one progress line with the time it took
  local title=$1 began=$EPOCHREALTIME; shift
  printf '· %s' "$title"; detail "== $title"
  "$@"
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "  %.1f s\n", b - a }'
}

quietly() { detail "\$ $*"; "$@" >>"$LOG" 2>&1; }

# ── the ledger: what rig/down has to undo ───────────────────────────────────────────────────────────────
remember() { recalls "$1" "$2" || printf '%s\t%s\n' "$1" "$2" >>"$LEDGER"; }
recalls()  { [[ -f $LEDGER ]] && grep -qxF -- "$1"$'\t'"$2" "$LEDGER"; }
recall()   { [[ ! -f $LEDGER ]] || awk -F'\t' -v kind="$1" '$1 == kind { print $2 }' "$LEDGER"; }
forget()   { # KIND [VALUE]
  [[ -f $LEDGER ]] || return 0
  awk -F'\t' -v kind="$1" -v value="${2-}" '!($1 == kind && (value == "" || $2 == value))' "$LEDGER" >"$LEDGER.new"
  mv "$LEDGER.new" "$LEDGER"
}

# ── processes: a pid alone proves nothing, it may have been given to someone else ───────────────────────
is_process() { # PID PROGRAM NEEDLE: does PID run PROGRAM with NEEDLE in its command line?
  local exe
  [[ $1 =~ ^[0-9]+$ ]] || return 1
  exe=$(readlink "/proc/$1/exe" 2>/dev/null) || return 1
  [[ ${exe%% (deleted)} == */$2 ]] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -F -- "$3" >/dev/null
}

our_pids() { # PROGRAM NEEDLE: every pid of PROGRAM that names one of our folders
  local exe
  for exe in /proc/[0-9]*/exe; do
    is_process "$(basename "$(dirname "$exe")")" "$1" "$2" && basename "$(dirname "$exe")"
  done
  return 0
}

stop_pids() { # SECONDS PID…: TERM, wait, then KILL what is left
  local patience=$1 pid; shift
  (( $# )) || return 0
  kill -TERM "$@" 2>/dev/null || true
  wait_for "$patience" all_gone "$@" || kill -KILL "$@" 2>/dev/null || true
  wait_for 5 all_gone "$@" || detail "still there after KILL: $*"
}

all_gone() { local pid; for pid; do [[ ! -d /proc/$pid || $(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null) == Z ]] || return 1; done; }

wait_for() { # SECONDS COMMAND…: poll until it says yes; the only place that sleeps
  local until=$(( SECONDS + $1 )); shift
  until "$@" >/dev/null 2>&1; do (( SECONDS < until )) || return 1; sleep 0.1; done
}

detach() { # LOGFILE COMMAND…: start a daemon that outlives this shell and holds none of its files (9 is our lock)
  local out=$1; shift
  detail "\$ $* >>$out &"
  setsid "$@" </dev/null >>"$out" 2>&1 9>&- &
  disown
}

# ── looking at the machine ──────────────────────────────────────────────────────────────────────────────
has() { command -v "$1" >/dev/null 2>&1; }
has_systemd() { [[ -d /run/systemd/system ]]; }
can_raise_limits() { # CAP_SYS_RESOURCE is bit 24
  local effective; effective=$(awk '/^CapEff/ { print $2 }' /proc/self/status)
  (( (16#$effective >> 24) & 1 ))
}
codename() { . /etc/os-release; printf '%s' "${VERSION_CODENAME:-}"; }
same_socket() { [[ -S $2 && $(readlink -f "$1") == "$(readlink -f "$2")" ]]; }

link_if_free() { # LINK TARGET: make a plain `docker ps` find us, but never in the way of another daemon
  if [[ -L $1 && $(readlink "$1") == "$2" ]]; then remember link "$1"; return; fi
  if [[ -e $1 || -L $1 ]]; then note "$1 is taken, left as it is"; return; fi
  mkdir -p "$(dirname "$1")"; ln -s "$2" "$1"
  remember link "$1"; change "link $1 -> $2"
}

require_root() { (( EUID == 0 )) || fail "needs root, it starts system daemons" "sudo $SELF"; }

open_state() { # folders, log, and one rig at a time
  mkdir -p "$STATE/log" "$RUN" && chmod 755 "$STATE" "$RUN"
  printf '\n===== %s %s =====\n' "$SELF" "$(date -u +%FT%TZ)" >>"$LOG"
  exec 9>"$STATE/lock"
  flock -w 300 9 || fail "another rig/up or rig/down has been running for five minutes" "ps -ef | grep rig/"
}
