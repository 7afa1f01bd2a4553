"""Typical mistakes of the assignment *layers*, and what each must be told."""

WRONG = {
    "output-shape": [
        ("    return tuple(shape)", "", "Is there a return"),
        ('// layer["stride"] + 1', '/ layer["stride"] + 1', "whole numbers"),
        ('+ 2 * layer["padding"]', '+ layer["padding"]', "one ring of zeros"),
        ('return (layer["filters"], height, width)', 'return (layer["filters"], width, height)', "Height first"),
        ('// layer["stride"] + 1', "+ 1", "every second place"),
        ("return (total,)", "return total", "a shape is a tuple"),
        ('(layer["filters"], height, width)', "(shape[0], height, width)", "conv"),
        ("if len(shape) != 1:", "if False:", "raise a ValueError"),
    ],
    "parameters": [
        ("** 2 + 1)", "** 2)", "has a bias as well"),
        ('shape[0] * layer["size"] ** 2 + 1', 'layer["size"] ** 2 + 1', "all three channels"),
        ('(shape[0] * layer["size"] ** 2 + 1)', '(shape[0] * layer["size"] ** 2) + 1', "one for each filter"),
        ("** 2 + 1", "+ 1", "not 5$"),
        ("** 2 + 1)", "** 2 + 1) * output_shape(shape, layer)[1] * output_shape(shape, layer)[2]", "count once"),
        ("(shape[0] + 1)", "shape[0]", "each of the 10 units"),
        ("return 0", "return 1", "learns nothing"),
    ],
    "count": [
        ("    return table", "", "return"),
        ("        shape = out\n", "", "goes into the next|not flat|flatten"),
        ("neurons, reads = out[0] * out[1] * out[2],", "neurons, reads = out[0],", "number of filters"),
        ("weights = parameters(shape, layer)", "weights = parameters(out, layer)", "before it runs"),
        ("neurons * reads", "weights", "each is used|biases|multiplications are"),
        ('layer["size"] ** 2\n', 'layer["size"] ** 2 + 1\n', "biases are added"),
        ("neurons = reads = 0", "neurons, reads = 1, 0", "no neurons of their own"),
    ],
    "mnist-network": [
        ('    {"kind": "flatten"},\n', "", "has to flatten"),
        ('"units": 10}', '"units": 1}', "ten classes"),
        ('"units": 500}', '"units": 128}', "neurons"),
        (
            'mnist_network = [\n    {"kind": "conv", "filters": 32, "size": 3, "padding": 1',
            'mnist_network = [\n    {"kind": "conv", "filters": 32, "size": 3, "padding": 0',
            "neurons",
        ),
        (
            '    {"kind": "relu"},\n    {"kind": "dense", "units": 10}',
            '    {"kind": "dense", "units": 10}',
            "three ReLUs",
        ),
        ("mnist_network = [", "mnist_network = 7, [", "list of dictionaries"),
    ],
}
