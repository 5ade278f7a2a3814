//! A program under construction that is computed as it grows, so that operands can be chosen by their entries.

use retrograde_array::ops::{self, Comparison};
use retrograde_array::{Array, DType, Scalar};
use retrograde_core::exec::{Cause, Executor, Interpreter};
use retrograde_core::ir::{Kind, Op, Type, ValueId};
use retrograde_core::prim::{self, Body, Builder, EvalError, Evaluate, Prim, Program, Row, Value};

use crate::choice::{ANY, Around, vary, within};
use crate::{Draws, control};

/// Entries stay below this size, so that nothing built on them leaves the range of any dtype.
const LARGEST: f64 = 50.0;

/// The rows of the primitives that may be drawn, by name.
pub(crate) type Rows = [(&'static str, Vec<Row>)];

/// A program under construction.
pub(crate) struct Drawing<'a> {
    pub(crate) d: &'a mut Draws,
    rows: &'a Rows,
    pub(crate) b: Builder,
    /// Values in reach, with their entries: in a loop, those of its first step.
    values: Vec<(ValueId, Array)>,
    inputs: Vec<Array>,
    pub(crate) float: DType,
    /// How many bodies stand around.
    pub(crate) depth: usize,
}

/// Runs bodies by the reference interpreter.
struct Bodies;

impl Evaluate for Bodies {
    fn run(&mut self, body: &Program, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        Interpreter::default().run(body, inputs).map(|(out, _)| out).map_err(|e| match e.cause {
            Cause::Eval(e) => e,
            other => EvalError::Broken(other.to_string()),
        })
    }
    fn attempt(&mut self, body: &mut dyn Body) -> bool {
        body.run(self).is_ok()
    }
}

impl<'a> Drawing<'a> {
    pub(crate) fn new(d: &'a mut Draws, rows: &'a Rows) -> Drawing<'a> {
        let float = *d.of(&[
            DType::F64,
            DType::F64,
            DType::F64,
            DType::F64,
            DType::F64,
            DType::F64,
            DType::F32,
            DType::F32,
            DType::F32,
            DType::BF16,
        ]);
        Drawing { d, rows, b: Builder::new(), values: vec![], inputs: vec![], float, depth: 0 }
    }
    /// A body with these parameters, of which it sees these entries.
    pub(crate) fn body(&mut self, parameters: &[Array]) -> Drawing<'_> {
        let mut b = Builder::new();
        let values = parameters.iter().map(|x| (b.input(Type::of(x)), x.clone())).collect();
        Drawing {
            d: self.d,
            rows: self.rows,
            b,
            values,
            inputs: vec![],
            float: self.float,
            depth: self.depth + 1,
        }
    }

    /// 3 to 12 equations, the featured one anywhere among them.
    pub(crate) fn fill(&mut self, featured: &str) {
        let n = 3 + self.d.below(10);
        let at = self.d.below(n);
        for i in 0..n {
            // A choice whose results are too large, or that no operand fits, is made again.
            for _ in 0..10 {
                let row = if i == at { self.row_of(featured) } else { self.any_row() };
                if self.equation(&row).is_some() {
                    break;
                }
            }
        }
    }
    /// A few equations of a body.
    pub(crate) fn fill_body(&mut self) {
        for _ in 0..1 + self.d.below(3) {
            let row = self.any_row();
            let _ = self.equation(&row);
        }
    }
    fn row_of(&mut self, name: &str) -> Row {
        let rows = self.rows;
        let (_, own) = rows.iter().find(|(n, _)| *n == name).unwrap_or(&rows[0]);
        self.d.of(own).clone()
    }
    fn any_row(&mut self) -> Row {
        let rows = self.rows;
        let (_, own) = self.d.of(rows);
        self.d.of(own).clone()
    }
    fn equation(&mut self, row: &Row) -> Option<Vec<ValueId>> {
        if matches!(row.op, Prim::Call(_) | Prim::Cond(_) | Prim::Scan(_) | Prim::While(_)) {
            // Bodies two deep at most: their number would grow without bound.
            return if self.depth < 2 { control::equation(self, &row.op) } else { None };
        }
        let reach: Vec<Type> =
            self.values.iter().map(|(v, _)| self.b.ty(*v).clone()).filter(Type::is_float).collect();
        let choice = vary(row, self.d, &Around { reach: &reach, float: self.float });
        let mut operands = vec![];
        for (ty, range) in &choice.operands {
            let v = self.operand(ty, *range)?;
            operands.push(if row.diagonal == 0.0 { v } else { self.with_diagonal(v, row.diagonal)? });
        }
        self.emit(choice.op, &operands)
    }
    /// `v` with `step · (i + 1)` added to entry (i, i) of each matrix of its last two axes, as the harness draws operands.
    fn with_diagonal(&mut self, v: ValueId, step: f64) -> Option<ValueId> {
        let ty = self.b.ty(v).clone();
        let [.., m, n] = ty.shape[..] else { return Some(v) };
        let entry = |at: usize| if at / n % m == at % n { step * (at % n + 1) as f64 } else { 0.0 };
        let entries = Array::new(ty.shape.clone(), (0..ty.shape.size()).map(entry).collect()).ok()?;
        let value = ops::convert(&entries, ty.dtype);
        let diagonal = self.emit1(prim::constant::Constant { value }, &[])?;
        self.emit1(prim::add::Add, &[v, diagonal])
    }

    /// Adds an equation and computes it: nothing where it fails, or where a result is too large or not finite.
    pub(crate) fn emit(&mut self, op: impl Into<Prim>, operands: &[ValueId]) -> Option<Vec<ValueId>> {
        let op = op.into();
        let types: Vec<Type> = operands.iter().map(|&v| self.b.ty(v).clone()).collect();
        let out_types = op.infer(&types).ok()?;
        let inputs = operands.iter().map(|v| Value::Array(self.entries(*v).clone())).collect();
        let results = op.eval(&mut Bodies, inputs).ok()?;
        let results: Vec<Array> =
            results.into_iter().map(Value::into_array).collect::<Result<_, _>>().ok()?;
        let small = |x: &Array| !x.dtype().is_float() || within(x, (-LARGEST, LARGEST));
        if !results.iter().all(small) || out_types.iter().any(|ty| ty.kind != Kind::Array) {
            return None;
        }
        let outputs = self.b.try_emit(op, operands).ok()?;
        self.values.extend(outputs.iter().copied().zip(results));
        Some(outputs)
    }
    fn emit1(&mut self, op: impl Into<Prim>, operands: &[ValueId]) -> Option<ValueId> {
        self.emit(op, operands)?.first().copied()
    }

    pub(crate) fn entries(&self, v: ValueId) -> &Array {
        let found = self.values.iter().find(|(id, _)| *id == v);
        &found.expect("a value has entries from its definition on; this is a bug in retrograde").1
    }

    /// An operand of this type with entries in this range: a value in reach, one made of such a value, or a new input.
    pub(crate) fn operand(&mut self, ty: &Type, range: (f64, f64)) -> Option<ValueId> {
        // In a body the entries of later steps are not known, so a range must hold by construction.
        let known = self.depth == 0 || range == ANY || ty.dtype == DType::Bool;
        let fits = |(v, x): &&(ValueId, Array)| known && self.b.ty(*v) == ty && within(x, range);
        let fitting: Vec<ValueId> = self.values.iter().filter(fits).map(|(v, _)| *v).collect();
        if !fitting.is_empty() && !self.d.one_in(4) {
            return Some(*self.d.of(&fitting));
        }
        if (ty.is_float() || ty.dtype == DType::Bool)
            && (self.depth > 0 || !self.d.one_in(3))
            && let Some(v) = self.any_float()
        {
            return self.adapted(v, ty, range);
        }
        let entries = self.d.array(ty, range);
        if self.depth > 0 {
            return self.emit1(prim::constant::Constant { value: entries }, &[]);
        }
        Some(self.input(entries))
    }
    /// A new input of the whole program.
    fn input(&mut self, entries: Array) -> ValueId {
        let v = self.b.input(Type::of(&entries));
        self.inputs.push(entries.clone());
        self.values.push((v, entries));
        v
    }
    fn any_float(&mut self) -> Option<ValueId> {
        let all: Vec<ValueId> =
            self.values.iter().map(|(v, _)| *v).filter(|v| self.b.ty(*v).is_float()).collect();
        if all.is_empty() { None } else { Some(*self.d.of(&all)) }
    }

    /// A number made from `v` of another type, its entries in a range.
    fn adapted(&mut self, v: ValueId, ty: &Type, range: (f64, f64)) -> Option<ValueId> {
        if ty.dtype == DType::Bool {
            let float = ty.with_dtype(self.float);
            let x = self.adapted(v, &float, ANY)?;
            let zero = self.constant(&float, 0.0)?;
            return self.emit1(prim::compare::Compare { comparison: Comparison::Gt }, &[x, zero]);
        }
        let x = self.coerced(v, ty)?;
        let in_range = within(self.entries(x), range) && (self.depth == 0 || range == ANY);
        if in_range { Some(x) } else { self.squashed(x, range) }
    }
    /// `v` in another dtype and shape: its entries in their order where there are as many, else their sum.
    pub(crate) fn coerced(&mut self, v: ValueId, ty: &Type) -> Option<ValueId> {
        let mut v = v;
        if self.b.ty(v).dtype != ty.dtype {
            v = self.emit1(prim::convert::Convert { dtype: ty.dtype }, &[v])?;
        }
        let shape = self.b.ty(v).shape.clone();
        if shape == ty.shape {
            return Some(v);
        }
        if shape.size() == ty.shape.size() {
            return self.emit1(prim::reshape::Reshape { shape: ty.shape.to_vec() }, &[v]);
        }
        if shape.rank() > 0 {
            v = self.emit1(prim::sum::Sum { axes: (0..shape.rank()).collect() }, &[v])?;
        }
        if ty.shape.rank() == 0 {
            return Some(v);
        }
        self.emit1(prim::broadcast::Broadcast { shape: ty.shape.to_vec(), axes: vec![] }, &[v])
    }
    /// A smooth function of `v` inside a range: mid + half · tanh v, a little inside of its ends.
    pub(crate) fn squashed(&mut self, v: ValueId, (low, high): (f64, f64)) -> Option<ValueId> {
        let ty = self.b.ty(v).clone();
        let bounded = self.emit1(prim::tanh::Tanh, &[v])?;
        let half = self.constant(&ty, 0.49 * (high - low))?;
        let scaled = self.emit1(prim::mul::Mul, &[bounded, half])?;
        let mid = self.constant(&ty, 0.5 * (low + high))?;
        self.emit1(prim::add::Add, &[scaled, mid])
    }
    pub(crate) fn constant(&mut self, ty: &Type, value: f64) -> Option<ValueId> {
        self.emit1(prim::full::Full { ty: ty.clone(), value: Scalar::from_f64(ty.dtype, value)? }, &[])
    }

    /// A number of this type, made of the floats that no equation used yet.
    pub(crate) fn result(&mut self, ty: &Type) -> Option<ValueId> {
        let unused = self.unused();
        let floats: Vec<ValueId> = unused.into_iter().filter(|v| self.b.ty(*v).is_float()).collect();
        let v = if floats.is_empty() { self.any_float() } else { Some(*self.d.of(&floats)) };
        match v {
            Some(v) => self.coerced(v, ty),
            None => self.constant(ty, 0.5),
        }
    }
    /// The results that are no operand.
    fn unused(&self) -> Vec<ValueId> {
        let program = self.b.program();
        let used = |v: &ValueId| program.equations.iter().any(|e| e.inputs.contains(v));
        program.equations.iter().flat_map(|e| e.outputs.clone()).filter(|v| !used(v)).collect()
    }
    /// The body with these results.
    pub(crate) fn finish_body(self, outputs: Vec<ValueId>) -> Program {
        self.b.finish(outputs)
    }
    /// The program with all unused results as its own, and its inputs; nothing where no float leads to a float.
    pub(crate) fn finish(self) -> Option<(Program, Vec<Array>)> {
        let outputs = self.unused();
        let program = self.b.finish(outputs);
        let any = |types: Vec<Type>| types.iter().any(Type::is_float);
        (any(program.input_types()) && any(program.output_types())).then_some((program, self.inputs))
    }
}
