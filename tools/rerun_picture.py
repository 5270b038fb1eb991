"""Opens a recording in rerun without a window and makes a picture of its end; for the Python of `make_venv screenshots` (tools/venv.sh).

    rerun_picture.py RECORDING.rrd PICTURE.jpg

Needs a graphics driver: Mesa's software one will do (Debian and Ubuntu: mesa-vulkan-drivers).
"""

import pathlib
import sys
import tempfile
import time

import rerun
from PIL import Image
from rerun.experimental import ViewerClient

PORT = 9917
WIDTH = 1600
START_SECS = 5.0
LOAD_SECS = 15.0
WRITE_SECS = 30.0


def main():
    recording, picture = map(pathlib.Path, sys.argv[1:3])
    executable = pathlib.Path(sys.executable).parent / "rerun"
    with ViewerClient.spawn(headless=True, port=PORT, executable_path=str(executable), hide_welcome_screen=True) as viewer:
        time.sleep(START_SECS)
        rerun.init("picture")
        rerun.connect_grpc(f"rerun+http://127.0.0.1:{PORT}/proxy")
        rerun.log_file_from_path(recording)
        time.sleep(LOAD_SECS)
        with tempfile.TemporaryDirectory() as folder:
            shot = pathlib.Path(folder) / "shot.png"
            viewer.save_screenshot(str(shot))
            written = wait_for(shot)
            written.convert("RGB").resize((WIDTH, WIDTH * written.height // written.width)).save(picture, quality=88)
        rerun.disconnect()


def wait_for(shot):
    """The picture as soon as it is complete."""
    for _ in range(int(WRITE_SECS / 0.2)):
        try:
            with Image.open(shot) as image:
                image.load()
                return image.copy()
        except (FileNotFoundError, OSError):
            time.sleep(0.2)
    sys.exit(f"rerun_picture: the viewer made no picture within {WRITE_SECS:.0f} s")


if __name__ == "__main__":
    main()
