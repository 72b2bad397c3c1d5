# A Chromium for the test that opens the page of a match; one that is already here is used as it is.
# shellcheck shell=bash

browser_program() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

browser_up() {
  local program folder
  if ! program=$(browser_program); then
    set_env CAGEMATCH_BROWSER
    note "there is no chromium in this machine's apt sources (Ubuntu has it only as a snap)"
    note "hint: apt-get install ./google-chrome-stable_current_amd64.deb   (from google.com/chrome; then rig/up browser)"
    return
  fi
  # From a file in /tmp, as the test does: a snap is not let near those.
  folder=$(mktemp -d)
  printf '<p>the browser %s</p>\n' works >"$folder/trial.html"
  chmod 755 "$folder"
  if timeout 60 "$program" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$folder/profile" \
    --dump-dom "file://$folder/trial.html" 2>>"$LOG" | grep 'the browser works' >/dev/null; then
    set_env CAGEMATCH_BROWSER "$program"
  else
    set_env CAGEMATCH_BROWSER
    note "$program does not show a file of /tmp (a snap cannot): the page's test needs another one"
    note "hint: tail -20 $LOG"
  fi
  rm -rf "$folder"
}
