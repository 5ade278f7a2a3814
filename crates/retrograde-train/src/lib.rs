//! Data readers, recipes, the training loop, metrics and run folders.
