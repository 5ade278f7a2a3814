//! The cheapest cut of a directed graph between a source and a sink.
//!
//! Source: E. A. Dinic, Algorithm for solution of a problem of maximum flow in networks with power estimation, Soviet
//! Mathematics Doklady 11 (1970) 1277-1280. Cost: O(edges · √nodes) on the graphs that tapes give, O(nodes² · edges) at worst.

/// More than any sum of costs.
pub(super) const UNBOUNDED: u64 = u64::MAX / 4;

/// A graph under construction.
pub(super) struct Graph {
    /// (to, what still fits); edge `e ^ 1` is the way back of `e`.
    edges: Vec<(usize, u64)>,
    /// The edges out of each node.
    out: Vec<Vec<usize>>,
}

impl Graph {
    pub(super) fn new(n_nodes: usize) -> Graph {
        Graph { edges: vec![], out: vec![vec![]; n_nodes] }
    }

    pub(super) fn edge(&mut self, from: usize, to: usize, cost: u64) {
        self.out[from].push(self.edges.len());
        self.edges.push((to, cost));
        self.out[to].push(self.edges.len());
        self.edges.push((from, 0));
    }

    /// Cuts `sink` off from `source` at the least total cost; of several such cuts the one nearest to the sink. Returns the
    /// cost and which nodes are on the sink's side; at [`UNBOUNDED`] there is no cut.
    pub(super) fn cut(mut self, source: usize, sink: usize) -> (u64, Vec<bool>) {
        let mut total = 0u64;
        loop {
            let level = self.levels(source);
            if level[sink] == usize::MAX || total >= UNBOUNDED {
                break;
            }
            let mut next = vec![0; self.out.len()];
            loop {
                let pushed = self.push(source, sink, &level, &mut next);
                if pushed == 0 {
                    break;
                }
                total = total.saturating_add(pushed);
            }
        }
        (total, self.reaching(sink))
    }

    /// Distances from a node over edges with room.
    fn levels(&self, from: usize) -> Vec<usize> {
        let mut level = vec![usize::MAX; self.out.len()];
        level[from] = 0;
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for &e in &self.out[node] {
                let (to, room) = self.edges[e];
                if room > 0 && level[to] == usize::MAX {
                    level[to] = level[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        level
    }

    /// One more path of growing levels, walked without recursion: programs are long.
    fn push(&mut self, source: usize, sink: usize, level: &[usize], next: &mut [usize]) -> u64 {
        let mut path: Vec<usize> = vec![];
        let mut node = source;
        loop {
            if node == sink {
                let room = path.iter().map(|&e| self.edges[e].1).min().unwrap_or(0);
                for &e in &path {
                    self.edges[e].1 -= room;
                    self.edges[e ^ 1].1 += room;
                }
                return room;
            }
            let step = self.out[node][next[node]..].iter().position(|&e| {
                let (to, room) = self.edges[e];
                room > 0 && level[to] == level[node].wrapping_add(1)
            });
            match step {
                Some(skipped) => {
                    next[node] += skipped;
                    let e = self.out[node][next[node]];
                    path.push(e);
                    node = self.edges[e].0;
                }
                None => {
                    next[node] = self.out[node].len();
                    let Some(e) = path.pop() else { return 0 };
                    node = self.edges[e ^ 1].0;
                    next[node] += 1;
                }
            }
        }
    }

    /// The nodes from which the sink can still be reached.
    fn reaching(&self, sink: usize) -> Vec<bool> {
        let mut seen = vec![false; self.out.len()];
        seen[sink] = true;
        let mut stack = vec![sink];
        while let Some(node) = stack.pop() {
            for &e in &self.out[node] {
                let from = self.edges[e].0;
                if self.edges[e ^ 1].1 > 0 && !seen[from] {
                    seen[from] = true;
                    stack.push(from);
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrograde_array::rng::{Key, random_bits};

    /// Every choice of a side for every node.
    fn by_enumeration(n: usize, edges: &[(usize, usize, u64)]) -> u64 {
        let cost = |set: usize| {
            let crossing = edges.iter().filter(|(a, b, _)| set >> a & 1 == 0 && set >> b & 1 == 1);
            crossing.map(|(_, _, cost)| cost).sum::<u64>()
        };
        // Bit set: on the sink's side. Node 0 is the source, node n - 1 the sink.
        (0..1usize << n).filter(|set| set & 1 == 0 && set >> (n - 1) & 1 == 1).map(cost).min().unwrap()
    }

    #[test]
    fn cuts_are_cheapest() {
        for case in 0..300 {
            let words = random_bits(Key::from_seed(5).fold_in(case), 40);
            let n = 3 + words[0] as usize % 6;
            let n_edges = 1 + words[1] as usize % 18;
            let edges: Vec<(usize, usize, u64)> = words[2..2 + n_edges]
                .iter()
                .map(|w| (*w as usize % n, (*w >> 16) as usize % n, (w >> 32) % 9))
                .filter(|(a, b, _)| a != b)
                .collect();
            let mut graph = Graph::new(n);
            edges.iter().for_each(|&(a, b, cost)| graph.edge(a, b, cost));
            let (cost, side) = graph.cut(0, n - 1);
            assert_eq!(cost, by_enumeration(n, &edges), "case {case}: {edges:?}");
            assert!(side[n - 1] && !side[0]);
            let crossing: u64 = edges.iter().filter(|(a, b, _)| !side[*a] && side[*b]).map(|e| e.2).sum();
            assert_eq!(crossing, cost, "case {case}: the sides are not those of the cut");
        }
    }

    #[test]
    fn the_cut_is_nearest_to_the_sink() {
        let mut graph = Graph::new(4);
        for node in 0..3 {
            graph.edge(node, node + 1, 5);
        }
        assert_eq!(graph.cut(0, 3), (5, vec![false, false, false, true]));
    }

    #[test]
    fn what_cannot_be_cut_is_said() {
        let mut graph = Graph::new(2);
        graph.edge(0, 1, UNBOUNDED);
        assert!(graph.cut(0, 1).0 >= UNBOUNDED);
    }
}
