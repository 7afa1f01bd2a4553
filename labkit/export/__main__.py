"""``python -m labkit.export`` writes a shipped network as ONNX."""

from labkit.export.network import main

main()
