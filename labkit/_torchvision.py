"""torchvision, also where its C++ operators were built for another torch.

A torchvision wheel linked against CUDA does not load its operators beside a CPU build of torch, and then refuses to
import because their schemas are missing. Nothing here uses those operators, so after such a failure (and only then)
the schemas are declared and the import is tried again.
"""

import torch

try:
    import torchvision
except RuntimeError:
    _schemas = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _schemas.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
