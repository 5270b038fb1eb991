"""Repairs a venv full of ROS 2 wheels so that C++ and Rust can build against it.

usage: repair_ros_wheels.py VENV (run by the venv's own Python; safe to run again)
"""

import pathlib
import re
import sys
import sysconfig


def link_default_rmw(lib: pathlib.Path) -> None:
    """librmw_implementation.so is not in the wheels: their librcl links the only middleware directly."""
    link = lib / "librmw_implementation.so"
    if not link.exists():
        link.symlink_to("librmw_fastrtps_cpp.so")


def repair_cmake_paths(share: pathlib.Path) -> int:
    """Exported cmake targets name folders of the machine that built the wheels; cmake refuses missing ones."""
    include = sysconfig.get_path("include")
    site_packages = sysconfig.get_path("purelib")
    builder = r"/opt/python/cp3\d+-cp3\d+"
    changed = 0
    for file in share.rglob("*.cmake"):
        old = file.read_text(encoding="utf-8")
        if "/opt/python/cp3" not in old:
            continue
        new = re.sub(builder + r"/include/python3\.\d+", include, old)
        new = re.sub(builder + r"/lib/python3\.\d+/site-packages", site_packages, new)
        file.write_text(new, encoding="utf-8")
        changed += 1
    return changed


def gather_bundled_libraries(lib: pathlib.Path, site_packages: pathlib.Path) -> None:
    """Each wheel looks for the libraries it brings in a folder three levels up that does not exist in a venv."""
    for bundled in sorted(site_packages.glob("ros_*.libs/*.so*")):
        link = lib / bundled.name  # the names hold a hash of the content, so equal names are equal files
        if not link.exists():
            link.symlink_to(bundled)


def main() -> None:
    venv = pathlib.Path(sys.argv[1])
    link_default_rmw(venv / "lib")
    gather_bundled_libraries(venv / "lib", pathlib.Path(sysconfig.get_path("purelib")))
    print(f"repaired {repair_cmake_paths(venv / 'share')} cmake files")


if __name__ == "__main__":
    main()
