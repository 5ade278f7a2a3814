//! Automatic differentiation with the tricks of deep learning.
