"""Writes digits.csv.gz beside this file: 1797 lines of 64 pixels (0..16, row-major 8x8) and the digit.

Needs scikit-learn and numpy. The output does not depend on the date: gzip's time stamp is zero.
"""

import gzip
from pathlib import Path

import numpy
from sklearn.datasets import load_digits

digits = load_digits()
pixels = digits.data.astype(numpy.int64)
assert pixels.shape == (1797, 64) and (pixels == digits.data).all()
assert pixels.min() == 0 and pixels.max() == 16
assert sorted(set(digits.target)) == list(range(10))

lines = [",".join(map(str, [*row, label])) for row, label in zip(pixels, digits.target)]
text = "\n".join(lines) + "\n"
target = Path(__file__).with_name("digits.csv.gz")
target.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))
print(f"{target.name}: {len(lines)} rows, {target.stat().st_size} bytes")
