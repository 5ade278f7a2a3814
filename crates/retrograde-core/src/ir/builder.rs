//! Makes programs, one equation at a time.

use super::program::{Equation, Location, Mismatch, Op, Program, Type, ValueId};

/// A program under construction.
///
/// ```
/// use retrograde_array::DType;
/// use retrograde_core::ir::{Builder, Type, print};
/// use retrograde_core::prim::{Prim, add::Add, sin::Sin};
/// let number = Type::array(DType::F64, []);
/// let mut b = Builder::<Prim>::new();
/// let x = b.input(number.clone());
/// let y = b.emit1(Sin.into(), &[x]);
/// let z = b.emit(Add.into(), &[x, y])[0];
/// assert!(b.try_emit(Add.into(), &[x]).is_err());
/// assert_eq!((b.ty(z), b.program().equations.len()), (&number, 2));
/// let step = b.finish(vec![z]);
/// assert_eq!(print(&step), "program(a:f64[]) {\n  b:f64[] = sin a\n  c:f64[] = add a b\n  return c\n}");
/// let mut twice = Builder::new();
/// let x = twice.input(number);
/// let y = twice.inline(&step, &[x]);
/// let z = twice.inline(&step, &y);
/// assert_eq!(twice.finish(z).equations.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder<O: Op> {
    program: Program<O>,
    /// Given to the equations that follow.
    pub location: Option<Location>,
}

impl<O: Op> Default for Builder<O> {
    fn default() -> Self {
        Builder::new()
    }
}

impl<O: Op> Builder<O> {
    /// An empty program.
    pub fn new() -> Self {
        let program = Program { inputs: vec![], equations: vec![], outputs: vec![], types: vec![] };
        Builder { program, location: None }
    }
    /// The program so far.
    pub fn program(&self) -> &Program<O> {
        &self.program
    }
    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        self.program.ty(value)
    }
    fn fresh(&mut self, ty: Type) -> ValueId {
        let id = ValueId(self.program.types.len() as u32);
        self.program.types.push(ty);
        id
    }
    /// A new parameter. Parameters may be added after equations: `finish` renumbers.
    pub fn input(&mut self, ty: Type) -> ValueId {
        let id = self.fresh(ty);
        self.program.inputs.push(id);
        id
    }
    /// Adds an equation.
    ///
    /// # Errors
    /// When the operation refuses the operand types.
    pub fn try_emit(&mut self, op: O, inputs: &[ValueId]) -> Result<Vec<ValueId>, Mismatch> {
        let types: Vec<Type> = inputs.iter().map(|&v| self.ty(v).clone()).collect();
        let results = op.infer(&types)?;
        let outputs: Vec<ValueId> = results.into_iter().map(|ty| self.fresh(ty)).collect();
        self.program.equations.push(Equation {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            location: self.location,
        });
        Ok(outputs)
    }
    /// Adds an equation whose operands are known to fit.
    ///
    /// # Panics
    /// When they do not: a transform built a wrong program.
    pub fn emit(&mut self, op: O, inputs: &[ValueId]) -> Vec<ValueId> {
        let name = op.name();
        match self.try_emit(op, inputs) {
            Ok(outputs) => outputs,
            Err(e) => panic!("{name}: {}; this is a bug in retrograde", e.message),
        }
    }
    /// [`Builder::emit`] for an operation with one result.
    pub fn emit1(&mut self, op: O, inputs: &[ValueId]) -> ValueId {
        self.emit(op, inputs)[0]
    }
    /// Copies the equations of `program`, with `inputs` for its parameters; returns its results.
    pub fn inline(&mut self, program: &Program<O>, inputs: &[ValueId]) -> Vec<ValueId> {
        assert_eq!(program.inputs.len(), inputs.len(), "inline: operand count; this is a bug in retrograde");
        let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
        for (&parameter, &value) in program.inputs.iter().zip(inputs) {
            map[parameter.index()] = Some(value);
        }
        let saved = self.location;
        for equation in &program.equations {
            self.location = equation.location.or(saved);
            let operands: Vec<ValueId> = equation.inputs.iter().map(|v| resolved(&map, *v)).collect();
            // Types were inferred when the body was built, so they are copied rather than inferred again.
            let outputs: Vec<ValueId> =
                equation.outputs.iter().map(|&v| self.fresh(program.ty(v).clone())).collect();
            for (&old, &new) in equation.outputs.iter().zip(&outputs) {
                map[old.index()] = Some(new);
            }
            self.program.equations.push(Equation {
                op: equation.op.clone(),
                inputs: operands,
                outputs,
                location: self.location,
            });
        }
        self.location = saved;
        program.outputs.iter().map(|v| resolved(&map, *v)).collect()
    }
    /// The finished program, renumbered in the order of definition.
    pub fn finish(self, outputs: Vec<ValueId>) -> Program<O> {
        renumber(Program { outputs, ..self.program })
    }
}

fn resolved(map: &[Option<ValueId>], value: ValueId) -> ValueId {
    map[value.index()].expect("a value is used before its definition; this is a bug in retrograde")
}

/// The same program with values numbered in the order of their definition, unused ids dropped.
///
/// ```
/// use retrograde_core::{ir::{builder::renumber, parse, print}, prim::Prim};
/// let mut program = parse::<Prim>("program(a:f64[]) {\n  b:f64[] = cos a\n  c:f64[] = sin a\n  return c\n}")?;
/// program.equations.remove(0);
/// assert_eq!(print(&renumber(program)), "program(a:f64[]) {\n  b:f64[] = sin a\n  return b\n}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn renumber<O: Op>(program: Program<O>) -> Program<O> {
    let mut map: Vec<Option<ValueId>> = vec![None; program.types.len()];
    let mut types = Vec::with_capacity(program.types.len());
    let mut define = |map: &mut Vec<Option<ValueId>>, v: ValueId| {
        let new = ValueId(types.len() as u32);
        types.push(program.types[v.index()].clone());
        map[v.index()] = Some(new);
        new
    };
    let inputs = program.inputs.iter().map(|&v| define(&mut map, v)).collect();
    let mut equations = Vec::with_capacity(program.equations.len());
    for equation in program.equations {
        let inputs = equation.inputs.iter().map(|&v| resolved(&map, v)).collect();
        let outputs = equation.outputs.iter().map(|&v| define(&mut map, v)).collect();
        equations.push(Equation { inputs, outputs, ..equation });
    }
    let outputs = program.outputs.iter().map(|&v| resolved(&map, v)).collect();
    Program { inputs, equations, outputs, types }
}
