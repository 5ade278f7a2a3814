//! Every direct operation gives the bits of `Prim::eval`, from operands in any storage and on any number of threads.

#[path = "direct/convolutions.rs"]
mod convolutions;
#[path = "direct/products.rs"]
mod products;
#[path = "direct/rows.rs"]
mod rows;
#[path = "direct/storage.rs"]
mod storage;
