"""Files of every kind that people bring, written by Pillow and read back."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from stages.corpora.pictures import Unreadable, fitted, picture_size, read_mask, read_picture


def saved(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def gradient(width: int = 12, height: int = 8) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 20, y * 30, (x + y) * 10], -1).astype(np.uint8))


def test_rgb_comes_back_byte_for_byte():
    picture = read_picture(saved(gradient()))
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, np.asarray(gradient()))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours_become_rgb(mode):
    image = gradient().convert(mode)
    assert np.array_equal(read_picture(saved(image)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(format):
    """0, 257, 514 ... 65535 are 0, 1, 2 ... 255 of 255."""
    levels = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    picture = read_picture(saved(Image.fromarray(levels), format))
    assert np.array_equal(picture, np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, 2))


def test_sixteen_bits_of_big_endian_tiff():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 0, 65535))
    assert read_picture(saved(image, "TIFF")).tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode):
    """Alpha compositing: a share of alpha of the colour, the rest white."""
    bands = len(mode) - 1
    pixels = np.array([[[100] * bands + [alpha] for alpha in (0, 51, 128, 255)]], np.uint8)
    picture = read_picture(saved(Image.fromarray(pixels, mode)))
    expected = [255 - (255 - 100) * alpha / 255 for alpha in (0, 51, 128, 255)]
    assert np.abs(picture[0, :, 0] - expected).max() <= 1
    assert (picture == picture[..., :1]).all()


def test_a_transparent_palette_colour_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    assert read_picture(saved(image, transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 200]]]


def test_cmyk_is_converted():
    pixels = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 255, 255, 0]]], np.uint8)
    image = Image.fromarray(pixels, "CMYK")
    expected = [[[255, 255, 255], [0, 0, 0], [0, 255, 255], [255, 0, 0]]]
    assert read_picture(saved(image, "TIFF")).tolist() == expected
    wide = image.resize((64, 16), Image.Resampling.NEAREST)
    jpeg = read_picture(saved(wide, "JPEG", quality=100))[8, 8::16]
    assert np.abs(jpeg.astype(int) - expected[0]).max() <= 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(read_picture(data).astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(format, orientation):
    """Pillow's own ``exif_transpose`` is the witness."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(gradient(24, 16), format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(read_picture(data), expected)
    assert picture_size(data) == expected.shape[1::-1]


def test_size_and_picture_agree_where_the_orientation_comes_after_the_pixels():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(gradient(24, 16), exif=exif)
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", data[start : start + 4])[0]
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert picture_size(moved) == read_picture(moved).shape[1::-1]


def test_sixteen_bits_turned_by_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(np.array([[0, 65535]], np.uint16)), exif=exif)
    assert read_picture(data)[..., 0].tolist() == [[0], [255]]


@pytest.mark.parametrize(("size", "expected"), [((1, 1), (1, 1)), ((20000, 10), (512, 1)), ((10, 20000), (1, 512))])
def test_extreme_sizes(size, expected):
    picture = read_picture(saved(Image.new("RGB", size, "navy")), max_side=512)
    assert picture.shape == (*expected[::-1], 3)
    assert (picture == (0, 0, 128)).all()


@given(st.integers(1, 30000), st.integers(1, 30000), st.integers(1, 2000))
def test_fitting_never_enlarges_and_keeps_the_proportions(width, height, max_side):
    new = fitted((width, height), max_side)
    assert max(new) == min(max(width, height), max_side)
    scale = max(new) / max(width, height)
    for before, after in zip((width, height), new, strict=True):
        assert 1 <= after <= before
        assert abs(after - max(1, before * scale)) <= 0.5


def test_a_path_is_read_and_named(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(gradient()))
    assert read_picture(tmp_path / "a.png").shape == (8, 12, 3)
    with pytest.raises(Unreadable, match=r"b\.png cannot be decoded .*No such file"):
        read_picture(tmp_path / "b.png")


def broken() -> dict[str, tuple[bytes, str]]:
    png = saved(Image.effect_noise((64, 64), 80))
    header = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return {
        "empty": (b"", "is no picture in a known format"),
        "text": (b"<html>404</html>", "is no picture in a known format"),
        "truncated": (png[: len(png) // 2], "cannot be decoded"),
        "damaged": (png[:60] + bytes(40) + png[100:], "cannot be decoded"),
        "bomb": (bomb + png[33:], "is too large to be decoded safely"),
        "float": (saved(Image.new("F", (2, 2), 0.5), "TIFF"), "holds floating-point values of unknown range"),
        "wide": (saved(Image.new("I", (2, 2), 70000), "TIFF"), "holds integers of unknown range"),
    }


@pytest.mark.parametrize("kind", broken())
def test_what_cannot_be_read_says_so(kind):
    data, message = broken()[kind]
    with pytest.raises(Unreadable, match=f"^photo.png {message}.*[.]$"):
        read_picture(data, name="photo.png")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"]), st.data())
def test_damage_gives_a_picture_or_unreadable_and_nothing_else(format, data):
    content = bytearray(saved(gradient(), format))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        picture = read_picture(content, max_side=32)
    except Unreadable as error:
        assert str(error).startswith("The picture ")
    else:
        assert picture.ndim == 3
        assert max(picture.shape) <= 32


HOLE = np.zeros((8, 12), bool)
HOLE[2:6, 3:7] = True


def ways_to_save_a_mask() -> dict[str, Image.Image]:
    """One mask as different programs save it."""
    ones = HOLE.astype(np.uint8)
    davis = Image.fromarray(ones, "P")
    davis.putpalette([0, 0, 0, 128, 0, 0])
    strokes = np.zeros((*HOLE.shape, 4), np.uint8)
    strokes[HOLE] = 255
    red = np.zeros((*HOLE.shape, 3), np.uint8)
    red[HOLE] = (255, 0, 0)
    return {
        "one bit": Image.fromarray(HOLE), "0 and 255": Image.fromarray(ones * 255), "0 and 1": Image.fromarray(ones),
        "16 bits, 0 and 1": Image.fromarray(ones.astype(np.uint16)), "rgb": Image.fromarray(ones * 255).convert("RGB"),
        "16 bits": Image.fromarray(ones.astype(np.uint16) * 65535), "palette": davis,
        "red on black": Image.fromarray(red), "white strokes on nothing": Image.fromarray(strokes),
        "opaque": Image.fromarray(ones * 255).convert("RGBA"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ways_to_save_a_mask())
def test_a_mask_is_the_same_however_it_was_saved(tmp_path, name):
    ways_to_save_a_mask()[name].save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), HOLE)


def test_a_mask_of_a_lossy_format_is_read(tmp_path):
    big = np.kron(HOLE, np.ones((16, 16))) > 0
    Image.fromarray(big).convert("L").save(tmp_path / "mask.jpg", quality=95)
    assert np.array_equal(read_mask(tmp_path / "mask.jpg"), big)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4), np.uint8), "is all of one value"),
        (np.full((4, 4), 255, np.uint8), "is all of one value"),
        (np.array([[0, 1, 2]], np.uint8), "has more than two values"),
        (np.array([[0, 128, 255]], np.uint8), "has more than two values"),
        (np.array([[1, 2]], np.uint8), "none that is black"),
        (
            np.dstack([np.tile(np.arange(8, dtype=np.uint8) * 30, (8, 1))] * 3 + [np.eye(8, dtype=np.uint8) * 255]),
            "more",
        ),
    ],
    ids=["black", "white", "classes", "grey", "no black", "a photograph with a hole"],
)
def test_what_could_be_read_in_two_ways_is_no_mask(tmp_path, pixels, message):
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(Unreadable, match=f"{message}.*white where the picture was repainted"):
        read_mask(tmp_path / "mask.png")


def test_twelve_bits_in_sixteen_are_refused_rather_than_black(tmp_path):
    with pytest.raises(Unreadable, match="no value in it is over 4095: it would be black"):
        read_picture(saved(Image.fromarray(np.array([[0, 4095]], np.uint16))))
    assert read_picture(saved(Image.fromarray(np.zeros((2, 2), np.uint16)))).max() == 0, "black is black"


def test_a_grey_map_of_sixteen_bits_says_its_largest_value(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 1000 " + struct.pack(">HH", 0, 1000))
    assert read_picture(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 255]
