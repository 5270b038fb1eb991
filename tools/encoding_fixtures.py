#!/usr/bin/env python3
"""Makes the fixtures of tests/data/encodings: images in every encoding, and what an independent decoder makes of them.

The decoders are OpenCV (raw encodings, JPEG) and Pillow (CMYK). In a virtual environment of its own:

    python3 -m venv /tmp/fixtures
    /tmp/fixtures/bin/pip install numpy==2.4.6 opencv-python-headless==5.0.0.93 pillow==13.0.0 \\
        mozjpeg-lossless-optimization==1.3.2
    /tmp/fixtures/bin/python tools/encoding_fixtures.py

For every raw encoding: NAME.raw, the bytes of a sensor_msgs/Image with padded rows, and NAME.rgb, the RGB that OpenCV
makes of them (without padding). For every kind of JPEG: NAME.jpg and the RGB of the decoder named in fixtures.json. The
index, fixtures.json, has the size, the step, the byte order and the RGB file of each; images of one content share it.
"""

import io
import json
import pathlib
import struct

import cv2
import mozjpeg_lossless_optimization
import numpy
from PIL import Image

FOLDER = pathlib.Path(__file__).parent.parent / "tests/data/encodings"
WIDTH, HEIGHT = 24, 16
PADDING = 0xEE


def scene(width, height):
    """RGB with smooth shades, saturated colours, black, white and sharp edges."""
    y, x = numpy.mgrid[:height, :width]
    red = 255 * x / (width - 1)
    green = 255 * y / (height - 1)
    blue = 127.5 + 127.5 * numpy.sin(x * 0.4 + y * 0.3)
    picture = numpy.stack([red, green, blue], axis=2)
    half = width // 2
    for index, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]):
        picture[2:5, half + 2 * index:half + 2 * index + 2] = colour
    return numpy.rint(picture).astype(numpy.uint8)


def deep_scene(bits):
    """The scene in samples of 16 bits of which `bits` are used; the lower ones vary."""
    largest = 2**bits - 1
    noise = numpy.random.default_rng(1).integers(-40, 41, (HEIGHT, WIDTH, 3))
    values = numpy.rint(scene(WIDTH, HEIGHT) * (largest / 255.0)) + noise
    values[0, 0] = largest
    return numpy.clip(values, 0, largest).astype(numpy.uint16)


def narrowed(samples, bits):
    """Samples of `bits` bits as bytes, rounded to nearest."""
    return numpy.rint(samples.astype(numpy.float64) * 255 / (2**bits - 1)).astype(numpy.uint8)


def mosaic(rgb, pattern):
    """What a sensor behind a colour filter array sees of RGB."""
    channel = {"r": 0, "g": 1, "b": 2}
    samples = numpy.zeros(rgb.shape[:2], rgb.dtype)
    for index, letter in enumerate(pattern):
        y, x = divmod(index, 2)
        samples[y::2, x::2] = rgb[y::2, x::2, channel[letter]]
    return samples


def demosaiced(samples, pattern):
    return cv2.cvtColor(samples, getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB"))


def yuv_planes(rgb):
    """Y, U and V of every pixel: BT.601 in limited range."""
    matrix = numpy.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
    planes = rgb.astype(numpy.float64) @ matrix.T + numpy.array([16.0, 128.0, 128.0])
    return numpy.rint(planes).astype(numpy.uint8)


def of_pairs(plane):
    return plane[:, 0::2]


class Fixtures:
    """Collects the files and their index."""

    def __init__(self):
        self.entries = []
        FOLDER.mkdir(parents=True, exist_ok=True)
        for old in FOLDER.iterdir():
            old.unlink()

    def raw(self, encoding, planes, rgb, bits=16, shared=None):
        """`planes`: arrays of rows of samples, all of the same number of bytes per row or twice that many."""
        deep = planes[0].dtype == numpy.uint16
        for suffix, order in [("", "<"), ("_be", ">")] if deep else [("", "<")]:
            rows = [plane.astype(plane.dtype.newbyteorder(order)).reshape(plane.shape[0], -1) for plane in planes]
            row_bytes = rows[0].shape[1] * rows[0].itemsize
            step = row_bytes + 5
            data = b"".join(self.padded(row.tobytes(), step) for plane in rows for row in plane)
            name = encoding + suffix
            (FOLDER / f"{name}.raw").write_bytes(data)
            self.entries.append({
                "name": name, "encoding": encoding, "width": WIDTH, "height": HEIGHT, "step": step,
                "is_bigendian": order == ">", "bits": bits if deep else None, "rgb": shared or encoding,
            })
        self.expect(encoding, rgb, shared)

    def expect(self, name, rgb, shared):
        """Writes what the decoder made of the image, or checks that it is what it made of another one."""
        if shared is None:
            (FOLDER / f"{name}.rgb").write_bytes(numpy.ascontiguousarray(rgb).tobytes())
        else:
            assert (FOLDER / f"{shared}.rgb").read_bytes() == numpy.ascontiguousarray(rgb).tobytes(), name

    @staticmethod
    def padded(row, step):
        length = step * -(-len(row) // step)
        return row + bytes([PADDING]) * (length - len(row))

    def jpeg(self, name, data, decoder, rgb, shared=None, **more):
        (FOLDER / f"{name}.jpg").write_bytes(data)
        height, width = rgb.shape[:2]
        self.entries.append({
            "name": name, "width": width, "height": height, "decoder": decoder, "rgb": shared or name, **more,
        })
        self.expect(name, rgb, shared)

    def finish(self):
        (FOLDER / "fixtures.json").write_text(json.dumps(self.entries, indent=1) + "\n")


def raw_fixtures(fixtures):
    rgb = scene(WIDTH, HEIGHT)
    opaque = lambda image, value: numpy.dstack([image, numpy.full(image.shape[:2], value, image.dtype)])
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    fixtures.raw("rgb8", [rgb], rgb)
    fixtures.raw("bgr8", [rgb[:, :, ::-1]], cv2.cvtColor(rgb[:, :, ::-1], cv2.COLOR_BGR2RGB), shared="rgb8")
    fixtures.raw("rgba8", [opaque(rgb, 7)], cv2.cvtColor(opaque(rgb, 7), cv2.COLOR_RGBA2RGB), shared="rgb8")
    bgra = opaque(rgb[:, :, ::-1], 7)
    fixtures.raw("bgra8", [bgra], cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB), shared="rgb8")
    fixtures.raw("mono8", [grey], cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))

    deep = deep_scene(12)
    fixtures.raw("rgb16", [deep], narrowed(deep, 12), bits=12)
    for name, samples in [
        ("bgr16", deep[:, :, ::-1]), ("rgba16", opaque(deep, 65535)), ("bgra16", opaque(deep[:, :, ::-1], 65535)),
    ]:
        rgb_16 = cv2.cvtColor(samples, getattr(cv2, f"COLOR_{name[:-2].upper()}2RGB"))
        fixtures.raw(name, [samples], narrowed(rgb_16, 12), bits=12, shared="rgb16")
    grey_16 = deep_scene(16)[:, :, 1].copy()
    grey_16[0, 0] = 65535
    fixtures.raw("mono16", [grey_16], cv2.cvtColor(narrowed(grey_16, 16), cv2.COLOR_GRAY2RGB), bits=16)

    for pattern in ("rggb", "bggr", "gbrg", "grbg"):
        samples = mosaic(rgb, pattern)
        fixtures.raw(f"bayer_{pattern}8", [samples], demosaiced(samples, pattern))
        samples = mosaic(deep_scene(12), pattern)
        fixtures.raw(f"bayer_{pattern}16", [samples], narrowed(demosaiced(samples, pattern), 12), bits=12)


def yuv_fixtures(fixtures):
    planes = yuv_planes(scene(WIDTH, HEIGHT))
    # Values outside of the limited range, which cameras do send.
    planes[-1, :8, 0] = [0, 5, 15, 236, 245, 255, 16, 235]
    planes[-2:, 8:16, 1:] = 255
    y, u, v = (planes[:, :, index] for index in range(3))
    chroma = numpy.dstack([of_pairs(u), of_pairs(v)]).reshape(HEIGHT, WIDTH)
    yuyv = numpy.dstack([y, chroma])
    fixtures.raw("yuv422_yuy2", [yuyv], cv2.cvtColor(yuyv, cv2.COLOR_YUV2RGB_YUY2))
    uyvy = numpy.dstack([chroma, y])
    fixtures.raw("yuv422", [uyvy], cv2.cvtColor(uyvy, cv2.COLOR_YUV2RGB_UYVY), shared="yuv422_yuy2")

    quarter = numpy.dstack([u[::2, ::2], v[::2, ::2]])
    nv12 = quarter.reshape(HEIGHT // 2, WIDTH)
    fixtures.raw("nv12", [y, nv12], cv2.cvtColor(numpy.vstack([y, nv12]), cv2.COLOR_YUV2RGB_NV12))
    nv21 = quarter[:, :, ::-1].reshape(HEIGHT // 2, WIDTH)
    fixtures.raw("nv21", [y, nv21], cv2.cvtColor(numpy.vstack([y, nv21]), cv2.COLOR_YUV2RGB_NV21), shared="nv12")

    # OpenCV has no nv24: every pixel is doubled, so that it has the chroma of a pair for itself.
    doubled = numpy.dstack([y.repeat(2, axis=1), numpy.dstack([u, v]).reshape(HEIGHT, 2 * WIDTH)])
    nv24 = numpy.dstack([u, v]).reshape(HEIGHT, 2 * WIDTH)
    rgb = cv2.cvtColor(doubled, cv2.COLOR_YUV2RGB_YUY2)[:, ::2]
    step = WIDTH + 5
    data = b"".join(Fixtures.padded(row.tobytes(), step) for row in y)
    data += b"".join(Fixtures.padded(row.tobytes(), 2 * step) for row in nv24)
    (FOLDER / "nv24.raw").write_bytes(data)
    fixtures.entries.append({
        "name": "nv24", "encoding": "nv24", "width": WIDTH, "height": HEIGHT, "step": step, "is_bigendian": False,
        "bits": None, "rgb": "nv24",
    })
    fixtures.expect("nv24", rgb, None)


def segments(jpeg):
    """The segments before the scan as (marker, bytes with marker and length), and the rest from the scan on."""
    found, position = [], 2
    while jpeg[position + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[position + 2:position + 4])[0] + 2
        found.append((jpeg[position + 1], jpeg[position:position + length]))
        position += length
    return found, jpeg[position:]


def without_tables(jpeg):
    found, rest = segments(jpeg)
    return jpeg[:2] + b"".join(content for marker, content in found if marker != 0xC4) + rest


def with_stray_bytes(jpeg):
    found, rest = segments(jpeg)
    stray = b"\x00\x12\xff\x00\x34\xff\xff"
    return jpeg[:2] + stray + b"".join(content + stray for _, content in found) + rest


def with_transform(jpeg, transform):
    """Another colour transform in Adobe's segment."""
    at = jpeg.index(b"Adobe")
    return jpeg[:at + 11] + bytes([transform]) + jpeg[at + 12:]


def in_three_scans(rgb, factor):
    """A sequential JPEG with one scan per component, put together from three grey ones; chroma 1/factor in size."""
    luma, red, blue = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    smaller = lambda plane: cv2.resize(plane, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    if factor == 2:
        even = lambda plane: cv2.copyMakeBorder(plane, 0, 1, 0, 1, cv2.BORDER_REPLICATE)
        red, blue = smaller(even(red)), smaller(even(blue))
    result = b""
    for number, plane in enumerate([luma, blue, red], 1):
        found, rest = segments(encoded(plane, cv2.IMWRITE_JPEG_QUALITY, 92))
        by_marker = {marker: content for marker, content in found if marker != 0xC4}
        if not result:
            frame = by_marker[0xC0][:9] + bytes([3, 1, factor * 17, 0, 2, 17, 0, 3, 17, 0])
            frame = frame[:2] + struct.pack(">H", len(frame) - 2) + frame[4:]
            result = b"\xff\xd8" + by_marker[0xDB] + frame
            result += b"".join(content for marker, content in found if marker == 0xC4)
        header = b"\xff\xda\x00\x08\x01" + bytes([number, 0, 0, 63, 0])
        result += header + rest[10:-2]
    return result + b"\xff\xd9"


def encoded(rgb, *parameters):
    ok, data = cv2.imencode(".jpg", rgb[:, :, ::-1] if rgb.ndim == 3 else rgb, list(parameters))
    assert ok
    return data.tobytes()


def by_opencv(jpeg):
    return cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def by_pillow(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def jpeg_fixtures(fixtures):
    # Not a multiple of the units, so that the last ones are cut.
    rgb = cv2.GaussianBlur(scene(45, 35), (3, 3), 0)
    quality = (cv2.IMWRITE_JPEG_QUALITY, 92)
    sampling = lambda factors: (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors)
    for name, factors in [
        ("444", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444), ("422", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
        ("420", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420), ("440", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
        ("411", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
    ]:
        data = encoded(rgb, *quality, *sampling(factors))
        fixtures.jpeg(f"jpeg_{name}", data, "OpenCV", by_opencv(data))
    plain = encoded(rgb, *quality, *sampling(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422))
    restarts = encoded(rgb, *quality, *sampling(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422), cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
    fixtures.jpeg("jpeg_restart", restarts, "OpenCV", by_opencv(restarts), shared="jpeg_422")
    # What OpenCV makes of the image before it was damaged.
    for name, data in [
        ("no_tables", without_tables(plain)), ("no_end", plain[:-2]), ("stray", with_stray_bytes(plain)),
    ]:
        fixtures.jpeg(f"jpeg_{name}", data, "OpenCV", by_opencv(plain), shared="jpeg_422")
    data = in_three_scans(rgb, 1)
    fixtures.jpeg("jpeg_three_scans", data, "OpenCV", by_opencv(data))
    (FOLDER / "jpeg_three_scans_420.refused").write_bytes(in_three_scans(rgb, 2))
    for name, factors in [
        ("progressive", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422), ("progressive_420", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ]:
        data = encoded(rgb, *quality, *sampling(factors), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
        shared = "jpeg_422" if name == "progressive" else "jpeg_420"
        fixtures.jpeg(f"jpeg_{name}", data, "OpenCV", by_opencv(data), shared=shared)
        if name == "progressive":
            fixtures.jpeg("jpeg_progressive_no_end", data[:-2], "OpenCV", by_opencv(data), shared=shared)
    data = encoded(
        rgb, *quality, *sampling(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420), cv2.IMWRITE_JPEG_PROGRESSIVE, 1,
        cv2.IMWRITE_JPEG_RST_INTERVAL, 2,
    )
    fixtures.jpeg("jpeg_progressive_restart", data, "OpenCV", by_opencv(data), shared="jpeg_420")
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    data = encoded(grey, *quality)
    fixtures.jpeg("jpeg_grey", data, "OpenCV", by_opencv(data))
    # Sampling factors mean nothing to a single component.
    frame = data.index(b"\xff\xc0")
    sampled = data[:frame + 11] + b"\x22" + data[frame + 12:]
    fixtures.jpeg("jpeg_grey_sampled", sampled, "OpenCV", by_opencv(sampled), shared="jpeg_grey")
    separate = mozjpeg_lossless_optimization.optimize((FOLDER / "jpeg_420.jpg").read_bytes())
    fixtures.jpeg("jpeg_progressive_mozjpeg", separate, "OpenCV", by_opencv(separate), shared="jpeg_420")
    optimised = encoded(rgb, *quality, *sampling(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420), cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    fixtures.jpeg("jpeg_optimised", optimised, "OpenCV", by_opencv(optimised), shared="jpeg_420")

    data = by_pillow(Image.fromarray(rgb), quality=92, subsampling=0, keep_rgb=True)
    fixtures.jpeg("jpeg_rgb", data, "OpenCV", by_opencv(data))
    cmyk = Image.fromarray(rgb).convert("CMYK")
    black = (255 - rgb.max(axis=2)) // 2
    channels = numpy.asarray(cmyk).copy()
    channels[:, :, 3] = black
    channels[:, :, :3] -= numpy.minimum(channels[:, :, :3], black[:, :, None])
    data = by_pillow(Image.fromarray(channels, "CMYK"), quality=92, subsampling=0)
    fixtures.jpeg("jpeg_cmyk", data, "OpenCV", by_opencv(data))
    # YCCK: the first three channels are YCbCr of the inverted ink, which is what Pillow writes of CMYK.
    ink = 255 - channels
    ycc = numpy.asarray(Image.fromarray(ink[:, :, :3]).convert("YCbCr"))
    ycck = numpy.dstack([ycc, ink[:, :, 3]])
    data = with_transform(by_pillow(Image.fromarray(255 - ycck, "CMYK"), quality=92, subsampling=0), 2)
    fixtures.jpeg("jpeg_ycck", data, "OpenCV", by_opencv(data))
    for name in ("jpeg_cmyk", "jpeg_ycck"):
        decoded = numpy.asarray(Image.open(FOLDER / f"{name}.jpg").convert("RGB")).astype(int)
        found = numpy.frombuffer((FOLDER / f"{name}.rgb").read_bytes(), numpy.uint8).reshape(decoded.shape).astype(int)
        assert numpy.abs(decoded - found).max() <= 3, (name, numpy.abs(decoded - found).max())


def main():
    fixtures = Fixtures()
    raw_fixtures(fixtures)
    yuv_fixtures(fixtures)
    jpeg_fixtures(fixtures)
    fixtures.finish()
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(fixtures.entries)} fixtures, {size} bytes, in {FOLDER}")


if __name__ == "__main__":
    main()
