//! Solvers written against the front doors: ODE integrators.
