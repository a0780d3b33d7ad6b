# The virtual environments: which Python, made by uv where it is there, else by pip. Sourced by lib.sh.
# An environment is made beside its place and renamed when it is complete: what is at the place is whole.
# shellcheck shell=bash

# The first Python that is new enough; PYTHON=… chooses one, model/.python-version says which one the model needs. One
# for which packages may have no wheels yet comes last.
find_python() {
  local candidate wanted="" limit
  read -r wanted 2>/dev/null <"$KIT/model/.python-version" || true
  case "$wanted" in 3.*.*) wanted="${wanted%.*}" ;; esac
  for limit in 15 99; do
    for candidate in ${PYTHON:-${wanted:+"python$wanted"} python3 python3.14 python3.13 python3.12 python3.11}; do
      "$candidate" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $limit))" 2>/dev/null || continue
      case "${wanted:+$("$candidate" -V)}" in
        "" | "Python $wanted."*) ;;
        *) say "note: the model was made with Python $wanted (model/.python-version); $candidate is another. Name one: PYTHON=/path/to/python$wanted" ;;
      esac
      command -v "$candidate"
      return
    done
  done
  fail "no Python 3.11 or newer was found${PYTHON:+ (PYTHON=$PYTHON)}. Install one, or name it: PYTHON=/path/to/python3.12"
}

# Sets UV to the program uv, which one of our environments may have, or to nothing. UV=no leaves it out.
find_uv() {
  case "${UV:-}" in
    no) UV="" ;;
    "")
      for UV in "$(command -v uv || true)" "$KIT"/.venv-*/bin/uv ""; do
        [ ! -x "$UV" ] || break
      done
      ;;
  esac
}

# Makes the environment KIT/<name> and sets VENV to it; does nothing while its requirements stay as they are. It holds
# the packages of the locks, and with --model first the model's own.
make_environment() { # <name> [--model] [<lock>...]
  local wanted
  VENV="$KIT/$1"
  shift
  wanted="$(environment_stamp "$@")"
  if [ "$(cat "$VENV/installed" 2>/dev/null)" != "$wanted" ] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
    renew_environment "$wanted" "$@"
  fi
  [ "${1:-}" != --model ] || build_native
}

# What is written in C, where a C compiler is; build.py says how it is without.
build_native() {
  local room="$KIT/model/serving"
  if [ "$room/compiler/libnative.so" -nt "$room/compiler/native.c" ] &&
    [ "$room/http/libhandover.so" -nt "$room/http/handover.c" ] || ! [ -w "$room/http" ]; then return; fi
  make_scratch
  # At SIGINT it removes what it has begun.
  END_SIGNAL=INT attend "$SCRATCH/native" "building native.c" "$VENV/bin/python" "$room/compiler/build.py" || true
  cat "$SCRATCH/native" >&2
}

renew_environment() { # <stamp> [--model] [<lock>...]
  local wanted="$1" name new
  name="$(basename "$VENV")"
  shift
  [ -w "$KIT" ] || fail "$KIT is read-only for you, so that $name cannot be made in it. Copy the kit to a directory of your own."
  make_scratch
  remove_what_was_killed
  new="$VENV.new-$$"
  LEFTOVERS+=("$new" "$VENV.old-$$")
  say "making the Python environment $name"
  PYTHON="$(find_python)" || exit 1
  find_uv
  new_environment "$new"
  fill_environment "$new" "$@"
  printf '%s\n' "$wanted" >"$new/installed"
  settle "$new" "$VENV"
}

# What a script has begun that was killed before it could clean up.
remove_what_was_killed() {
  local begun
  for begun in "$KIT"/.venv*.new-* "$KIT"/.venv*.old-*; do
    kill -0 "${begun##*-}" 2>/dev/null || rm -rf "$begun"
  done
}

# Changes with what is to be installed.
environment_stamp() { # [--model] [<lock>...]
  local part
  for part in "$@"; do
    case "$part" in
      --model)
        # A file that is not there is not to be had by `cat`, and that is not an error.
        (cd "$KIT/model" && cat requirements.txt requirements.lock pyproject.toml uv.lock .python-version serving/requirements.txt || true) 2>/dev/null | cksum
        ;;
      *) cksum <"$part" ;;
    esac
  done
}

new_environment() { # <directory>
  local log="$SCRATCH/environment" command=("$PYTHON" -m venv)
  [ -z "$UV" ] || command=("$UV" venv --quiet --no-project --python "$PYTHON")
  ! attend "$log" "making the environment" "${command[@]}" "$1" || return 0
  tail -n 5 "$log" >&2
  "$PYTHON" -c 'import ensurepip' 2>/dev/null ||
    fail "$PYTHON cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"
  fail "$PYTHON could not make a virtual environment; its reason stands above"
}

fill_environment() { # <directory> [--model] [<lock>...]
  local directory="$1" part options log="$SCRATCH/install"
  shift
  for part in "$@"; do
    options=()
    [ -z "$UV" ] || options=(--uv "$UV")
    [ "$part" = --model ] || options+=(--lock "$part")
    if ! attend "$log" "installing packages" "$directory/bin/python" -P "$KIT/model/serving/install.py" ${options[@]+"${options[@]}"}; then
      grep -v -E '^(package|Downloading|Installing|Building|Prepared) ' "$log" | tail -n 20 >&2
      exit 1
    fi
    show_notes "$log"
  done
}

# What an installation or a build says to the user.
show_notes() { # <log>
  sed -n 's/^\(#[0-9]* [0-9.]* \)\{0,1\}\(note: .*\|warning: .*\)$/\2/p' "$1" | sed "s/^/$(basename "$0"): /" >&2
}

# The programs of an environment name their Python by its full path, which changes with the renaming.
settle() { # <directory> <place>
  local new="$1" old="$2.old-$$"
  if [ -e "$2" ] || [ -L "$2" ]; then mv "$2" "$old"; fi
  "$new/bin/python" - "$new" "$2" <<'END' || fail "$2 could not be made"
import os, pathlib, sys
new, place = sys.argv[1:]
for path in pathlib.Path(new, "bin").iterdir():
    content = b"" if path.is_symlink() or path.is_dir() else path.read_bytes()
    if os.fsencode(new) in content:
        mode = path.stat().st_mode
        path.unlink()  # uv may share the file with its cache
        path.write_bytes(content.replace(os.fsencode(new), os.fsencode(place)))
        path.chmod(mode)
os.rename(new, place)
END
  rm -rf "$old"
}
