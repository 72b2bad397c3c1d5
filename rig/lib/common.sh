# Ground floor of the rig: where things lie, how it speaks, what it remembers, which processes are its own.
# Sourced by rig/up and rig/down; defines only, does nothing.
# shellcheck shell=bash disable=SC2034

STATE=${CAGEMATCH_RIG_DIR:-/var/lib/cagematch-rig}   # survives: images, stores, logs, the ledger
RUN=/run/cagematch-rig                               # does not survive a reboot: sockets, pid files
if [[ $STATE != /var/lib/cagematch-rig ]]; then      # a second rig must not sit on the sockets of the first
  RUN+=-$(cksum <<<"$STATE" | cut -d' ' -f1)
fi
LEDGER=$STATE/ledger                                 # kind<TAB>value, a line for each thing the rig owns
LOG=$STATE/log/rig.log
ENV_FILE=$CHECKOUT/.env
ROOTLESS_USER=cagematch
SELF=${SELF:-rig}

# ── speaking ────────────────────────────────────────────────────────────────────────────────────────────
changes=() notes=()
in_step='' log_open=''
say()    { printf '%s\n' "$*"; }
note()   { notes+=("$*"); detail "note: $*"; }
detail() { printf '%s\n' "$*" >>"$LOG"; }
change() { changes+=("$*"); detail "changed: $*"; }

fail() { # MESSAGE [HINT]
  trap - ERR
  [[ -z $in_step ]] || echo
  { printf '✖ %s: %s\n' "$SELF" "$1"
    [[ -z ${2:-} ]] || printf '  hint: %s\n' "$2"
    [[ -z $log_open ]] || printf '  details: %s\n' "$LOG"; } >&2
  exit 1
}

on_error() { # a command failed that nobody had words for: name it, rather than stop in silence
  local code=$? where="${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}" what=$BASH_COMMAND
  (( BASHPID == $$ )) || exit "$code"
  fail "stopped at $where, exit $code: $what" "tail -30 $LOG"
}

step() { # TITLE COMMAND… : one progress line with the time it took, then what there is to say about it
  local title=$1 began=$EPOCHREALTIME line; shift
  printf '· %s' "$title"; detail "== $title"
  in_step=yes notes=()
  "$@"
  in_step=
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "  %.1f s\n", b - a }'
  for line in "${notes[@]}"; do say "    $line"; done
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
is_process() { # PID PROGRAM NEEDLE [cmdline|environ]: does PID run PROGRAM and name NEEDLE there?
  local exe whole=
  exe=$(readlink "/proc/$1/exe" 2>/dev/null) || return 1
  [[ ${exe% (deleted)} == */$2 ]] || return 1
  [[ ${4:-} != environ ]] || whole=-x
  { tr '\0' '\n' <"/proc/$1/${4:-cmdline}" | grep $whole -F -- "$3" >/dev/null; } 2>/dev/null
}

our_pids() { # PROGRAM NEEDLE [cmdline|environ]: every such pid
  local dir
  for dir in /proc/[0-9]*; do
    is_process "${dir#/proc/}" "$@" && printf '%s\n' "${dir#/proc/}"
  done
  return 0
}

children_of() { ps -o pid= --ppid "$(IFS=,; echo "$*")" 2>/dev/null | tr -d ' ' || true; } # PID…

stop_pids() { # SECONDS PID…: TERM, wait, then KILL what is left
  local patience=$1; shift
  (( $# )) || return 0
  kill -TERM "$@" 2>/dev/null || true
  wait_for "$patience" all_gone "$@" || kill -KILL "$@" 2>/dev/null || true
  wait_for 5 all_gone "$@" || detail "still there after KILL: $*"
}

all_gone() { # PID…: gone, or a zombie that waits for its parent
  local pid
  for pid; do [[ ! -d /proc/$pid ]] || grep -qs '^State:.Z' "/proc/$pid/status" || return 1; done
}

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

unmount_under() { # FOLDER…: deepest first; what is held on to is let go of lazily
  local dir point
  for dir; do
    awk -v dir="$dir/" 'index($5 "/", dir) == 1 { print $5 }' /proc/self/mountinfo | tac | while read -r point; do
      umount "$point" 2>/dev/null || umount -l "$point" 2>/dev/null || detail "could not unmount $point"
    done
  done
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
  log_open=yes
  printf '\n===== %s %s =====\n' "$SELF" "$(date -u +%FT%TZ)" >>"$LOG"
  exec 9>"$STATE/lock"
  flock -w 300 9 || fail "another rig/up or rig/down has been running for five minutes" "ps -ef | grep rig/"
  forget_last_boot
}

forget_last_boot() { # /run may lie on a disk: after a reboot its pid files and sockets are then still there, all untrue
  local boot; boot=$(cat /proc/sys/kernel/random/boot_id)
  REBOOTED=
  if [[ -f $STATE/boot-id && $(cat "$STATE/boot-id") != "$boot" ]]; then
    REBOOTED=yes
    find "$RUN" -mindepth 1 -delete 2>/dev/null || detail "something is left in $RUN from the last boot"
    forget tun-mode
  fi
  printf '%s\n' "$boot" >"$STATE/boot-id"
}

# ── settings the project needs: kept as KEY=VALUE in $STATE/env, mirrored in the checkout's .env ────────
set_env() { # KEY [VALUE]: no value, no line
  touch "$STATE/env"
  { grep -v "^$1=" "$STATE/env" || true; [[ -z ${2:-} ]] || printf '%s=%s\n' "$1" "$2"; } | sort >"$STATE/env.new"
  mv "$STATE/env.new" "$STATE/env"
}
