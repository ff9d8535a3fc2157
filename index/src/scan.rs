//! Exact search of a frozen graph's vectors, of one query or of many at once.
//!
//! The codes say which vectors cannot be among the k nearest: those whose product, with the bound of its error added, stays
//! below that of the k-th found. All others are compared in floats, so the answer is that of comparing all of them. A block
//! of codes is compared with every query while it is near the core.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Accept, GoOn,
    codes::{self, QueryCode},
    frozen::Frozen,
    neighbor::Nearest,
    simd::Isa,
};

/// Nodes that one thread scans at a time, at least.
const CHUNK: usize = 16_384;
/// Nodes whose products are computed together: their codes and products stay near the core.
const BLOCK: usize = 256;
/// Blocks between two looks at whether the answer is wanted.
const BETWEEN_LOOKS: usize = 8;
/// Queries that go over the nodes together.
const TOGETHER: usize = 64;

/// What a scan asks of its caller: which vectors it may find, and whether it is still wanted.
pub(crate) type Asked<'a> = (Option<Accept<'a>>, GoOn<'a>);

/// The k nearest live vectors that are admitted, by all cores; the query is prepared. A scan that is not wanted any more ends
/// with whatever it has.
pub(crate) fn one(frozen: &Frozen, query: &[f32], k: usize, asked: Asked<'_>) -> Nearest {
    if k == 0 {
        return Nearest::new(0);
    }
    let nodes = frozen.nodes();
    let chunk = nodes.div_ceil(rayon::current_num_threads()).max(CHUNK);
    let starts: Vec<usize> = (0..nodes).step_by(chunk).collect();
    let scan = |start: usize| {
        let (accept, go_on) = asked;
        let mut scan = Scan::new(frozen, query, k, accept);
        for (count, block) in blocks(start..(start + chunk).min(nodes)).enumerate() {
            if count % BETWEEN_LOOKS == 0 && !go_on.is_wanted() {
                break;
            }
            scan.block(block);
        }
        scan.nearest
    };
    match starts[..] {
        [] => Nearest::new(k),
        [only] => scan(only),
        _ => starts.into_par_iter().map(scan).reduce(|| Nearest::new(k), Nearest::merge),
    }
}

/// The k nearest live vectors of each prepared query; threads share the queries.
pub(crate) fn many(frozen: &Frozen, queries: &[Vec<f32>], k: usize) -> Vec<Nearest> {
    let share = queries.len().div_ceil(rayon::current_num_threads()).clamp(1, TOGETHER);
    let groups = queries.par_chunks(share).flat_map_iter(|group| {
        let mut scans: Vec<Scan<'_>> =
            group.iter().map(|query| Scan::new(frozen, query, k, None)).collect();
        for block in blocks(0..frozen.nodes()) {
            let (pairs, last) = scans.as_chunks_mut::<2>();
            pairs.iter_mut().for_each(|pair| Scan::block_of_pair(pair, block.clone()));
            last.iter_mut().for_each(|scan| scan.block(block.clone()));
        }
        scans.into_iter().map(|scan| scan.nearest)
    });
    groups.collect()
}

fn blocks(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(BLOCK).map(move |begin| begin..(begin + BLOCK).min(end))
}

/// One exact search on its way.
struct Scan<'a> {
    frozen: &'a Frozen,
    query: &'a [f32],
    code: QueryCode,
    accept: Option<Accept<'a>>,
    nearest: Nearest,
    /// The least product of codes that may still be among the nearest.
    least: i32,
}

impl<'a> Scan<'a> {
    fn new(frozen: &'a Frozen, query: &'a [f32], k: usize, accept: Option<Accept<'a>>) -> Self {
        let mut code = QueryCode::default();
        frozen.encode(query, &mut code);
        Self { frozen, query, code, accept, nearest: Nearest::new(k), least: i32::MIN }
    }

    fn block(&mut self, nodes: Range<usize>) {
        let mut products = [0; BLOCK];
        Isa::best().dot_all(self.codes(&nodes), &self.code.codes, &mut products);
        self.offer_all(nodes, &products);
    }

    /// As [`Scan::block`] of both.
    fn block_of_pair([one, other]: &mut [Self; 2], nodes: Range<usize>) {
        let mut products = [[0; BLOCK]; 2];
        let queries = [one.code.codes.as_slice(), &other.code.codes];
        let out = products.each_mut().map(|products| products.as_mut_slice());
        Isa::best().dot_all_pair(one.codes(&nodes), queries, out);
        one.offer_all(nodes.clone(), &products[0]);
        other.offer_all(nodes, &products[1]);
    }

    fn codes(&self, nodes: &Range<usize>) -> &'a [u8] {
        let stride = codes::stride(self.query.len());
        &self.frozen.image().codes()[nodes.start * stride..nodes.end * stride]
    }

    fn offer_all(&mut self, nodes: Range<usize>, products: &[i32]) {
        for (node, &product) in nodes.zip(products) {
            if product >= self.least {
                self.offer(node);
            }
        }
    }

    fn offer(&mut self, node: usize) {
        if !self.frozen.is_live(node) {
            return;
        }
        let neighbor = self.frozen.neighbor(self.query, node);
        // The filter is the caller's and may be slow: it is asked last.
        if self.nearest.admits(&neighbor) && self.accept.is_none_or(|accept| accept(neighbor.id)) {
            self.nearest.push(neighbor);
            if let Some(worst) = self.nearest.worst() {
                let product = self.frozen.metric().least_product(worst);
                self.least = self.code.least(f64::from(product));
            }
        }
    }
}
