# shellcheck shell=bash
#
# Commands that take long, run so that the caller's terminal stays theirs: what happens is said every few seconds, and
# Ctrl-C ends all of it at once. Sourced by build_and_push.sh and by the scripts of local-test/. Bash 3.2 is enough.

ATTENDED_SAYS_AFTER=2 # seconds until the first word where nobody watches a terminal
ATTENDED_SAYS_EVERY=5
END_SIGNAL=TERM # what asks a command to end

# attend <log> <what> <command>...: runs the command in a process group of its own and returns its exit code. Its output
# goes to the file <log>, whose last line is shown while it runs; with "" as <log> it is not touched. ATTEND_LIMIT=10
# before it ends the command after so many seconds.
attend() {
  local log="$1" what="$2" command ticker code=0
  shift 2
  set -m # makes a process group of what is started now
  if [ -n "$log" ]; then
    : >"$log"
    "$@" </dev/null >"$log" 2>&1 &
  else
    "$@" </dev/null &
  fi
  command=$!
  tell_progress "$command" "$log" "$what" &
  ticker=$!
  set +m
  if [ -z "${ATTEND_LIMIT:-}" ]; then wait "$command" || code=$?; else wait "$command" 2>/dev/null || code=$?; fi
  {
    end_group "$ticker" KILL
    wait "$ticker" || true
  } 2>/dev/null
  [ -z "$log" ] || ! [ -t 2 ] || printf '\r\033[K' >&2
  return "$code"
}

# Until the command has ended or we have: what it does, and for how long by now.
tell_progress() { # <process> <log> <what>
  local began=$SECONDS said=$((SECONDS + ATTENDED_SAYS_AFTER - ATTENDED_SAYS_EVERY)) line
  while sleep 1 && kill -0 "$1" 2>/dev/null && kill -0 $$ 2>/dev/null; do
    [ -z "${ATTEND_LIMIT:-}" ] || [ $((SECONDS - began)) -lt "$ATTEND_LIMIT" ] || end_group "$1" TERM
    line="$(basename "$0"): $3 ($((SECONDS - began)) s)$(last_step "$2")"
    if [ -n "$2" ] && [ -t 2 ]; then
      printf '\r\033[K%.*s' "$((${COLUMNS:-80} - 1))" "$line" >&2
    elif [ $((SECONDS - said)) -ge "$ATTENDED_SAYS_EVERY" ]; then
      said=$SECONDS
      printf '%.120s\n' "$line" >&2
    fi
  done
}

# ": step 7 of 20: Collecting pandas", from the last lines of Docker, BuildKit or pip.
last_step() { # <log>
  [ -s "$1" ] || return 0
  LC_ALL=C tr '\r\033' '\n ' <"$1" | awk '
    /^(Step|STEP) [0-9]+\/[0-9]+/ { split($2, n, /[\/:]/); step = "step " n[1] " of " n[2] ": " }
    match($0, /^#[0-9]+ \[[^]]*[0-9]+\/[0-9]+\]/) { split($0, n, /[][]/); step = n[2] ": " }
    NF && !/^ --->/ { sub(/^#[0-9]+ ([0-9.]+ )?/, ""); sub(/^(Step|STEP) [0-9\/]+ ?: /, ""); last = $0 }
    END { gsub(/[^ -~]/, "", last); print ": " step last }'
}

# Ends a process group; what does not end within three seconds is killed.
end_group() { # <process group> <signal>
  local tenths=0
  kill "-$2" -- "-$1" || return 0
  while [ "$2" != KILL ] && kill -0 -- "-$1"; do
    tenths=$((tenths + 1))
    [ "$tenths" -le 30 ] || kill -KILL -- "-$1" || true
    [ "$tenths" -le 40 ] || break
    sleep 0.1
  done
} 2>/dev/null

# All that `attend` has started and that still runs.
end_attended() {
  local group
  for group in $(jobs -p); do
    end_group "$group" "$END_SIGNAL"
  done
}
