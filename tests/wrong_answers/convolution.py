"""Typical mistakes of the assignment *convolution*, and what each must be told."""

WRONG = {
    "output-size": [
        ("def output_size(*_): pass", "return"),
        ("def output_size(w, f, p=0, s=1): return (w - f + 2 * p) / s + 1", "rounds down"),
        ("def output_size(w, f, p=0, s=1): return (w - f + 2 * p) // s", "places found, there are"),
        ("def output_size(w, f, p=0, s=1): return (w - f + p) // s + 1", "places found, there are"),
        ("def output_size(w, f, p=0, s=1): return (w - f + 2 * p) // s + 1", "ValueError"),
    ],
    "convolve2d": [
        ("def convolve2d(*_, **__): pass", "return"),
        ("* kernel)", "* kernel[::-1, ::-1])", "180 degrees"),
        ("def convolve2d(i, k, padding=0, stride=1): return np.zeros((2, 2))", "your map is 2 x 2, expected 3 x 3"),
        ("def convolve2d(i, k, padding=0, stride=1): return i[1:, 1:] * 1.0", "every number of it used"),
        ("def convolve2d(i, k, padding=0, stride=1): return right(i, k, padding)", "stride 2: your map is 3 x 3"),
        ("def convolve2d(i, k, padding=0, stride=1): return right(i, k, 0, stride)", "padding 1|does not fit"),
        ("image.shape[1]", "image.shape[0]", "your map is 2 x 2, expected 2 x 3"),
        (
            "def convolve2d(i, k, padding=0, stride=1): a = right(i, k, padding, stride); i += 1; return a",
            "has changed",
        ),
        (
            "from scipy.signal import correlate\n\ndef convolve2d(image, kernel, padding=0, stride=1):\n"
            "    return correlate(np.pad(image, padding), kernel, 'valid')[::stride, ::stride]",
            "it calls scipy.signal",
        ),
    ],
    "dark-to-bright": [
        ("dark_to_bright = np.ones((3, 3))", "flat white image"),
        ("dark_to_bright = np.array([[-1.0] * 3, [0] * 3, [1] * 3])", "above and below"),
        ("dark_to_bright = np.array([[1.0, 0, -1]] * 3)", "wrong way round"),
        ("dark_to_bright = np.array([1.0, 0, -1])", "three rows"),
    ],
    "pool": [
        ("def pool(*_): pass", "return"),
        ("def pool(image, size, reduce): return image[::size, ::size]", r"expected \[\[4, 9\]\]"),
        ("def pool(image, size, reduce): return right(image, size, np.max)", "with mean"),
        ("top, left = row * size, column * size", "top, left = row, column", "with amax|with max"),
    ],
}
