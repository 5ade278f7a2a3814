//! All terms of a proof: how they are made, shortened, opened, closed and described.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use retrograde_array::{Array, Scalar};

use crate::ir::{Kind, Op, Type};
use crate::prim::Prim;
use crate::prim::neg::Neg;
use crate::prim::reshape::Reshape;
use crate::prim::transpose::Transpose;

use super::term::{Length, LoopNode, Node, Term, Want};
use super::{stacked, step_type};

/// A loop whose step has been read.
pub(super) struct Open {
    pub(super) binder: u32,
    pub(super) length: Option<Length>,
    pub(super) reverse: bool,
    pub(super) inits: Vec<Term>,
    pub(super) steps: Vec<Term>,
}

/// Which value of an open loop.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Last(usize),
    Y(Term),
    Count(Term),
}

/// What is known of a term.
pub(super) struct Facts {
    pub(super) ty: Type,
    /// The highest level of a loop in it.
    pub(super) level: u32,
    /// The highest level of a bound symbol that is free in it; 0: there is none.
    pub(super) free_level: u32,
    /// The newest binder of a free symbol in it; 0: there is none.
    pub(super) binder: u32,
}

/// All terms.
#[derive(Default)]
pub(super) struct Terms {
    nodes: Vec<Rc<Node>>,
    facts: Vec<Facts>,
    names: HashMap<Rc<Node>, Term>,
    /// Applications as written, and what they are.
    applied: HashMap<Node, Term>,
    rows: HashMap<(Term, Term), Term>,
    n_binders: u32,
}

impl Terms {
    pub(super) fn node(&self, t: Term) -> Rc<Node> {
        self.nodes[t.0 as usize].clone()
    }
    pub(super) fn facts(&self, t: Term) -> &Facts {
        &self.facts[t.0 as usize]
    }
    pub(super) fn ty(&self, t: Term) -> &Type {
        &self.facts(t).ty
    }
    pub(super) fn fresh(&mut self) -> u32 {
        self.n_binders += 1;
        self.n_binders
    }
    pub(super) fn symbol(&mut self, binder: u32, index: usize, ty: &Type) -> Term {
        self.make(Node::Symbol { binder, index }, ty)
    }

    /// The term of a node, as it stands.
    pub(super) fn make(&mut self, node: Node, ty: &Type) -> Term {
        if let Some(&t) = self.names.get(&node) {
            return t;
        }
        let (outer, inner) = (node.outer(), node.inner());
        let highest = |terms: &[Term], of: &dyn Fn(&Facts) -> u32| {
            terms.iter().map(|&t| of(self.facts(t))).max().unwrap_or(0)
        };
        let mut level = highest(&outer, &|f| f.level).max(highest(&inner, &|f| f.level));
        let mut free_level = highest(&outer, &|f| f.free_level);
        let mut binder = highest(&outer, &|f| f.binder).max(highest(&inner, &|f| f.binder));
        match &node {
            Node::Loop(l) => {
                level = level.max(l.level);
                let inside = highest(&inner, &|f| f.free_level);
                free_level = free_level.max(if inside > l.level { inside } else { 0 });
            }
            Node::Bound { level, .. } => free_level = *level,
            Node::Symbol { binder: of, .. } => binder = *of,
            _ => {}
        }
        let t = Term(self.nodes.len() as u32);
        let node = Rc::new(node);
        self.nodes.push(node.clone());
        self.facts.push(Facts { ty: ty.clone(), level, free_level, binder });
        self.names.insert(node, t);
        t
    }

    /// The result of an operation without bodies: constants by value and computed where that is possible; operations
    /// that undo each other, to the bit, gone.
    pub(super) fn app(&mut self, op: &Prim, inputs: &[Term], result: usize, ty: &Type) -> Term {
        let written = Node::App { op: op.clone(), inputs: inputs.to_vec(), result };
        if let Some(&t) = self.applied.get(&written) {
            return t;
        }
        let t = self.folded(op, inputs, result, ty).or_else(|| self.shortened(op, inputs, ty));
        let t = t.unwrap_or_else(|| self.make(written.clone(), ty));
        self.applied.insert(written, t);
        t
    }
    pub(super) fn value(&self, t: Term) -> Option<Array> {
        match &*self.nodes[t.0 as usize] {
            Node::App { op, inputs, .. } if inputs.is_empty() => op.as_constant(),
            _ => None,
        }
    }
    pub(super) fn folded(&mut self, op: &Prim, inputs: &[Term], result: usize, ty: &Type) -> Option<Term> {
        let array = if inputs.is_empty() {
            op.as_constant()?
        } else {
            let operands: Vec<Array> = inputs.iter().map(|&t| self.value(t)).collect::<Option<_>>()?;
            op.fold(&operands)?.into_iter().nth(result)?
        };
        let fits = Type::of(&array) == *ty;
        fits.then(|| self.make(Node::App { op: Prim::constant(array), inputs: vec![], result: 0 }, ty))
    }
    /// Whether it is a constant of this entry everywhere, and of its sign.
    pub(super) fn is_all(&self, t: Term, entry: f64) -> bool {
        let Some(array) = self.value(t) else { return false };
        let Some(entry) = Scalar::from_f64(array.dtype(), entry) else { return false };
        array.bits_eq(&Array::full(array.dtype(), array.shape().clone(), entry))
    }
    /// Predicate and both sides of a choice.
    pub(super) fn choice(&self, t: Term) -> Option<[Term; 3]> {
        match &*self.nodes[t.0 as usize] {
            Node::App { op: Prim::Select(_), inputs, .. } => Some([inputs[0], inputs[1], inputs[2]]),
            Node::If { pred, yes, no } => Some([*pred, *yes, *no]),
            _ => None,
        }
    }
    pub(super) fn application(&self, t: Term) -> Option<(Prim, Vec<Term>)> {
        let Node::App { op, inputs, .. } = &*self.nodes[t.0 as usize] else { return None };
        Some((op.clone(), inputs.clone()))
    }
    pub(super) fn shortened(&mut self, op: &Prim, inputs: &[Term], ty: &Type) -> Option<Term> {
        let whole = ty.kind == Kind::Array && !ty.dtype.is_float();
        match (op, inputs) {
            (Prim::Neg(_), &[x]) => match self.application(x)? {
                (Prim::Neg(_), x) => Some(x[0]),
                _ => None,
            },
            (Prim::UnpackBits(_), &[x]) => match self.application(x)? {
                (Prim::PackBits(_), x) => (self.ty(x[0]) == ty).then_some(x[0]),
                _ => None,
            },
            (Prim::Reshape(_), &[x]) if self.ty(x) == ty => Some(x),
            (Prim::Reshape(outer), &[x]) => match self.application(x)? {
                (Prim::Reshape(_), x) => {
                    Some(self.app(&Reshape { shape: outer.shape.clone() }.into(), &x, 0, ty))
                }
                _ => None,
            },
            (Prim::Transpose(outer), &[x]) => {
                if outer.perm.iter().enumerate().all(|(i, p)| i == *p) {
                    return Some(x);
                }
                match self.application(x)? {
                    // axis i of the result is axis outer[i] of x, which is axis inner[outer[i]] of its operand
                    (Prim::Transpose(inner), x) => {
                        let perm = outer.perm.iter().map(|&i| inner.perm[i]).collect();
                        Some(self.app(&Transpose { perm }.into(), &x, 0, ty))
                    }
                    _ => None,
                }
            }
            (Prim::Slice(slice), &[x]) if slice.strides.iter().all(|s| *s == 1) => {
                match self.application(x)? {
                    (Prim::Concat(concat), pieces) => {
                        let mut start = 0;
                        pieces.into_iter().find(|&piece| {
                            let found = start == slice.starts[concat.axis] && self.ty(piece) == ty;
                            start += self.ty(piece).shape[concat.axis];
                            found
                        })
                    }
                    _ => None,
                }
            }
            // Rounding to a lattice is symmetric, so its sums can be undone by the negative increment.
            (Prim::LatticeAdd(_), &[p, minus]) => match self.application(p)? {
                (added @ Prim::LatticeAdd(_), q) => {
                    (added == *op && self.negated(q[1]) == minus).then_some(q[0])
                }
                _ => None,
            },
            // Whole numbers wrap, so sums can be undone.
            (Prim::Sub(_), &[p, q]) if whole => match (self.application(p), self.application(q)) {
                (Some((Prim::Add(_), s)), _) if s[1] == q => Some(s[0]),
                (Some((Prim::Add(_), s)), _) if s[0] == q => Some(s[1]),
                (Some((Prim::Sub(_), s)), _) if s[0] == q => Some(self.negated(s[1])),
                (Some((Prim::Sub(_), s)), _) if s[1] == self.negated(q) => Some(s[0]),
                (Some((Prim::Fma(_), s)), Some((Prim::Mul(_), product))) if s[..2] == product[..] => {
                    Some(s[2])
                }
                (_, Some((Prim::Sub(_), s))) if s[0] == p => Some(s[1]),
                _ if self.is_all(q, 0.0) => Some(p),
                // A choice of sums and the same choice of increments.
                _ => match (self.choice(p), self.choice(q)) {
                    (Some([chosen, yes, no]), Some([by, of_yes, of_no])) if chosen == by => {
                        let yes = self.app(op, &[yes, of_yes], 0, ty);
                        let no = self.app(op, &[no, of_no], 0, ty);
                        (yes == no).then_some(yes)
                    }
                    _ => None,
                },
            },
            (Prim::Add(_), &[p, q]) if whole => match (self.application(p), self.application(q)) {
                (Some((Prim::Sub(_), s)), _) if s[1] == q => Some(s[0]),
                (_, Some((Prim::Sub(_), s))) if s[1] == p => Some(s[0]),
                _ => None,
            },
            _ => None,
        }
    }
    /// The start of a carry and what it claims to be, see Note [claims].
    pub(super) fn claim(&self, t: Term) -> (Term, Option<Term>) {
        match self.application(t) {
            Some((Prim::Agree(_), operands)) => (operands[0], Some(operands[1])),
            _ => (t, None),
        }
    }
    /// The term with other ones in place of some, the outermost first.
    pub(super) fn replaced(&mut self, root: Term, map: &HashMap<Term, Term>) -> Term {
        let mut done: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(&[root], true, |f| f.binder > 0) {
            let new = match map.get(&t) {
                Some(&new) => new,
                None => {
                    let (node, ty) = (self.node(t), self.ty(t).clone());
                    let mut of = |t: Term| *done.get(&t).unwrap_or(&t);
                    match &*node {
                        Node::App { op, inputs, result } => {
                            let inputs: Vec<Term> = inputs.iter().map(|&t| of(t)).collect();
                            self.app(op, &inputs, *result, &ty)
                        }
                        Node::Row { step, of: stack } => {
                            let (step, stack) = (of(*step), of(*stack));
                            self.row(step, stack)
                        }
                        other => {
                            let renewed = other.map(&mut of, true);
                            self.make(renewed, &ty)
                        }
                    }
                }
            };
            done.insert(t, new);
        }
        *done.get(&root).unwrap_or(&root)
    }
    /// Whether a symbol of this binder is free in the term.
    pub(super) fn mentions(&self, root: Term, binder: u32) -> bool {
        self.affected(&[root], true, |f| f.binder > 0)
            .iter()
            .any(|&t| matches!(*self.nodes[t.0 as usize], Node::Symbol { binder: of, .. } if of == binder))
    }
    pub(super) fn negated(&mut self, t: Term) -> Term {
        let ty = self.ty(t).clone();
        self.app(&Neg.into(), &[t], 0, &ty)
    }

    pub(super) fn length_of(&mut self, list: Term) -> Length {
        match &*self.node(list) {
            Node::Loop(LoopNode { length: Some(length), want: Want::Y(_), .. }) => *length,
            _ => Length::Counted(self.make(Node::LengthOf(list), &step_type())),
        }
    }
    /// The start of the carry of which these are the states before each step.
    pub(super) fn start_of(&self, states: Term) -> Option<Term> {
        let node = self.node(states);
        let Node::Loop(l) = &*node else { return None };
        let Want::Y(y) = l.want else { return None };
        self.bound_carry(y, l.level).map(|i| l.carries[i].0)
    }
    pub(super) fn bound_carry(&self, t: Term, of_level: u32) -> Option<usize> {
        match *self.node(t) {
            Node::Bound { level, index, .. } if level == of_level => index.checked_sub(1),
            _ => None,
        }
    }

    /// See Note [rows].
    pub(super) fn row(&mut self, step: Term, of: Term) -> Term {
        if let Some(&t) = self.rows.get(&(step, of)) {
            return t;
        }
        let node = self.node(of);
        let t = match &*node {
            Node::Loop(l) if matches!(l.want, Want::Y(y) if self.bound_carry(y, l.level).is_none()) => {
                let Want::Y(y) = l.want else { unreachable!("just matched") };
                let states = self.states(l);
                let mut map = HashMap::new();
                map.insert(
                    self.make(Node::Bound { level: l.level, index: 0, ty: step_type() }, &step_type()),
                    step,
                );
                for (i, states) in states.into_iter().enumerate() {
                    let ty = self.ty(l.carries[i].0).clone();
                    let row = self.row(step, states);
                    map.insert(
                        self.make(Node::Bound { level: l.level, index: i + 1, ty: ty.clone() }, &ty),
                        row,
                    );
                }
                self.substitute(&[y], &map, l.level)[0]
            }
            _ => {
                let ty = self.ty(of).unstacked();
                self.make(Node::Row { step, of }, &ty)
            }
        };
        self.rows.insert((step, of), t);
        t
    }
    /// The states before each step of a loop, one stack per carry.
    pub(super) fn states(&mut self, l: &LoopNode) -> Vec<Term> {
        let (open, carries, _) = self.open(l, &HashMap::new(), l.level);
        let Some(length) = l.length else { return vec![] };
        let mut states = vec![];
        for carry in carries {
            let ty = stacked(self.ty(carry), length);
            states.push(self.close(&open, Wanted::Y(carry), &ty));
        }
        states
    }

    /// A finished loop with free symbols again, `map` applied inside; with the symbols of its carries and what is wanted.
    pub(super) fn open(
        &mut self,
        l: &LoopNode,
        map: &HashMap<Term, Term>,
        lowest: u32,
    ) -> (Open, Vec<Term>, Wanted) {
        let binder = self.fresh();
        let mut map = map.clone();
        let step = self.symbol(binder, 0, &step_type());
        map.insert(self.make(Node::Bound { level: l.level, index: 0, ty: step_type() }, &step_type()), step);
        let mut symbols = vec![];
        for (i, (init, _)) in l.carries.iter().enumerate() {
            let ty = self.ty(*init).clone();
            let symbol = self.symbol(binder, i + 1, &ty);
            map.insert(self.make(Node::Bound { level: l.level, index: i + 1, ty: ty.clone() }, &ty), symbol);
            symbols.push(symbol);
        }
        let mut steps = self.substitute(&Node::Loop(l.clone()).inner(), &map, lowest.min(l.level));
        let wanted = match l.want {
            Want::Last => Wanted::Last(0),
            Want::Y(_) => Wanted::Y(steps[l.carries.len()]),
            Want::Count(_) => Wanted::Count(steps[l.carries.len()]),
        };
        steps.truncate(l.carries.len());
        let inits = l.carries.iter().map(|c| c.0).collect();
        (Open { binder, length: l.length, reverse: l.reverse, inits, steps }, symbols, wanted)
    }

    /// The term of one result of a loop; see Note [terms].
    pub(super) fn close(&mut self, open: &Open, wanted: Wanted, ty: &Type) -> Term {
        // Carries in the order in which the result reaches them.
        let mut order: Vec<usize> = vec![];
        let mut found = vec![false; open.steps.len()];
        let mut seen = HashSet::new();
        match wanted {
            Wanted::Last(i) => {
                order.push(i);
                found[i] = true;
            }
            Wanted::Y(t) | Wanted::Count(t) => self.reach(open.binder, t, &mut seen, &mut found, &mut order),
        }
        let mut next = 0;
        while next < order.len() {
            self.reach(open.binder, open.steps[order[next]], &mut seen, &mut found, &mut order);
            next += 1;
        }
        let mut inside: Vec<Term> = order.iter().map(|&i| open.steps[i]).collect();
        if let Wanted::Y(t) | Wanted::Count(t) = wanted {
            inside.push(t);
        }
        let level = 1 + inside.iter().map(|&t| self.facts(t).level).max().unwrap_or(0);
        let mut position = vec![0; open.steps.len() + 1];
        order.iter().enumerate().for_each(|(new, &old)| position[old + 1] = new + 1);
        let inside = self.bind(&inside, open.binder, level, &position);
        let want = match wanted {
            Wanted::Last(_) => Want::Last,
            Wanted::Y(_) => Want::Y(inside[order.len()]),
            Wanted::Count(_) => Want::Count(inside[order.len()]),
        };
        let carries = order.iter().map(|&i| open.inits[i]).zip(inside).collect();
        // How long a loop runs does not matter to how often its condition holds.
        let length = if matches!(wanted, Wanted::Count(_)) { None } else { open.length };
        self.make(Node::Loop(LoopNode { level, length, reverse: open.reverse, carries, want }), ty)
    }
    pub(super) fn reach(
        &self,
        binder: u32,
        root: Term,
        seen: &mut HashSet<Term>,
        found: &mut [bool],
        order: &mut Vec<usize>,
    ) {
        let mut pending = vec![root];
        while let Some(t) = pending.pop() {
            if self.facts(t).binder < binder || !seen.insert(t) {
                continue;
            }
            let node = &self.nodes[t.0 as usize];
            if let Node::Symbol { binder: of, index } = **node
                && of == binder
                && index > 0
                && !std::mem::replace(&mut found[index - 1], true)
            {
                order.push(index - 1);
            }
            pending.extend(node.inner().into_iter().rev());
            pending.extend(node.outer().into_iter().rev());
        }
    }
    /// Terms that `is_affected` among those the roots are made of, operands first.
    pub(super) fn affected(
        &self,
        roots: &[Term],
        inside: bool,
        is_affected: impl Fn(&Facts) -> bool,
    ) -> Vec<Term> {
        let mut all: Vec<Term> = vec![];
        let mut seen = HashSet::new();
        let mut pending = roots.to_vec();
        while let Some(t) = pending.pop() {
            if is_affected(self.facts(t)) && seen.insert(t) {
                all.push(t);
                let node = &self.nodes[t.0 as usize];
                pending.extend(node.outer());
                if inside {
                    pending.extend(node.inner());
                }
            }
        }
        all.sort_unstable();
        all
    }
    /// Binds the free symbols of a binder.
    pub(super) fn bind(&mut self, roots: &[Term], binder: u32, level: u32, position: &[usize]) -> Vec<Term> {
        let mut bound: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(roots, true, |f| f.binder >= binder) {
            let (node, ty) = (self.node(t), self.ty(t).clone());
            let new = match *node {
                Node::Symbol { binder: of, index } if of == binder => {
                    Node::Bound { level, index: position[index], ty: ty.clone() }
                }
                _ => node.map(&mut |t| *bound.get(&t).unwrap_or(&t), true),
            };
            let new = self.make(new, &ty);
            bound.insert(t, new);
        }
        roots.iter().map(|t| *bound.get(t).unwrap_or(t)).collect()
    }
    /// Replaces bound symbols, none of which is below level `lowest`, by terms without bound symbols.
    pub(super) fn substitute(&mut self, roots: &[Term], map: &HashMap<Term, Term>, lowest: u32) -> Vec<Term> {
        let mut done: HashMap<Term, Term> = HashMap::new();
        for t in self.affected(roots, false, |f| f.free_level >= lowest) {
            if let Some(&new) = map.get(&t) {
                done.insert(t, new);
                continue;
            }
            let mut of = |t: Term| *done.get(&t).unwrap_or(&t);
            let (node, ty) = (self.node(t), self.ty(t).clone());
            let new = match &*node {
                Node::Row { step, of: stack } => {
                    let (step, stack) = (of(*step), of(*stack));
                    self.row(step, stack)
                }
                Node::App { op, inputs, result } => {
                    let inputs: Vec<Term> = inputs.iter().map(|&t| of(t)).collect();
                    self.app(op, &inputs, *result, &ty)
                }
                Node::Loop(l) => {
                    let Node::Loop(renewed) = node.map(&mut of, false) else {
                        unreachable!("loops stay loops")
                    };
                    let inside = node.inner().iter().map(|&t| self.facts(t).free_level).max().unwrap_or(0);
                    if inside > l.level {
                        let (open, _, wanted) = self.open(&renewed, map, lowest);
                        self.close(&open, wanted, &ty)
                    } else {
                        self.make(Node::Loop(renewed), &ty)
                    }
                }
                other => {
                    let renewed = other.map(&mut of, false);
                    self.make(renewed, &ty)
                }
            };
            done.insert(t, new);
        }
        roots.iter().map(|t| *done.get(t).unwrap_or(t)).collect()
    }

    /// A few words for a term.
    pub(super) fn describe(&self, t: Term) -> String {
        let ty = self.ty(t);
        match &*self.nodes[t.0 as usize] {
            Node::Input(i) => format!("input {i} ({ty})"),
            Node::Symbol { index: 0, .. } | Node::Bound { index: 0, .. } => "the number of the step".into(),
            Node::Symbol { index, .. } | Node::Bound { index, .. } => format!("carry {} ({ty})", index - 1),
            Node::Row { of, .. } => format!("this step's row of {}", self.describe(*of)),
            Node::App { op, inputs, .. } => match inputs[..] {
                [] => format!("{} ({ty})", op.name()),
                _ => format!(
                    "{} of {} ({ty})",
                    op.name(),
                    inputs.iter().map(|&t| self.word(t)).collect::<Vec<_>>().join(", ")
                ),
            },
            Node::If { .. } => format!("cond ({ty})"),
            Node::Loop(LoopNode { want: Want::Last, .. }) => format!("a last carry ({ty})"),
            Node::Loop(l @ LoopNode { want: Want::Y(y), .. }) => match self.bound_carry(*y, l.level) {
                Some(_) => format!("the states of a loop ({ty})"),
                None => format!("a stack of {}", self.describe(*y)),
            },
            Node::Loop(_) => "a number of steps".into(),
            Node::LengthOf(_) => "the length of a list".into(),
            Node::Checkpoints { states, rule } => format!("checkpoints {rule} of {}", self.describe(*states)),
            Node::NoBits => "no bits".into(),
            Node::Push { x, .. } => format!("bits with those of {} on top", self.describe(*x)),
            Node::Bits(_) => "the bits of a loop".into(),
        }
    }
    pub(super) fn word(&self, t: Term) -> String {
        match &*self.nodes[t.0 as usize] {
            Node::App { op, .. } => op.name().into(),
            Node::Row { .. } => "a row".into(),
            _ => self.describe(t),
        }
    }
    /// The innermost difference, first operands first.
    pub(super) fn difference(&self, found: Term, expected: Term) -> String {
        let (f, e) = (self.node(found), self.node(expected));
        let same_head = match (&*f, &*e) {
            (Node::Loop(f), Node::Loop(e)) if f.length != e.length && f.carries.len() == e.carries.len() => {
                return match (f.length, e.length) {
                    (Some(Length::Known(f)), Some(Length::Known(e))) => {
                        format!("found a loop of {f} steps, expected {e}")
                    }
                    _ => "found a loop of another number of steps".into(),
                };
            }
            (Node::Loop(f), Node::Loop(e)) => {
                let words = |w: &Want| std::mem::discriminant(w);
                if f.reverse != e.reverse {
                    return "found a loop in the other direction".into();
                }
                f.carries.len() == e.carries.len() && words(&f.want) == words(&e.want)
            }
            (Node::App { op: f, result: i, .. }, Node::App { op: e, result: j, .. }) => f == e && i == j,
            (f, e) => std::mem::discriminant(f) == std::mem::discriminant(e),
        };
        let of_found = [f.outer(), f.inner()].concat();
        let of_expected = [e.outer(), e.inner()].concat();
        if same_head
            && of_found.len() == of_expected.len()
            && let Some((&f, &e)) = of_found.iter().zip(&of_expected).find(|(f, e)| f != e)
        {
            return self.difference(f, e);
        }
        format!("found {}, expected {}", self.describe(found), self.describe(expected))
    }
}
