"""Tiny pictures in the layouts of folders that loaders read."""

import numpy as np
from PIL import Image


def paint(path, *, size=(6, 4), colour=50, mode="L"):
    """Write a picture of `size` (width, height) in one colour, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour if mode == "L" else (colour, 0, 0)).save(path)
    return path


def paint_pairs(root, *, modalities=("iris", "periocular"), classes=("ann", "bob"), count=10):
    """Write root/MODALITY/CLASS/N.png; the grey level says which modality, class and sample."""
    for m, modality in enumerate(modalities):
        for c, name in enumerate(classes):
            for number in range(count):
                colour = 100 * m + 50 * c + number
                paint(root / modality / name / f"{number}.png", size=(6 + 2 * m, 4), colour=colour)
    return root


def paint_casia(root, *, digit=5, people=("000", "001"), eyes="LR", count=5):
    """Write root/YYY/E/S<digit>YYYENN.jpg."""
    for p, person in enumerate(people):
        for e, eye in enumerate(eyes):
            for number in range(count):
                name = f"S{digit}{person}{eye}{number:02}.jpg"
                paint(root / person / eye / name, size=(8, 8), colour=40 * (2 * p + e) + number)
    return root


def paint_iitd(root, *, people=("001", "002", "014")):
    """Write root/YYY/NN_E.bmp: five left and five right eyes; and one strip in YYY_N.bmp each."""
    for p, person in enumerate(people):
        for number in range(1, 11):
            eye = "L" if number <= 5 else "R"
            paint(root / person / f"{number:02}_{eye}.bmp", size=(8, 6), colour=20 * p + number)
        for number in range(1, 6):
            strip = root / "Normalized_Images" / f"{person}_{number}.bmp"
            paint(strip, size=(432, 48), colour=20 * p + number)
    return root


def paint_ubiris(root, *, eyes=(1, 2, 10), sessions=(1, 2), count=3):
    """Write UBIRIS.v2 and UBIPr below root; the latter has a text beside each picture."""
    for eye in eyes:
        for session in sessions:
            for number in range(1, count + 1):
                stem = f"C{eye}_S{session}_I{number}"
                colour = 20 * eye + 5 * session + number
                paint(root / "ubiris" / f"{stem}.tiff", mode="RGB", size=(8, 6), colour=colour)
                paint(root / "ubipr" / f"{stem}.jpg", mode="RGB", size=(9, 9), colour=colour)
                (root / "ubipr" / f"{stem}.txt").write_text("Iris;4;4\n")
    return {name: root / name for name in ("ubiris", "ubipr")}


def all_samples(data):
    """Every sample of a loaded set, in the order of its source: x by modality, and y."""
    data.open_test(reason="a test looks at every sample")
    splits = [data.split(name) for name in data.split_sizes]
    order = np.concatenate([split.index.numpy() for split in splits]).argsort()
    x = {
        name: np.concatenate([split.x[name].numpy() for split in splits])[order]
        for name in splits[0].x
    }
    return x, np.concatenate([split.y.numpy() for split in splits])[order]
