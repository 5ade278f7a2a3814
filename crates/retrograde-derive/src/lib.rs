//! Derives Tree for structs of parameters.
