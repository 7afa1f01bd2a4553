from typing import Literal, Self

import numpy as np

class KMeans:
    labels_: np.ndarray
    cluster_centers_: np.ndarray
    def __init__(
        self, n_clusters: int = 8, *, n_init: int | Literal["auto"] = "auto", random_state: int | None = None
    ) -> None: ...
    def fit(self, X: np.ndarray) -> Self: ...
