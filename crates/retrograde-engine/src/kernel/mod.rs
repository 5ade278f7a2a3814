//! Fused loop nests: what is computed in one pass over memory, and the tiles of registers that run it.
