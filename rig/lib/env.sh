# The region of the checkout's .env that the rig keeps; every other line is the user's and stays.
# shellcheck shell=bash

ENV_OPEN='# >>> cagematch rig'
ENV_CLOSE='# <<< cagematch rig'

without_region() { awk -v from="$ENV_OPEN" -v to="$ENV_CLOSE" '$0 == from { skip = 1 } !skip { print } $0 == to { skip = 0 }' "$1"; }

env_write() {
  [[ -s $STATE/env ]] || return 0
  local fresh; fresh=$(mktemp)
  if [[ -f $ENV_FILE ]]; then without_region "$ENV_FILE" >"$fresh"; fi
  { printf '%s\n' "$ENV_OPEN"; cat "$STATE/env"; printf '%s\n' "$ENV_CLOSE"; } >>"$fresh"
  if ! cmp -s "$fresh" "$ENV_FILE"; then
    # a file that may come to hold secrets, and that belongs to whoever owns the checkout, not to root
    [[ -f $ENV_FILE ]] || { install -m 600 /dev/null "$ENV_FILE"; chown --reference="$CHECKOUT" "$ENV_FILE"; }
    cat "$fresh" >"$ENV_FILE"
    change "region '${ENV_OPEN#\# >>> }' in $ENV_FILE"
  fi
  remember env "$ENV_FILE"
  rm -f "$fresh"
}

env_remove() {
  local file fresh; fresh=$(mktemp)
  for file in $(recall env) "$ENV_FILE"; do
    grep -qsxF "$ENV_OPEN" "$file" || continue
    without_region "$file" >"$fresh"
    if [[ -s $fresh ]]; then cat "$fresh" >"$file"; else rm -f "$file"; fi
    change ".env region removed from $file"
  done
  rm -f "$fresh"; forget env
}

env_print() {
  [[ -s $STATE/env ]] || fail "nothing is up yet" "sudo rig/up"
  sed 's/^/export /' "$STATE/env"
}
