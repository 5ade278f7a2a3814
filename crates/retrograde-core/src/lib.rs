//! Programs and their derivatives: IR, primitives, transforms, tape, reference executor, tracing front doors.
