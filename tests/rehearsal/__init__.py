"""The engine's way through CUDA, rehearsed where there is none: every operator is dispatched, no number is computed.

Tensors are PyTorch's fake ones: they have a device, a type and a shape, and no storage. What is said to be on CUDA
takes the path that a GPU would, through the very objects that a job trains with, so a step of a 70B-class model can
be taken on two cores: which kernels it asks for, and how many bytes are alive at its worst moment. What a kernel
takes and gives back within itself, fragmentation and speed are not seen here; `make gpu-check` sees them.
"""
