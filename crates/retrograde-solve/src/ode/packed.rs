//! The leaves of a state as one vector, for methods that solve linear systems.

use retrograde_core::ir::Type;
use retrograde_core::trace::function::Function;
use retrograde_core::trace::var::concat;
use retrograde_core::trace::{Var, linalg};
use retrograde_engine::jacobian;

use super::method::Field;

/// How leaves lie in a vector.
pub(super) struct Packing<'a> {
    field: &'a Field<'a>,
    types: Vec<Type>,
}

impl<'a> Packing<'a> {
    /// The packing of these leaves; none where their dtypes differ, which is noted, or where there is nothing to pack.
    pub(super) fn new(field: &'a Field<'a>, y: &[Var]) -> Option<Packing<'a>> {
        let types: Vec<Type> = y.iter().map(|leaf| leaf.ty()).collect();
        let first = types.first()?;
        if let Some(other) = types.iter().find(|ty| ty.dtype != first.dtype) {
            let found = format!("found leaves of {first} and {other}, expected one dtype");
            field.refuse(&found, "bring the leaves of the state to one dtype with `.convert(DType::F64)`");
            return None;
        }
        Some(Packing { field, types })
    }
    /// One vector.
    pub(super) fn pack(&self, leaves: &[Var]) -> Var {
        self.field.own(|| {
            let flat: Vec<Var> = leaves.iter().map(|leaf| leaf.reshape([leaf.shape().size()])).collect();
            concat(&flat, 0)
        })
    }
    /// The leaves of a vector.
    pub(super) fn unpack(&self, x: Var) -> Vec<Var> {
        let mut start = 0;
        let cut = |ty: &Type| {
            let range = start..start + ty.shape.size();
            start = range.end;
            x.slice(0, range).reshape(ty.shape.clone())
        };
        self.field.own(|| self.types.iter().map(cut).collect())
    }
    /// f of a vector.
    pub(super) fn rate(&self, x: Var) -> Var {
        self.pack(&self.field.at(&self.unpack(x)))
    }
    /// The matrix of derivatives of f.
    pub(super) fn jacobian(&self, x: Var) -> Var {
        jacobian(|x: Var| self.rate(x)).forward().apply((x,))
    }
    /// The identity matrix.
    pub(super) fn eye(&self) -> Var {
        let n = self.types.iter().map(|ty| ty.shape.size()).sum();
        self.field.own(|| linalg::eye(self.types[0].dtype, n))
    }
}
