"""Cut the bundled samples labkit/samples/NAME-SPLIT.png out of the whole data sets, and print their checksums.

The first 200 images of each class in the data set's own order, 50 a row of the mosaic, four rows a class.
"""

import numpy as np
from PIL import Image

from labkit import data

for name in data.CLASSES:
    for split in ("train", "test"):
        whole = data.load(name, split)
        if len(whole) == 10 * data.SAMPLES_PER_CLASS:
            raise SystemExit(f"{name}: only the sample is here; run `make data` with a network first")
        pixels = (whole.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
        labels = whole.labels.numpy()
        first = [np.flatnonzero(labels == label)[: data.SAMPLES_PER_CLASS] for label in range(10)]
        size, channels = pixels.shape[1], pixels.shape[3]
        tiles = pixels[np.concatenate(first)].reshape(40, 50, size, size, channels).transpose(0, 2, 1, 3, 4)
        mosaic = tiles.reshape(40 * size, 50 * size, channels).squeeze()
        Image.fromarray(mosaic).save(data.SAMPLES / f"{name}-{split}.png", optimize=True)
        chosen = np.stack(first, axis=1).ravel()  # 0, 1, ..., 9, 0, 1, ... as data.sample gives them
        print(name, split, data.checksum({"images": pixels[chosen], "labels": labels[chosen].astype(np.uint8)}))
