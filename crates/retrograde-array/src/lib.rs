//! Typed arrays with one meaning for every bit: dtypes, shapes, canonical reductions and products, keyed randomness.
