//! The order of steps, and where each value lies while it lives.
