from typing import Literal

import numpy as np

class PCA:
    def __init__(
        self,
        n_components: int | None = None,
        *,
        svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] = "auto",
    ) -> None: ...
    def fit_transform(self, X: np.ndarray) -> np.ndarray: ...
