//! The checker: every invariant of programs, run after every transform in debug builds and tests.
//!
//! 1. Every value defined lies in the table of types.
//! 2. No value is bound twice.
//! 3. Values are numbered in the order of their definition: inputs first, then the results of each equation.
//! 4. Every operand is defined before its use.
//! 5. Every output of the program is defined.
//! 6. The table of types has exactly one entry per value.
//! 7. Every operation accepts the types of its operands ([`Op::infer`]).
//! 8. Every equation binds as many values as its operation has results.
//! 9. The type of every result is the one inferred again.
//! 10. The type `bits` is in its one normal form, [`Type::bits`].
//! 11. Every body obeys all of these.
//! 12. Programs nest at most [`MAX_DEPTH`] deep, so that no recursion over bodies overflows the stack.
//!
//! Together they make equal programs compare equal and `parse(print(p)) == p` (for shapes that memory can hold).

use std::fmt;

use super::program::{EqnId, Kind, Location, Op, Program, Type, ValueId};

/// Programs may stand this deep inside each other; the parser has the same limit.
pub const MAX_DEPTH: usize = 64;

/// Where a program is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Among its inputs.
    Inputs,
    /// Among its outputs.
    Outputs,
    /// In an equation.
    Equation {
        /// Which.
        id: EqnId,
        /// Its operation.
        op: &'static str,
        /// The user's line.
        location: Option<Location>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Inputs => f.write_str("inputs"),
            Place::Outputs => f.write_str("outputs"),
            Place::Equation { id, op, location: None } => write!(f, "equation {} ({op})", id.0),
            Place::Equation { id, op, location: Some(l) } => write!(f, "equation {} ({op} at {l})", id.0),
        }
    }
}

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckError {
    /// Invariant 1.
    #[error("{place}: value {} is not in the table of {table} types", value.0)]
    OutsideTable {
        /// Where.
        place: Place,
        /// The value.
        value: ValueId,
        /// Length of the table.
        table: usize,
    },
    /// Invariant 2.
    #[error("{place}: value {} is bound twice", value.0)]
    BoundTwice {
        /// Where the second time.
        place: Place,
        /// The value.
        value: ValueId,
    },
    /// Invariant 3.
    #[error("{place}: value {} is defined where {} was expected in the order of definition", found.0, expected.0)]
    Order {
        /// Where.
        place: Place,
        /// The number found.
        found: ValueId,
        /// The next number.
        expected: ValueId,
    },
    /// Invariants 4 and 5.
    #[error("{place}: value {} is used before its definition", value.0)]
    Undefined {
        /// Where it is used.
        place: Place,
        /// The value.
        value: ValueId,
    },
    /// Invariant 6.
    #[error("the table has {found} types for {expected} values")]
    TableLength {
        /// Length of the table.
        found: usize,
        /// Values defined.
        expected: usize,
    },
    /// Invariant 7.
    #[error("{place}: {message}")]
    Refused {
        /// Where.
        place: Place,
        /// What the operation said.
        message: String,
    },
    /// Invariant 8.
    #[error("{place}: {found} values are bound to {expected} results")]
    ResultCount {
        /// Where.
        place: Place,
        /// Values bound.
        found: usize,
        /// Results of the operation.
        expected: usize,
    },
    /// Invariant 9.
    #[error("{place}: value {} has type {found} where {expected} is inferred", value.0)]
    ResultType {
        /// Where.
        place: Place,
        /// The value.
        value: ValueId,
        /// The type in the table.
        found: Box<Type>,
        /// The type inferred.
        expected: Box<Type>,
    },
    /// Invariant 10.
    #[error("{place}: value {} is of type bits with dtype {} and shape {}", value.0, found.dtype, found.shape)]
    Bits {
        /// Where.
        place: Place,
        /// The value.
        value: ValueId,
        /// Its type.
        found: Type,
    },
    /// Invariant 11.
    #[error("{place}, in its body: {source}")]
    Body {
        /// Whose body.
        place: Place,
        /// What is wrong in it.
        source: Box<CheckError>,
    },
    /// Invariant 12.
    #[error("programs nest more than {MAX_DEPTH} deep")]
    Depth,
}

/// Whether a program obeys every invariant at the top of this file.
///
/// # Errors
/// The first one broken.
///
/// # Cost
/// Linear in the equations, times the depth of bodies.
///
/// ```
/// use retrograde_core::{ir::{check, debug_check, parse}, prim::Prim};
/// let mut program = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = sin a\n  c:f64[] = cos b\n  return c\n}")?;
/// assert!(check(&program).is_ok());
/// debug_check(&program, "parse");
/// program.equations.swap(0, 1); // b is used before its definition
/// assert!(check(&program).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check<O: Op>(program: &Program<O>) -> Result<(), CheckError> {
    check_at(program, 1)
}

/// [`check()`] in debug builds, nothing in release builds.
///
/// # Panics
/// When an invariant is broken: the transform named by `after` is wrong.
pub fn debug_check<O: Op>(program: &Program<O>, after: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = check(program)
    {
        panic!("after {after}: {error}; this is a bug in retrograde");
    }
}

fn check_at<O: Op>(program: &Program<O>, depth: usize) -> Result<(), CheckError> {
    if depth > MAX_DEPTH {
        return Err(CheckError::Depth);
    }
    // The number of values defined so far is the number of the next one.
    let mut defined = 0;
    for &value in &program.inputs {
        define(program, Place::Inputs, value, &mut defined)?;
    }
    for (i, equation) in program.equations.iter().enumerate() {
        let (id, op, location) = (EqnId(i as u32), equation.op.name(), equation.location);
        let place = Place::Equation { id, op, location };
        for &value in &equation.inputs {
            usable(place, value, defined)?;
        }
        // Bodies first: inference may rely on them.
        let mut broken = None;
        equation.op.map_bodies(&mut |body| {
            if broken.is_none() {
                broken = check_at(body, depth + 1).err();
            }
            body.clone()
        });
        if let Some(error) = broken {
            return Err(CheckError::Body { place, source: Box::new(error) });
        }
        let operands: Vec<Type> = equation.inputs.iter().map(|&v| program.ty(v).clone()).collect();
        let results = equation
            .op
            .infer(&operands)
            .map_err(|mismatch| CheckError::Refused { place, message: mismatch.message })?;
        let (found, expected) = (equation.outputs.len(), results.len());
        if found != expected {
            return Err(CheckError::ResultCount { place, found, expected });
        }
        for (&value, expected) in equation.outputs.iter().zip(results) {
            define(program, place, value, &mut defined)?;
            let found = program.ty(value).clone();
            if found != expected {
                let (found, expected) = (found.into(), expected.into());
                return Err(CheckError::ResultType { place, value, found, expected });
            }
        }
    }
    for &value in &program.outputs {
        usable(Place::Outputs, value, defined)?;
    }
    match program.types.len() {
        found if found != defined => Err(CheckError::TableLength { found, expected: defined }),
        _ => Ok(()),
    }
}

fn define<O: Op>(
    program: &Program<O>,
    place: Place,
    value: ValueId,
    defined: &mut usize,
) -> Result<(), CheckError> {
    if value.index() < *defined {
        return Err(CheckError::BoundTwice { place, value });
    }
    let Some(ty) = program.types.get(value.index()) else {
        return Err(CheckError::OutsideTable { place, value, table: program.types.len() });
    };
    if value.index() > *defined {
        return Err(CheckError::Order { place, found: value, expected: ValueId(*defined as u32) });
    }
    if ty.kind == Kind::Bits && *ty != Type::bits() {
        return Err(CheckError::Bits { place, value, found: ty.clone() });
    }
    *defined += 1;
    Ok(())
}

fn usable(place: Place, value: ValueId, defined: usize) -> Result<(), CheckError> {
    if value.index() < defined { Ok(()) } else { Err(CheckError::Undefined { place, value }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use retrograde_array::DType;

    use super::*;
    use crate::ir::toy::{Toy, f64s, nested, vec3};
    use crate::ir::{Builder, Equation};

    /// Breaks the sample program; two inputs, then `call` (2, 3), `constant` (4), `add` (5).
    fn broken(by: impl FnOnce(&mut Program<Toy>)) -> CheckError {
        let mut program = nested();
        assert_eq!(check(&program), Ok(()));
        by(&mut program);
        check(&program).expect_err("the checker accepts a broken program")
    }

    #[test]
    fn invariant_01_definitions_lie_in_the_table() {
        let error = broken(|p| p.equations[2].outputs = vec![ValueId(9)]);
        assert!(matches!(error, CheckError::OutsideTable { value: ValueId(9), table: 6, .. }), "{error}");
    }

    #[test]
    fn invariant_02_bound_once() {
        let error = broken(|p| p.equations[2].outputs = vec![ValueId(4)]);
        assert!(matches!(error, CheckError::BoundTwice { value: ValueId(4), .. }), "{error}");
        let error = broken(|p| p.inputs[1] = ValueId(0));
        assert_eq!(error, CheckError::BoundTwice { place: Place::Inputs, value: ValueId(0) });
    }

    #[test]
    fn invariant_03_numbered_in_order() {
        let error = broken(|p| p.equations[0].outputs = vec![ValueId(3), ValueId(2)]);
        let expected =
            "equation 0 (call): value 3 is defined where 2 was expected in the order of definition";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn invariant_04_defined_before_use() {
        let error = broken(|p| p.equations[0].inputs[0] = ValueId(4));
        assert!(matches!(error, CheckError::Undefined { value: ValueId(4), .. }), "{error}");
        let error = broken(|p| p.equations[0].inputs[0] = ValueId(u32::MAX));
        assert!(matches!(error, CheckError::Undefined { .. }), "{error}");
    }

    #[test]
    fn invariant_05_outputs_defined() {
        let error = broken(|p| p.outputs.push(ValueId(6)));
        assert_eq!(error, CheckError::Undefined { place: Place::Outputs, value: ValueId(6) });
    }

    #[test]
    fn invariant_06_table_of_exact_length() {
        let error = broken(|p| p.types.push(vec3()));
        assert_eq!(error, CheckError::TableLength { found: 7, expected: 6 });
    }

    #[test]
    fn invariant_07_operands_accepted() {
        let error = broken(|p| p.equations[1].op = Toy::Add);
        assert_eq!(error.to_string(), "equation 1 (add): wrong operands");
    }

    #[test]
    fn invariant_08_as_many_values_as_results() {
        let error = broken(|p| p.equations[2].outputs.push(ValueId(6)));
        assert!(matches!(error, CheckError::ResultCount { found: 2, expected: 1, .. }), "{error}");
    }

    #[test]
    fn invariant_09_types_as_inferred() {
        let error = broken(|p| p.types[5] = Type::array(DType::F32, [3]));
        assert_eq!(error.to_string(), "equation 2 (add): value 5 has type f32[3] where f64[3] is inferred");
        let error = broken(|p| p.equations[1].op = Toy::Constant(f64s(&[1.0])));
        assert!(matches!(error, CheckError::ResultType { .. }), "{error}");
    }

    #[test]
    fn invariant_10_bits_in_normal_form() {
        let mut b = Builder::<Toy>::new();
        let a = b.input(Type { kind: Kind::Bits, ..vec3() });
        let error = check(&b.finish(vec![a])).expect_err("not the normal form");
        assert!(matches!(error, CheckError::Bits { place: Place::Inputs, .. }), "{error}");
        let mut b = Builder::<Toy>::new();
        let a = b.input(Type::bits());
        assert_eq!(check(&b.finish(vec![a])), Ok(()));
    }

    #[test]
    fn invariant_11_bodies_obey_too() {
        let error = broken(|p| {
            p.equations[0].op = p.equations[0].op.map_bodies(&mut |body| {
                let mut body = body.clone();
                body.equations[0].inputs[0] = ValueId(7);
                body
            });
        });
        let expected =
            "equation 0 (call), in its body: equation 0 (mul): value 7 is used before its definition";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn invariant_12_depth() {
        let deep = |depth: usize| {
            let mut program: Program<Toy> = Builder::new().finish(vec![]);
            for _ in 1..depth {
                let op = Toy::Call(Arc::new(program));
                let equation = Equation { op, inputs: vec![], outputs: vec![], location: None };
                program =
                    Program { inputs: vec![], equations: vec![equation], outputs: vec![], types: vec![] };
            }
            program
        };
        assert_eq!(check(&deep(MAX_DEPTH)), Ok(()));
        let mut error = check(&deep(MAX_DEPTH + 1)).expect_err("too deep");
        while let CheckError::Body { source, .. } = error {
            error = *source;
        }
        assert_eq!(error, CheckError::Depth);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "after dce: the table has 7 types for 6 values; this is a bug in retrograde")]
    fn debug_check_names_the_transform() {
        let mut program = nested();
        debug_check(&program, "nothing");
        program.types.push(vec3());
        debug_check(&program, "dce");
    }
}
