//! The real servers and the pictures that the tests use.
