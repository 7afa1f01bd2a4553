from typing import Literal

import numpy as np

class TSNE:
    def __init__(
        self, *, perplexity: float = 30.0, init: Literal["pca", "random"] = "pca", random_state: int | None = None
    ) -> None: ...
    def fit_transform(self, X: np.ndarray) -> np.ndarray: ...
