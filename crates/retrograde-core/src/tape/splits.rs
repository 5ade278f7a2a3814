//! The ways back through a chain, by leaves and splits: the one with the least bytes, and the one with the least work within some.
//! See `budget` for what they are and cost.

use super::chain::{Chain, Run};
use super::held::UNKNOWN;

/// Steps in which a budget is divided among the parts of a chain: half as many as there are cuts, as about every second is
/// held at the largest budget that does not store.
const LEVELS: u64 = 32;

/// A way back through an interval between two cuts.
pub(super) enum Tree {
    Leaf,
    /// At this cut: first what comes after it.
    Split(usize, Box<[Tree; 2]>),
}

impl Tree {
    pub(super) fn n_leaves(&self) -> usize {
        match self {
            Tree::Leaf => 1,
            Tree::Split(_, of) => of.iter().map(Tree::n_leaves).sum(),
        }
    }
}

/// What the parts of a chain weigh; intervals by the numbers of their cuts.
pub(super) struct Tables {
    pub(super) n_cuts: usize,
    /// What (cut i, cut k] reads of what (cut h, cut i] makes.
    grown: Vec<u64>,
    /// Running the leaf again, and its backward equations.
    leaf: Vec<(Run, u64)>,
    /// Running to a cut for what is read after it.
    forward: Vec<Run>,
    /// Least bytes for an interval, where it is the first way through it and where it is not, and the split for that.
    least: Vec<[(u64, Option<usize>); 2]>,
    /// Of backward equations that belong to no position.
    pub(super) rest: u64,
}

impl Tables {
    pub(super) fn new(chain: &Chain<'_>) -> Tables {
        let (cuts, n) = (&chain.cuts, chain.cuts.len());
        let readers = chain.readers();
        let of_rest = chain.level.partition_point(|&level| level > 0)..chain.back.len();
        let mut tables = Tables {
            n_cuts: n,
            grown: vec![0; n * n * n],
            leaf: vec![Default::default(); n * n],
            forward: vec![Run::default(); n * n],
            least: vec![[(u64::MAX, None); 2]; n * n],
            rest: chain.back_inside[of_rest].iter().copied().max().unwrap_or(0),
        };
        let next_cut = |position: usize| cuts.partition_point(|&cut| cut < position);
        for (i, &cut) in cuts.iter().enumerate() {
            // By the stretch that a value is made in and the one of its next reader, then summed up.
            for (v, readers) in readers.iter().enumerate() {
                let position = chain.position[v];
                let reader = readers.get(readers.partition_point(|&r| r <= cut));
                if let (1.., Some(&reader)) = (position, reader)
                    && position <= cut
                {
                    let at = tables.at3(next_cut(position) - 1, i, next_cut(reader));
                    tables.grown[at] = tables.grown[at].saturating_add(chain.weight[v]);
                }
            }
            for h in (0..n).rev() {
                for k in 0..n {
                    let at = |h, k| (h * n + i) * n + k;
                    let above = if h + 1 < n { tables.grown[at(h + 1, k)] } else { 0 };
                    let before = if k > 0 { tables.grown[at(h, k - 1)] } else { 0 };
                    let both = if h + 1 < n && k > 0 { tables.grown[at(h + 1, k - 1)] } else { 0 };
                    let sum = tables.grown[at(h, k)].saturating_add(above).saturating_add(before);
                    tables.grown[at(h, k)] = sum.saturating_sub(both);
                }
            }
        }
        let mut last = vec![0; chain.program.types.len()];
        for i in 0..n {
            for k in i + 1..n {
                let wanted = chain.wanted_by_leaf(cuts[i], cuts[k]);
                let run = chain.run(cuts[i], cuts[k], &wanted, &mut last).0;
                tables.leaf[i * n + k] = (run, chain.peak_of_leaf(cuts[i], cuts[k], &wanted, &mut last));
                let wanted = chain.wanted_after(&readers, cuts[i], cuts[k], chain.steps.len());
                tables.forward[i * n + k] = chain.run(cuts[i], cuts[k], &wanted, &mut last).0;
            }
        }
        for length in 1..n {
            for i in 0..n - length {
                for (again, way) in [false, true].into_iter().enumerate() {
                    let k = i + length;
                    let splits = (i + 1..k).map(|m| (tables.of_split(i, m, k, way), Some(m)));
                    let leaf = (tables.of_leaf(i, k, way), None);
                    tables.least[i * n + k][again] =
                        splits.chain([leaf]).min_by_key(|(bytes, _)| *bytes).unwrap_or(leaf);
                }
            }
        }
        tables
    }

    pub(super) fn at3(&self, h: usize, i: usize, k: usize) -> usize {
        (h * self.n_cuts + i) * self.n_cuts + k
    }
    /// What the interval starts with.
    pub(super) fn base(&self, i: usize, k: usize) -> u64 {
        self.grown[self.at3(0, i, k)]
    }
    /// Bytes for a leaf; `again` where it is not the first way through it.
    pub(super) fn of_leaf(&self, i: usize, k: usize, again: bool) -> u64 {
        let (run, back) = self.leaf[i * self.n_cuts + k];
        self.base(i, k).saturating_add(if again { run.peak.max(back) } else { back })
    }
    /// What is held besides what (m, k] starts with, while that is gone back through.
    pub(super) fn held_below(&self, i: usize, m: usize, k: usize) -> u64 {
        let of_both = self.base(i, k).saturating_add(self.grown[self.at3(i, m, k)]);
        of_both.saturating_sub(self.base(m, k))
    }
    /// What (i, k] starts with and (i, m] does not.
    pub(super) fn held_on(&self, i: usize, m: usize, k: usize) -> u64 {
        self.base(i, k).saturating_sub(self.base(i, m))
    }
    /// Running from cut i to cut m, where that is not the first time.
    pub(super) fn of_way(&self, i: usize, m: usize, k: usize, again: bool) -> u64 {
        if again { self.base(i, k).saturating_add(self.forward[i * self.n_cuts + m].peak) } else { 0 }
    }
    /// The least bytes with a split at m.
    pub(super) fn of_split(&self, i: usize, m: usize, k: usize, again: bool) -> u64 {
        let after = self.least[m * self.n_cuts + k][usize::from(again)].0;
        let before = self.least[i * self.n_cuts + m][1].0.saturating_add(self.held_on(i, m, k));
        let after = after.saturating_add(self.held_below(i, m, k));
        self.of_way(i, m, k, again).max(after).max(before).min(UNKNOWN)
    }
    pub(super) fn least(&self) -> u64 {
        if self.n_cuts < 2 { self.rest } else { self.least[self.n_cuts - 1][0].0.max(self.rest) }
    }
    pub(super) fn least_tree(&self, i: usize, k: usize, again: bool) -> Tree {
        match self.least[i * self.n_cuts + k][usize::from(again)].1 {
            None => Tree::Leaf,
            Some(m) => Tree::Split(m, Box::new([self.least_tree(m, k, again), self.least_tree(i, m, true)])),
        }
    }

    /// The way with the least work within the budget, to within a level of it; otherwise the one with the least bytes.
    pub(super) fn plan(&self, budget: u64) -> Tree {
        let n = self.n_cuts;
        if n < 2 {
            return Tree::Leaf;
        }
        let found = vec![None; n * n * 2 * (LEVELS as usize + 1)];
        let mut search = Search { tables: self, quantum: (budget / LEVELS).max(1), found };
        match search.work(0, n - 1, false, budget) {
            Some(_) => search.tree(0, n - 1, false, budget),
            None => self.least_tree(0, n - 1, false),
        }
    }
    /// What a way through an interval weighs.
    pub(super) fn weight(&self, i: usize, k: usize, again: bool, tree: &Tree) -> u64 {
        match tree {
            Tree::Leaf if i == k => 0,
            Tree::Leaf => self.of_leaf(i, k, again),
            Tree::Split(m, of) => {
                let after = self.weight(*m, k, again, &of[0]).saturating_add(self.held_below(i, *m, k));
                let before = self.weight(i, *m, true, &of[1]).saturating_add(self.held_on(i, *m, k));
                self.of_way(i, *m, k, again).max(after).max(before)
            }
        }
    }
}

/// The work of a way and its split; none where no way fits.
type Found = Option<(u64, Option<usize>)>;

/// The search for the least work.
struct Search<'a> {
    tables: &'a Tables,
    /// Bytes of one level.
    quantum: u64,
    /// By interval, whether it is not the first way, and level: once looked for, the work and the split, if there is one.
    found: Vec<Option<Found>>,
}

impl Search<'_> {
    fn at(&self, i: usize, k: usize, again: bool, level: u64) -> usize {
        ((i * self.tables.n_cuts + k) * 2 + usize::from(again)) * (LEVELS as usize + 1) + level as usize
    }
    /// The bytes of the level below.
    fn level(&self, i: usize, k: usize, bytes: u64) -> Option<(u64, u64)> {
        let base = self.tables.base(i, k);
        let level = (bytes.checked_sub(base)? / self.quantum).min(LEVELS);
        Some((level, base + level * self.quantum))
    }
    /// What is left for (m, k] and for (i, m].
    fn shares(&self, i: usize, m: usize, k: usize, bytes: u64) -> Option<(u64, u64)> {
        let after = bytes.checked_sub(self.tables.held_below(i, m, k))?;
        Some((after, bytes.checked_sub(self.tables.held_on(i, m, k))?))
    }
    fn work(&mut self, i: usize, k: usize, again: bool, bytes: u64) -> Option<u64> {
        let (level, bytes) = self.level(i, k, bytes)?;
        let at = self.at(i, k, again, level);
        if let Some(found) = self.found[at] {
            return found.map(|(work, _)| work);
        }
        let t = self.tables;
        let mut best = None;
        if t.of_leaf(i, k, again) <= bytes {
            best = Some((if again { t.leaf[i * t.n_cuts + k].0.work } else { 0 }, None));
        }
        for m in i + 1..k {
            if best.is_some_and(|(work, _)| work == 0)
                || t.of_way(i, m, k, again) > bytes
                || t.of_split(i, m, k, again) > bytes
            {
                continue;
            }
            let of_way = if again { t.forward[i * t.n_cuts + m].work } else { 0 };
            let Some((for_after, for_before)) = self.shares(i, m, k, bytes) else { continue };
            let Some(after) = self.work(m, k, again, for_after) else { continue };
            let Some(before) = self.work(i, m, true, for_before) else { continue };
            let work = of_way.saturating_add(after).saturating_add(before);
            if best.is_none_or(|(least, _)| work < least) {
                best = Some((work, Some(m)));
            }
        }
        self.found[at] = Some(best);
        best.map(|(work, _)| work)
    }
    /// The way that [`Search::work`] found.
    fn tree(&mut self, i: usize, k: usize, again: bool, bytes: u64) -> Tree {
        let of_level = self.level(i, k, bytes);
        let found = of_level.and_then(|(level, _)| self.found[self.at(i, k, again, level)].flatten());
        let (Some((_, Some(m))), Some((_, bytes))) = (found, of_level) else { return Tree::Leaf };
        let (after, before) = self.shares(i, m, k, bytes).unwrap_or_default();
        Tree::Split(m, Box::new([self.tree(m, k, again, after), self.tree(i, m, true, before)]))
    }
}
