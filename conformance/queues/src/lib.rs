//! Our virtqueue against a device side that others wrote. All of it is tests: see `tests/rustvmm`.
