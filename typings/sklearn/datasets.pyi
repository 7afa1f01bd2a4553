import numpy as np

class Digits:
    images: np.ndarray
    target: np.ndarray

def load_digits() -> Digits: ...
