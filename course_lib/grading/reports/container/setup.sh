#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the container.
set -euo pipefail
source="${AUTOGRADER_ROOT:-/autograder}/source"

fitting() {
  for python in python3 python3.13 python3.12 python3.11; do
    if command -v "$python" > /dev/null && "$python" -c \
      'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
      echo "$python"
      return
    fi
  done
}

apt-get update
python="$(fitting)"
if [ -z "$python" ]; then # Ubuntu 22.04, whose own Python is 3.10
  apt-get install -y --no-install-recommends python3.11
  python=python3.11
fi
version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
apt-get install -y --no-install-recommends bubblewrap util-linux "python$version-venv"

"$python" -m venv "$source/.venv"
"$source/.venv/bin/python" -m pip install --no-cache-dir -r "$source/requirements.txt"

# The student's process is another user, who needs Python and none of this.
chmod 600 "$source/secret-seed" "$source/settings.json"
chmod -R go= "$source/course_lib"
chmod 711 "$source"
