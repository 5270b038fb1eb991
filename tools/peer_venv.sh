# Makes a venv whose Python has torch and pytorch-ood, and finds rclpy where the ROS 2 in use has it, and calls it `peer`. To be sourced
# from the root of the checkout after tools/env.sh.

peer=$PWD/.deps/peer
peer_wanted=$({ cat tools/requirements-peer.txt; command -v python; } | sha256sum | cut -c1-12)
if [[ ! -f $peer/.stamp || $(<"$peer/.stamp") != "$peer_wanted" ]]; then
  echo "installing PyTorch and pytorch-ood into $peer ..." >&2
  rm -rf "$peer"
  python -m venv "$peer"
  "$peer/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --requirement tools/requirements-peer.txt
  python -c 'import pathlib, rclpy; print(pathlib.Path(rclpy.__file__).parent.parent)' >"$(echo "$peer"/lib/python3*/site-packages)/ros.pth"
  echo "$peer_wanted" >"$peer/.stamp"
fi
