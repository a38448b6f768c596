//! Nothing to see here: the tests are in `tests/`.
