"""A contact sheet of the data set `synthetic_eyes`, to look at: drawn, not photographed.

Left: a row an identity, five of its images, each periocular image over its iris strip (unwrapped;
the left end is the start of the angle, the upper edge lies at the pupil). Right: a row a kind of
degradation on one eye, severity 0 to 1. As the networks get them, twice as large.

    python benchmarks/synthetic_eyes_sheet.py --out reports/synthetic_eyes.png
"""

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dmtsearch.data.degradations import degrade, fitting_kinds
from dmtsearch.data.eyes import read_eyes

IMAGES = 5
SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SCALE, GAP, SIDE, HEAD = 2, 8, 104, 78
"""Pixels on the sheet for each drawn one; between cells; for names at the left; for the title."""

TITLE = "synthetic_eyes: drawn, not photographed. No person's data is in it."


def spoil(eye: dict[str, Tensor], kind: str, severity: float) -> dict[str, Tensor]:
    """One eye [1, 1, H, W] by modality, both modalities spoilt."""
    index = torch.zeros(1, dtype=torch.int64)
    return {
        name: degrade(
            x, kind=kind, severity=severity, seed=0, split="sheet", index=index, modality=name
        )
        for name, x in eye.items()
    }


def draw_cell(eye: dict[str, Tensor]) -> Image.Image:
    """The periocular image over the iris strip, on white."""
    parts = []
    for name in ("periocular", "iris"):
        picture = Image.fromarray(eye[name][0, 0].numpy())
        size = picture.width * SCALE, picture.height * SCALE
        parts.append(picture.resize(size, Image.Resampling.NEAREST))
    width = max(part.width for part in parts)
    cell = Image.new("L", (width, sum(part.height for part in parts) + 2), 255)
    top = 0
    for part in parts:
        cell.paste(part, ((width - part.width) // 2, top))
        top += part.height + 2
    return cell


def draw_block(rows: dict[str, list[dict[str, Tensor]]], heads: list[str]) -> Image.Image:
    """Named rows of eyes under headed columns."""
    cells = {name: [draw_cell(eye) for eye in eyes] for name, eyes in rows.items()}
    one = next(iter(cells.values()))[0]
    step, down = one.width + GAP, one.height + GAP
    block = Image.new("L", (SIDE + step * len(heads), 18 + down * len(cells)), 255)
    pen, font = ImageDraw.Draw(block), ImageFont.load_default(12)
    for column, head in enumerate(heads):
        pen.text((SIDE + column * step + one.width // 2, 0), head, 70, font, anchor="ma")
    for row, (name, line) in enumerate(cells.items()):
        top = 18 + row * down
        pen.text((0, top + one.height // 2), name, 0, font, anchor="lm")
        for column, cell in enumerate(line):
            block.paste(cell, (SIDE + column * step, top))
    return block


def draw_sheet() -> Image.Image:
    """The whole sheet, grey."""
    kinds = fitting_kinds("images")
    pool = read_eyes({}, None).pools["train"]
    starts = [int((pool.y == number).nonzero()[0]) for number in range(len(kinds))]
    eyes = {
        f"identity {number}": [
            {name: x[start + image : start + image + 1] for name, x in pool.x.items()}
            for image in range(IMAGES)
        ]
        for number, start in enumerate(starts)
    }
    first = eyes["identity 0"][0]
    spoilt = {kind: [spoil(first, kind, severity) for severity in SEVERITIES] for kind in kinds}
    left = draw_block(eyes, [f"image {number}" for number in range(IMAGES)])
    right = draw_block(spoilt, [f"severity {severity:g}" for severity in SEVERITIES])
    size = left.width + 2 * GAP + right.width, HEAD + max(left.height, right.height)
    sheet = Image.new("L", (size[0] + 2 * GAP, size[1] + GAP), 255)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP), TITLE, 0, ImageFont.load_default(20))
    words = (
        f"The first {len(eyes)} of {int(pool.y.max()) + 1} identities, {IMAGES} of "
        f"{int((pool.y == 0).sum())} images each: the periocular image over the unwrapped iris.",
        "The first image of identity 0, both modalities degraded.",
    )
    for text, at in zip(words, (GAP, left.width + 3 * GAP), strict=True):
        pen.text((at, GAP + 34), text, 70, ImageFont.load_default(13))
    sheet.paste(left, (GAP, HEAD))
    sheet.paste(right, (left.width + 3 * GAP, HEAD))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports/synthetic_eyes.png"))
    args = parser.parse_args()
    draw_sheet().save(args.out, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
