"""Writes breast_cancer.csv.gz beside this file: 569 lines of 30 measurements and the class (0 malignant, 1 benign).

Needs scikit-learn. The output does not depend on the date: gzip's time stamp is zero.
"""

import gzip
from pathlib import Path

from sklearn.datasets import load_breast_cancer

data = load_breast_cancer()
assert data.data.shape == (569, 30) and sorted(set(data.target)) == [0, 1]

# repr gives the shortest decimals that read back to the same bits.
lines = [",".join([*(repr(float(x)) for x in row), str(int(label))]) for row, label in zip(data.data, data.target)]
text = "\n".join(lines) + "\n"
target = Path(__file__).with_name("breast_cancer.csv.gz")
target.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))
print(f"{target.name}: {len(lines)} rows, {target.stat().st_size} bytes")
