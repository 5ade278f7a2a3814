//! Where the largest entry under a sliding window stands.   x: [.., lens..] number → y: i64 [.., places..].
//!
//! The row-major position among the entries of the last axes: the first of equal ones; `-0` equals `+0`; NaN counts as the
//! largest; padding does not count. No derivative. Errors: none; a window that may lie wholly in the padding is refused.

use super::conv::{check_window, parse_window, window_fields};
use super::structure::{arrays_only, no_tangents};
use super::{Args, EvalError, Evaluate, Prim, Row, Rule, Rules, Value, value};
use crate::ir::{Fields, Mismatch, Type, ValueId};
use retrograde_array::ops::{self, Window};
use retrograde_array::DType;

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WindowArgmax {
    /// How the window slides.
    pub window: Window,
}

impl Rules for WindowArgmax {
    const NAME: &'static str = "window_argmax";
    fn fields(&self) -> Fields<Prim> {
        window_fields(&self.window)
    }
    fn parse(args: &mut Args) -> Result<Self, String> {
        Ok(WindowArgmax { window: parse_window(args)? })
    }
    fn infer(&self, inputs: &[Type]) -> Result<Vec<Type>, Mismatch> {
        arrays_only(inputs, 1)?;
        let (x, rank) = (&inputs[0], self.window.size.len());
        if x.dtype == DType::Bool {
            return Err(Mismatch::new(format!("found {x}, expected numbers"))
                .help("convert truth values first: `.convert(DType::I64)`"));
        }
        let Some(lead) = x.shape.rank().checked_sub(rank) else {
            return Err(Mismatch::new(format!("found {x}, expected at least the {rank} axes of the window")));
        };
        let (lead, lens) = x.shape.split_at(lead);
        check_window(&self.window, lens)?;
        let places = self.window.places(lens);
        let empty = (0..rank).find(|&i| {
            let last = places[i].saturating_sub(1) * self.window.strides[i];
            let inside = |start: usize| {
                (0..self.window.size[i])
                    .map(|k| start + k * self.window.dilation[i])
                    .any(|at| at >= self.window.low[i] && at < self.window.low[i] + lens[i])
            };
            places[i] == 0 || (0..places[i]).any(|o| !inside(o * self.window.strides[i])) || !inside(last)
        });
        match empty {
            Some(axis) => Err(Mismatch::new(format!("axis {} of {x}: found a window without entries", lead.len() + axis))
                .help("pad less than the window is long, or use a shorter window")),
            None => Ok(vec![Type::array(DType::I64, [lead, &places].concat())]),
        }
    }
    fn eval(&self, _: &mut dyn Evaluate, inputs: Vec<Value>) -> Result<Vec<Value>, EvalError> {
        value::one(ops::window_argmax(inputs[0].array(), &self.window))
    }
    fn linearize(&self, _: &mut Rule<'_>, _: &[ValueId], _: &[ValueId], _: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        no_tangents(1)
    }
    fn batch(&self, r: &mut Rule<'_>, inputs: &[ValueId], _: &[bool], _: usize) -> (Vec<ValueId>, Vec<bool>) {
        (vec![r.emit(self.clone(), inputs)], vec![true])
    }
    fn rows() -> Vec<Row> {
        let of = |size: &[usize], low: &[usize], dilation: &[usize], shape: &[usize]| {
            let window = Window {
                size: size.to_vec(),
                strides: vec![2; size.len()],
                low: low.to_vec(),
                high: vec![0; size.len()],
                dilation: dilation.to_vec(),
            };
            Row::new(WindowArgmax { window }, &[Type::array(DType::F64, shape)]).order(0)
        };
        vec![of(&[2], &[1], &[1], &[5]), of(&[2, 2], &[0, 1], &[2, 1], &[2, 4, 5])]
    }
}
