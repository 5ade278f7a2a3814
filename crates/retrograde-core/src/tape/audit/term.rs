//! What a value of a program is: a term, and what it is made of. See Note [terms] and Note [rows] in the parent module.

use crate::ir::Type;
use crate::prim::Prim;

use super::schedule::Kept;

/// Names a term: equal terms have equal names, and operands have smaller names than what is made of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Term(pub(super) u32);

/// The number of steps of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Length {
    Known(usize),
    Counted(Term),
}

/// Which value of a finished loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Want {
    /// The first of the listed carries after the last step.
    Last,
    /// This value of each step, stacked in the order of the xs.
    Y(Term),
    /// How many steps there are for as long as this holds.
    Count(Term),
}

/// A finished loop; see Note [terms].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct LoopNode {
    pub(super) level: u32,
    pub(super) length: Option<Length>,
    pub(super) reverse: bool,
    /// Start and step of each carry that matters.
    pub(super) carries: Vec<(Term, Term)>,
    pub(super) want: Want,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    Input(usize),
    /// Of a loop whose step is being read: 0 is the number of the step, then the carries.
    Symbol {
        binder: u32,
        index: usize,
    },
    /// Of a finished loop, numbered alike.
    Bound {
        level: u32,
        index: usize,
        ty: Type,
    },
    /// The row of a stack or list for a step.
    Row {
        step: Term,
        of: Term,
    },
    App {
        op: Prim,
        inputs: Vec<Term>,
        result: usize,
    },
    If {
        pred: Term,
        yes: Term,
        no: Term,
    },
    Loop(LoopNode),
    /// The length of a list that no loop made.
    LengthOf(Term),
    /// Some rows of a stack of states.
    Checkpoints {
        states: Term,
        rule: Kept,
    },
    /// What a recording loop starts with.
    NoBits,
    /// One entry more on a bit stack.
    Push {
        below: Term,
        update: Prim,
        y: Term,
        x: Term,
        others: Vec<Term>,
    },
    /// What the recorded loop of this number ends with.
    Bits(usize),
}

impl Node {
    /// Operands outside the scope of the symbols that the node binds.
    pub(super) fn outer(&self) -> Vec<Term> {
        match self {
            Node::Input(_) | Node::Symbol { .. } | Node::Bound { .. } | Node::NoBits | Node::Bits(_) => {
                vec![]
            }
            Node::Row { step, of } => vec![*step, *of],
            Node::App { inputs, .. } => inputs.clone(),
            Node::If { pred, yes, no } => vec![*pred, *yes, *no],
            Node::LengthOf(list) => vec![*list],
            Node::Checkpoints { states, .. } => vec![*states],
            Node::Push { below, y, x, others, .. } => [&[*below, *y, *x], &others[..]].concat(),
            Node::Loop(l) => {
                let mut all: Vec<Term> = l.carries.iter().map(|c| c.0).collect();
                if let Some(Length::Counted(t)) = l.length {
                    all.push(t);
                }
                all
            }
        }
    }
    /// Operands inside it.
    pub(super) fn inner(&self) -> Vec<Term> {
        let Node::Loop(l) = self else { return vec![] };
        let mut all: Vec<Term> = l.carries.iter().map(|c| c.1).collect();
        if let Want::Y(t) | Want::Count(t) = l.want {
            all.push(t);
        }
        all
    }
    /// The node with other operands.
    pub(super) fn map(&self, of: &mut dyn FnMut(Term) -> Term, inside: bool) -> Node {
        let mut node = self.clone();
        match &mut node {
            Node::Input(_) | Node::Symbol { .. } | Node::Bound { .. } | Node::NoBits | Node::Bits(_) => {}
            Node::Row { step: a, of: b } => (*a, *b) = (of(*a), of(*b)),
            Node::App { inputs, .. } => inputs.iter_mut().for_each(|t| *t = of(*t)),
            Node::If { pred, yes, no } => (*pred, *yes, *no) = (of(*pred), of(*yes), of(*no)),
            Node::LengthOf(t) | Node::Checkpoints { states: t, .. } => *t = of(*t),
            Node::Push { below, y, x, others, .. } => {
                (*below, *y, *x) = (of(*below), of(*y), of(*x));
                others.iter_mut().for_each(|t| *t = of(*t));
            }
            Node::Loop(l) => {
                l.carries.iter_mut().for_each(|c| c.0 = of(c.0));
                if let Some(Length::Counted(t)) = &mut l.length {
                    *t = of(*t);
                }
                if inside {
                    l.carries.iter_mut().for_each(|c| c.1 = of(c.1));
                    if let Want::Y(t) | Want::Count(t) = &mut l.want {
                        *t = of(*t);
                    }
                }
            }
        }
        node
    }
}
