//! What every primitive states about itself.

use super::{Args, EvalError, Evaluate, Operand, Prim, Program, Rule, Value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use std::hash::Hash;

/// The whole truth about one primitive.
pub trait Rules:
    Clone + PartialEq + Eq + Hash + std::fmt::Debug + Send + Sync + Into<Prim> + 'static
{
    /// Its name in the text form.
    const NAME: &'static str;

    /// Its parameters in the text form.
    fn fields(&self) -> Fields<Prim> {
        vec![]
    }
    /// The primitive with those parameters.
    ///
    /// # Errors
    /// When a parameter is missing or of another kind.
    fn parse(args: &mut Args) -> Result<Self, String>;

    /// Result types from operand types.
    ///
    /// # Errors
    /// Why the operands do not fit.
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch>;

    /// The results, to the bit.
    ///
    /// # Errors
    /// What the file of the primitive says.
    fn eval(&self, cx: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError>;

    /// Tangents of the results from tangents of the operands (`None` is an exact zero): the one derivative formula.
    /// `outputs` are the primal results, already computed.
    fn linearize(
        &self,
        r: &mut Rule<'_>,
        inputs: &[ValueId],
        outputs: &[ValueId],
        tangents: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>>;

    /// Primal results and their tangents. Primitives with bodies override it: where `split` is set, everything that
    /// depends on tangents must stand in equations of its own.
    fn jvp(
        &self,
        r: &mut Rule<'_>,
        inputs: &[ValueId],
        tangents: &[Option<ValueId>],
        _split: bool,
    ) -> (Vec<ValueId>, Vec<Option<ValueId>>) {
        let outputs = r.b.emit(self.clone().into(), inputs);
        let out_tangents = self.linearize(r, inputs, &outputs, tangents);
        (outputs, out_tangents)
    }

    /// Whether the primitive is linear in the marked operands taken together, the others held fixed.
    fn linear_in(&self, _linear: &[bool]) -> bool {
        false
    }

    /// Cotangents of the linear operands from cotangents of the results (`None` is an exact zero).
    /// Only called when [`Rules::linear_in`] says yes.
    fn transpose(
        &self,
        _r: &mut Rule<'_>,
        _inputs: &[Operand],
        _cts: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        panic!("{} is not linear; this is a bug in retrograde", Self::NAME)
    }

    /// The primitive over a new leading axis of length `n` of the marked operands (at least one). Says which results have it.
    fn batch(
        &self,
        r: &mut Rule<'_>,
        inputs: &[ValueId],
        batched: &[bool],
        n: usize,
    ) -> (Vec<ValueId>, Vec<bool>);

    /// Where the results and all operands but one are known: emits equations that give the unknown one (of type
    /// `unknown`), to the bit, and the bit stack they leave. `None` where it cannot.
    fn invert(
        &self,
        _r: &mut Rule<'_>,
        _known: &[Option<ValueId>],
        _outputs: &[Option<ValueId>],
        _unknown: &Type,
        _bits: ValueId,
    ) -> Option<(ValueId, ValueId)> {
        None
    }

    /// Where several operands are unknown: emits equations that give all of these, in order, to the bit, and the bit stack they
    /// leave. `None` where it cannot, such as for lack of results.
    fn invert_whole(
        &self,
        _r: &mut Rule<'_>,
        _inputs: &[Option<ValueId>],
        _outputs: &[Option<ValueId>],
        _bits: ValueId,
    ) -> Option<(Vec<ValueId>, ValueId)> {
        None
    }

    /// See [`crate::ir::Op::after`].
    fn after(&self, _inner: &Prim) -> Option<Prim> {
        None
    }
    /// See [`crate::ir::Op::is_identity`].
    fn is_identity(&self, _operand: &Type) -> bool {
        false
    }
    /// See [`crate::ir::Op::prune`].
    fn prune(&self, _used: &[bool]) -> Option<(Self, Vec<usize>, Vec<usize>)> {
        None
    }
    /// See [`crate::ir::Op::map_bodies`].
    fn map_bodies(&self, _f: &mut dyn FnMut(&Program) -> Program) -> Self {
        self.clone()
    }

    /// The rows of the test harness: a primitive without rows fails the tests.
    fn rows() -> Vec<Row>;
}

/// One row of the test harness: the primitive on random operands of these types.
#[derive(Clone, Debug)]
pub struct Row {
    /// The primitive with its parameters.
    pub op: Prim,
    /// Types of the operands.
    pub inputs: Vec<Type>,
    /// Entries are drawn from this range (integers: rounded down).
    pub range: (f64, f64),
    /// What row i of every operand with two or more axes has more on its diagonal: this, times i + 1. Makes matrices with
    /// independent columns and eigenvalues apart, positive definite where it is above the range.
    pub diagonal: f64,
    /// Order up to which derivatives are checked against differences; 0 for operations without derivative.
    pub order: u8,
}

impl Row {
    /// A row with operands in (-2, 2), derivatives checked to second order.
    pub fn new(op: impl Into<Prim>, inputs: &[Type]) -> Row {
        Row { op: op.into(), inputs: inputs.to_vec(), range: (-2.0, 2.0), diagonal: 0.0, order: 2 }
    }
    /// With operands from another range.
    pub fn range(mut self, low: f64, high: f64) -> Row {
        self.range = (low, high);
        self
    }
    /// With more on the diagonals.
    pub fn diagonal(mut self, step: f64) -> Row {
        self.diagonal = step;
        self
    }
    /// With derivatives checked up to another order.
    pub fn order(mut self, order: u8) -> Row {
        self.order = order;
        self
    }
}
