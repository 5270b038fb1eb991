# Venvs for tools, each beside the others in .deps/. To be sourced from the root of the checkout after tools/env.sh.

# make_venv NAME: makes a venv of tools/requirements-NAME.txt, unless it is there, and prints its folder.
make_venv() {
  local folder=$PWD/.deps/$1 list=tools/requirements-$1.txt wanted
  wanted=$({ cat "$list"; command -v python; } | sha256sum | cut -c1-12)
  if [[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$wanted" ]]; then
    echo "installing what $list lists into $folder ..." >&2
    rm -rf "$folder"
    # `set -e` does not reach into $(...). Packages of ROS 2 are no part of the venv.
    python -m venv "$folder" >&2 || return
    env -u PYTHONPATH "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --requirement "$list" >&2 || return
    echo "$wanted" >"$folder/.stamp"
  fi
  echo "$folder"
}

# make_peer_venv: the same for `peer`, which finds rclpy where the ROS 2 in use has it.
make_peer_venv() {
  local folder
  folder=$(make_venv peer) || return
  python -c 'import pathlib, rclpy; print(pathlib.Path(rclpy.__file__).parent.parent)' >"$(echo "$folder"/lib/python3*/site-packages)/ros.pth"
  echo "$folder"
}
