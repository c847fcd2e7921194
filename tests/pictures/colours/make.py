"""Makes the photograph, the profiles and what LittleCMS makes of the photograph by each profile.

Run: python make.py, with Pillow 13 (LittleCMS 2.19) and NumPy. The profiles are made up here: a press that never was,
with ideal curves and a few measured-looking inks.
"""

import os
import struct

import numpy as np
from PIL import Image, ImageCms

os.chdir(os.path.dirname(os.path.abspath(__file__)))
SIDE = 75
D50 = np.array([0.9642, 1.0, 0.8249])


def fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def profile(version, kind, space, connection, tags):
    tags = {"desc": text(version), "cprt": text(version), "wtpt": b"XYZ \0\0\0\0" + fixed(*D50), **tags}
    offset = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name.encode() + struct.pack(">II", offset + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    size = offset + len(data)
    header = struct.pack(">I4xI", size, version << 24) + kind + space + connection
    header += struct.pack(">6H", 2026, 11, 28, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + table + data


def text(version):
    if version < 4:
        return b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 8, 28) + "test".encode("utf-16-be")


def curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def parametric(*numbers):
    return b"para\0\0\0\0" + struct.pack(">HH", {1: 0, 3: 1, 4: 2, 5: 3, 7: 4}[len(numbers)], 0) + fixed(*numbers)


def lab_of(xyz):
    ratio = xyz / D50
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def nodes(inputs, grid):
    """All nodes of a table, the last input first to change."""
    axes = np.meshgrid(*[np.linspace(0, 1, grid)] * inputs, indexing="ij")
    return np.stack([axis.ravel() for axis in axes], -1)


# Colours of solid inks on paper, in XYZ: Neugebauer's model, with a dot gain and n of Yule and Nielsen.
PAPER, BLACK = D50 * 0.97, D50 * (0.035, 0.035, 0.05)
INKS = np.array([[0.15, 0.22, 0.52], [0.33, 0.17, 0.16], [0.70, 0.76, 0.09]])


def press(inks):
    cover = inks**0.8
    n = 1.7
    total = np.zeros((len(inks), 3))
    for which in range(16):
        on = [which >> ink & 1 for ink in range(4)]
        weight = np.prod([cover[:, ink] if on[ink] else 1 - cover[:, ink] for ink in range(4)], 0)
        solid = PAPER.copy()
        for ink in range(3):
            solid = solid * (INKS[ink] / PAPER) ** on[ink]
        solid = np.maximum(solid * (BLACK / PAPER) ** on[3], BLACK * 0.8)
        total += weight[:, None] * solid ** (1 / n)
    # White paper is white: relative to the medium.
    return total**n * D50 / PAPER


def scanner(rgb):
    matrix = np.array([[0.60, 0.24, 0.12], [0.30, 0.64, 0.06], [0.02, 0.08, 0.72]])
    matrix *= (D50 / matrix.sum(1))[:, None]
    return 0.006 * D50 + 0.994 * (rgb**2.0 @ matrix.T)


def lut8(inputs, grid, lab):
    values = np.stack([lab[:, 0] * 2.55, lab[:, 1] + 128, lab[:, 2] + 128], -1)
    table = np.clip(np.round(values), 0, 255).astype(np.uint8).tobytes()
    head = b"mft1\0\0\0\0" + bytes([inputs, 3, grid, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return head + bytes(range(256)) * inputs + table + bytes(range(256)) * 3


def lut16(inputs, grid, lab):
    # As version 2 has it: 0xff00 is a lightness of 100, 0x8000 is no colour.
    values = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], -1)
    table = np.clip(np.round(values), 0, 65535).astype(">u2").tobytes()
    head = b"mft2\0\0\0\0" + bytes([inputs, 3, grid, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    straight = struct.pack(">2H", 0, 65535)
    return head + struct.pack(">2H", 2, 2) + straight * inputs + table + straight * 3


def m_ab(inputs, grid, lab):
    values = np.stack([lab[:, 0] * 655.35, (lab[:, 1] + 128) * 257, (lab[:, 2] + 128) * 257], -1)
    table = np.clip(np.round(values), 0, 65535).astype(">u2").tobytes()
    b, m, a = curve(1) + bytes(2), parametric(1.0), curve(1) + bytes(2)
    matrix = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    clut = (bytes([grid]) * inputs).ljust(16, b"\0") + b"\2\0\0\0" + table
    clut += bytes(-len(clut) % 4)
    parts, offsets, data = [3 * b, matrix, 3 * m, clut, inputs * a], [], b""
    for part in parts:
        offsets.append(32 + len(data))
        data += part
    return b"mAB \0\0\0\0" + bytes([inputs, 3, 0, 0]) + struct.pack(">5I", *offsets) + data


def perceptual(xyz):
    """From media-relative to the black that tables of version 4 have."""
    black = 0.0034731
    darkest = xyz[:, 1].min()
    scale = (1 - black) / (1 - darkest)
    return xyz * scale + D50 * (black - darkest * scale)


primaries = {"rXYZ": (0.7977, 0.2880, 0.0), "gXYZ": (0.1352, 0.7119, 0.0), "bXYZ": (0.0313, 0.0001, 0.8249)}
primaries = {name: b"XYZ \0\0\0\0" + fixed(*xyz) for name, xyz in primaries.items()}
srgb_like = parametric(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
PROFILES = {
    "wide": profile(2, b"mntr", b"RGB ", b"XYZ ", {**primaries, **{f"{c}TRC": curve(1.8) for c in "rgb"}}),
    "wide-v4": profile(4, b"mntr", b"RGB ", b"XYZ ", {**primaries, **{f"{c}TRC": srgb_like for c in "rgb"}}),
    "scanner": profile(2, b"scnr", b"RGB ", b"Lab ", {"A2B0": lut16(3, 9, lab_of(scanner(nodes(3, 9))))}),
    "scanner-v4": profile(
        4, b"scnr", b"RGB ", b"Lab ", {"A2B0": m_ab(3, 9, lab_of(perceptual(scanner(nodes(3, 9)))))}
    ),
    "grey": profile(2, b"mntr", b"GRAY", b"XYZ ", {"kTRC": curve(1.4)}),
    "grey-lightness": profile(2, b"mntr", b"GRAY", b"Lab ", {"kTRC": curve(1.0)}),
    "press-8": profile(2, b"prtr", b"CMYK", b"Lab ", {"A2B0": lut8(4, 7, lab_of(press(nodes(4, 7))))}),
    "press-16": profile(2, b"prtr", b"CMYK", b"Lab ", {"A2B0": lut16(4, 6, lab_of(press(nodes(4, 6))))}),
    "press-v4": profile(4, b"prtr", b"CMYK", b"Lab ", {"A2B0": m_ab(4, 6, lab_of(perceptual(press(nodes(4, 6)))))}),
}


def samples(photograph, space):
    """The photograph's bytes as samples of another space; the tests do the same."""
    rgb = np.asarray(photograph).astype(int)
    if space == "GRAY":
        return Image.fromarray(rgb[..., 1].astype(np.uint8), "L")
    if space == "CMYK":
        black = 255 - rgb.max(2)
        inks = np.dstack([255 - rgb - black[..., None], black])
        return Image.fromarray(inks.astype(np.uint8), "CMYK")
    return photograph


def main():
    photograph = Image.open("../baseline.jpg").convert("RGB").crop((55, 0, 275, 220))
    photograph = photograph.resize((SIDE, SIDE), Image.Resampling.BOX)
    photograph.save("photograph.png", optimize=True)
    for name, data in PROFILES.items():
        with open(f"{name}.icc", "wb") as file:
            file.write(data)
        # To sRGB of version 4, as sharp does: the perceptual intent comes with black point compensation then.
        converted = ImageCms.profileToProfile(
            samples(photograph, data[16:20].decode().strip()),
            f"{name}.icc",
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            outputMode="RGB",
        )
        converted.save(f"{name}.png", optimize=True)


main()
